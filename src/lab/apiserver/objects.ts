/** The objects that the server keeps: plain JSON, as they came over the wire. Kept objects are never changed in place. */

/** A JSON object. */
export type Fields = Record<string, unknown>

/** `metadata`, as far as the server reads it. k8s.io/apimachinery, meta/v1 ObjectMeta. */
export interface ObjectMeta {
  name: string
  namespace?: string
  generateName?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  finalizers?: string[]
  ownerReferences?: Fields[]
  uid?: string
  resourceVersion?: string
  generation?: number
  /** RFC 3339, whole seconds. */
  creationTimestamp?: string
  deletionTimestamp?: string
  deletionGracePeriodSeconds?: number
}

export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
  spec?: Fields
  status?: Fields
  [field: string]: unknown
}

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value at a path, or undefined where any step is missing. Only own fields: "constructor" is no field. */
export function dig(value: unknown, ...path: (string | number)[]): unknown {
  let at = value
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    at = (at as Fields)[step]
  }
  return at
}

/** Sets an own field, also one named `__proto__`, which plain assignment would take for the prototype. */
export function put(target: Fields, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, {value, enumerable: true, configurable: true, writable: true})
  else target[key] = value
}

/** A copy without some fields. */
export function without<T extends object>(value: T, ...keys: string[]): T {
  const copy = {...value} as Fields
  for (const key of keys) delete copy[key]
  return copy as T
}
