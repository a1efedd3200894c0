/** What becomes of each declaration, or of two of two pods that mean one pair. Pure. */
import type {Declaration, Endpoint, Pair, PairProblem, PairProblemKind, PodKey} from '../model/pair.ts'
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

export interface Verdict {
  /** The two pods, or one that names itself. */
  readonly pods: readonly PodKey[]
  /** Undefined: it is not to be. */
  readonly pair?: Pair
  readonly told: readonly (readonly [PodKey, PairProblem])[]
}

/** In an order that depends on the endpoints only. */
export function verdicts(endpoints: ReadonlyMap<PodKey, Endpoint>, rules: PairRules): readonly Verdict[] {
  const entries = [...endpoints]
    .filter(([key, {namespace, pod}]) => key === `${namespace}/${pod}`)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const known = new Map(entries)
  const names = ratchetNames(entries)
  const said = entries.flatMap(([pod, {declarations}]) =>
    declarations.map(declaration => ({pod, peer: names.peerOf(declaration), declaration})),
  )
  const faults = said.map(each => faultOf(each, names))
  const candidates = candidatesOf(said.filter((_, i) => !faults[i]))
  const refusals = candidates.map(candidate => refusalOf(candidate, rules))
  const conflicts = conflictsIn(candidates.filter((_, i) => !refusals[i]))
  const judged = candidates.map((candidate, i): Verdict => {
    if (refusals[i]) return refused(candidate, refusals[i])
    const contradiction = contradictionIn(candidate, known) ?? conflicts.get(candidate)
    return contradiction === undefined
      ? {pods: podsOf(candidate), pair: pairOf(candidate, known), told: []}
      : {pods: podsOf(candidate), told: candidate.map(side => tell(side, 'contradiction', contradiction))}
  })
  return [...faults.flatMap(fault => fault ?? []), ...judged]
}

interface Said {
  readonly pod: PodKey
  readonly peer: PodKey
  readonly declaration: Declaration
}

const tell = (
  {pod, interface: ifname, declaration}: Side,
  kind: PairProblemKind,
  message: string,
): readonly [PodKey, PairProblem] => [pod, {kind, at: declaration?.at ?? '', message, interface: ifname}]

const podsOf = (candidate: Candidate): readonly PodKey[] => candidate.map(({pod}) => pod)

/** What cannot be, whatever anybody else declares. */
function faultOf({pod, peer, declaration}: Said, names: RatchetNames): Verdict | undefined {
  const side = {pod, interface: declaration.interface, declaration}
  const successor = declaration.by === 'labels' ? names.successorOf(pod) : undefined
  if (successor !== undefined) {
    const message = `${saidBy([side])} does not count: ${successor}, which is newer, has the same ratchet.pod_name; give each pod its own`
    return {pods: [pod], told: [tell(side, 'contradiction', message)]}
  }
  if (peer !== pod) return undefined
  return {pods: [pod], told: [tell(side, 'malformed', `${saidBy([side])} names the pod itself; name another pod`)]}
}

function candidatesOf(said: readonly Said[]): readonly Candidate[] {
  const byPods = new Map<string, {pods: readonly [PodKey, PodKey]; said: [Declaration[], Declaration[]]}>()
  for (const {pod, peer, declaration} of said) {
    const pods = pod < peer ? ([pod, peer] as const) : ([peer, pod] as const)
    const key = `${pods[0]} ${pods[1]}`
    const group = byPods.get(key) ?? {pods, said: [[], []]}
    byPods.set(key, group)
    group.said[pods[0] === pod ? 0 : 1].push(declaration)
  }
  return [...byPods.values()].flatMap(({pods, said: [one, other]}) =>
    matchDeclarations(one, other).map(match => candidateOf(pods, match)),
  )
}

/** What both declare is allowed by that. */
function refusalOf(candidate: Candidate, {mayPair}: PairRules): string | undefined {
  const [said, other] = sayerFirst(candidate)
  const [from, to] = [namespaceOf(said.pod), namespaceOf(other.pod)]
  if (other.declaration || from === to || mayPair(from, to)) return undefined
  return `${saidBy([said])} names a pod of namespace ${to}, which does not name this one; let that pod declare the pair, too, or add the two namespaces to pairs.grants`
}

/** Whoever is in the other namespace is not bothered with it. */
const refused = (candidate: Candidate, message: string): Verdict => ({
  pods: podsOf(candidate),
  told: [tell(sayerFirst(candidate)[0], 'refused', message)],
})

const sayerFirst = ([one, other]: Candidate): readonly [Side, Side] => (one.declaration ? [one, other] : [other, one])

const namespaceOf = (pod: PodKey): string => pod.slice(0, pod.indexOf('/'))
