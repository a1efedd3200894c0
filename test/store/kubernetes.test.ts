/** The store in an API server. */
import {openKubeStore} from '../../src/store/kubernetes.ts'
import type {StoreOptions, Unusable} from '../../src/store/options.ts'
import {conformance} from './conformance.ts'
import {connect, createDefinitions, startServer} from './kubernetes-support.ts'
import {wire} from './support.ts'

conformance(async t => {
  const server = await startServer(t)
  await createDefinitions(server)
  return {
    node: async (options: StoreOptions = {}) => {
      const told: Unusable[] = []
      const {port, ...wires} = await wire(t, server.port)
      const kube = await connect(t, server, `http://127.0.0.1:${port}`)
      const namespace = 'kube-system'
      const store = openKubeStore({...options, kube, namespace, tell: unusable => told.push(unusable)})
      return {store, told, ...wires}
    },
    garbage: async (key, spec) => {
      const [namespace, name] = key.split('/') as [string, string]
      const ref = {resource: 'pairs.netgraft.dev', namespace, name}
      if (server.get(ref)) server.patch(ref, {spec})
      else
        server.create({
          apiVersion: 'netgraft.dev/v1alpha1',
          kind: 'Pair',
          metadata: {namespace, name},
          spec: spec as Record<string, unknown>,
        })
    },
    compact: async () => {
      server.faults.compact()
    },
  }
})
