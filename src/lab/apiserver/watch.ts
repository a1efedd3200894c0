/** Watches: every change goes to whoever asked for it, serialised once for each format. */
import type {ServerResponse} from 'node:http'
import {expired} from './errors.ts'
import type {Format} from './format.ts'
import type {KubeObject} from './objects.ts'
import type {Matches} from './selectors.ts'
import {type Change, type Store, type Stored, withRevision} from './store.ts'

export interface WatchSpec {
  readonly resource: string
  readonly matches: Matches
  readonly format: Format
  /** Replay what came after this revision. */
  readonly from: number
  /** Send what is there first, as ADDED; then `from` does not count. */
  readonly initial: boolean
  /** After what is there, a bookmark that says so. */
  readonly initialEnd: boolean
  readonly bookmarks: boolean
  /** Refuse it with a 410, whatever the history says. */
  readonly gone: boolean
  readonly timeoutMs: number
}

export interface WatchesOptions {
  readonly bookmarkIntervalMs: number
  /** Bytes. */
  readonly maxBacklog: number
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'

const line = (type: EventType, object: string): string => `{"type":"${type}","object":${object}}\n`

/** All open watches, and the ways to break them. */
export class Watches {
  readonly #open = new Map<string, Set<Watch>>()
  readonly #timer: NodeJS.Timeout
  readonly store: Store
  readonly maxBacklog: number
  /** Watches are open but get nothing. */
  stalled = false
  /** The next event is cut in its middle, and the connection with it. */
  truncating = false

  constructor(store: Store, options: WatchesOptions) {
    this.store = store
    this.maxBacklog = options.maxBacklog
    store.onChange = change => {
      const watches = this.#open.get(change.resource)
      if (!watches || this.stalled) return
      const lines = new Lines(change)
      for (const watch of watches) watch.take(change, lines)
    }
    this.#timer = setInterval(() => this.#each(watch => watch.bookmark()), options.bookmarkIntervalMs).unref()
  }

  open(spec: WatchSpec, response: ServerResponse): void {
    // The client may have gone while the request waited; its 'close' would not come again.
    if (response.destroyed) return
    const watch = new Watch(this, spec, response)
    const watches = this.#open.get(spec.resource) ?? new Set()
    this.#open.set(spec.resource, watches.add(watch))
    response.once('close', () => {
      watches.delete(watch)
      watch.close()
    })
    watch.catchUp()
  }

  /** Ends the watches of a resource that is no longer served. */
  end(resource: string): void {
    for (const watch of this.#open.get(resource) ?? []) watch.end()
  }

  resume(): void {
    this.stalled = false
    this.#each(watch => watch.catchUp())
  }

  cut(): void {
    this.#each(watch => watch.cut())
  }

  close(): void {
    clearInterval(this.#timer)
    this.cut()
  }

  #each(act: (watch: Watch) => void): void {
    for (const watches of this.#open.values()) for (const watch of [...watches]) act(watch)
  }
}

/** The event lines of one change, made when the first watch needs them. */
class Lines {
  readonly #change: Change
  readonly #made = new Map<string, Buffer>()
  #tombstone: Stored | undefined

  constructor(change: Change) {
    this.#change = change
  }

  get(type: 'ADDED' | 'MODIFIED' | 'DELETED', format: Format): Buffer {
    const key = `${type} ${format.key}`
    let made = this.#made.get(key)
    if (!made) this.#made.set(key, (made = Buffer.from(line(type, format.one(this.#shown(type))))))
    return made
  }

  /** DELETED shows the object as it last was (or last matched), with the revision of what ended that. */
  #shown(type: EventType): Stored {
    const {key, previous, next, revision} = this.#change
    if (type !== 'DELETED') return next!
    return (this.#tombstone ??= withRevision(key, previous!.object, revision))
  }
}

class Watch {
  readonly #hub: Watches
  readonly #spec: WatchSpec
  readonly #response: ServerResponse
  readonly #timer: NodeJS.Timeout
  /** Everything up to here was sent or not wanted; undefined: the initial state is still to be sent. */
  #position: number | undefined
  #timedOut = false

  constructor(hub: Watches, spec: WatchSpec, response: ServerResponse) {
    this.#hub = hub
    this.#spec = spec
    this.#response = response
    this.#position = spec.initial ? undefined : spec.from
    response.writeHead(200, {'content-type': 'application/json'}).flushHeaders()
    this.#timer = setTimeout(() => {
      this.#timedOut = true
      if (!hub.stalled) this.end()
    }, spec.timeoutMs).unref()
  }

  /** Sends what is due since the position. Says 410 when that is forgotten. */
  catchUp(): void {
    const {store, stalled} = this.#hub
    const {gone, resource} = this.#spec
    if (stalled) return
    if (this.#position === undefined && !gone) this.#sendInitial()
    const changes = gone ? undefined : store.since(this.#position!)
    if (!changes) this.#refuse()
    for (const change of changes ?? []) if (change.resource === resource) this.take(change, new Lines(change))
    if (this.#timedOut) this.end()
  }

  take(change: Change, lines: Lines): void {
    // A client may come with a revision of the future, after the store was lost: it hears what is newer than that.
    if (change.revision <= this.#position!) return
    this.#position = change.revision
    const {matches, format} = this.#spec
    const was = wanted(change.previous?.object, matches)
    const is = wanted(change.next?.object, matches)
    if (was || is) this.#send(lines.get(is ? (was ? 'MODIFIED' : 'ADDED') : 'DELETED', format))
  }

  bookmark(): void {
    if (this.#hub.stalled || !this.#spec.bookmarks || this.#position === undefined) return
    this.#position = Math.max(this.#position, this.#hub.store.revision)
    this.#sendBookmark({})
  }

  #refuse(): void {
    const asked = this.#position ?? 0
    const {status} = expired(`too old resource version: ${asked} (${this.#hub.store.compacted})`)
    this.#response.write(line('ERROR', JSON.stringify(status)))
    this.end()
  }

  end(): void {
    this.close()
    this.#response.end()
  }

  cut(): void {
    this.#response.destroy()
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #sendInitial(): void {
    const {store} = this.#hub
    const {resource, matches, format, initialEnd, bookmarks} = this.#spec
    const items = store.list(resource).filter(({object}) => matches(object))
    this.#position = store.revision
    if (items.length > 0) this.#send(Buffer.from(items.map(item => line('ADDED', format.one(item))).join('')), false)
    if (initialEnd && bookmarks) this.#sendBookmark({annotations: {'k8s.io/initial-events-end': 'true'}})
  }

  #sendBookmark(metadata: {annotations?: Record<string, string>}): void {
    const resourceVersion = String(this.#position)
    this.#send(line('BOOKMARK', this.#spec.format.bookmark({resourceVersion, creationTimestamp: null, ...metadata})))
  }

  /** A watcher that does not read is cut, so that it cannot hold the server's memory. The initial state is not held against it. */
  #send(event: Buffer | string, bounded = true): void {
    const response = this.#response
    if (response.destroyed || response.writableEnded) return
    if (this.#hub.truncating) {
      this.#hub.truncating = false
      response.write(event.slice(0, event.length >> 1))
      response.socket?.destroySoon()
    } else {
      response.write(event)
      if (bounded && response.writableLength > this.#hub.maxBacklog) this.cut()
    }
  }
}

const wanted = (object: KubeObject | undefined, matches: Matches): boolean => object !== undefined && matches(object)
