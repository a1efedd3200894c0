/** Where the API server is and who we are there: @kubernetes/client-node reads it, our own agents keep its connections. */
import {createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import {isIPv6} from 'node:net'
import {dirname, resolve} from 'node:path'
// Deep, so that the bundle gets the credentials without the generated API classes.
import {KubeConfig} from '@kubernetes/client-node/dist/config.js'
import {parse} from 'yaml'
import {InvalidInput} from '../model/errors.ts'
import {sleep} from '../streams/lifetime.ts'
import {ApiError} from '../streams/list-watch.ts'

export type CredentialSource =
  /** A file with its current context: tokens, token files, client certificates, exec plugins, proxies. */
  | {readonly kubeconfig: string}
  /** A pod's service account: its token file is rotated by the kubelet. `secrets` is the folder, {@link SECRETS} by default. */
  | {readonly host: string; readonly port: string; readonly secrets?: string}

/** Where the kubelet puts a service account's `token` and `ca.crt`. */
const SECRETS = '/var/run/secrets/kubernetes.io/serviceaccount'

/** For the doors: the configured kubeconfig, or else the pod that we run in. Throws {@link InvalidInput}. */
export function findCredentials(kubeconfig: string, env: NodeJS.ProcessEnv): CredentialSource {
  if (kubeconfig !== '') return {kubeconfig}
  const {KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443'} = env
  if (host) return {host, port}
  throw new InvalidInput('no kubeconfig is configured, and without KUBERNETES_SERVICE_HOST this is not a pod either')
}

/** What one request needs. */
export interface Access {
  /** With the path prefix, if the kubeconfig has one. */
  readonly server: URL
  readonly options: https.RequestOptions
}

/** Never throws at construction: a kubeconfig that is not there yet is an {@link ApiError} of each request until it is. */
export class Credentials {
  readonly #source: CredentialSource
  #config: KubeConfig | undefined
  #pending: Promise<Access> | undefined
  #agent: {readonly identity: string; readonly agent: http.Agent} | undefined

  constructor(source: CredentialSource) {
    this.#source = source
  }

  /**
   * Fresh for each request: certificate files are read now, token files at most a minute ago, an exec plugin runs when
   * its token expires. That may hang: after `timeoutMs` the request has failed, and the next one waits for the same run.
   */
  async access(timeoutMs: number): Promise<Access> {
    this.#pending ??= this.#read().finally(() => {
      this.#pending = undefined
    })
    const waited = new AbortController()
    const late = sleep(timeoutMs, waited.signal).then(() => {
      throw new Error(`its exec plugin has not answered for ${timeoutMs / 1000} s`)
    })
    try {
      return await Promise.race([this.#pending, late])
    } catch (error) {
      this.renew()
      const from = 'kubeconfig' in this.#source ? `the kubeconfig ${this.#source.kubeconfig}` : 'the service account'
      throw new ApiError('ECREDENTIALS', `${from} cannot be used: ${(error as Error).message}`, {cause: error})
    } finally {
      waited.abort()
    }
  }

  /**
   * What tells this cluster from others without asking it: its certificate authority, or, where none is given, its URL
   * (which says less: it may be another one tomorrow, or the same one elsewhere). Undefined while that cannot be read.
   */
  cluster(): string | undefined {
    try {
      const {caData, caFile, server} = (this.#config ??= load(this.#source)).getCurrentCluster() ?? {}
      const ca = caData ? Buffer.from(caData, 'base64') : caFile ? readFileSync(caFile) : undefined
      return ca ? `ca ${createHash('sha256').update(ca).digest('hex')}` : server
    } catch {
      return undefined
    }
  }

  /** When a server does not know us, or cannot be reached where we look for it: the next request reads everything again. */
  renew(): void {
    this.#config = undefined
  }

  /** Closes every connection. */
  close(): void {
    this.#agent?.agent.destroy()
  }

  async #read(): Promise<Access> {
    this.#config ??= load(this.#source)
    const cluster = this.#config.getCurrentCluster()
    if (!cluster) throw new InvalidInput('its current context names no cluster')
    const server = new URL(cluster.server)
    const options: https.RequestOptions = {headers: {}}
    await this.#config.applyToHTTPSOptions(options)
    const agent = cluster.proxyUrl ? options.agent : this.#agentFor(server, options)
    return {server, options: {...options, ...defined({agent})}}
  }

  /**
   * One agent as long as server and certificates stay the same. (client-node's own is kept by name, and would go on
   * with an expired certificate.) A replaced agent is left to itself: its watches end in minutes, its idle sockets sooner.
   */
  #agentFor(server: URL, {ca, cert, key, rejectUnauthorized, servername}: https.RequestOptions): http.Agent {
    const identity = [server.origin, ca, cert, key, rejectUnauthorized, servername].join('\n')
    if (this.#agent?.identity !== identity) {
      // Milliseconds: probes of an idle connection, and the end of an unused one before a server or NAT forgets it.
      const options = {keepAlive: true, keepAliveMsecs: 30_000, timeout: 30_000, maxFreeSockets: 2}
      const agent =
        server.protocol === 'http:'
          ? new http.Agent(options)
          : new https.Agent({...options, ...defined({ca, cert, key, rejectUnauthorized, servername})})
      this.#agent = {identity, agent}
    }
    return this.#agent.agent
  }
}

function load(source: CredentialSource): KubeConfig {
  const config = new KubeConfig()
  if ('kubeconfig' in source) {
    config.loadFromFile(source.kubeconfig)
    useTokenFiles(config, source.kubeconfig)
  } else {
    const {host, port, secrets = SECRETS} = source
    config.loadFromClusterAndUser(
      {
        name: 'in-cluster',
        server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
        caFile: `${secrets}/ca.crt`,
        skipTLSVerify: false,
      },
      {name: 'in-cluster', authProvider: tokenFile(`${secrets}/token`)},
    )
  }
  // client-node refuses http unless told not to verify, which http cannot anyway (kubectl takes it as it is).
  config.clusters = config.clusters.map(c => (c.server.startsWith('http:') ? {...c, skipTLSVerify: true} : c))
  return config
}

/** client-node knows no `tokenFile` (kube-proxy's kubeconfig has one): it becomes the auth provider that rereads it. */
function useTokenFiles(config: KubeConfig, path: string): void {
  const {users} = parse(readFileSync(path, 'utf8')) as {users?: {name: string; user?: {tokenFile?: string}}[]}
  const files = new Map(users?.map(({name, user}) => [name, user?.tokenFile]))
  config.users = config.users.map(user => {
    const file = files.get(user.name)
    return file ? {...user, authProvider: tokenFile(resolve(dirname(path), file))} : user
  })
}

const tokenFile = (file: string) => ({name: 'tokenFile', config: {tokenFile: file}})

const defined = <T extends object>(options: T): Partial<T> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>
