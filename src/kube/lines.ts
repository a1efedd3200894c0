/** Bytes cut at newlines, and only then decoded: a character may be cut anywhere between two chunks. */

export class Lines {
  readonly #maxBytes: number
  #parts: Buffer[] = []
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Bytes of the last line that still lacks its newline. */
  get pending(): number {
    return this.#bytes
  }

  /** The lines that this chunk completes. Throws RangeError when one is too long: the rest of the stream is lost then. */
  *push(chunk: Buffer): Generator<string, void, undefined> {
    let start = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      this.#add(chunk.subarray(start, end))
      const line = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
      this.#parts = []
      this.#bytes = 0
      start = end + 1
      yield line.toString('utf8')
    }
    if (start < chunk.length) this.#add(chunk.subarray(start))
  }

  #add(part: Buffer): void {
    this.#parts.push(part)
    this.#bytes += part.length
    if (this.#bytes > this.#maxBytes) throw new RangeError(`a line is longer than ${this.#maxBytes} bytes`)
  }
}
