/** What the store asks of the API server, and what its refusals mean here. */
import {StoreError} from '../model/store.ts'
import {ApiError, type ListWatchTransport} from '../streams/list-watch.ts'

/** What is used of the API server's client. */
export interface KubePort {
  /** The answer's JSON. Rejects with an ApiError, or the signal's reason when that aborts. */
  request(
    method: string,
    path: string,
    options: {readonly body?: unknown; readonly contentType?: string; readonly signal: AbortSignal},
  ): Promise<unknown>
  listWatch(resource: KubeResource): ListWatchTransport
}

export interface KubeResource {
  readonly group: string
  readonly version: string
  /** In the plural. */
  readonly resource: string
  readonly namespace?: string | undefined
}

/** What objects have, as far as we read it. */
export interface KubeObject {
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly resourceVersion: string
  }
  readonly spec?: unknown
  readonly status?: unknown
}

export interface Asked {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly contentType?: string
  /** Milliseconds. */
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

/** What a caller expects among the refusals: there is none, there is one already, it is not as it was. */
export type Expected = 'absent' | 'exists' | 'conflict'

const EXPECTED: ReadonlyMap<string, Expected> = new Map([
  ['404 NotFound', 'absent'],
  ['409 AlreadyExists', 'exists'],
  ['409 Conflict', 'conflict'],
])

/** Rejects with a StoreError, or with the signal's reason when that aborts. */
export async function askKube(kube: KubePort, asked: Asked): Promise<KubeObject | Expected> {
  const {method, path, body, contentType, deadlineMs, signal} = asked
  const late = AbortSignal.timeout(Math.ceil(deadlineMs))
  try {
    const answer = await kube.request(method, path, {
      ...(body !== undefined && {body}),
      ...(contentType !== undefined && {contentType}),
      signal: AbortSignal.any([signal, late]),
    })
    return Object(answer) as KubeObject
  } catch (error) {
    signal.throwIfAborted()
    if (error === late.reason) throw noAnswer(asked, error)
    if (!(error instanceof ApiError)) throw error
    return EXPECTED.get(`${error.status} ${error.reason}`) ?? refuse(asked, error)
  }
}

/** Keys of one page of a whole list. */
const PAGE = 500

/** Every object, page by page, as it is now. `path`: for sentences. Rejects as {@link askKube}. */
export async function listKube(
  transport: ListWatchTransport,
  {path, take, deadlineMs, signal, labelSelector}: ListAsked,
): Promise<void> {
  const late = AbortSignal.timeout(Math.ceil(deadlineMs))
  const asked = {method: 'GET', path, deadlineMs, signal} as const
  let after: string | undefined
  try {
    do {
      const query = {limit: PAGE, labelSelector, continue: after}
      after = (await transport.list(query, take, AbortSignal.any([signal, late]))).continue
    } while (after !== undefined)
  } catch (error) {
    signal.throwIfAborted()
    if (error === late.reason) throw noAnswer(asked, error)
    if (!(error instanceof ApiError)) throw error
    if (error.status === 404) throw notServed(path)
    refuse(asked, error)
  }
}

export interface ListAsked extends Pick<Asked, 'path' | 'deadlineMs' | 'signal'> {
  readonly take: (object: unknown) => void
  readonly labelSelector?: string
}

const isWrite = ({method}: Asked): boolean => method !== 'GET'

const REREAD = 'it may have been done, read whether it was'

function noAnswer(asked: Asked, cause: unknown): StoreError {
  const what = `the API server gave no answer to ${asked.method} ${asked.path} for ${asked.deadlineMs / 1000} s`
  return isWrite(asked)
    ? new StoreError('uncertain', `${what}: ${REREAD}`, {cause})
    : new StoreError('unreachable', `${what}: is it overloaded, or the network cut?`, {cause})
}

/** Of connections that never were. Any others only make us more careful than we need be. */
const UNSENT: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])

function refuse(asked: Asked, error: ApiError): never {
  const {code, status = 0, message} = error
  const as = (to: StoreError['code'], text = message) => new StoreError(to, text, {cause: error})
  const maybeDone = () => (isWrite(asked) ? as('uncertain', `${message}; ${REREAD}`) : as('unreachable'))
  switch (code) {
    case 'ECREDENTIALS':
      throw as('refused')
    case 'EUNREACHABLE':
      throw UNSENT.has((error.cause as NodeJS.ErrnoException | undefined)?.code) ? as('unreachable') : maybeDone()
    case 'ETIMEDOUT':
      throw maybeDone()
    case 'EPROTOCOL':
      throw isWrite(asked) ? maybeDone() : as('nonsense')
    case 'ESTATUS':
      if (status === 429) throw as('busy')
      throw status >= 500 ? maybeDone() : as('refused')
  }
}

/** The API server knows neither the resource nor, perhaps, the namespace. */
export const notServed = (path: string): StoreError =>
  new StoreError(
    'refused',
    `the API server has nothing at ${path}: apply deploy/crds, and see whether the namespace is there`,
  )
