/** Results as plain text for a terminal. */
import {formatTarget, formatValue, type Measured, meets, type Results} from './results.ts'

/** A block per part: rows as they were first measured, a column per case, the target last. ✗ marks what misses it. */
export function formatTables(results: Results): string {
  const parts = [...new Set(results.all.map(({part}) => part))]
  return parts
    .map(part =>
      formatPart(
        part,
        results.all.filter(each => each.part === part),
      ),
    )
    .join('\n')
}

function formatPart(part: string, measured: readonly Measured[]): string {
  const columns = [...new Set(measured.map(({column}) => column))]
  const names = [...new Set(measured.map(({name}) => name))]
  const head = [part, ...columns, 'target']
  const body = names.map(name =>
    formatRow(
      measured.filter(each => each.name === name),
      columns,
    ),
  )
  const widths = head.map((_, i) => Math.max(...[head, ...body].map(line => line[i]!.length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((text, i) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!)))
      .join('   ')
      .trimEnd()
  return [line(head), ...body.map(line), ''].join('\n')
}

/** Of one row, which may have a target in some columns only. */
function formatRow(row: readonly Measured[], columns: readonly string[]): string[] {
  const [{name, unit}] = row as [Measured]
  const {target} = row.find(each => each.target) ?? {}
  return [
    unit ? `${name}, ${unit}` : name,
    ...columns.map(column => formatCell(row.find(each => each.column === column))),
    target ? formatTarget(target) : '',
  ]
}

function formatCell(measured: Measured | undefined): string {
  if (!measured) return ''
  const {value, target} = measured
  const mark = target === undefined ? '' : meets(value, target) ? ' ✓' : ' ✗'
  return `${formatValue(value)}${mark}`
}
