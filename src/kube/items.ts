/**
 * A list's body, read object by object as its bytes arrive. 5,000 nodes are tens of megabytes, and a server that lists
 * from its cache gives them as one page: parsed at once they would hold the thread for a good part of a second, and need
 * several times their size in memory.
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** What is left of a list without its items. */
export interface ListEnvelope {
  readonly metadata?: {readonly resourceVersion?: unknown; readonly continue?: unknown}
}

/** Depths: 1 in the list object, 2 in its `items`, 3 in an item. */
export class Items {
  readonly #take: (object: unknown) => void
  #envelope: Buffer[] = []
  #item: Buffer[] = []
  #depth = 0
  #inItems = false
  #inString = false
  #escaped = false

  /** `take` gets each object of the list's `items`. */
  constructor(take: (object: unknown) => void) {
    this.#take = take
  }

  /** Throws SyntaxError when an item is not JSON. */
  push(chunk: Buffer): void {
    /** Where the part of this chunk begins that belongs to the item, or to the envelope, that is being read. */
    let start = 0
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false
        else if (byte === BACKSLASH) this.#escaped = true
        else if (byte === QUOTE) this.#inString = false
      } else if (byte === QUOTE) this.#inString = true
      else if (byte === 0x7b || byte === 0x5b) {
      }
    }
  }
}
