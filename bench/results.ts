/** What was measured: a table per part, a column per case, with the target beside each row that has one. */

export type Target = {readonly atMost: number} | {readonly atLeast: number}

export interface Row {
  readonly name: string
  /** "ms", "×", "MB", "" for a count. */
  readonly unit: string
  readonly target?: Target
}

export interface Measured extends Row {
  readonly part: string
  /** "direct 1,000". */
  readonly column: string
  readonly value: number
  /** What the value was made of, in the order of measuring. */
  readonly samples?: readonly number[]
}

export class Results {
  readonly #all: Measured[] = []

  get all(): readonly Measured[] {
    return this.#all
  }

  add(part: string, column: string, row: Row, value: number, samples?: readonly number[]): void {
    this.#all.push({part, column, ...row, value: rounded(value), ...(samples && {samples: samples.map(rounded)})})
  }

  /** Those that miss their target. */
  get missed(): readonly Measured[] {
    return this.#all.filter(({target, value}) => target && !meets(value, target))
  }
}

export const meets = (value: number, target: Target): boolean =>
  'atMost' in target ? value <= target.atMost : value >= target.atLeast

export const formatTarget = (target: Target): string =>
  'atMost' in target ? `≤ ${target.atMost}` : `≥ ${target.atLeast}`

/** Three digits that matter. */
export function formatValue(value: number): string {
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US')
  if (Number.isInteger(value)) return `${value}`
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

const rounded = (value: number): number => Math.round(value * 1e4) / 1e4
