/** A sign of life as a Lease of coordination.k8s.io, which nobody removes when it is not renewed. */
import {quoted} from '../model/errors.ts'
import {checkOwner} from './document.ts'
import type {ObjectReader} from './entries.ts'
import type {KubeObject} from './kubernetes-api.ts'

/** Begins the names of ours, beside whatever else has Leases in the same namespace. */
const PREFIX = 'netgraft-'
/** Of a Lease's name. */
const NAME_MAX = 253
const LABEL = {'netgraft.dev/sign-of-life': 'true'}
export const LEASE_SELECTOR = 'netgraft.dev/sign-of-life=true'

export const leasesPath = (namespace: string): string => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`

export const leaseResource = (namespace: string) =>
  ({group: 'coordination.k8s.io', version: 'v1', resource: 'leases', namespace}) as const

/** Throws StoreError. */
export function leaseName(owner: string): string {
  checkOwner(owner, NAME_MAX - PREFIX.length)
  return PREFIX + owner
}

/** What is read of a Lease. */
export interface LeaseFacts {
  readonly instance: string
  readonly ttlMs: number
  /** Another one after every renewal. */
  readonly revision: string
}

/** Seconds. Whoever shows a sign of life for longer would be missed by nobody. */
const TTL_MAX = 3600
const INSTANCE_MAX = 64

/** By the owner's name. */
export const leaseReader: ObjectReader<LeaseFacts> = {
  labelSelector: LEASE_SELECTOR,
  keyText: object => `${(object as KubeObject).metadata.name}`,
  key: object => {
    const {name} = (object as KubeObject).metadata
    if (name.startsWith(PREFIX)) return name.slice(PREFIX.length)
    throw new TypeError(`${quoted(name)} does not begin with ${PREFIX}`)
  },
  project: object => factsOf(object as KubeObject),
  equal: (a, b) => a.revision === b.revision,
}

/** Throws TypeError where it is no sign of life. */
export function factsOf({metadata, spec}: KubeObject): LeaseFacts {
  const {holderIdentity: instance, leaseDurationSeconds: seconds} = Object(spec) as Partial<Record<string, unknown>>
  if (typeof instance !== 'string' || instance === '' || instance.length > INSTANCE_MAX)
    throw new TypeError('its holderIdentity is no sign of life')
  if (typeof seconds !== 'number' || !(seconds >= 1 && seconds <= TTL_MAX))
    throw new TypeError(`its leaseDurationSeconds are not between 1 and ${TTL_MAX}`)
  return {instance, ttlMs: seconds * 1000, revision: metadata.resourceVersion}
}

export const newLease = (name: string, namespace: string, spec: object) => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: {name, namespace, labels: LABEL},
  spec,
})

export const leaseSpec = (instance: string, seconds: number) => ({
  holderIdentity: instance,
  leaseDurationSeconds: seconds,
  renewTime: microTime(),
})

/** metav1.MicroTime. */
const microTime = (): string => new Date().toISOString().replace('Z', '000Z')
