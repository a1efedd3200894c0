/** The changes of one pass, written in portions: while the kernel works on one, the next is being found. */
import type {KernelState} from '../model/kernel.ts'
import type {Change, KernelWriter, Refusal} from '../model/plans.ts'

/** Portions that may be on their way. */
const AHEAD = 3

export class Writes {
  readonly written: Change[] = []
  readonly refused: {readonly change: Change; readonly refusal: Refusal}[] = []
  readonly #writer: KernelWriter
  #pending: Promise<void>[] = []

  constructor(writer: KernelWriter) {
    this.#writer = writer
  }

  /** Resolves when it makes sense to find more: what waits for the kernel only takes memory. Never rejects. */
  async begin(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return
    const portion = this.#write(changes)
    this.#pending.push(portion)
    // Whoever waits for the end hears of a failure.
    portion.catch(() => {})
    await this.#pending.at(-AHEAD)?.catch(() => {})
  }

  /**
   * Resolves once all of it has been written, and the kernel's state holds it: with that state, or undefined if there
   * was nothing to write. Rejects when an outcome is not known.
   */
  async end(): Promise<KernelState | undefined> {
    const pending = this.#pending
    this.#pending = []
    await Promise.all(pending)
    return pending.length > 0 ? this.#writer.settle() : undefined
  }

  async #write(changes: readonly Change[]): Promise<void> {
    const outcomes = await this.#writer.write(changes)
    for (const [i, change] of changes.entries()) {
      const outcome = outcomes[i]
      if (outcome === undefined) this.written.push(change)
      else if (outcome !== 'stood') this.refused.push({change, refusal: outcome})
    }
  }
}
