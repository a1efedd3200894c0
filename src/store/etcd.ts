/** The store in etcd: "<prefix>/pairs/<namespace>/<name>"; "<prefix>/owners/<name>" under a lease. */
import {randomUUID} from 'node:crypto'
import {quoted} from '../model/errors.ts'
import type {Store} from '../model/store.ts'
import {checkOwner} from './document.ts'
import {collect, collections, objectStream, once} from './entries.ts'
import {etcdCollection} from './etcd-collection.ts'
import {type EtcdOptions, openEtcdLink} from './etcd-link.ts'
import {etcdSign} from './etcd-sign.ts'
import {etcdTransport} from './etcd-transport.ts'
import {DEADLINE_MS, type StoreOptions} from './options.ts'
import {ownership} from './ownership.ts'
import {ownerReader} from './text.ts'

export interface EtcdStoreOptions extends EtcdOptions, StoreOptions {
  /** Begins all our keys. @default "/netgraft" */
  readonly prefix?: string | undefined
}

const OWNERS = 'owners'

/** Connects with the first call. */
export function openEtcdStore({prefix = '/netgraft', ...options}: EtcdStoreOptions): Store {
  const {deadlineMs = DEADLINE_MS, notice, heard} = options
  const link = openEtcdLink(options)
  const ears = {tell: once(options.tell), notice, heard, server: link.where}
  const pathOf = (what: string) => `${prefix}/${what}/`
  const transport = (what: string) => etcdTransport(link, {what, prefix: pathOf(what), deadlineMs})

  return {
    collection: collections(kind => {
      const {plural} = kind
      return etcdCollection(kind, {
        ...{link, deadlineMs, ears},
        prefix: pathOf(plural),
        transport: transport(plural),
      })
    }),
    own: (name, {ttlMs}) => {
      const key = ownerKey(name)
      const seconds = Math.max(1, Math.ceil(ttlMs / 1000))
      const sign = () => etcdSign(link, {key, name, seconds, instance: randomUUID()})
      return ownership(sign, seconds * 1000)
    },
    owners$: objectStream(OWNERS, transport(OWNERS), ownerReader, ears),
    signs: async signal => {
      const {items, take} = collect(OWNERS, ownerReader)
      await transport(OWNERS).listAll(take, signal)
      return new Set(items.keys())
    },
    disown: async (name, signal) => {
      const request = {success: [{request_delete_range: {key: Buffer.from(ownerKey(name))}}]}
      const question = {what: `end the sign of life of ${quoted(name)}`, write: true, deadlineMs, signal}
      await link.ask(question, (etcd, limits) => etcd.txn(request, limits))
    },
    close: async () => link.close(),
  }

  function ownerKey(name: string): string {
    checkOwner(name)
    return pathOf(OWNERS) + name
  }
}
