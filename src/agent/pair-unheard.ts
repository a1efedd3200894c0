/** What was written into the store, until its stream has told of it: whoever writes again builds upon that. */
import type {Document, Entry, Revision} from '../model/store.ts'

export interface Unheard<D> {
  /** What the store has, as far as is known. */
  current(key: string): Entry<D> | undefined
  /** `upon`: the revision that the stream had told of when the write began. `entry`: undefined: it was deleted. */
  note(key: string, upon: Revision | undefined, entry: Entry<D> | undefined): void
  /** Somebody else may have written: the stream tells. */
  forget(key: string): void
}

interface Written<D> {
  readonly upon: Revision | undefined
  readonly entry: Entry<D> | undefined
  /** `performance.now()`. */
  readonly at: number
}

/** Milliseconds. Who has not heard of it by then may never: it may have been undone before the stream told of it. */
const UNHEARD_MS = 10_000

/** `stored`: as the store's stream has told last. */
export function createUnheard<D extends Document>(stored: (key: string) => Entry<D> | undefined): Unheard<D> {
  const written = new Map<string, Written<D>>()
  return {
    current: key => {
      const told = stored(key)
      const mine = written.get(key)
      if (mine && mine.upon === told?.revision && performance.now() - mine.at < UNHEARD_MS) return mine.entry
      written.delete(key)
      return told
    },
    note: (key, upon, entry) => void written.set(key, {upon, entry, at: performance.now()}),
    forget: key => void written.delete(key),
  }
}
