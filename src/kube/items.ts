/**
 * A list's body, read object by object as its bytes arrive. 5,000 nodes are tens of megabytes, and a server that lists
 * from its cache gives them as one page: parsed whole, that would hold the thread for a good part of a second and take
 * several times its size in memory.
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c
const [OPEN_OBJECT, CLOSE_OBJECT] = [0x7b, 0x7d]
const [OPEN_LIST, CLOSE_LIST] = [0x5b, 0x5d]

/** How deep the brackets are nested within the list object, within its `items`, and within one of these. */
const [LIST, ITEMS, ITEM] = [1, 2, 3]

/** What is left of a list without its items. */
export interface ListEnvelope {
  readonly metadata?: {readonly resourceVersion?: unknown; readonly continue?: unknown}
}

export class Items {
  readonly #take: (object: unknown) => void
  readonly #envelope: Buffer[] = []
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
    let [depth, inString, escaped] = [this.#depth, this.#inString, this.#escaped]
    /** Where in this chunk the part begins that is read now: of an item, or of the envelope. */
    let start = 0
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]
      if (inString) {
        if (escaped) escaped = false
        else if (byte === BACKSLASH) escaped = true
        else if (byte === QUOTE) inString = false
      } else if (byte === QUOTE) inString = true
      else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
        depth++
        if (depth === ITEMS && byte === OPEN_LIST) {
          this.#envelope.push(chunk.subarray(start, i + 1))
          this.#inItems = this.#namesItems()
          start = i + 1
        } else if (depth === ITEM && this.#inItems) start = i
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        depth--
        if (depth === ITEMS && this.#inItems) {
          this.#item.push(chunk.subarray(start, i + 1))
          this.#endItem()
        } else if (depth === LIST && this.#inItems) {
          this.#inItems = false
          start = i
        }
      }
    }
    ;[this.#depth, this.#inString, this.#escaped] = [depth, inString, escaped]
    if (!this.#inItems) this.#envelope.push(chunk.subarray(start))
    else if (depth >= ITEM) this.#item.push(chunk.subarray(start))
  }

  /** After the last chunk. Throws SyntaxError when the body was cut off or is no JSON object. */
  end(): ListEnvelope {
    const envelope: unknown = JSON.parse(Buffer.concat(this.#envelope).toString('utf8'))
    if (typeof envelope !== 'object' || envelope === null) throw new SyntaxError('not a JSON object')
    return envelope
  }

  #endItem(): void {
    const bytes = this.#item.length === 1 ? this.#item[0]! : Buffer.concat(this.#item)
    this.#item = []
    this.#take(JSON.parse(bytes.toString('utf8')))
  }

  /** Whether the list that has just been opened is the value of "items". */
  #namesItems(): boolean {
    return /"items"\s*:\s*\[$/.test(Buffer.concat(this.#envelope).toString('latin1'))
  }
}
