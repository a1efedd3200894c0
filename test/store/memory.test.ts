import {openMemoryStore} from '../../src/store/memory.ts'
import {MemoryServer} from '../../src/store/memory-server.ts'
import type {Unusable} from '../../src/store/options.ts'
import {conformance} from './conformance.ts'

conformance(async t => {
  const server = new MemoryServer()
  return {
    node: async options => {
      const told: Unusable[] = []
      const store = openMemoryStore(server, {...options, tell: unusable => told.push(unusable)})
      t.teardown(() => store.close())
      return {
        store,
        told,
        cut: () => {
          store.cut = true
        },
        mend: async () => {
          store.cut = false
        },
      }
    },
    garbage: async (key, spec) => {
      server.put('pairs', key, JSON.stringify({spec}))
    },
    compact: async () => server.compact(),
    foreignKey: 'a/b/c',
  }
})
