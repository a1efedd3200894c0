/** What all tables of the command line share. */
import {type Line, paint, type Span, type Style, table} from '../../model/text.ts'

/** Between columns. */
const GAP = '  '

export const plain = (text: string): Line => [{text: clean(text)}]
export const styled = (text: string, style: Style): Line => [{text: clean(text), style}]
export const EMPTY: Line = []

/** Texts that others have written must not steer a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not get there
const clean = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ')

export type Cell = string | Span

/** A head in capitals, and rows. No rows: `none` alone. */
export function tableOf(head: readonly string[], rows: readonly (readonly Cell[])[], none: string): readonly Line[] {
  if (rows.length === 0) return [plain(none)]
  const cells = rows.map(row =>
    row.map((cell): Span => (typeof cell === 'string' ? {text: clean(cell)} : {...cell, text: clean(cell.text)})),
  )
  return table([head.map((text): Span => ({text, style: 'bold'})), ...cells], GAP)
}

export const render = (lines: readonly Line[], colour: boolean): string =>
  lines.map(line => `${paint(line, colour)}\n`).join('')

/** "12 s", "3 min", "2 h 5 min", "4 d 3 h", of the time since; '' of no time. */
export function ageOf(at: string | undefined, now: number): string {
  const ms = now - Date.parse(at ?? '')
  return Number.isFinite(ms) ? durationOf(Math.max(0, ms)) : ''
}

function durationOf(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const [minutes, hours, days] = [60, 3600, 86_400].map(each => Math.floor(seconds / each)) as [number, number, number]
  if (days > 0) return `${days} d ${hours % 24} h`
  if (hours > 0) return `${hours} h ${minutes % 60} min`
  return minutes > 0 ? `${minutes} min` : `${seconds} s`
}

const GOOD = new Set(['up', 'attached', 'stands', 'ok', 'ready'])
const BAD = new Set(['failed', 'contradiction', 'missing', 'not ready'])

/** A word that says how something is. */
export const stateCell = (state: string): Span => ({
  text: state,
  style: GOOD.has(state) ? 'good' : BAD.has(state) ? 'bad' : 'warn',
})
