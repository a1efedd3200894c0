/** What each pod of this node is told of its pairs. Pure. */

import type {Endpoint, PairKey, PairPlan, PairProblem, PairState, PodKey} from '../model/pair.ts'
import {listIn, stateList} from '../model/state-list.ts'

/** What has become of a plan. None: it is being carried out. */
export type PairProgress = {readonly state: 'up'} | {readonly state: 'failed'; readonly reason: string}

export interface StateFacts {
  /** The pods of this node that have to do with a pair, or something to be told of theirs. */
  readonly local: ReadonlyMap<PodKey, Pick<Endpoint, 'ratchetName'>>
  readonly plans: ReadonlyMap<PairKey, PairPlan>
  /** Of what the pods say themselves, and of what they say together. */
  readonly problems: ReadonlyMap<PodKey, readonly PairProblem[]>
  readonly progress: ReadonlyMap<PairKey, PairProgress>
}

/** By interface; what has none comes last. Pods that have nothing to be told have an empty list. */
export function pairStates({local, plans, problems, progress}: StateFacts): ReadonlyMap<PodKey, readonly PairState[]> {
  const states = new Map<PodKey, PairState[]>([...local.keys()].map(pod => [pod, []]))
  for (const plan of plans.values())
    for (const end of plan.ends) states.get(end.pod)?.push(stateOf(plan, end, progress.get(plan.pair.key)))
  for (const [pod, list] of states) {
    list.push(...(problems.get(pod) ?? []).map(stateOfProblem))
    if (list.length === 0 && local.get(pod)!.ratchetName !== undefined) list.push(NAMED_BY_NOBODY)
    list.sort((a, b) => compare(a.interface ?? LAST, b.interface ?? LAST) || compare(a.reason ?? '', b.reason ?? ''))
  }
  return states
}

/** Behind every name of an interface. */
const LAST = '\u{10ffff}'

const compare = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)

const NAMED_BY_NOBODY: PairState = {
  state: 'waiting',
  waitsFor: 'ratchet',
  reason: 'no pod with the label ratchet.primary: "true" names this one in its ratchet.pair_name yet',
}

export function stateOf(plan: PairPlan, end: PairPlan['ends'][number], progress: PairProgress | undefined): PairState {
  const {key, name} = plan.pair
  const known = {interface: end.interface, ...(name !== undefined && {name}), peer: end.peer, pair: key}
  if (plan.kind === 'waiting') return {state: 'waiting', ...known, waitsFor: plan.waitsFor, reason: plan.reason}
  if (plan.kind === 'impossible') return {state: 'failed', ...known, reason: plan.reason}
  const reasons = [...(progress?.state === 'failed' ? [progress.reason] : []), ...plan.notes]
  return {
    state: progress?.state ?? 'building',
    ...known,
    kind: plan.kind,
    mtu: plan.mtu,
    ...(plan.kind === 'vxlan' && {vni: plan.vni}),
    ...(reasons.length > 0 && {reason: reasons.join('; ')}),
  }
}

const stateOfProblem = ({kind, interface: ifname, message}: PairProblem): PairState => ({
  state: kind === 'contradiction' ? 'contradiction' : 'failed',
  ...(ifname !== undefined && {interface: ifname}),
  reason: message,
})

export interface PairCount {
  readonly state: PairState['state']
  /** Empty: it has none. */
  readonly kind: NonNullable<PairState['kind']> | ''
  /** Empty: it does not wait. */
  readonly waitsFor: NonNullable<PairState['waitsFor']> | ''
  readonly count: number
}

/** For metrics: how many ends there are of each state, kind and what they wait for. */
export function countStates(states: Iterable<Pick<PairState, 'state' | 'kind' | 'waitsFor'>>): readonly PairCount[] {
  const counts = new Map<string, PairCount>()
  for (const {state, kind = '', waitsFor = ''} of states) {
    const key = `${state} ${kind} ${waitsFor}`
    counts.set(key, {state, kind, waitsFor, count: (counts.get(key)?.count ?? 0) + 1})
  }
  return [...counts.values()]
}

/** The annotation `netgraft.dev/pairs-status`. As {@link stateList}. */
export const pairsStatus = (
  states: readonly PairState[],
  before: readonly (string | null | undefined)[],
  now: number,
): string => stateList(states, before, now, (reason): PairState => ({state: 'waiting', reason}))

/** Of an annotation that anybody may have written: what is none of ours is left out. */
export const parsePairStates = (text: string | null | undefined): readonly PairState[] =>
  (listIn(text) as readonly object[]).filter((entry): entry is PairState => {
    const {state, since, mtu, vni, ...texts} = entry as {readonly [key: string]: unknown}
    return STATES.some(each => each === state) && Object.values(texts).every(each => typeof each === 'string')
  })

const STATES: readonly PairState['state'][] = ['waiting', 'building', 'up', 'failed', 'contradiction']
