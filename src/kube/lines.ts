/** Bytes cut at newlines, and only then decoded: a character may be cut anywhere between two chunks. */

export class Lines {
  readonly #maxBytes: number
  #parts: Buffer[] = []
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The lines that this chunk completes. Throws RangeError when one is too long: then the rest is of no use. */
  push(chunk: Buffer): string[] {
    const lines: string[] = []
    let start = 0
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', start)) {
      this.#add(chunk.subarray(start, end))
      lines.push(this.#take())
      start = end + 1
    }
    if (start < chunk.length) this.#add(chunk.subarray(start))
    return lines
  }

  /** After the last chunk. Throws SyntaxError when the last line lacks its newline: it was cut off. */
  end(): void {
    if (this.#bytes > 0) throw new SyntaxError(`the last line is cut off after ${this.#bytes} bytes`)
  }

  #add(part: Buffer): void {
    this.#parts.push(part)
    this.#bytes += part.length
    if (this.#bytes > this.#maxBytes) throw new RangeError(`a line is longer than ${this.#maxBytes} bytes`)
  }

  #take(): string {
    const line = Buffer.concat(this.#parts).toString('utf8')
    this.#parts = []
    this.#bytes = 0
    return line
  }
}
