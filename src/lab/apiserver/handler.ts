/** From an HTTP request to its answer. */
import type {IncomingMessage, ServerResponse} from 'node:http'
import {setTimeout as sleep} from 'node:timers/promises'
import type {Cluster} from './cluster.ts'
import {discovery, OPENAPI_V2_PROTOBUF} from './discovery.ts'
import {
  ApiError,
  anyFailure,
  internal,
  invalid,
  methodNotAllowed,
  noSuchPath,
  tooLargeVersion,
  unauthorized,
  unsupportedMedia,
} from './errors.ts'
import type {Faults} from './faults.ts'
import {type Format, formatFor} from './format.ts'
import {list, revisionIn, selection} from './list.ts'
import {dig, isFields, type KubeObject} from './objects.ts'
import {jsonPatch, mergePatch, strategicPatch} from './patch.ts'
import {bearer, bodyOf, mediaType, parse, placeOf, segmentsOf} from './request.ts'
import type {Place} from './resources.ts'
import type {Watches} from './watch.ts'

export interface LoggedRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly userAgent: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface HandlerOptions {
  readonly cluster: Cluster
  readonly watches: Watches
  readonly faults: Faults
  readonly tokens: (() => ReadonlySet<string>) | undefined
  readonly streamingLists: boolean
  readonly log: (request: LoggedRequest) => void
}

/** Open to everybody, as with system:public-info-viewer. */
const PUBLIC: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz', '/version'])

/** Never rejects: whatever goes wrong becomes a Status, or, if the answer has begun, the end of the connection. */
export async function handle(
  options: HandlerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // A write after the client went away is reported here, and would otherwise end the process.
  response.on('error', () => {})
  try {
    await new Exchange(options, request, response).answer()
  } catch (cause) {
    if (response.headersSent) {
      response.destroy()
      return
    }
    const {status} = cause instanceof ApiError ? cause : internal(cause)
    const retry = dig(status.details, 'retryAfterSeconds')
    if (typeof retry === 'number') response.setHeader('retry-after', String(retry))
    send(response, status.code, JSON.stringify(status))
  }
}

function send(response: ServerResponse, status: number, body: string | Buffer, type = 'application/json'): void {
  response.writeHead(status, {'content-type': type, 'content-length': Buffer.byteLength(body)}).end(body)
}

class Exchange {
  readonly #options: HandlerOptions
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #method: string
  readonly #path: string
  readonly #query: URLSearchParams

  constructor(options: HandlerOptions, request: IncomingMessage, response: ServerResponse) {
    const url = request.url ?? '/'
    const end = url.includes('?') ? url.indexOf('?') : url.length
    this.#options = options
    this.#request = request
    this.#response = response
    this.#method = request.method ?? 'GET'
    this.#path = url.slice(0, end)
    this.#query = new URLSearchParams(url.slice(end))
    const userAgent = request.headers['user-agent'] ?? ''
    options.log({method: this.#method, path: url, userAgent, at: Date.now()})
  }

  async answer(): Promise<void> {
    const {faults, tokens, cluster} = this.#options
    if (faults.latencyMs > 0) await sleep(faults.latencyMs)
    const failure = faults.takeFailure()
    if (failure) throw anyFailure(failure)
    if (tokens && !PUBLIC.has(this.#path) && !tokens().has(bearer(this.#request))) throw unauthorized()
    if (/^\/(healthz|livez|readyz)(\/|$)/.test(this.#path)) return send(this.#response, 200, 'ok', 'text/plain')
    const segments = segmentsOf(this.#path)
    const place = placeOf(cluster.registry, segments)
    if (place) return this.#resource(place)
    const document = discovery(cluster.registry, segments)
    if (!document) throw noSuchPath()
    if (this.#method !== 'GET') throw methodNotAllowed()
    if (this.#path === '/openapi/v2' && this.#request.headers.accept?.includes('protobuf'))
      return send(
        this.#response,
        200,
        OPENAPI_V2_PROTOBUF,
        'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
      )
    send(this.#response, 200, JSON.stringify(document))
  }

  async #resource(place: Place): Promise<void> {
    const {cluster} = this.#options
    const format = formatFor(place, this.#request.headers.accept, this.#query.get('includeObject'))
    const dryRun = {dryRun: this.#query.has('dryRun')}
    const one = (status: number, stored: Parameters<Format['one']>[0]) =>
      send(this.#response, status, format.one(stored))
    const watched = /^(true|1)$/i.test(this.#query.get('watch') ?? '')
    switch (`${this.#method} ${partOf(place)}`) {
      case 'GET all':
        if (watched) return this.#watch(place, format)
        return send(
          this.#response,
          200,
          list(cluster, place, this.#query, format, () => this.#options.faults.takeGone()),
        )
      case 'GET one':
        if (watched) return this.#watch(place, format)
        return one(200, cluster.get(place))
      case 'GET status':
        return one(200, cluster.get(place))
      case 'POST all':
        if (place.resource.namespaced && place.namespace === undefined) throw methodNotAllowed()
        return one(201, cluster.create(place, await this.#json(), dryRun))
      case 'POST binding':
        cluster.bind(place, await this.#json(), dryRun)
        return send(this.#response, 201, JSON.stringify({...SUCCESS, code: 201}))
      case 'PUT one':
      case 'PUT status':
        return one(200, cluster.update(place, await this.#json(), dryRun))
      case 'PATCH one':
      case 'PATCH status':
        return one(200, cluster.patch(place, await this.#patch(place), dryRun))
      case 'DELETE one':
        return this.#delete(place, format, dryRun)
      case 'DELETE all':
        return this.#deleteAll(place, format, dryRun)
      default:
        throw methodNotAllowed()
    }
  }

  #watch(place: Place, format: Format): void {
    const {cluster, watches, faults, streamingLists} = this.#options
    const query = this.#query
    const refuse = (problem: string) => invalid('ListOptions.meta.k8s.io', '', problem)
    const [streaming, match] = [query.get('sendInitialEvents'), query.get('resourceVersionMatch')]
    if (streaming !== null && !streamingLists)
      throw refuse(
        'sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
      )
    if (streaming !== null && match !== 'NotOlderThan')
      throw refuse(
        'resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      )
    if (streaming === null && match)
      throw refuse(
        'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      )
    const from = revisionIn(query) || undefined
    if (streaming !== null && from !== undefined && from > cluster.store.revision)
      throw tooLargeVersion(from, cluster.store.revision)
    const seconds = revisionIn(query, 'timeoutSeconds') || 1800 * (1 + Math.random())
    const spec = {
      resource: place.resource.id,
      matches: selection(place, query),
      format,
      from: from ?? cluster.store.revision,
      initial: streaming === null ? from === undefined : streaming === 'true',
      initialEnd: streaming === 'true',
      bookmarks: query.get('allowWatchBookmarks') === 'true' || query.get('allowWatchBookmarks') === '1',
      // As the real watch cache does: the request succeeds, and its first event is the error.
      gone: faults.takeGone(),
      // A longer timer than 2^31 ms would fire at once.
      timeoutMs: Math.min(seconds * 1000, 2 ** 31 - 1),
    }
    watches.open(spec, this.#response)
  }

  async #delete(place: Place, format: Format, options: {dryRun: boolean}): Promise<void> {
    const {gone, stored} = this.#options.cluster.delete(place, {...options, ...(await this.#deleteOptions())})
    if (!gone) return send(this.#response, 200, format.one(stored))
    const {group, plural: kind} = place.resource
    const {name, uid} = stored.object.metadata
    const details = {name, ...(group && {group}), kind, uid}
    send(this.#response, 200, JSON.stringify({...SUCCESS, details}))
  }

  async #deleteAll(place: Place, format: Format, options: {dryRun: boolean}): Promise<void> {
    const {cluster} = this.#options
    const {gracePeriodSeconds} = await this.#deleteOptions()
    const matches = selection(place, this.#query)
    const chosen = cluster.store.list(place.resource.id).filter(({object}) => matches(object))
    const deleted = chosen.map(({object: {metadata}}) => {
      const {name, namespace} = metadata
      return cluster.delete({...place, name, namespace}, {...options, gracePeriodSeconds}).stored
    })
    send(this.#response, 200, format.list(deleted, {resourceVersion: String(cluster.store.revision)}))
  }

  async #deleteOptions(): Promise<{uid?: string; resourceVersion?: string; gracePeriodSeconds?: number}> {
    const bytes = await bodyOf(this.#request)
    const body = bytes.length > 0 ? parse(bytes) : undefined
    const preconditions = dig(body, 'preconditions')
    const texts = isFields(preconditions) ? Object.entries(preconditions).filter(([, v]) => typeof v === 'string') : []
    const seconds = revisionIn(this.#query, 'gracePeriodSeconds') ?? dig(body, 'gracePeriodSeconds')
    return {
      ...Object.fromEntries(texts),
      ...(typeof seconds === 'number' && {gracePeriodSeconds: Math.max(0, seconds)}),
    }
  }

  async #patch(place: Place): Promise<(old: KubeObject) => unknown> {
    const apply = PATCHES.get(mediaType(this.#request))
    if (!apply || (apply === strategicPatch && place.resource.custom))
      throw unsupportedMedia(
        [...PATCHES.keys()].filter(t => !place.resource.custom || PATCHES.get(t) !== strategicPatch),
      )
    const patch = parse(await bodyOf(this.#request))
    return old => apply(old, patch)
  }

  async #json(): Promise<unknown> {
    const type = mediaType(this.#request)
    if (type !== '' && type !== 'application/json') throw unsupportedMedia(['application/json'])
    return parse(await bodyOf(this.#request))
  }
}

/** meta/v1 Status. */
const SUCCESS = {kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success'}

const partOf = ({name, status, binding}: Place): string =>
  name === undefined ? 'all' : status ? 'status' : binding ? 'binding' : 'one'

const PATCHES: ReadonlyMap<string, (old: unknown, patch: unknown) => unknown> = new Map([
  ['application/json-patch+json', jsonPatch],
  ['application/merge-patch+json', mergePatch],
  ['application/strategic-merge-patch+json', strategicPatch],
])
