/** A list-watch server in memory that does what it is told, also wrong. The honest one is the lab's. */
import {setImmediate as tick} from 'node:timers/promises'
import {
  ApiError,
  type ListEnd,
  type ListQuery,
  type ListWatchTransport,
  type WatchEvent,
  type WatchQuery,
} from '../../src/streams/list-watch.ts'

export interface Thing {
  readonly metadata: {readonly name: string; readonly resourceVersion: string}
  readonly value: number
}

export const thing = (name: string, value: number, revision = 0): Thing => ({
  metadata: {name, resourceVersion: `${revision}`},
  value,
})

export const gone = () => new ApiError('ESTATUS', 'the fake forgot', {status: 410, reason: 'Expired'})

export class FakeServer implements ListWatchTransport {
  readonly lists: ListQuery[] = []
  readonly watches: WatchQuery[] = []
  /** Thrown by the next requests, one each. */
  readonly failures: unknown[] = []
  /** What it makes of `sendInitialEvents`. */
  streaming: 'honours' | 'refuses' | 'fails' | 'ignores' | 'ends' | 'stalls' = 'honours'
  /** New watches get nothing. */
  silent = false
  #things = new Map<string, Thing>()
  #history: (WatchEvent & {revision: number})[] = []
  #revision = 1
  #forgotten = 1
  readonly #open = new Set<Connection>()

  get values(): Record<string, number> {
    return Object.fromEntries([...this.#things].map(([name, {value}]) => [name, value]).toSorted())
  }

  get openWatches(): number {
    return this.#open.size
  }

  put(name: string, value: number): void {
    const type = this.#things.has(name) ? 'MODIFIED' : 'ADDED'
    const object = thing(name, value, ++this.#revision)
    this.#things.set(name, object)
    this.#tell(type, object)
  }

  delete(name: string): void {
    const old = this.#things.get(name)
    if (!old) return
    this.#things.delete(name)
    this.#tell('DELETED', thing(name, old.value, ++this.#revision))
  }

  /** Like a restored backup: other content, no history and no event. */
  replace(values: Record<string, number>): void {
    this.#revision += 100
    this.#things = new Map(Object.entries(values).map(([name, value]) => [name, thing(name, value, this.#revision)]))
    this.forget()
  }

  /** Of watches and pages from earlier revisions. */
  forget(): void {
    this.#history = []
    this.#forgotten = this.#revision
  }

  bookmark(): void {
    for (const connection of this.#open) connection.push(this.#bookmarked())
  }

  push(event: Partial<WatchEvent>): void {
    for (const connection of this.#open) connection.push({type: 'ADDED', object: {}, at: 1, ...event})
  }

  /** Ends the watches as the server does, or as a broken connection. */
  cut(error?: unknown): void {
    for (const connection of this.#open) connection.end(error)
  }

  async list(query: ListQuery, take: (object: unknown) => void): Promise<ListEnd> {
    this.lists.push(query)
    await tick()
    this.#fail()
    const [from = 0, revision = this.#revision] = query.continue?.split('@').map(Number) ?? []
    if (revision < this.#forgotten) throw gone()
    const all = [...this.#things.values()]
    const to = from + (query.limit ?? all.length)
    all.slice(from, to).forEach(take)
    return {resourceVersion: `${revision}`, continue: to < all.length ? `${to}@${revision}` : undefined}
  }

  async *watch(query: WatchQuery, signal: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
    this.watches.push(query)
    await tick()
    this.#fail()
    const connection = new Connection()
    if (query.sendInitialEvents) this.#begin(connection)
    else if (Number(query.resourceVersion) < this.#forgotten) throw gone()
    else this.#history.filter(e => e.revision > Number(query.resourceVersion)).forEach(e => void connection.push(e))
    const abort = () => connection.end(signal.reason)
    signal.addEventListener('abort', abort)
    if (!this.silent) this.#open.add(connection)
    try {
      yield* connection.events()
    } finally {
      this.#open.delete(connection)
      signal.removeEventListener('abort', abort)
    }
  }

  #begin(connection: Connection): void {
    if (this.streaming === 'refuses') throw new ApiError('ESTATUS', 'the fake has no streaming lists', {status: 422})
    if (this.streaming === 'fails') throw new ApiError('ESTATUS', 'RequestWatchProgress is disabled', {status: 500})
    for (const object of this.#things.values()) connection.push({type: 'ADDED', object, at: 1})
    if (this.streaming === 'honours') connection.push(this.#bookmarked({'k8s.io/initial-events-end': 'true'}))
    else if (this.streaming === 'ignores') connection.push(this.#bookmarked())
    else if (this.streaming === 'ends') connection.end()
  }

  #bookmarked(annotations = {}): WatchEvent {
    return {type: 'BOOKMARK', object: {metadata: {resourceVersion: `${this.#revision}`, annotations}}, at: 1}
  }

  #tell(type: WatchEvent['type'], object: Thing): void {
    const event = {type, object, at: performance.now(), revision: this.#revision}
    this.#history.push(event)
    for (const connection of this.#open) connection.push(event)
  }

  #fail(): void {
    if (this.failures.length > 0) throw this.failures.shift()
  }
}

class Connection {
  readonly #events: WatchEvent[] = []
  #ended: {error: unknown} | undefined
  #wake = () => {}

  push(event: WatchEvent): void {
    if (!this.#ended) this.#events.push(event)
    this.#wake()
  }

  end(error?: unknown): void {
    this.#ended ??= {error}
    this.#wake()
  }

  async *events(): AsyncGenerator<WatchEvent, void, undefined> {
    for (;;) {
      while (this.#events.length > 0) yield this.#events.shift()!
      if (this.#ended?.error) throw this.#ended.error
      if (this.#ended) return
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}
