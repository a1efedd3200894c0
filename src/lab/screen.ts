/** A terminal's lower part, drawn over and over in place. */
import type {WriteStream} from 'node:tty'
import {cutTo, type Line, paint} from '../model/text.ts'

const ESCAPE = '\u001b['
const HIDE_CURSOR = `${ESCAPE}?25l`
const SHOW_CURSOR = `${ESCAPE}?25h`
const CLEAR_TO_END = `${ESCAPE}J`
const CLEAR_TO_END_OF_LINE = `${ESCAPE}K`

export class Screen {
  readonly #out: WriteStream
  readonly #colour: boolean
  #drawn = 0

  constructor(out: WriteStream, colour: boolean) {
    this.#out = out
    this.#colour = colour
  }

  get columns(): number {
    return this.#out.columns || 80
  }

  /** Lines that fit without scrolling. */
  get rows(): number {
    return (this.#out.rows || 24) - 1
  }

  draw(lines: readonly Line[]): void {
    const shown = lines.slice(0, this.rows)
    const text = shown
      .map(line => `${paint(cutTo(line, this.columns), this.#colour)}${CLEAR_TO_END_OF_LINE}\n`)
      .join('')
    // A window that became smaller has scrolled the first lines away.
    const back = Math.min(this.#drawn, this.rows)
    this.#out.write(`${HIDE_CURSOR}${back > 0 ? `${ESCAPE}${back}A\r` : ''}${text}${CLEAR_TO_END}`)
    this.#drawn = shown.length
  }

  /** What is drawn stays; what is written next goes below. */
  leave(): void {
    this.#out.write(SHOW_CURSOR)
    this.#drawn = 0
  }
}
