/** The store in a real etcd. */
import test from 'ava'
import {openEtcdStore} from '../../src/store/etcd.ts'
import type {StoreOptions, Unusable} from '../../src/store/options.ts'
import {conformance} from './conformance.ts'
import {type Etcd, startEtcd, wire} from './support.ts'

let etcd: Etcd
let clusters = 0

const ends: (() => Promise<void>)[] = []
test.before(async () => {
  etcd = await startEtcd(end => ends.push(end))
})
test.after.always(async () => {
  for (const end of ends) await end()
})

// All in one: each cluster has a prefix of its own, also one that begins another.
conformance(async t => {
  const prefix = `/ng${'-x'.repeat(++clusters)}`
  return {
    node: async (options: StoreOptions = {}) => {
      const told: Unusable[] = []
      const {port, ...wires} = await wire(t, etcd.port)
      const endpoints = [`http://127.0.0.1:${port}`]
      const store = openEtcdStore({...options, endpoints, prefix, tell: unusable => told.push(unusable)})
      t.teardown(() => store.close())
      return {store, told, ...wires}
    },
    garbage: async (key, spec) => {
      await etcd.client.put(`${prefix}/pairs/${key}`).value(JSON.stringify({spec}))
    },
    compact: async () => {
      const {header} = await etcd.client.get('x').exec()
      await etcd.client.kv.compact({revision: header.revision})
    },
    foreignKey: 'a/b/c',
  }
})
