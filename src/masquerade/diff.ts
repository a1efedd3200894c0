/** The commands that turn what stands into what is wanted. */
import type {Cidr} from '../model/ip.ts'
import type {NftCommand} from '../model/nft.ts'
import {isIdle, type Pod, type Ruleset} from './desired.ts'
import {type Standing, textOfRule, WHOLE_FRAME} from './listing.ts'
import {difference} from './ranges.ts'
import {addChain, addPods, deleteChain, deletePods, element, remove, rewrite, ruleBeyond, subnets} from './table.ts'

export interface Changes {
  /** None: all is as it should be. */
  readonly commands: readonly NftCommand[]
  /** Rules are among what they make, not only elements. */
  readonly rules: boolean
}

/** Texts of rules as they are written, and as this nft reads them back where that differs. */
export type Dialect = ReadonlyMap<string, string>

/** A frame that somebody has changed is written anew with everything in it, in the same transaction. */
export function diff(want: Ruleset, have: Standing | undefined, dialect: Dialect = new Map()): Changes {
  if (isIdle(want)) return {commands: have ? remove() : [], rules: false}
  if (!have?.sound || !reads(dialect, WHOLE_FRAME, have.frame)) return {commands: rewrite(want), rules: true}
  const own = difference(want.own, have.ruleset.own)
  const skip = difference(want.skip, have.ruleset.skip)
  const wanted = new Map([...subnets(want.pods.values())].map(subnet => [`${subnet}`, subnet]))
  const chains = [...wanted.values()].filter(
    subnet => !reads(dialect, textOfChain(subnet), have.chains.get(`${subnet}`)?.rules),
  )
  const stale = [...have.chains.values()].filter(({subnet}) => !wanted.has(`${subnet}`))
  const commands = [
    ...chains.flatMap(addChain),
    ...podChanges(want.pods, have.ruleset.pods),
    ...stale.map(({subnet}) => deleteChain(subnet)),
    ...element('delete', 'own', own.gone),
    ...element('delete', 'skip', skip.gone),
    ...element('add', 'skip', skip.added),
    ...element('add', 'own', own.added),
  ]
  return {commands, rules: chains.length > 0}
}

/** `again`: pods to write even where nothing has changed, since nobody has looked. */
export function podChanges(
  want: ReadonlyMap<string, Pod>,
  have: ReadonlyMap<string, Pod>,
  again: ReadonlySet<string> = new Set(),
): NftCommand[] {
  const same = (a: Pod, b: Pod | undefined) => `${a.subnet}` === `${b?.subnet}`
  const gone = [...have].filter(([ip, pod]) => !same(pod, want.get(ip)))
  const added = [...want].filter(([ip, pod]) => again.has(ip) || !same(pod, have.get(ip)))
  return [...deletePods(gone.map(([, pod]) => pod)), ...addPods(added.map(([, pod]) => pod))]
}

/** What was written with `commands` and stands is what was wanted: where it reads differently, that is how this nft says it. */
export function learn(want: Ruleset, have: Standing): Dialect {
  const pairs = [...subnets(want.pods.values())].map((subnet): [string, string | undefined] => [
    textOfChain(subnet),
    have.chains.get(`${subnet}`)?.rules,
  ])
  return new Map(
    [[WHOLE_FRAME, have.frame] as const, ...pairs].filter(
      (pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== pair[0],
    ),
  )
}

const reads = (dialect: Dialect, want: string, have: string | undefined): boolean =>
  have !== undefined && (have === want || have === dialect.get(want))

const textOfChain = (subnet: Cidr): string => textOfRule(ruleBeyond(subnet).rule)
