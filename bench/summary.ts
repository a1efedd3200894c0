/** The end of a run of all suites: one table of headlines, what misses its target beside them, and what has failed. */
import {headlineRows, isMet, type Row} from './headline-rows.ts'
import type {SuiteReport} from './report.ts'
import {formatTarget, formatValue, meets} from './results.ts'

const HEAD = ['figure', 'of', 'netgraft', 'peer', '', 'netgraft / peer', 'target', '']

/** Plain text for a terminal. `quick`: targets are not told of, since small counts say nothing about them. */
export function formatSummary(suites: readonly SuiteReport[], quick = false): string {
  const rows = headlineRows(suites).map(row => ({suite: row.suite, cells: cells(row, quick)}))
  const lines = suites.flatMap((suite): string[][] => [
    [`${suite.suite.toUpperCase()}${about(suite)}`],
    ...rows.filter(row => row.suite === suite.suite).map(row => row.cells),
    [],
  ])
  const table = [HEAD, ...lines]
  const widths = HEAD.map((_, i) => Math.max(...table.filter(line => line.length > 1).map(line => line[i]!.length)))
  const text = table.map(line =>
    line.length === 1
      ? line[0]!
      : line
          .map((cell, i) => (NUMBERS.has(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
          .join('  ')
          .trimEnd(),
  )
  return [...text, ...(quick ? [] : targets(suites))].join('\n')
}

/** Columns that are aligned to the right. */
const NUMBERS = new Set([2, 4, 5, 6])

const about = ({failed, seconds, othersShare}: SuiteReport): string =>
  failed === undefined
    ? `   ${seconds} s, others took ${Math.round(othersShare * 100)} % of the machine`
    : `   ✗ failed: ${failed}`

function cells(row: Row, quick: boolean): string[] {
  const met = quick ? undefined : isMet(row)
  return [
    `  ${row.what}`,
    row.column,
    withUnit(row.value, row.unit),
    row.peer?.who ?? '',
    row.peer ? withUnit(row.peer.value, row.unit) : '',
    row.ratio === undefined ? '' : formatValue(row.ratio),
    row.target && !quick ? formatTarget(row.target) : '',
    met === undefined ? '' : met ? '✓' : '✗',
  ]
}

export const withUnit = (value: number, unit: string): string => `${formatValue(value)} ${unit}`.trimEnd()

/** Of all figures, headlines or not. */
function targets(suites: readonly SuiteReport[]): string[] {
  const figures = suites.flatMap(({suite, figures}) => figures.map(figure => ({suite, ...figure})))
  const aimed = figures.filter(({target}) => target)
  const missed = aimed.filter(({value, target}) => !meets(value, target!))
  return [
    `${aimed.length - missed.length} of ${aimed.length} targets are met${missed.length > 0 ? '; missed:' : ''}`,
    ...missed.map(
      ({suite, part, column, name, unit, value, target}) =>
        `  ${suite}: ${part}, ${column}: ${name}: ${withUnit(value, unit)}, not ${formatTarget(target!)}`,
    ),
  ]
}
