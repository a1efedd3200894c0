/** The API server, as far as we need it: single requests, and the list and watch of a resource. */
import {ApiError, type ListEnd, type ListQuery, type ListWatchTransport, type WatchEvent, type WatchQuery} from '../streams/list-watch.ts'
import type {Credentials} from './credentials.ts'
import {type Exchange, exchange} from './exchange.ts'
import {protocolFailure, refusal} from './failure.ts'
import {Items} from './items.ts'
import {Lines} from './lines.ts'

/** Like an entry of `kubectl api-resources`. */
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
  /** @default application/json; a patch is "application/merge-patch+json" or another of the API's kinds */
  readonly contentType?: string
  readonly signal: AbortSignal
}

export interface ClientOptions {
  /** Milliseconds without a sign of life until a request has failed; of a watch, until it has begun. @default 15000 */
  readonly timeoutMs?: number
}

/** Bytes. An object in etcd is at most 1.5 MB; as JSON it can be somewhat more. */
const MAX_LINE = 16 * 1024 * 1024

export class KubeClient {
  readonly #credentials: Credentials
  readonly #timeoutMs: number

  constructor(credentials: Credentials, {timeoutMs = 15_000}: ClientOptions = {}) {
    this.#credentials = credentials
    this.#timeoutMs = timeoutMs
  }

  /** The answer's JSON; undefined if it is empty. Rejects with an ApiError, or the signal's reason when that aborts. */
  async request(method: string, path: string, options: RequestOptions): Promise<unknown> {
    const {query = {}, body, contentType = 'application/json', signal} = options
    const sent = body === undefined ? {} : {body: JSON.stringify(body), headers: {'Content-Type': contentType}}
    const chunks: Buffer[] = []
    for await (const {chunk} of this.#exchange({method, path, query, ...sent}, signal)) chunks.push(chunk)
  }

  /** For `reflect`. */
  listWatch(resource: Resource): ListWatchTransport {
    const path = pathOf(resource)
    return {
      list: (query, take, signal) => this.#list(path, query, take, signal),
      watch: (query, signal) => this.#watch(path, query, signal),
    }
  }
}
