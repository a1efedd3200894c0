/** The API server of a lab: the embedded one or, by the switch KUBEBUILDER_ASSETS, the real one. Nothing else differs. */
import {join} from 'node:path'
import {type ApiServer, startApiServer} from './apiserver/server.ts'
import {startKubeApiServer} from './kube-apiserver.ts'
import type {Run} from './run.ts'

export interface ControlPlane {
  readonly name: 'embedded' | 'kube-apiserver'
  /** Where the lab's own namespace finds it: "http://127.0.0.1:40123". */
  readonly url: string
  /** The same server on a unix socket, which other network namespaces reach too. */
  readonly socketPath: string
  /** YAML. @param server another way to this server; `url` if left away */
  kubeconfig(server?: string): string
  /** The embedded one itself, with its faults. */
  readonly embedded?: ApiServer
  stop(): Promise<void>
}

/** Resolves when it answers. @param assets a folder with `etcd` and `kube-apiserver` */
export function startControlPlane(run: Run, assets: string | undefined, signal: AbortSignal): Promise<ControlPlane> {
  const socketPath = join(run.folder, 'api.sock')
  return assets ? startKubeApiServer(run, assets, socketPath, signal) : startEmbedded(socketPath)
}

async function startEmbedded(socketPath: string): Promise<ControlPlane> {
  const embedded = await startApiServer({port: 0, socketPath, gracefulPods: true})
  return {
    name: 'embedded',
    url: embedded.url,
    socketPath,
    kubeconfig: server => embedded.kubeconfig(server),
    embedded,
    stop: () => embedded.close(),
  }
}
