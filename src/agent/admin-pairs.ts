/** The admin API's view of pairs: the ends in pods of this node, and what these pods are told. */
import type {AdminPairEnd, AdminPairs} from '../model/admin.ts'
import type {PairKey, PairPlan, PairState, PodKey} from '../model/pair.ts'
import {type PairProgress, pairStates} from '../pairs/states.ts'
import type {PairFacts} from './pair-facts.ts'
import type {PairPod} from './pair-pods.ts'

export interface PairsKnown {
  readonly facts: Pick<PairFacts, 'here' | 'planOf' | 'problemsOf'>
  /** This node's pods that have to do with pairs. */
  readonly told: ReadonlyMap<PodKey, Pick<PairPod, 'problems' | 'endpoint'>>
  readonly progressOf: (pair: PairKey) => PairProgress | undefined
  /** Why what a pod says cannot be told to the other nodes. */
  readonly untold: ReadonlyMap<PodKey, string>
  readonly unknown: string | undefined
}

export function listPairs({facts, told, progressOf, untold, unknown}: PairsKnown): AdminPairs {
  const plans = new Map<PairKey, PairPlan>()
  const progress = new Map<PairKey, PairProgress>()
  for (const key of facts.here) {
    const plan = facts.planOf(key)
    const known = progressOf(key)
    if (plan) plans.set(key, plan)
    if (plan && known) progress.set(key, known)
  }
  const local = new Map([...told].map(([pod, {endpoint}]) => [pod, endpoint ?? {}]))
  // What an earlier process has told of.
  for (const {ends} of plans.values()) for (const {pod} of ends) if (!local.has(pod)) local.set(pod, {})
  const problems = new Map(
    [...local.keys()].map(pod => [pod, [...(told.get(pod)?.problems ?? []), ...facts.problemsOf(pod)]]),
  )
  const states = pairStates({local, plans, problems, progress})
  const ends = [...states]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([pod, list]) => [
      ...list.map(state => endOf(pod, state, state.pair && plans.get(state.pair))),
      ...(untold.has(pod) ? [{pod, addresses: [], state: 'failed' as const, reason: untold.get(pod)!}] : []),
    ])
  return {ends, ...(unknown !== undefined && {unknown})}
}

function endOf(pod: PodKey, state: PairState, plan: PairPlan | undefined): AdminPairEnd {
  const {interface: ifname, peer, kind, vni, mtu, waitsFor, reason} = state
  const own = plan?.ends.find(end => end.pod === pod)
  const other = plan?.pair.ends.find(end => end.pod !== pod)
  const peerNode = other?.endpoint?.node
  return {
    pod,
    ...(ifname !== undefined && {interface: ifname}),
    addresses: own?.ips.map(({ip, length}) => `${ip}/${length}`) ?? [],
    ...(peer !== undefined && {peer}),
    ...(peerNode !== undefined && {peerNode}),
    ...(kind !== undefined && {kind}),
    ...(vni !== undefined && {vni}),
    ...(plan?.kind === 'vxlan' && {remote: `${plan.remote}`}),
    ...(mtu !== undefined && {mtu}),
    state: state.state,
    ...(waitsFor !== undefined && {waitsFor}),
    ...(reason !== undefined && {reason}),
  }
}
