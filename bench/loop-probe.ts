/** How long the event loop keeps others waiting: a timer that is due every millisecond, and how late it is. */

/** Milliseconds. */
const EVERY = 1

export interface Turn {
  /** `performance.now()`. */
  readonly at: number
  /** Milliseconds. */
  readonly late: number
}

export class LoopProbe {
  readonly #turns: Turn[] = []
  readonly #timer: NodeJS.Timeout

  constructor() {
    let last: number | undefined
    this.#timer = setInterval(() => {
      const at = performance.now()
      // Before its first turn there is no loop to be held up.
      if (last !== undefined) this.#turns.push({at, late: Math.max(0, at - last - EVERY)})
      last = at
    }, EVERY)
    this.#timer.unref()
  }

  stop(): readonly Turn[] {
    clearInterval(this.#timer)
    return this.#turns
  }
}
