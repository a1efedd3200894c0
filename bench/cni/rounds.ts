/** Each side has its turn in every round, each round begins with another one: what disturbs, disturbs all of them. */
import type {Bench} from '../bench.ts'
import type {Results, Row, Target} from '../results.ts'
import {RIVAL} from './sides.ts'

/** Of each side by name: what each of its turns gave. */
export type Turns<T> = ReadonlyMap<string, readonly T[]>

export async function playRounds<T, S extends {readonly name: string}>(
  {bench: {calm, repetitions}, sides}: {readonly bench: Bench; readonly sides: readonly S[]},
  turn: (side: S) => Promise<T>,
): Promise<Turns<T>> {
  const turns = new Map<string, T[]>(sides.map(({name}) => [name, []]))
  for (let round = 0; round < repetitions; round++) {
    const first = round % sides.length
    const order = [...sides.slice(first), ...sides.slice(0, first)]
    const results = await calm.measure(async () => {
      const of: (readonly [S, T])[] = []
      for (const side of order) of.push([side, await turn(side)])
      return of
    })
    for (const [{name}, result] of results) turns.get(name)!.push(result)
  }
  return turns
}

/** A row of a table that compares: each side's own figure, then those of ours by that of upstream's bridge. */
export interface Comparison {
  readonly part: string
  readonly row: Row
  /** Of ours by upstream's. */
  readonly target?: Target
}

export function compare(
  results: Results,
  {part, row, target}: Comparison,
  figures: ReadonlyMap<string, {readonly value: number; readonly samples?: readonly number[]}>,
): void {
  for (const [side, {value, samples}] of figures) results.add(part, side, row, value, samples)
  const rivals = new Set<string>(Object.values(RIVAL))
  for (const [side, {value}] of figures) {
    if (rivals.has(side)) continue
    const ratio = {name: `${row.name} / ${RIVAL.bridge}`, unit: '×'}
    results.add(part, side, target ? {...ratio, target} : ratio, value / figures.get(RIVAL.bridge)!.value)
    if (side.includes('ptp'))
      results.add(part, side, {name: `${row.name} / ${RIVAL.ptp}`, unit: '×'}, value / figures.get(RIVAL.ptp)!.value)
  }
}
