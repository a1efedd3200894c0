/** What has changed in the kernel's state, so that nobody has to look everywhere. */
import type {ChangedKey, ChangeLog} from '../model/kernel.ts'

/** Of somebody who asks more seldom, the whole state is asked for. */
const KEPT = 50_000

export class KeptChangeLog implements ChangeLog {
  #first = 0
  #entries: ChangedKey[] = []

  get mark(): number {
    return this.#first + this.#entries.length
  }

  since(mark: number): readonly ChangedKey[] | undefined {
    return mark < this.#first ? undefined : this.#entries.slice(mark - this.#first)
  }

  add(entry: ChangedKey): void {
    if (this.#entries.push(entry) <= KEPT) return
    const half = KEPT / 2
    this.#entries = this.#entries.slice(half)
    this.#first += half
  }
}
