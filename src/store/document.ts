/** Keys and documents at the door: both are checked before they are sent, and after they have come. */
import {quoted} from '../model/errors.ts'
import {depthOf} from '../model/json-depth.ts'
import {type Document, type Kind, StoreError} from '../model/store.ts'

/** Bytes of JSON. etcd takes requests of 1.5 MiB, and one of ours is some hundred bytes. */
export const MAX_VALUE = 256 * 1024
/** Deeper JSON would be a danger for whoever walks it. */
const MAX_DEPTH = 64

/** RFC 1123, as Kubernetes has it for namespaces, and for most other names. */
const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const SUBDOMAIN_MAX = 253

export const isName = (text: string, max = SUBDOMAIN_MAX): boolean => text.length <= max && SUBDOMAIN.test(text)

export type AnyKind = Pick<Kind<Document>, 'plural' | 'kind' | 'namespaced'>

export function isKey({namespaced}: AnyKind, key: string): boolean {
  if (!namespaced) return isName(key)
  const slash = key.indexOf('/')
  return LABEL.test(key.slice(0, Math.max(slash, 0))) && isName(key.slice(slash + 1))
}

/** Throws StoreError. */
export function checkKey(kind: AnyKind, key: string): void {
  if (isKey(kind, key)) return
  const form = kind.namespaced ? 'a namespace, a slash and a name' : 'a name'
  throw new StoreError('invalid', `${quoted(key)} cannot be a key of ${kind.plural}: give it the form of ${form}`)
}

/** Of who shows a sign of life. Throws StoreError. */
export function checkOwner(name: string, max?: number): void {
  if (isName(name, max)) return
  throw new StoreError('invalid', `${quoted(name)} cannot show a sign of life: give it a node's name`)
}

/** JSON. Throws StoreError. */
export function encode(kind: AnyKind, key: string, {spec, status}: Document): string {
  const text = JSON.stringify({spec, ...(status && Object.keys(status).length > 0 && {status})})
  const bytes = Buffer.byteLength(text)
  if (bytes <= MAX_VALUE) return text
  const limit = `more than the ${MAX_VALUE} that a document may have: make it smaller`
  throw new StoreError('invalid', `${quoted(key)} of ${kind.plural} would have ${bytes} bytes, ${limit}`)
}

/** Throws whatever says best why it is no such document. */
export function decode<D extends Document>(kind: Kind<D>, text: string): D {
  if (text.length > MAX_VALUE) throw new TypeError(`it is longer than ${MAX_VALUE} bytes`)
  if (depthOf(text) > MAX_DEPTH) throw new TypeError(`it is nested more than ${MAX_DEPTH} levels deep`)
  return understand(kind, JSON.parse(text))
}

/** Of parsed JSON that may have more than a document has. Throws as {@link decode}. */
export function understand<D extends Document>({parse}: Kind<D>, value: unknown): D {
  const {spec, status} = Object(value) as {spec?: unknown; status?: unknown}
  if (!isObject(spec)) throw new TypeError('it has no spec')
  if (status !== undefined && status !== null && !isObject(status)) throw new TypeError('its status is no object')
  return parse({spec, ...(isObject(status) && Object.keys(status).length > 0 && {status})})
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const unusable = (kind: AnyKind, key: string, where: string, cause: unknown): StoreError =>
  new StoreError(
    'unusable',
    `what ${where} has as ${quoted(key)} of ${kind.plural} cannot be used, since ${reasonOf(cause)}: remove or mend it`,
    {cause},
  )

/** Characters. */
const REASON_MAX = 200

/** On one line, and not too long: an exception may quote what somebody has written. */
export const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).slice(0, REASON_MAX).replace(/\p{C}/gu, ' ')
