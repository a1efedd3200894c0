/** The store that the configuration asks for. */
import type {Config} from '../model/config.ts'
import type {Store} from '../model/store.ts'
import {openEtcdStore} from './etcd.ts'
import {openKubeStore} from './kubernetes.ts'
import type {KubePort} from './kubernetes-api.ts'
import type {StoreOptions} from './options.ts'

/** Connects with the first call. `kube` stays its owner's. */
export function openStore(
  {type, namespace, ...etcd}: Config['store'],
  {kube, ...options}: StoreOptions & {readonly kube: KubePort},
): Store {
  return type === 'etcd' ? openEtcdStore({...etcd, ...options}) : openKubeStore({kube, namespace, ...options})
}
