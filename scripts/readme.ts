/**
 * Writes what README.md and docs/comparison.md repeat: the figures of the newest benchmarks that are kept, and the short form
 * of the comparison. `--check`: writes nothing, and says which files are stale; exit status 1 if any is.
 */
import {readFile, writeFile} from 'node:fs/promises'
import {headlineRows, isMet, type Row} from '../bench/headline-rows.ts'
import {formatOccasion} from '../bench/machine.ts'
import {type Kept, newestKept, RESULTS} from '../bench/report.ts'
import {formatTarget, formatValue} from '../bench/results.ts'
import {withUnit} from '../bench/summary.ts'

const ROOT = new URL('../', import.meta.url)
const README = 'README.md'
const COMPARISON = 'docs/comparison.md'
/** Columns of text. */
const WIDTH = 120

/** The files as they should be, by path. Throws where a file lacks a marker. @param results folder of kept reports */
export async function files(results = RESULTS): Promise<Readonly<Record<string, string>>> {
  const kept = await newestKept(results)
  const comparison = await read(COMPARISON)
  const readme = await read(README)
  return {
    [README]: replace(
      replace(readme, 'figures', figures(kept, 'some'), README),
      'comparison',
      part(comparison, 'comparison', COMPARISON),
      README,
    ),
    [COMPARISON]: replace(comparison, 'figures', figures(kept, 'all'), COMPARISON),
  }
}

/** Paths of those that are not as they should be. */
export async function stale(results = RESULTS): Promise<string[]> {
  const wanted = Object.entries(await files(results))
  const present = await Promise.all(wanted.map(([path]) => read(path)))
  return wanted.flatMap(([path, text], i) => (present[i] === text ? [] : [path]))
}

/** Markdown. */
export function figures(kept: readonly Kept[], which: 'some' | 'all'): string {
  if (kept.length === 0)
    return 'Nothing is kept yet: `npm run bench` measures, and `node scripts/readme.ts` writes the figures here.'
  const rows = headlineRows(kept.map(({suite}) => suite)).filter(({first}) => which === 'all' || first)
  const head = ['', 'of', 'Netgraft', 'peer', 'Netgraft / peer', ...(which === 'all' ? ['target'] : [])]
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const body = rows.map(row => cells(row).slice(0, head.length))
  const rule = head.map((_, i) => (i < 2 || i === 3 ? '---' : '--:'))
  return [...occasions(kept), '', line(head), line(rule), ...body.map(line)].join('\n')
}

function cells(row: Row): string[] {
  const met = isMet(row)
  return [
    row.what,
    row.column,
    withUnit(row.value, row.unit),
    row.peer ? `${row.peer.who}: ${withUnit(row.peer.value, row.unit)}` : '',
    row.ratio === undefined ? '' : formatValue(row.ratio),
    row.target ? `${formatTarget(row.target)} ${met ? '✓' : '✗'}` : '',
  ]
}

/** Of each run that the figures are of: when, on what, and how alone. */
function occasions(kept: readonly Kept[]): string[] {
  const runs = new Set(kept.map(({report}) => report))
  return [...runs]
    .flatMap(report => {
      const suites = kept.filter(each => each.report === report).map(({suite}) => suite)
      const others = Math.round(Math.max(...suites.map(({othersShare}) => othersShare)) * 100)
      const names = runs.size > 1 ? ` (${suites.map(({suite}) => suite).join(', ')})` : ''
      const where = `${formatOccasion(report)}; other programs took at most ${others} % of it meanwhile.`
      return [...wrap(`Measured on ${report.at.slice(0, 10)}${names}: ${where}`), '']
    })
    .slice(0, -1)
}

function wrap(text: string): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1)!
    if (last !== '' && last.length + word.length >= WIDTH) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines
}

/** What stands between `<!-- name -->` and `<!-- /name -->`. */
function bounds(text: string, name: string, path: string): {readonly from: number; readonly to: number} {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const at = text.indexOf(begin)
  const to = text.indexOf(end)
  if (at < 0 || to < at) throw new Error(`${path} lacks the lines "${begin}" and "${end}"`)
  return {from: at + begin.length, to}
}

function part(text: string, name: string, path: string): string {
  const {from, to} = bounds(text, name, path)
  return text.slice(from, to).trim()
}

function replace(text: string, name: string, content: string, path: string): string {
  const {from, to} = bounds(text, name, path)
  return `${text.slice(0, from)}\n\n${content}\n\n${text.slice(to)}`
}

const read = (path: string): Promise<string> => readFile(new URL(path, ROOT), 'utf8')

if (import.meta.main) {
  if (process.argv.includes('--check')) {
    const paths = await stale()
    for (const path of paths) process.stderr.write(`${path} is stale: run "node scripts/readme.ts"\n`)
    process.exitCode = paths.length > 0 ? 1 : 0
  } else for (const [path, text] of Object.entries(await files())) await writeFile(new URL(path, ROOT), text)
}
