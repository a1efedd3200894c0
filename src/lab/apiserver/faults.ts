/** How tests break the server like real life does. */

import type {Watches} from './watch.ts'

export interface ApiFaults {
  /** Milliseconds before each request is looked at. @default 0 */
  latencyMs: number
  /** Stops listening and cuts all connections. The store stays, and direct calls still change it. */
  down(): Promise<void>
  /** Listens again on the same port or socket. */
  up(): Promise<void>
  /**
   * While on, watches stay open but send nothing: no events, no bookmarks, no end; new ones are accepted and stay silent
   * too. When it ends, what was withheld is delivered from the history (or the watch says 410, if that was compacted), as
   * after a network that came back. Call {@link cutWatches} before the end to have it lost.
   */
  stallWatches(on: boolean): void
  /** Forgets the history: a watch from an older revision, and a list's further page, answer 410. Open watches go on unless cut. */
  compact(options?: {cutWatches?: boolean}): void
  /** The next n watches (as an ERROR event) or further pages of lists (as HTTP 410) are too old. */
  gone(n: number): void
  /** The next n requests of any kind answer this HTTP status with a Status body; 429 and 503 with Retry-After: 1. */
  fail(n: number, status: number): void
  /** Drops the connections of all watches, without a proper end. */
  cutWatches(): void
  /** The next event of any watch is cut in the middle of its line, and the connection with it. */
  truncateNext(): void
}

/** What the requests ask of it, beside what the tests do to it. */
export class Faults implements ApiFaults {
  latencyMs = 0
  readonly down: () => Promise<void>
  readonly up: () => Promise<void>
  readonly #watches: Watches
  #gone = 0
  #failures = {left: 0, status: 500}

  constructor(watches: Watches, listener: Pick<ApiFaults, 'down' | 'up'>) {
    this.#watches = watches
    this.down = () => listener.down()
    this.up = () => listener.up()
  }

  stallWatches(on: boolean): void {
    if (on) this.#watches.stalled = true
    else this.#watches.resume()
  }

  compact({cutWatches = false} = {}): void {
    this.#watches.store.compact()
    if (cutWatches) this.#watches.cut()
  }

  gone(n: number): void {
    this.#gone = n
  }

  fail(n: number, status: number): void {
    this.#failures = {left: n, status}
  }

  cutWatches(): void {
    this.#watches.cut()
  }

  truncateNext(): void {
    this.#watches.truncating = true
  }

  takeGone(): boolean {
    return this.#gone > 0 && this.#gone-- > 0
  }

  /** The status to fail with, or undefined. */
  takeFailure(): number | undefined {
    return this.#failures.left > 0 && this.#failures.left-- > 0 ? this.#failures.status : undefined
  }
}
