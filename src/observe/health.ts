/** /metrics, /healthz and /readyz: what a scraper and the kubelet's probes ask. */
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import {Observable} from 'rxjs'
import {NetgraftError} from '../model/errors.ts'
import type {Ip} from '../model/ip.ts'

/** Something the agent must have before pods can rely on it. */
export interface Condition {
  readonly ready: boolean
  /** Why not: one sentence. */
  readonly reason?: string
}

/** A pass that has not come back yet. */
export interface RunningPass {
  readonly domain: string
  /** `performance.now()`, milliseconds. */
  readonly startedAt: number
}

export interface Verdict {
  readonly ok: boolean
  /** "ok", or one line per trouble. */
  readonly text: string
}

/** The server cannot listen. */
export class ListenError extends NetgraftError {
  readonly code = 'ELISTEN'
  /** "EADDRINUSE". */
  readonly errno: string | undefined

  constructor(message: string, cause: NodeJS.ErrnoException) {
    super(message, {cause})
    this.errno = cause.code
  }
}

export interface HealthOptions {
  /** Port 0: any free one. */
  readonly listen: {readonly host?: Ip | 'localhost'; readonly port: number}
  readonly metrics: () => Promise<{readonly contentType: string; readonly body: string}>
  readonly conditions: () => Iterable<readonly [name: string, condition: Condition]>
  readonly runningPasses: () => Iterable<RunningPass>
  /** Milliseconds after which a running pass counts as stuck. @default 60000 */
  readonly stuckAfter?: number
}

/** Ready when every condition is; without any condition nothing is known yet. */
export function readiness(conditions: Iterable<readonly [string, Condition]>): Verdict {
  const all = [...conditions]
  if (all.length === 0) return {ok: false, text: 'starting: no condition is known yet'}
  return verdict(all.filter(([, {ready}]) => !ready).map(([name, {reason}]) => `${name}: ${reason ?? 'not ready'}`))
}

/** Dead when a pass never comes back: only a restart helps then. Times in milliseconds. */
export function liveness(passes: Iterable<RunningPass>, now: number, stuckAfter: number): Verdict {
  const stuck = [...passes].filter(({startedAt}) => now - startedAt > stuckAfter)
  return verdict(
    stuck.map(
      ({domain, startedAt}) => `${domain}: a pass has been running for ${Math.round((now - startedAt) / 1000)} s`,
    ),
  )
}

/** Characters of a line, so that an error that quotes a whole response does not become the answer. */
const LINE_LENGTH = 500

function verdict(troubles: readonly string[]): Verdict {
  if (troubles.length === 0) return {ok: true, text: 'ok'}
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not get into a line
  const lines = troubles.map(line => line.replace(/[\x00-\x1f\x7f]+/g, ' ').slice(0, LINE_LENGTH))
  return {ok: false, text: lines.join('\n')}
}

/** Listens while subscribed; emits once it does. Fails with {@link ListenError}. */
export const serveHealth = (options: HealthOptions): Observable<{readonly port: number}> =>
  new Observable(subscriber => {
    const server = createServer(LIMITS, answerer(options))
    server.maxConnections = MAX_CONNECTIONS
    server.maxRequestsPerSocket = 1000
    server.setTimeout(IDLE, socket => socket.destroy())
    server.on('error', (error: NodeJS.ErrnoException) => subscriber.error(listenError(options.listen, error)))
    server.on('listening', () => subscriber.next({port: (server.address() as AddressInfo).port}))
    const {host, port} = options.listen
    server.listen({port, ...(host !== undefined && {host: String(host)})})
    return () => close(server)
  })

/** Milliseconds and bytes: a peer that trickles its request, or does not take its answer, is cut off. */
const LIMITS = {
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 * 1024,
}
const IDLE = 15_000
const MAX_CONNECTIONS = 256

function close(server: Server): void {
  server.close()
  server.closeAllConnections()
}

function listenError({host, port}: HealthOptions['listen'], error: NodeJS.ErrnoException): ListenError {
  const address = host === undefined ? `:${port}` : String(host).includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const why = WHY[error.code ?? ''] ?? `listening fails (${error.message})`
  return new ListenError(`metrics.listen "${address}": ${why}`, error)
}

const WHY: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has this port; stop it or choose another port',
  EADDRNOTAVAIL: 'this node has no such address; choose one it has, or leave it away for all',
  EACCES: 'the agent may not use this port; choose one above 1023',
}

interface Answer {
  readonly status: number
  readonly body: string
  /** @default text/plain */
  readonly type?: string
}

function answerer({metrics, conditions, runningPasses, stuckAfter = 60_000}: HealthOptions) {
  let scrape: Promise<Answer> | undefined
  const exposition = async (): Promise<Answer> => {
    const {contentType, body} = await metrics()
    return {status: 200, body, type: contentType}
  }
  const routes: Readonly<Record<string, () => Answer | Promise<Answer>>> = {
    '/healthz': () => answer(liveness(runningPasses(), performance.now(), stuckAfter)),
    '/readyz': () => answer(readiness(conditions())),
    // Scrapes that arrive together share one collection.
    '/metrics': () => (scrape ??= exposition().finally(() => (scrape = undefined))),
  }
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url?.split('?', 1)[0] ?? ''
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined
    if (!route) return send(request, response, {status: 404, body: 'not found; try /metrics, /healthz or /readyz\n'})
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      return send(request, response, {status: 405, body: 'only GET and HEAD\n'})
    }
    try {
      send(request, response, await route())
    } catch (error) {
      send(request, response, {status: 500, body: `cannot answer: ${error instanceof Error ? error.message : error}\n`})
    }
  }
}

const answer = ({ok, text}: Verdict): Answer => ({status: ok ? 200 : 503, body: `${text}\n`})

function send(request: IncomingMessage, response: ServerResponse, {status, body, type}: Answer): void {
  response.writeHead(status, {
    'content-type': type ?? 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // Nothing reads a body; whoever sends one gets its answer and no second one.
    ...(hasBody(request) && {connection: 'close'}),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

const hasBody = ({headers}: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
