/**
 * Runs the lab in a terminal and writes what is seen to docs/images/lab.svg. As root, with what scripts/setup installs and
 * scripts/build builds. The picture is made anew by hand, when the lab looks different.
 */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdir, writeFile} from 'node:fs/promises'
import {Terminal} from './terminal.ts'
import {type Screen, terminalSvg} from './terminal-svg.ts'

const ROOT = new URL('../', import.meta.url)
const FILE = new URL('docs/images/lab.svg', ROOT)
const [COLUMNS, ROWS] = [128, 50]
const OPTIONS = '--once --mixed --pods 1'
/** Of all screens that with the most points, the first or the last of several; where none has any, the moment is left out. */
interface Moment {
  /** That it is shown. */
  readonly seconds: number
  readonly last?: true
  readonly points: (text: string) => number
}

/** In the order in which the lab comes to them. */
const MOMENTS: readonly Moment[] = [
  {seconds: 1.5, points: text => count(text, /^n\d .* starting$/gm)},
  {seconds: 1.5, points: text => (text.includes('✓') ? 0 : count(text, /^n\d .* ready$/gm))},
  {seconds: 2, points: text => (text.includes('ATTACHMENTS') ? 0 : count(text, /✓/g))},
  {seconds: 1.5, points: text => (text.includes('PAIR') || count(text, /✔/g) > 4 ? 0 : count(text, /✔/g))},
  {seconds: 3, last: true, points: text => (text.includes('PAIR') ? 0 : count(text, /✔/g))},
  {seconds: 4, points: text => (text.includes('is deleted') ? 0 : count(text, / (veth|vxlan \d+) +up$/gm))},
  {seconds: 8, last: true, points: text => count(text, /cleaned up/g)},
]

/** A screen is whole when what is below it has been cleared. */
const WHOLE = '\u001b[J'

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0

/** Every screen that differs from the one before. Rejects if the lab fails. */
async function record(): Promise<Terminal['rows'][]> {
  const terminal = new Terminal(COLUMNS)
  const line = `stty cols ${COLUMNS} rows ${ROWS} && exec ${process.execPath} src/lab/main.ts ${OPTIONS}`
  // A terminal of its own: a pipe would get lines without colours.
  const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const screens: Terminal['rows'][] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    for (const [i, piece] of text.split(WHOLE).entries()) {
      if (i > 0) {
        terminal.write(WHOLE)
        screens.push(terminal.rows)
      }
      terminal.write(piece)
    }
  })
  const [code] = (await once(child, 'close')) as [number | null]
  screens.push(terminal.rows)
  if (code !== 0) throw new Error(`the lab failed:\n${screens.at(-1)?.map(textOf).join('\n')}`)
  return screens
}

const textOf = (row: Terminal['rows'][number]): string => row.map(({character}) => character).join('')

function choose(screens: readonly Terminal['rows'][]): Screen[] {
  const texts = screens.map(rows => rows.map(textOf).join('\n'))
  return MOMENTS.flatMap(({seconds, last, points}) => {
    const all = texts.map(points)
    const most = Math.max(...all)
    return most === 0 ? [] : [{rows: screens[last ? all.lastIndexOf(most) : all.indexOf(most)]!, seconds}]
  })
}

const screens = choose(await record())
const svg = terminalSvg(screens, COLUMNS, `npm run lab -- ${OPTIONS}`)
await mkdir(new URL('.', FILE), {recursive: true})
await writeFile(FILE, svg)
process.stdout.write(`${screens.length} screens, ${(svg.length / 1024).toFixed(0)} KB: docs/images/lab.svg\n`)
