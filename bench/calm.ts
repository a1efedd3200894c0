/** Measures while nobody else is busy, as far as the patience allows. */
import {setTimeout as sleep} from 'node:timers/promises'
import type {Run} from '../src/lab/run.ts'
import {watchOthers} from './others.ts'

/** Milliseconds that one look takes. */
const LOOK = 200
/** What others may take of the machine, from 0 to 1. */
const CALM = 0.1
const TRIES = 3

export class Calm {
  readonly #run: Run
  /** Milliseconds that are left. */
  #patience: number

  /** How many milliseconds are to be spent, altogether, on waiting and on measuring again. */
  constructor(run: Run, patience: number) {
    this.#run = run
    this.#patience = patience
  }

  /** Begins when nobody is busy, and does the work again when somebody was: the result is that of the calmest time. */
  async measure<T>(work: () => Promise<T>): Promise<T> {
    let best: {result: T; share: number} | undefined
    for (let tries = 0; tries < TRIES; tries++) {
      await this.#wait()
      const startedAt = performance.now()
      const others = await watchOthers(this.#run)
      const result = await work()
      const share = await others()
      if (!best || share < best.share) best = {result, share}
      if (share < CALM || this.#patience <= 0) break
      this.#patience -= performance.now() - startedAt
    }
    return best!.result
  }

  async #wait(): Promise<void> {
    while (this.#patience > 0) {
      const others = await watchOthers(this.#run)
      await sleep(LOOK)
      if ((await others()) < CALM) return
      this.#patience -= LOOK
    }
  }
}
