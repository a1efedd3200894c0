/** How long to wait before the next try: exponential with jitter, capped, without an end. */

export interface BackoffOptions {
  /** Milliseconds: the bound of the first wait. @default 200 */
  readonly baseMs?: number
  /** Milliseconds: the bound that no wait exceeds. @default 30000 */
  readonly capMs?: number
  /** full: 0 to the bound, best against herds. equal: half the bound to the bound, when 0 would be too soon. @default 'full' */
  readonly jitter?: 'full' | 'equal'
  /** From 0 to below 1. @default Math.random */
  readonly random?: () => number
}

export class Backoff {
  readonly #capMs: number
  readonly #baseMs: number
  readonly #floor: number
  readonly #random: () => number
  #boundMs: number

  constructor({baseMs = 200, capMs = 30_000, jitter = 'full', random = Math.random}: BackoffOptions = {}) {
    this.#capMs = capMs
    this.#baseMs = Math.min(baseMs, capMs)
    this.#floor = jitter === 'full' ? 0 : 0.5
    this.#random = random
    this.#boundMs = this.#baseMs
  }

  /** Milliseconds to wait before the next try. Doubles its bound. */
  next(): number {
    const bound = this.#boundMs
    this.#boundMs = Math.min(bound * 2, this.#capMs)
    return bound * (this.#floor + (1 - this.#floor) * this.#random())
  }

  /** After a success: the next wait is short again. */
  reset(): void {
    this.#boundMs = this.#baseMs
  }
}
