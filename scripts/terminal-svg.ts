/** Screens of a terminal as one SVG: a window, its text, and one screen after the other by CSS; the last one where that is off. */
import type {Cell, Rendition} from './terminal.ts'

export interface Screen {
  readonly rows: readonly (readonly Cell[])[]
  /** Seconds that it is shown. */
  readonly seconds: number
}

/** Pixels. */
const [FONT, CELL, LINE, MARGIN, BAR] = [13, 7.8, 17, 16, 34]
/** Of the window: it brings its own ground, so that it reads the same on a light page and on a dark one. */
const GROUND = {window: '#171b21', bar: '#262c35', edge: '#3b434f', text: '#d6dbe1', title: '#9aa4b0'}
const COLOURS: Readonly<Record<Rendition, string>> = {
  1: 'font-weight:bold;fill:#fff',
  2: 'fill:#8b95a1',
  31: 'fill:#ff7b72',
  32: 'fill:#56d364',
  33: 'fill:#e3b341',
}

/** Text of one look, from `column` on. */
interface Run {
  readonly column: number
  readonly text: string
  readonly rendition: Rendition
}

/** A line that stays the same from one screen to another, both counted from 0. */
interface Stretch {
  readonly row: number
  readonly first: number
  last: number
  readonly markup: string
}

export function terminalSvg(screens: readonly Screen[], columns: number, title: string): string {
  const height = Math.max(...screens.map(({rows}) => rows.findLastIndex(row => row.length > 0) + 1))
  const [width, depth] = [Math.ceil(columns * CELL) + 2 * MARGIN, height * LINE + BAR + 2 * MARGIN]
  const groups = Object.groupBy(stretches(screens), ({first, last}) => `s${first}-${last}`)
  const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
    (fill, i) => `<circle cx="${18 + i * 18}" cy="17" r="5.5" fill="${fill}"/>`,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${depth}" width="${width}" height="${depth}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${style(screens, Object.keys(groups))}</style>`,
    `<rect x=".5" y=".5" width="${width - 1}" height="${depth - 1}" rx="9" fill="${GROUND.window}" stroke="${GROUND.edge}"/>`,
    `<path d="M1 ${BAR}V10a9 9 0 0 1 9-9H${width - 10}a9 9 0 0 1 9 9V${BAR}z" fill="${GROUND.bar}"/>`,
    ...dots,
    `<text x="${width / 2}" y="22" text-anchor="middle" style="fill:${GROUND.title}">${escaped(title)}</text>`,
    `<g transform="translate(${MARGIN} ${BAR + MARGIN})">`,
    ...Object.entries(groups).map(
      ([name, lines]) => `<g class="${name}">\n${lines!.map(({markup}) => markup).join('\n')}\n</g>`,
    ),
    '</g>',
    '</svg>',
    '',
  ].join('\n')
}

/** Lines that several screens have in one place stand once. */
function stretches(screens: readonly Screen[]): Stretch[] {
  const all: Stretch[] = []
  const open = new Map<number, Stretch>()
  for (const [n, {rows}] of screens.entries()) {
    for (const [row, cells] of rows.entries()) {
      const markup = lineMarkup(row, cells)
      if (markup === '') continue
      const before = open.get(row)
      if (before?.last === n - 1 && before.markup === markup) before.last = n
      else {
        const stretch = {row, first: n, last: n, markup}
        all.push(stretch)
        open.set(row, stretch)
      }
    }
  }
  return all
}

/** Each run has its place, whatever the font's width. */
function lineMarkup(row: number, cells: readonly Cell[]): string {
  const runs = runsOf(cells)
  if (runs.length === 0) return ''
  const spans = runs.map(({column, text, rendition}) => {
    const look = COLOURS[rendition] === undefined ? '' : ` class="c${rendition}"`
    const length = text.length > 1 ? ` textLength="${pixels(text.length)}"` : ''
    return `<tspan x="${pixels(column)}"${length}${look}>${escaped(text)}</tspan>`
  })
  return `<text y="${(row + 1) * LINE - 5}">${spans.join('')}</text>`
}

/** Two blanks end a run. */
function runsOf(cells: readonly Cell[]): Run[] {
  const runs: Run[] = []
  let run: {column: number; text: string; rendition: Rendition} | undefined
  for (const [column, {character, rendition}] of cells.entries()) {
    const blanks = character === ' ' && (cells[column + 1]?.character ?? ' ') === ' '
    if (blanks || (run && run.rendition !== rendition && character !== ' ')) run = undefined
    if (blanks || (!run && character === ' ')) continue
    if (run) run.text += character
    else runs.push((run = {column, text: character, rendition}))
  }
  return runs.map(each => ({...each, text: each.text.trimEnd()}))
}

function style(screens: readonly Screen[], names: readonly string[]): string {
  const total = screens.reduce((sum, {seconds}) => sum + seconds, 0)
  const share = (n: number) =>
    `${((screens.slice(0, n).reduce((sum, {seconds}) => sum + seconds, 0) / total) * 100).toFixed(1)}%`
  const last = screens.length - 1
  const rules = names.map(name => {
    const [from, to] = name.slice(1).split('-').map(Number) as [number, number]
    if (from === 0 && to === last) return ''
    const frames = [
      from > 0 ? '0%{visibility:hidden}' : '',
      `${share(from)}{visibility:visible}`,
      to < last ? `${share(to + 1)},to{visibility:hidden}` : 'to{visibility:visible}',
    ]
    const still = to < last ? 'visibility:hidden;' : ''
    return `.${name}{${still}animation:${name} ${total}s step-end infinite}@keyframes ${name}{${frames.join('')}}`
  })
  const font = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
  const colours = Object.entries(COLOURS).map(([rendition, look]) => `.c${rendition}{${look}}`)
  return [
    `text{font:${FONT}px ${font};fill:${GROUND.text};white-space:pre}`,
    ...colours,
    ...rules,
    '@media (prefers-reduced-motion:reduce){g{animation:none!important}}',
  ].join('')
}

const pixels = (cells: number): string => `${Math.round(cells * CELL * 10) / 10}`

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
