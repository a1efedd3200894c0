/** The three patch formats. Each returns a new value and leaves the old one as it was. */
import {isDeepStrictEqual} from 'node:util'
import {ApiError, badRequest} from './errors.ts'
import {type Fields, isFields, put} from './objects.ts'

/** RFC 7386. `application/merge-patch+json`. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch
  const result = isFields(target) ? {...target} : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else put(result, key, mergePatch(Object.hasOwn(result, key) ? result[key] : undefined, value))
  }
  return result
}

/** Characters, in one JSON patch. */
const COPY_LIMIT = 3 * 1024 * 1024

/** RFC 6902. `application/json-patch+json`. */
export function jsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('cannot decode a JSON patch: it must be an array of operations')
  // A holder around the document makes the whole document an ordinary member, so that path "" needs no cases.
  const holder = {document: structuredClone(target)}
  let copied = 0
  for (const operation of patch) {
    if (!isFields(operation)) throw badRequest('cannot decode a JSON patch: an operation must be an object')
    // A few copies of the document into itself would fill the memory.
    if (operation.op === 'copy') copied += JSON.stringify(read(holder, pointer(operation.from))).length
    if (copied > COPY_LIMIT) throw rejected(`unable to copy, the accumulated size increase of copy is ${copied}`)
    apply(holder, operation)
  }
  return holder.document
}

function apply(holder: Fields, operation: Fields): void {
  const {op} = operation
  const to = pointer(operation.path)
  if (op === 'add') insert(holder, to, structuredClone(operation.value))
  else if (op === 'remove') take(holder, to)
  else if (op === 'replace') {
    take(holder, to)
    insert(holder, to, structuredClone(operation.value))
  } else if (op === 'copy') insert(holder, to, structuredClone(read(holder, pointer(operation.from))))
  else if (op === 'move') insert(holder, to, take(holder, pointer(operation.from)))
  else if (op !== 'test') throw badRequest(`cannot decode a JSON patch: unexpected kind: ${op}`)
  else if (!isDeepStrictEqual(read(holder, to), operation.value))
    throw rejected(`testing value ${operation.path} failed: test failed`)
}

const rejected = (why: string) =>
  new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${why}`, {})

/** RFC 6901, under the holder. */
function pointer(text: unknown): string[] {
  if (typeof text !== 'string' || (text !== '' && !text.startsWith('/')))
    throw badRequest(`cannot decode a JSON patch: "${text}" is not a JSON pointer`)
  const steps = text.split('/').slice(1)
  return ['document', ...steps.map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'))]
}

function read(holder: unknown, path: readonly string[]): unknown {
  let at = holder
  for (const step of path) {
    const known = Array.isArray(at) ? isIndex(step, at.length - 1) : isFields(at) && Object.hasOwn(at, step)
    if (!known) throw rejected(`doc is missing path: /${path.slice(1).join('/')}: missing value`)
    at = (at as Fields)[step]
  }
  return at
}

const isIndex = (text: string, max: number): boolean => /^(0|[1-9]\d{0,8})$/.test(text) && Number(text) <= max

function insert(holder: Fields, path: readonly string[], value: unknown): void {
  const parent = read(holder, path.slice(0, -1))
  const last = path.at(-1)!
  if (Array.isArray(parent)) {
    if (last !== '-' && !isIndex(last, parent.length)) throw rejected(`invalid index referenced: ${last}`)
    parent.splice(last === '-' ? parent.length : Number(last), 0, value)
  } else if (isFields(parent)) put(parent, last, value)
  else throw rejected(`doc is missing path: /${path.slice(1).join('/')}: missing value`)
}

function take(holder: Fields, path: readonly string[]): unknown {
  const value = read(holder, path)
  const parent = read(holder, path.slice(0, -1))
  const last = path.at(-1)!
  if (Array.isArray(parent)) parent.splice(Number(last), 1)
  else delete (parent as Fields)[last]
  return value
}

/**
 * `application/strategic-merge-patch+json`, with the merge keys of the built-in types by the name of the list's field:
 * a list of objects named below is merged by that key, `finalizers` and `podCIDRs` as sets; any other list is replaced,
 * as in a merge patch. Understands `$patch` (delete, replace), `$deleteFromPrimitiveList/x` and `$retainKeys`; a list keeps
 * its order, `$setElementOrder/x` or not.
 * https://git.k8s.io/community/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
export function strategicPatch(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch
  const {$patch: directive, $retainKeys: retain, ...changes} = patch
  if (directive === 'delete') return undefined
  if (directive === 'replace') return changes
  const result: Fields = isFields(target) ? {...target} : {}
  if (Array.isArray(retain)) for (const key of Object.keys(result)) if (!retain.includes(key)) delete result[key]
  for (const [key, value] of Object.entries(changes)) {
    const deleteFrom = /^\$deleteFromPrimitiveList\/(.+)$/.exec(key)?.[1]
    const old = Object.hasOwn(result, deleteFrom ?? key) ? result[deleteFrom ?? key] : undefined
    const left = Array.isArray(old) && Array.isArray(value) ? old.filter(item => !value.includes(item)) : old
    const next = deleteFrom ? left : Array.isArray(value) ? mergeList(key, old, value) : strategicPatch(old, value)
    if (key.startsWith('$setElementOrder/')) continue
    if (next === null || next === undefined) delete result[deleteFrom ?? key]
    else put(result, deleteFrom ?? key, next)
  }
  return result
}

const MERGE_KEYS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    addresses: 'type',
    conditions: 'type',
    containers: 'name',
    env: 'name',
    ephemeralContainers: 'name',
    hostAliases: 'ip',
    hostIPs: 'ip',
    imagePullSecrets: 'name',
    initContainers: 'name',
    ownerReferences: 'uid',
    podIPs: 'ip',
    ports: 'containerPort',
    secrets: 'name',
    topologySpreadConstraints: 'topologyKey',
    volumeDevices: 'devicePath',
    volumeMounts: 'mountPath',
    volumes: 'name',
  }),
)
const SETS: ReadonlySet<string> = new Set(['finalizers', 'podCIDRs'])

/** What tells an element of a list from the others: its merge key's value, or itself in a list of plain values. */
function identity(field: string, item: unknown): unknown {
  return isFields(item) ? item[MERGE_KEYS.get(field) ?? ''] : item
}

function mergeList(field: string, old: unknown, patch: readonly unknown[]): unknown[] {
  if (!MERGE_KEYS.has(field) && !SETS.has(field)) return [...patch]
  const replaced = patch.some(item => isFields(item) && item.$patch === 'replace')
  const result: unknown[] = Array.isArray(old) && !replaced ? [...old] : []
  for (const item of patch) {
    if (isFields(item) && item.$patch === 'replace') continue
    const at = result.findIndex(kept => identity(field, kept) === identity(field, item))
    const merged = strategicPatch(result[at], item)
    if (merged === undefined) result.splice(at < 0 ? result.length : at, 1)
    else if (at < 0) result.push(merged)
    else result[at] = merged
  }
  return result
}
