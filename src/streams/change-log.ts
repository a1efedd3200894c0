/** A log of the newest changes. */
import type {ChangeLog} from '../model/change-log.ts'

/** Keys. Where more has changed, looking everywhere costs no more. */
const KEPT = 1000

export class KeptChangeLog<Key> implements ChangeLog<Key> {
  #first = 0
  #keys: Key[] = []

  get mark(): number {
    return this.#first + this.#keys.length
  }

  since(mark: number): readonly Key[] | undefined {
    return mark < this.#first ? undefined : this.#keys.slice(mark - this.#first)
  }

  add(key: Key): void {
    if (this.#keys.push(key) <= KEPT) return
    const half = KEPT / 2
    this.#keys = this.#keys.slice(half)
    this.#first += half
  }
}
