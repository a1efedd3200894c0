/** The store in an API server. */
import {readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {parse} from 'yaml'
import {KubeClient} from '../../src/kube/client.ts'
import {Credentials} from '../../src/kube/credentials.ts'
import {type ApiServer, startApiServer} from '../../src/lab/apiserver/server.ts'
import {openKubeStore} from '../../src/store/kubernetes.ts'
import type {StoreOptions, Unusable} from '../../src/store/options.ts'
import {conformance} from './conformance.ts'
import {folder, wire} from './support.ts'

const CRDS = join(import.meta.dirname, '..', '..', 'deploy', 'crds')

async function startServer(t: ExecutionContext): Promise<ApiServer> {
  const server = await startApiServer()
  t.teardown(() => server.close())
  for (const file of await readdir(CRDS)) server.create(parse(await readFile(join(CRDS, file), 'utf8')))
  for (const name of ['a', 'b']) server.create({apiVersion: 'v1', kind: 'Namespace', metadata: {name}})
  return server
}

async function connect(t: ExecutionContext, server: ApiServer, url: string): Promise<KubeClient> {
  const kubeconfig = join(await folder(t), 'kubeconfig')
  await writeFile(kubeconfig, server.kubeconfig(url))
  const credentials = new Credentials({kubeconfig})
  t.teardown(() => credentials.close())
  return new KubeClient(credentials, {timeoutMs: 5000})
}

conformance(async t => {
  const server = await startServer(t)
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
