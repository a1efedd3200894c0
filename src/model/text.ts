/** Lines of styled text: laid out without their colours, painted last. */
export type Style = 'bold' | 'dim' | 'good' | 'bad' | 'warn'

export interface Span {
  readonly text: string
  readonly style?: Style
}

export type Line = readonly Span[]

/** ECMA-48, "select graphic rendition". */
const CODES: Readonly<Record<Style, number>> = {bold: 1, dim: 2, good: 32, bad: 31, warn: 33}

/** Characters: none of ours takes two columns. */
export const width = (line: Line): number => line.reduce((sum, {text}) => sum + text.length, 0)

/** Cells of a column in one width, the last of a row without its blanks. */
export function table(rows: readonly (readonly Span[])[], gap: string): Line[] {
  const widths: number[] = []
  for (const row of rows) for (const [i, {text}] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, text.length)
  return rows.map(row =>
    row.map((cell, i) => (i === row.length - 1 ? cell : {...cell, text: cell.text.padEnd(widths[i]!) + gap})),
  )
}

/** Cut to `columns`. */
export function cutTo(line: Line, columns: number): Line {
  const result: Span[] = []
  let room = columns
  for (const span of line) {
    if (room <= 0) break
    result.push({...span, text: span.text.slice(0, room)})
    room -= span.text.length
  }
  return result
}

export const paint = (line: Line, colour: boolean): string =>
  line
    .map(({text, style}) => (colour && style && text.trim() ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text))
    .join('')
    .trimEnd()

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
