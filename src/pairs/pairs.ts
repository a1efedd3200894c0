/** All pairs of all pods, from what the nodes tell of them. Pure: every node comes to the same. */
import type {Endpoint, Pair, PairKey, PairProblem, PodKey} from '../model/pair.ts'
import {type PairRules, verdicts} from './verdicts.ts'

export interface MatchedPairs {
  readonly pairs: ReadonlyMap<PairKey, Pair>
  /** By place, then by message. */
  readonly problems: ReadonlyMap<PodKey, readonly PairProblem[]>
}

/**
 * Every declaration becomes part of one pair, or of one problem of its pod with its `at`. What contradicts itself is told
 * to both pods, and not built. Of several that would have one interface the one comes first that both pods declare, then
 * that which the interface's pod declares itself; where two come first neither is built. What is kept under another key
 * than its pod's does not count.
 */
export function matchPairs(endpoints: ReadonlyMap<PodKey, Endpoint>, rules: PairRules): MatchedPairs {
  const pairs = new Map<PairKey, Pair>()
  const problems = new Map<PodKey, PairProblem[]>()
  for (const {pair, told} of verdicts(endpoints, rules)) {
    if (pair) pairs.set(pair.key, pair)
    for (const [pod, problem] of told) problems.set(pod, [...(problems.get(pod) ?? []), problem])
  }
  for (const list of problems.values()) list.sort(inOrder)
  return {pairs: new Map([...pairs].sort(([a], [b]) => (a < b ? -1 : 1))), problems}
}

export const inOrder = (a: PairProblem, b: PairProblem): number =>
  a.at === b.at ? (a.message < b.message ? -1 : 1) : a.at < b.at ? -1 : 1
