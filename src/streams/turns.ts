/** Long work in short pieces: the event loop has its turn between them. */
import {setImmediate as nextTurn} from 'node:timers/promises'

/** Milliseconds that a piece takes. */
const PIECE_MS = 0.5

/** Call it between small steps: true when the event loop is due; then await {@link Turns.next}. */
export class Turns {
  #since = performance.now()

  get due(): boolean {
    return performance.now() - this.#since >= PIECE_MS
  }

  async next(): Promise<void> {
    await nextTurn()
    this.#since = performance.now()
  }
}

/**
 * Runs work that yields between its small steps, or promises that are to be waited for. Resolves with what it returns;
 * rejects with what it throws.
 */
export async function inTurns<R>(work: Generator<void | Promise<void>, R, undefined>): Promise<R> {
  const turns = new Turns()
  for (;;) {
    const {done, value} = work.next()
    if (done) return value
    if (value) await value
    if (turns.due) await turns.next()
  }
}
