/** As much of a terminal as the lab's screen needs: what is written becomes rows of characters with colours. */

/** ECMA-48, "select graphic rendition": 0 for none. */
export type Rendition = number

export interface Cell {
  readonly character: string
  readonly rendition: Rendition
}

const ESCAPE = '\u001b'
/** After the escape: its parameters, and what is to be done with them. */
const SEQUENCE = /^\[([?\d;]*)([A-Za-z])/
/** Characters. */
const LONGEST = 32

export class Terminal {
  readonly columns: number
  #rows: Cell[][] = [[]]
  #row = 0
  #column = 0
  #rendition: Rendition = 0
  /** The beginning of a sequence whose end has not come yet. */
  #rest = ''

  constructor(columns: number) {
    this.columns = columns
  }

  /** Everything ever written, scrolled or not; rows end with their last character that is not blank. */
  get rows(): readonly (readonly Cell[])[] {
    return this.#rows.map(row => row.slice(0, row.findLastIndex(({character}) => character !== ' ') + 1))
  }

  /** Throws for a sequence that it does not know. */
  write(text: string): void {
    const all = this.#rest + text
    this.#rest = ''
    for (let at = 0; at < all.length; ) {
      const character = all[at]!
      if (character !== ESCAPE) {
        this.#put(character)
        at++
        continue
      }
      const [whole, parameters, final] = SEQUENCE.exec(all.slice(at + 1, at + 1 + LONGEST)) ?? []
      if (whole === undefined) {
        this.#rest = all.slice(at)
        if (this.#rest.length > LONGEST) throw new Error(`no sequence: ${JSON.stringify(this.#rest.slice(0, LONGEST))}`)
        return
      }
      this.#obey(parameters!, final!)
      at += 1 + whole.length
    }
  }

  #put(character: string): void {
    if (character === '\r') this.#column = 0
    else if (character === '\n') this.#down()
    else {
      if (this.#column === this.columns) {
        this.#down()
        this.#column = 0
      }
      const row = this.#rows[this.#row]!
      while (row.length < this.#column) row.push({character: ' ', rendition: 0})
      row[this.#column++] = {character, rendition: this.#rendition}
    }
  }

  #down(): void {
    this.#row++
    this.#rows[this.#row] ??= []
  }

  #obey(parameters: string, final: string): void {
    const number = Number(parameters || 0)
    if (final === 'm') this.#rendition = number
    else if (final === 'A') this.#row = Math.max(0, this.#row - Math.max(1, number))
    else if (final === 'K') this.#rows[this.#row]!.length = Math.min(this.#rows[this.#row]!.length, this.#column)
    else if (final === 'J') {
      this.#rows[this.#row]!.length = Math.min(this.#rows[this.#row]!.length, this.#column)
      this.#rows.length = this.#row + 1
    } else if (final !== 'h' && final !== 'l') throw new Error(`unknown sequence: ${parameters}${final}`)
  }
}
