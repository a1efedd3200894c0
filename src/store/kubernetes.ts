/** The store in the Kubernetes API: custom resources, and a Lease for every sign of life. */
import {randomUUID} from 'node:crypto'
import {type Store, StoreError} from '../model/store.ts'
import {collect, collections, once} from './entries.ts'
import {askKube, type KubePort, listKube} from './kubernetes-api.ts'
import {kubeCollection} from './kubernetes-collection.ts'
import {LEASE_SELECTOR, leaseName, leaseReader, leaseResource, leasesPath} from './kubernetes-lease.ts'
import {kubeOwners} from './kubernetes-owners.ts'
import {kubeSign} from './kubernetes-sign.ts'
import {DEADLINE_MS, type StoreOptions} from './options.ts'
import {ownership} from './ownership.ts'

export interface KubeStoreOptions extends StoreOptions {
  readonly kube: KubePort
  /** Of the Leases. */
  readonly namespace: string
}

/** The client stays its owner's. */
export function openKubeStore({
  kube: client,
  namespace,
  deadlineMs = DEADLINE_MS,
  notice,
  heard,
  ...options
}: KubeStoreOptions): Store {
  const ears = {tell: once(options.tell), notice, heard}
  let closed = false
  const kube: KubePort = {
    request: async (...asked) => {
      if (closed) throw new StoreError('closed', 'the store in the Kubernetes API has been closed by ourselves')
      return client.request(...asked)
    },
    listWatch: resource => client.listWatch(resource),
  }

  return {
    collection: collections(kind => kubeCollection(kind, {kube, deadlineMs, ears})),
    own: (owner, {ttlMs}) => {
      const name = leaseName(owner)
      const seconds = Math.max(1, Math.ceil(ttlMs / 1000))
      return ownership(() => kubeSign(kube, {namespace, name, seconds, instance: randomUUID()}), seconds * 1000)
    },
    owners$: kubeOwners({kube, namespace, deadlineMs, ears}),
    signs: async signal => {
      const path = leasesPath(namespace)
      const {items, take} = collect('owners', leaseReader)
      const transport = kube.listWatch(leaseResource(namespace))
      await listKube(transport, {path, take, deadlineMs, signal, labelSelector: LEASE_SELECTOR})
      return new Set(items.keys())
    },
    disown: async (owner, signal) => {
      await askKube(kube, {method: 'DELETE', path: `${leasesPath(namespace)}/${leaseName(owner)}`, deadlineMs, signal})
    },
    close: async () => {
      closed = true
    },
  }
}
