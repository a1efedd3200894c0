/** The API server, as far as we need it: single requests, and the list and watch of a resource. */
import {
  ApiError,
  type ListEnd,
  type ListQuery,
  type ListWatchTransport,
  type WatchEvent,
  type WatchQuery,
} from '../streams/list-watch.ts'
import type {Credentials} from './credentials.ts'
import {type Exchange, exchange} from './exchange.ts'
import {protocolFailure, refusal} from './failure.ts'
import {Items, type ListEnvelope} from './items.ts'
import {Lines} from './lines.ts'

/** Like a line of `kubectl api-resources`. */
export interface Resource {
  /** "" is the core group. */
  readonly group: string
  readonly version: string
  /** In the plural: "nodes". */
  readonly resource: string
  /** None: of all namespaces, or a resource without any. */
  readonly namespace?: string | undefined
}

export interface RequestOptions {
  readonly query?: Exchange['query']
  /** Sent as JSON. */
  readonly body?: unknown
  /** A patch names its kind: "application/merge-patch+json". @default application/json */
  readonly contentType?: string
  readonly signal: AbortSignal
}

export interface ClientOptions {
  /** Milliseconds without a sign of life until a request has failed; of a watch, until it has begun. @default 15000 */
  readonly timeoutMs?: number
}

/** Bytes. An object in etcd takes at most 1.5 MB; as JSON it may be a few times larger. */
const MAX_LINE = 16 * 1024 * 1024

/** Failures after which the kubeconfig may have something newer to say: who we are, or where the server is. */
const RENEWING: ReadonlySet<unknown> = new Set([401, 'EUNREACHABLE', 'ETIMEDOUT'])

export class KubeClient {
  readonly #credentials: Credentials
  readonly #timeoutMs: number

  constructor(credentials: Credentials, {timeoutMs = 15_000}: ClientOptions = {}) {
    this.#credentials = credentials
    this.#timeoutMs = timeoutMs
  }

  /** The answer's JSON; undefined if it is empty. Rejects with an ApiError, or the signal's reason when that aborts. */
  async request(method: string, path: string, options: RequestOptions): Promise<unknown> {
    const {query, body, contentType = 'application/json', signal} = options
    const content = body === undefined ? {} : {body: JSON.stringify(body), headers: {'Content-Type': contentType}}
    const answer = await this.#send({method, path, query, ...content}, signal)
    const chunks: Buffer[] = []
    for await (const chunk of answer.chunks) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString('utf8')
    return text === '' ? undefined : answer.understand(() => JSON.parse(text))
  }

  /** For `reflect`. */
  listWatch(resource: Resource): ListWatchTransport {
    const path = pathOf(resource)
    return {
      list: (query, take, signal) => this.#list(path, query, take, signal),
      watch: (query, signal) => this.#watch(path, query, signal),
    }
  }

  async #list(path: string, query: ListQuery, take: (object: unknown) => void, signal: AbortSignal): Promise<ListEnd> {
    // As client-go does: node lists shrink to a tenth or less, and are unpacked on another thread.
    const headers = {'Accept-Encoding': 'gzip'}
    const answer = await this.#send({method: 'GET', path, query: {...query}, headers}, signal)
    const items = new Items(take)
    for await (const chunk of answer.chunks) answer.understand(() => items.push(chunk))
    return answer.understand(() => listEnd(items.end()))
  }

  async *#watch(path: string, query: WatchQuery, signal: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
    const answer = await this.#send({method: 'GET', path, query: {...query, watch: true}, endless: true}, signal)
    const lines = new Lines(MAX_LINE)
    for await (const chunk of answer.chunks) {
      const at = performance.now()
      for (const line of answer.understand(() => lines.push(chunk))) {
        const {type, object} = answer.understand(() => watchEvent(line))
        if (type === 'ERROR') throw refusal(answer.server, answer.what, Object(object))
        yield {type, object, at}
      }
    }
    answer.understand(() => lines.end())
  }

  async #send(asked: Omit<Exchange, 'timeoutMs'>, signal: AbortSignal): Promise<Answer> {
    const access = await this.#credentials.access(this.#timeoutMs)
    const chunks = exchange(access, {...asked, timeoutMs: this.#timeoutMs}, signal)
    return new Answer(access.server, `${asked.method} ${asked.path}`, this.#renewing(chunks))
  }

  async *#renewing(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* chunks
    } catch (error) {
      if (error instanceof ApiError && RENEWING.has(error.status ?? error.code)) this.#credentials.renew()
      throw error
    }
  }
}

/** Nothing has been sent before `chunks` is read. */
class Answer {
  readonly server: URL
  /** What was asked, for sentences: "GET /api/v1/nodes". */
  readonly what: string
  readonly chunks: AsyncIterable<Buffer>

  constructor(server: URL, what: string, chunks: AsyncIterable<Buffer>) {
    this.server = server
    this.what = what
    this.chunks = chunks
  }

  /** What `read` throws says that the answer is not what the API promises. */
  understand<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      throw protocolFailure(this.server, `gave an answer to ${this.what} that cannot be read`, error)
    }
  }
}

function listEnd({metadata}: ListEnvelope): ListEnd {
  const {resourceVersion, continue: next} = metadata ?? {}
  if (typeof resourceVersion !== 'string') throw new TypeError('a list without a resourceVersion')
  return {resourceVersion, continue: typeof next === 'string' && next !== '' ? next : undefined}
}

function watchEvent(line: string): {type: WatchEvent['type'] | 'ERROR'; object: unknown} {
  const event = JSON.parse(line)
  if (typeof event?.type !== 'string') throw new TypeError('an event without a type')
  return event
}

/** "/api/v1/nodes", "/apis/k8s.cni.cncf.io/v1/namespaces/a/network-attachment-definitions/b". */
export function pathOf({group, version, resource, namespace}: Resource, name?: string): string {
  const parts = group === '' ? ['api', version] : ['apis', group, version]
  if (namespace !== undefined) parts.push('namespaces', namespace)
  parts.push(resource)
  if (name !== undefined) parts.push(name)
  return `/${parts.map(encodeURIComponent).join('/')}`
}
