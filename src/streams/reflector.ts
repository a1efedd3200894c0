/** The list-watch reflector: what an API server says of one resource, as an endless stream of Views. */
import {Observable} from 'rxjs'
import {Backoff, type BackoffOptions} from './backoff.ts'
import {Fold, GUARDED_ITEMS, type Projection} from './fold.ts'
import {sleep} from './lifetime.ts'
import {ApiError, type ListWatchTransport, type Selectors, type WatchEvent} from './list-watch.ts'
import {Silence, untilSilent} from './silence.ts'
import {NoStreaming, readInitial, readPages, revisionOf, type Snapshot} from './snapshot.ts'
import type {View} from './view.ts'

export interface ReflectOptions<F, K extends string = string> extends Projection<F, K>, Selectors {
  /** What is read, for sentences: "nodes". */
  readonly what: string
  /** Who is asked, for sentences. @default 'the API server' */
  readonly server?: string
  /** Objects per page of a paged list. @default 500 */
  readonly pageSize?: number
  /** Milliseconds without an event or bookmark (one a minute) until the watch is suspected and made anew. @default 90000 */
  readonly silenceMs?: number
  /** Milliseconds until a second list is asked whether most of the items are really gone. @default 5000 */
  readonly confirmMs?: number
  /**
   * How many items an earlier process knew, as far as that can be told: a first list with less than half of ten or more
   * is believed only when a second one says the same. @default () => 0
   */
  readonly expected?: () => number
  /** The wait after a failure. @default base 500 ms, cap 30 s, full jitter */
  readonly backoff?: BackoffOptions
  /** From 0 to below 1: spreads the watches' ends. @default Math.random */
  readonly random?: () => number
  /** For logs and metrics. */
  readonly notice?: (notice: Notice) => void
  /** A sign of life of the server has come: a whole list, an event or a bookmark. */
  readonly heard?: () => void
}

export type Notice =
  /** A whole list has been taken over; `streamed` as initial events of a watch. Not the first: a relist. */
  | {readonly type: 'listed'; readonly items: number; readonly ms: number; readonly streamed: boolean}
  /** The server does not do streaming lists, or fails to: paged ones from now on, or this time. */
  | {readonly type: 'paged'; readonly reason: string}
  /** Most items are missing from a list: kept until a second one, after `retryMs`, confirms it. */
  | {readonly type: 'held'; readonly held: number; readonly items: number; readonly retryMs: number}
  /** A watch ended as watches do (closed), or nothing came for too long (silent), and is made anew at once. */
  | {readonly type: 'rewatch'; readonly why: 'closed' | 'silent'}
  /** `gone` (HTTP 410): everything is read again. */
  | {readonly type: 'failed'; readonly error: ApiError; readonly gone: boolean; readonly retryMs: number}
  /** An object that the projection cannot read is left out. */
  | {readonly type: 'unusable'; readonly error: unknown; readonly object: unknown}

/**
 * Milliseconds. A streaming list that pauses for longer is not one: the server ignores what it was asked. Longer than
 * a transport waits for a server that does not answer at all.
 */
const INITIAL_SILENCE_MS = 20_000
/** Milliseconds. A watch that ends sooner and brought nothing is a failure, or a broken server would be a hot loop. */
const LIVED_MS = 5000
/**
 * In a row; after them everything is read again. A server whose etcd was restored from a backup is silent, bookmarks and
 * all, until it has caught up with the revision that it is asked for. One silence alone would make thousands herd.
 */
const SILENCES = 3
/** Milliseconds. No server makes us wait longer than this by Retry-After. */
const RETRY_AFTER_CAP_MS = 60_000

/**
 * Begins unsynced, with a reason that follows the errors; once synced it stays so: in an outage the last known facts
 * stand. It never gives up and never ends. `items` is live: the next View has the same map, changed (see {@link Fold}).
 *
 * Everything is read by a streaming list where the server has it (fresh, out of its cache, one object at a time), else
 * page by page. The first paged list takes whatever the server has cached, so that thousands of restarting agents do
 * not meet in etcd; nothing is known yet that it could be older than. Later ones ask for the present moment, since an
 * older answer would undo what the watch has already told.
 */
export function reflect<F, K extends string = string>(
  transport: ListWatchTransport,
  options: ReflectOptions<F, K>,
): Observable<View<K, F>> {
  return new Observable(subscriber => {
    const stop = new AbortController()
    new Reflector(transport, options, view => subscriber.next(view))
      .run(stop.signal)
      .catch(error => subscriber.error(error))
    return () => stop.abort()
  })
}

class Reflector<F, K extends string> {
  readonly #transport: ListWatchTransport
  readonly #options: ReflectOptions<F, K>
  readonly #emit: (view: View<K, F>) => void
  readonly #notice: (notice: Notice) => void
  readonly #heard: () => void
  readonly #backoff: Backoff
  readonly #fold: Fold<F, K>
  readonly #selectors: Selectors
  /** Where the next watch begins; none: everything is to be read first. */
  #revision: string | undefined
  #silences = 0
  #synced = false
  /** A first list that was too short to be believed has been seen. */
  #doubted = false
  /** How everything is read: as a streaming list, page by page this time, or always so. */
  #reading: 'streamed' | 'paged once' | 'paged' = 'streamed'

  constructor(transport: ListWatchTransport, options: ReflectOptions<F, K>, emit: (view: View<K, F>) => void) {
    this.#transport = transport
    this.#options = options
    this.#emit = emit
    this.#notice = options.notice ?? (() => {})
    this.#heard = options.heard ?? (() => {})
    this.#backoff = new Backoff({baseMs: 500, ...options.backoff})
    this.#fold = new Fold(options, (error, object) => this.#notice({type: 'unusable', error, object}))
    this.#selectors = {labelSelector: options.labelSelector, fieldSelector: options.fieldSelector}
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#emit({synced: false, reason: `the ${this.#options.what} are being read for the first time`})
    while (!signal.aborted) {
      try {
        if (this.#revision === undefined && this.#reading !== 'streamed') await this.#list(signal)
        else await this.#watch(signal)
      } catch (error) {
        if (signal.aborted) return
        await this.#fail(error instanceof ApiError ? error : this.#bug(error), signal)
      }
    }
  }

  async #fail(error: ApiError, signal: AbortSignal): Promise<void> {
    const gone = error.status === 410
    if (gone) this.#revision = undefined
    const retryMs = Math.min(error.retryAfterMs ?? 0, RETRY_AFTER_CAP_MS) + this.#backoff.next()
    this.#notice({type: 'failed', error, gone, retryMs})
    if (!this.#synced) {
      this.#emit({synced: false, reason: `${error.message}; next try in ${Math.ceil(retryMs / 1000)} s`})
    }
    await sleep(retryMs, signal)
  }

  /** Page by page. Pages that expire while they are read are begun again, and at last asked for as one. */
  async #list(signal: AbortSignal): Promise<void> {
    const {pageSize = 500} = this.#options
    for (const limit of [pageSize, pageSize, undefined]) {
      const query = {...this.#selectors, limit, resourceVersion: this.#synced ? undefined : '0'}
      try {
        await this.#adopt(await readPages(this.#transport, query, this.#fold, signal), signal)
        if (this.#reading === 'paged once') this.#reading = 'streamed'
        return
      } catch (error) {
        if (!isGone(error) || limit === undefined) throw error
        this.#notice({type: 'failed', error, gone: true, retryMs: 0})
      }
    }
  }

  /** One connection: what there is as initial events, if that is to be read, and then the changes until it ends. */
  async #watch(signal: AbortSignal): Promise<void> {
    const started = performance.now()
    const events = untilSilent(
      abort => this.#open(abort),
      () => this.#silenceMs(),
      signal,
    )
    try {
      if (this.#revision === undefined) {
        const snapshot = await this.#initial(events)
        if (snapshot === undefined) return
        await this.#adopt(snapshot, signal)
      }
      if (this.#revision !== undefined) await this.#follow(events, started)
    } finally {
      await events.return(undefined)
    }
  }

  #open(signal: AbortSignal): AsyncIterable<WatchEvent> {
    const {random = Math.random} = this.#options
    const query = {
      ...this.#selectors,
      allowWatchBookmarks: true,
      timeoutSeconds: 300 + Math.floor(random() * 300),
    } as const
    if (this.#revision !== undefined) return this.#transport.watch({...query, resourceVersion: this.#revision}, signal)
    const initial = {resourceVersion: '', sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan'} as const
    return this.#transport.watch({...query, ...initial}, signal)
  }

  #silenceMs(): number {
    const {silenceMs = 90_000} = this.#options
    return this.#revision === undefined ? Math.min(silenceMs, INITIAL_SILENCE_MS) : silenceMs
  }

  /**
   * undefined: the server has no streaming lists, which is remembered. It may say so, or ignore what it does not know:
   * then it sends events, but instead of the bookmark that ends the initial ones another one, the end, or silence. One
   * that fails to (500: its etcd is older than 3.4.31 or 3.5.13) is asked again at the next list.
   */
  async #initial(events: AsyncIterator<WatchEvent>): Promise<Snapshot<F, K> | undefined> {
    try {
      return await readInitial(events, this.#fold)
    } catch (error) {
      const failed = error instanceof ApiError && error.status === 500
      if (!(failed || error instanceof Silence || error instanceof NoStreaming || isRefusal(error))) throw error
      this.#reading = failed ? 'paged once' : 'paged'
      this.#notice({type: 'paged', reason: error.message})
      return undefined
    }
  }

  async #follow(events: AsyncIterable<WatchEvent>, started: number): Promise<void> {
    const from = this.#revision
    const progress = () => this.#revision !== from || performance.now() - started >= LIVED_MS
    try {
      for await (const event of events) this.#apply(event)
    } catch (error) {
      if (!(error instanceof Silence)) throw error
      if (++this.#silences >= SILENCES) this.#revision = undefined
      return this.#notice({type: 'rewatch', why: 'silent'})
    } finally {
      if (progress()) this.#backoff.reset()
    }
    const {what, server = API_SERVER} = this.#options
    if (!progress()) throw new ApiError('EPROTOCOL', `${server} ended the watch of ${what} at once`)
    this.#notice({type: 'rewatch', why: 'closed'})
  }

  #apply({type, object, at}: WatchEvent): void {
    this.#heard()
    this.#silences = 0
    this.#revision = revisionOf(object) ?? this.#revision
    if (type === 'BOOKMARK') return
    const changed = type === 'DELETED' ? this.#fold.remove(object) : this.#fold.put(object)
    if (changed) this.#publish(at)
  }

  /** While items are held nothing is watched: the second list brings whatever happened until then. */
  async #adopt({items, revision, at, ms, streamed}: Snapshot<F, K>, signal: AbortSignal): Promise<void> {
    this.#heard()
    const {confirmMs = 5000, expected = () => 0} = this.#options
    const missing = this.#synced || this.#doubted ? 0 : suspicious(expected(), items.size)
    if (missing > 0) {
      this.#doubted = true
      this.#revision = undefined
      this.#notice({type: 'held', held: missing, items: items.size, retryMs: confirmMs})
      this.#emit({
        synced: false,
        reason: `the first list of ${this.#options.what} lacks most of what was there before; it is read again`,
      })
      return sleep(confirmMs, signal)
    }
    const {changed, held} = this.#fold.adopt(items)
    this.#revision = held > 0 ? undefined : revision
    this.#silences = 0
    this.#notice({type: 'listed', items: items.size, ms, streamed})
    if (changed || !this.#synced) this.#publish(at)
    if (held === 0) return
    this.#notice({type: 'held', held, items: items.size, retryMs: confirmMs})
    await sleep(confirmMs, signal)
  }

  #publish(at: number): void {
    this.#synced = true
    this.#emit({synced: true, items: this.#fold.items, log: this.#fold.log, at})
  }

  #bug(cause: unknown): ApiError {
    const {server = API_SERVER} = this.#options
    return new ApiError('EPROTOCOL', `reading from ${server} failed: ${cause}`, {cause})
  }
}

const API_SERVER = 'the API server'

/** How many are missing, if that is too many: the rule of the {@link Fold}, for what an earlier process knew. */
const suspicious = (expected: number, got: number): number =>
  expected >= GUARDED_ITEMS && got * 2 < expected ? expected - got : 0

const isGone = (error: unknown): error is ApiError => error instanceof ApiError && error.status === 410

/** A status that says "I do not do this", not "not you", "not now" or "not there". 422 is what servers answer that have the gate off. */
const isRefusal = (error: unknown): error is ApiError =>
  error instanceof ApiError && [400, 405, 406, 415, 422, 501].includes(error.status ?? 0)
