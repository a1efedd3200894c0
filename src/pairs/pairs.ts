/** All pairs of all pods, from what the nodes tell of them. Pure: every node comes to the same. */
import type {Declaration, Endpoint, Pair, PairKey, PairProblem, PairProblemKind, PodKey} from '../model/pair.ts'
import {type Candidate, candidateOf, contradictionIn, pairOf, type Side, saidBy} from './candidate.ts'
import {conflictsIn} from './conflicts.ts'
import {matchDeclarations} from './match.ts'
import {type RatchetNames, ratchetNames} from './ratchet-names.ts'

export interface PairRules {
  /**
   * Whether a pod of the first namespace may be paired with one of the second, which does not say so itself. It is asked
   * of different namespaces only.
   */
  readonly mayPair: (from: string, to: string) => boolean
}

export interface MatchedPairs {
  /** By key. */
  readonly pairs: ReadonlyMap<PairKey, Pair>
  readonly problems: ReadonlyMap<PodKey, readonly PairProblem[]>
}

type Entry = readonly [PodKey, Endpoint]

/**
 * Every declaration becomes part of one pair, or of one problem of its pod with its `at`. What contradicts itself is told
 * to both pods, and not built. Of several that would have one interface the one comes first that both pods declare, then
 * that which the interface's pod declares itself; where two come first neither is built. What is kept under another key
 * than its pod's does not count.
 */
export function matchPairs(endpoints: ReadonlyMap<PodKey, Endpoint>, rules: PairRules): MatchedPairs {
  const entries = [...endpoints]
    .filter(([key, {namespace, pod}]) => key === `${namespace}/${pod}`)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const known = new Map(entries)
  const names = ratchetNames(entries)
  const problems = new Problems()
  const permitted = candidatesOf(declaredBy(entries, names, problems)).filter(candidate => {
    const refusal = refusalOf(candidate, rules)
    if (refusal) problems.add(candidate.find(side => side.declaration)!, 'refused', refusal)
    return !refusal
  })
  const conflicts = conflictsIn(permitted)
  const pairs: Pair[] = []
  for (const candidate of permitted) {
    const contradiction = contradictionIn(candidate, known) ?? conflicts.get(candidate)
    if (contradiction === undefined) pairs.push(pairOf(candidate, known))
    else for (const side of candidate) problems.add(side, 'contradiction', contradiction)
  }
  pairs.sort((a, b) => (a.key < b.key ? -1 : 1))
  return {pairs: new Map(pairs.map(pair => [pair.key, pair])), problems: problems.byPod}
}

class Problems {
  readonly byPod = new Map<PodKey, PairProblem[]>()

  /** Who does not say anything itself is told once of one thing. */
  add({pod, interface: ifname, declaration}: Side, kind: PairProblemKind, message: string): void {
    const list = this.byPod.get(pod) ?? []
    this.byPod.set(pod, list)
    if (declaration || !list.some(each => each.message === message))
      list.push({kind, at: declaration?.at ?? '', message, interface: ifname})
  }
}

interface Said {
  readonly pod: PodKey
  readonly peer: PodKey
  readonly declaration: Declaration
}

/** Without those that cannot be, whatever anybody else says. */
function declaredBy(entries: readonly Entry[], names: RatchetNames, problems: Problems): readonly Said[] {
  return entries.flatMap(([pod, {declarations}]) =>
    declarations.flatMap(declaration => {
      const peer = names.peerOf(declaration)
      const side = {pod, interface: declaration.interface, declaration}
      const successor = declaration.by === 'labels' ? names.successorOf(pod) : undefined
      if (peer !== pod && successor === undefined) return {pod, peer, declaration}
      if (successor !== undefined)
        problems.add(
          side,
          'contradiction',
          `${saidBy([side])} does not count: ${successor}, which is newer, has the same ratchet.pod_name; give each pod its own`,
        )
      else problems.add(side, 'malformed', `${saidBy([side])} names the pod itself; name another pod`)
      return []
    }),
  )
}

function candidatesOf(said: readonly Said[]): readonly Candidate[] {
  const byPods = new Map<string, {pods: readonly [PodKey, PodKey]; said: [Declaration[], Declaration[]]}>()
  for (const {pod, peer, declaration} of said) {
    const pods = pod < peer ? ([pod, peer] as const) : ([peer, pod] as const)
    const group = byPods.get(pods.join(' ')) ?? {pods, said: [[], []]}
    byPods.set(pods.join(' '), group)
    group.said[pods[0] === pod ? 0 : 1].push(declaration)
  }
  return [...byPods.values()].flatMap(({pods, said: [one, other]}) =>
    matchDeclarations(one, other).map(match => candidateOf(pods, match)),
  )
}

/** What both declare is allowed by that. */
function refusalOf(candidate: Candidate, {mayPair}: PairRules): string | undefined {
  const [said, other] = (candidate[0].declaration ? candidate : candidate.toReversed()) as [Side, Side]
  const [from, to] = [namespaceOf(said.pod), namespaceOf(other.pod)]
  if (other.declaration || from === to || mayPair(from, to)) return undefined
  return `${saidBy([said])} names a pod of namespace ${to}, which does not name this one; let that pod declare the pair, too, or add the two namespaces to pairs.grants`
}

const namespaceOf = (pod: PodKey): string => pod.slice(0, pod.indexOf('/'))
