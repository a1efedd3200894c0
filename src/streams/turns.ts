/** Long work in short pieces: the event loop has its turn between them. */
import {setImmediate as nextTurn} from 'node:timers/promises'

/** Milliseconds that a piece takes: of what nobody waits for, and of what is to be done soon. */
const PIECE_MS = {background: 0.5, urgent: 3} as const

/** Call it between small steps: true when the event loop is due; then await {@link Turns.next}. */
export class Turns {
  readonly #pieceMs: number
  #since = performance.now()

  constructor(kind: keyof typeof PIECE_MS = 'background') {
    this.#pieceMs = PIECE_MS[kind]
  }

  get due(): boolean {
    return performance.now() - this.#since >= this.#pieceMs
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
  const turns = new Turns('urgent')
  for (;;) {
    const {done, value} = work.next()
    if (done) return value
    if (value) await value
    if (turns.due) await turns.next()
  }
}
