/**
 * A Kubernetes-compatible API server in memory, for the lab and for tests: what kubectl and the agent ask of the real one,
 * without its validation, admission, RBAC and server-side apply (https://kubernetes.io/docs/reference/using-api/api-concepts/).
 */
import {stringify} from 'yaml'
import {Cluster} from './cluster.ts'
import {type DirectCalls, directCalls} from './direct.ts'
import {type ApiFaults, Faults} from './faults.ts'
import {handle, type LoggedRequest} from './handler.ts'
import {Listener} from './listener.ts'
import {Watches} from './watch.ts'

export interface ApiServerOptions {
  /** @default "127.0.0.1" */
  host?: string
  /** TCP; 0 takes a free one. @default 0 */
  port?: number
  /** Listen on a unix socket; on TCP too only if `port` is given. */
  socketPath?: string
  /** PEM. */
  tls?: {key: string; cert: string}
  /** The accepted bearer tokens, asked at each request. @default everybody is let in */
  tokens?: () => ReadonlySet<string>
  /** Milliseconds. @default 60_000, as the real one */
  bookmarkIntervalMs?: number
  /** How many changes are kept for watches and for lists of the past. Up to twice as many are. @default 10_000 */
  historySize?: number
  /** Whether `sendInitialEvents` is honoured; otherwise it is refused with 422, as with the feature gate off. @default true */
  streamingLists?: boolean
  /** Bytes that may wait for a watcher that does not read, before it is cut. @default 64 MiB */
  maxWatchBacklog?: number
  /**
   * Whether a deleted pod that is bound to a node stays, marked, until a kubelet deletes it with a grace period of 0, as
   * with the real server. @default false: nobody plays the kubelet
   */
  gracefulPods?: boolean
  /** Milliseconds since the epoch, for the objects' timestamps. @default Date.now */
  now?: () => number
}

export interface ApiServer extends DirectCalls {
  /** "http://127.0.0.1:6443"; without TCP "unix:<path>". */
  readonly url: string
  /** 0 without TCP. */
  readonly port: number
  /** The last requests, oldest first: at least 5,000, at most 10,000. */
  readonly requests: readonly LoggedRequest[]
  /** YAML. @param server another way to reach this server (a proxy). */
  kubeconfig(server?: string, token?: string): string
  readonly faults: ApiFaults
  /** Ends all connections. */
  close(): Promise<void>
}

const REQUESTS_KEPT = 5_000

export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const {historySize = 10_000, now = Date.now, streamingLists = true, gracefulPods = false} = options
  const cluster = new Cluster({historySize, now, gracefulPods})
  const watches = new Watches(cluster.store, {
    bookmarkIntervalMs: options.bookmarkIntervalMs ?? 60_000,
    maxBacklog: options.maxWatchBacklog ?? 64 * 1024 * 1024,
  })
  cluster.onResourceRemoved = id => watches.end(id)
  const requests: LoggedRequest[] = []
  const log = (request: LoggedRequest) => {
    if (requests.push(request) > 2 * REQUESTS_KEPT) requests.splice(0, REQUESTS_KEPT)
  }
  const listener = new Listener(options, (request, response) => {
    void handle({cluster, watches, faults, tokens: options.tokens, streamingLists, log}, request, response)
  })
  const faults = new Faults(watches, listener)
  await listener.up()
  const {url, port} = listener
  return {
    url,
    port,
    requests,
    kubeconfig: (server = url, token) => kubeconfig(server, token, options.tls?.cert),
    ...directCalls(cluster),
    faults,
    async close() {
      watches.close()
      await listener.down()
    },
  }
}

function kubeconfig(server: string, token: string | undefined, cert: string | undefined): string {
  const trust = cert
    ? {'certificate-authority-data': Buffer.from(cert).toString('base64')}
    : // @kubernetes/client-node speaks plain HTTP only when told that it need not verify anything.
      {'insecure-skip-tls-verify': true}
  const cluster = {server, ...trust}
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{name: 'lab', cluster}],
    users: [{name: 'lab', user: token === undefined ? {} : {token}}],
    contexts: [{name: 'lab', context: {cluster: 'lab', user: 'lab'}}],
    'current-context': 'lab',
  })
}
