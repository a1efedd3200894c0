/** Compares what is wanted with the kernel's state: everything once, and then where something has been touched since. */
import type {KernelState} from '../model/kernel.ts'
import type {Change} from '../model/plans.ts'
import type {Desired} from './desired.ts'
import {type Diff, diffEverything, diffTouched, type RouteConflict} from './diff.ts'
import type {Sliced} from './planner.ts'
import {Touched} from './touched.ts'

/** From so many places on, looking everywhere costs no more, and is done in slices. */
const MANY = 500

interface Moment {
  readonly kernel: KernelState
  readonly mark: number
}

export class Comparison {
  readonly #sliced: Sliced
  readonly #protocol: number
  /** Up to when of which state everything is as wanted, but for what is undone. */
  #compared: Moment | undefined
  /** The same, once the changes that were found last have been made. */
  #next: Moment | undefined
  #conflicts = new Map<string, readonly RouteConflict[]>()
  /** What was to be done and is not. */
  #undone: readonly Change[] = []

  constructor(protocol: number, sliced: Sliced) {
    this.#protocol = protocol
    this.#sliced = sliced
  }

  get conflicts(): readonly RouteConflict[] {
    return [...this.#conflicts.values()].flat()
  }

  /**
   * `touched`: where `want` differs from the last time; undefined: anywhere. `make` is called with the changes in the
   * order in which they are to be made, in portions; what it returns is waited for before more is found.
   */
  async find(
    want: Desired,
    have: KernelState,
    touched: Touched | undefined,
    make: (changes: readonly Change[]) => Promise<void>,
  ): Promise<void> {
    const places = touched && this.#places(have, touched)
    // Until it is told what has become of the changes, the next comparison looks everywhere.
    this.#compared = undefined
    const mark = have.log?.mark
    const diff = places
      ? diffTouched(want, have, this.#protocol, places)
      : await this.#sliced(diffEverything(want, have, this.#protocol, make))
    this.#noteConflicts(diff, places)
    this.#next = mark === undefined ? undefined : {kernel: have, mark}
    await make(diff.changes)
  }

  /** The changes that were found have been made, but for these: they are looked at again. */
  made(undone: readonly Change[]): void {
    this.#compared = this.#next
    this.#undone = undone
  }

  /** Undefined: everywhere. */
  #places(have: KernelState, touched: Touched): Touched | undefined {
    if (!this.#compared || this.#compared.kernel !== have) return undefined
    const keys = have.log?.since(this.#compared.mark)
    if (!keys || keys.length + this.#undone.length > MANY) return undefined
    const places = new Touched(touched)
    for (const key of keys) places.addKey(key)
    for (const change of this.#undone) places.addChange(change)
    return places
  }

  #noteConflicts(diff: Diff, places: Touched | undefined): void {
    if (!places) this.#conflicts = diff.conflicts
    else {
      for (const destination of places.routes) this.#conflicts.delete(destination)
      for (const [destination, conflicts] of diff.conflicts) this.#conflicts.set(destination, conflicts)
    }
  }
}
