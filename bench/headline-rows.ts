/** What of the headlines a report has, with what it is compared with. Pure. */
import {HEADLINES, type Headline} from './headlines.ts'
import type {SuiteName, SuiteReport} from './report.ts'
import {type Measured, meets, type Target} from './results.ts'

export interface Row {
  readonly suite: SuiteName
  readonly first: boolean
  readonly what: string
  readonly column: string
  readonly unit: string
  readonly value: number
  readonly peer?: {readonly who: string; readonly value: number}
  /** Ours by the peer's, or as the row that compares has it. */
  readonly ratio?: number
  readonly target?: Target
  /** What the target is for. */
  readonly targetOf?: 'value' | 'ratio'
}

/** What of the headlines has been measured. */
export const headlineRows = (suites: readonly SuiteReport[], headlines = HEADLINES): Row[] =>
  headlines.flatMap(headline => {
    const figures = suites.find(({suite}) => suite === headline.suite)?.figures ?? []
    const row = rowOf(headline, figures)
    return row ? [row] : []
  })

function rowOf(
  {suite, what, first = false, part, column, name, peer}: Headline,
  figures: readonly Measured[],
): Row | undefined {
  const ours = figures.find(each => fits(each.name, name) && fits(each.part, part) && fits(each.column, column))
  if (!ours) return undefined
  const row = {suite, first, what, column: ours.column, unit: ours.unit, value: ours.value}
  if (!peer) return {...row, ...(ours.target && {target: ours.target, targetOf: 'value'})}
  const beside = (columnOf: string, nameOf: string) =>
    figures.find(each => each.part === ours.part && each.column === columnOf && each.name === nameOf)
  const theirs = beside(peer.column ?? ours.column, peer.name ?? ours.name)
  if (!theirs) return row
  const compared = beside(ours.column, peer.ratio ?? `${ours.name} / ${peer.column}`)
  return {
    ...row,
    peer: {who: peer.who, value: theirs.value},
    ratio: compared?.value ?? ours.value / theirs.value,
    ...(compared?.target && {target: compared.target, targetOf: 'ratio'}),
  }
}

const fits = (text: string, wanted: string | RegExp): boolean =>
  typeof wanted === 'string' ? text === wanted : wanted.test(text)

/** undefined: there is no target. */
export function isMet({value, ratio, target, targetOf}: Row): boolean | undefined {
  if (!target) return undefined
  return meets(targetOf === 'ratio' ? ratio! : value, target)
}
