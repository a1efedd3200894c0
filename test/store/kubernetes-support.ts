/** An API server that serves our definitions, and clients of it. */
import {readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {parse} from 'yaml'
import {KubeClient} from '../../src/kube/client.ts'
import {Credentials} from '../../src/kube/credentials.ts'
import {type ApiServer, startApiServer} from '../../src/lab/apiserver/server.ts'
import {folder} from './support.ts'

const CRDS = join(import.meta.dirname, '..', '..', 'deploy', 'crds')

export async function startServer(t: ExecutionContext): Promise<ApiServer> {
  const server = await startApiServer()
  t.teardown(() => server.close())
  for (const name of ['a', 'b']) server.create({apiVersion: 'v1', kind: 'Namespace', metadata: {name}})
  return server
}

export async function createDefinitions(server: ApiServer): Promise<void> {
  for (const file of (await readdir(CRDS)).filter(name => name.endsWith('.yaml')))
    server.create(parse(await readFile(join(CRDS, file), 'utf8')))
}

/** `url`: another way to it. */
export async function connect(t: ExecutionContext, server: ApiServer, url = server.url): Promise<KubeClient> {
  const kubeconfig = join(await folder(t), 'kubeconfig')
  await writeFile(kubeconfig, server.kubeconfig(url))
  const credentials = new Credentials({kubeconfig})
  t.teardown(() => credentials.close())
  return new KubeClient(credentials, {timeoutMs: 5000})
}
