/**
 * The pairs of all pods, kept while pods come, change and go: the same as {@link matchPairs} of all of them, at the cost of
 * those that have to do with the ones that changed.
 */
import {isDeepStrictEqual} from 'node:util'
import type {Endpoint, Pair, PairKey, PairProblem, PodKey} from '../model/pair.ts'
import {inOrder} from './pairs.ts'
import {type PairRules, type Verdict, verdicts} from './verdicts.ts'

export interface PairBook {
  /** Live. */
  readonly pairs: ReadonlyMap<PairKey, Pair>
  /** Live. As of {@link matchPairs}. */
  readonly problems: ReadonlyMap<PodKey, readonly PairProblem[]>
  /** undefined: it has gone. Pairs and problems that stay as they are stay the same objects, and are not touched. */
  update(changes: Iterable<readonly [PodKey, Endpoint | undefined]>): Touched
}

export interface Touched {
  readonly pairs: ReadonlySet<PairKey>
  readonly pods: ReadonlySet<PodKey>
}

export function createPairBook(rules: PairRules): PairBook {
  const endpoints = new Map<PodKey, Endpoint>()
  const mentions = new Index()
  const bearers = new Index()
  const verdictsOf = new Map<PodKey, Set<Verdict>>()
  const pairs = new Map<PairKey, Pair>()
  const problems = new Map<PodKey, readonly PairProblem[]>()

  /** Those that ratchet's labels call the same, themselves included: the newest of them keeps the others from counting. */
  const withNamesakes = (pods: Iterable<PodKey>): Set<PodKey> =>
    bearers.sharing(pods, pod => ratchetNameIn(endpoints.get(pod)))

  /** Those with whom they share a pod that is named, themselves included. */
  const around = (pods: Iterable<PodKey>): Set<PodKey> =>
    mentions.sharing(pods, pod => namesIn(pod, endpoints.get(pod)))

  /** `before`: the pairs that were there. */
  const forget = (verdict: Verdict, looked: Set<PodKey>, before: Map<PairKey, Pair>) => {
    for (const pod of verdict.pods) {
      const all = verdictsOf.get(pod)
      all?.delete(verdict)
      if (all?.size === 0) verdictsOf.delete(pod)
      looked.add(pod)
    }
    if (!verdict.pair) return
    before.set(verdict.pair.key, verdict.pair)
    pairs.delete(verdict.pair.key)
  }

  /** A pair that is as it was stays the same object. */
  const keep = (verdict: Verdict, looked: Set<PodKey>, before: ReadonlyMap<PairKey, Pair>) => {
    const known = verdict.pair && before.get(verdict.pair.key)
    const kept = known && isDeepStrictEqual(known, verdict.pair) ? {...verdict, pair: known} : verdict
    for (const pod of kept.pods) {
      const all = verdictsOf.get(pod) ?? new Set()
      verdictsOf.set(pod, all.add(kept))
      looked.add(pod)
    }
    if (kept.pair) pairs.set(kept.pair.key, kept.pair)
  }

  /** Whether they have become others. */
  const tell = (pod: PodKey): boolean => {
    const before = problems.get(pod) ?? []
    const told = [...(verdictsOf.get(pod) ?? [])]
      .flatMap(verdict => verdict.told.flatMap(([to, problem]) => (to === pod ? problem : [])))
      .sort(inOrder)
    if (isDeepStrictEqual(before, told)) return false
    if (told.length > 0) problems.set(pod, told)
    else problems.delete(pod)
    return true
  }

  return {
    pairs,
    problems,
    update(changes) {
      const list = [...changes]
      const changed = list.map(([pod]) => pod)
      // Whom they had to do with, and whom they have to do with now.
      const affected = around(withNamesakes(changed))
      for (const [pod, endpoint] of list) {
        mentions.remove(pod, namesIn(pod, endpoints.get(pod)))
        bearers.remove(pod, ratchetNameIn(endpoints.get(pod)))
        endpoints.delete(pod)
        if (!endpoint) continue
        endpoints.set(pod, endpoint)
        mentions.add(pod, namesIn(pod, endpoint))
        bearers.add(pod, ratchetNameIn(endpoint))
      }
      for (const pod of around(withNamesakes(changed))) affected.add(pod)

      const looked = new Set<PodKey>(affected)
      const before = new Map<PairKey, Pair>()
      for (const pod of affected) for (const verdict of verdictsOf.get(pod) ?? []) forget(verdict, looked, before)
      const concerned = new Map<PodKey, Endpoint>()
      for (const pod of withNamesakes(around(around(affected)))) {
        const endpoint = endpoints.get(pod)
        if (endpoint) concerned.set(pod, endpoint)
      }
      const judged = verdicts(concerned, rules).filter(({pods}) => pods.some(pod => affected.has(pod)))
      for (const verdict of judged) keep(verdict, looked, before)

      // Most of those that were looked at are as they were: pods that have much to do with each other are all looked at
      // whenever one of them changes.
      const touched = {pairs: new Set<PairKey>(), pods: new Set<PodKey>(changed)}
      for (const key of new Set([...before.keys(), ...judged.flatMap(({pair}) => pair?.key ?? [])])) {
        const [was, is] = [before.get(key), pairs.get(key)]
        if (was === is) continue
        touched.pairs.add(key)
        for (const {pod} of (is ?? was)!.ends) touched.pods.add(pod)
      }
      for (const pod of looked) if (tell(pod)) touched.pods.add(pod)
      return touched
    },
  }
}

/** All that a pod is called, and all that it calls others. */
function namesIn(pod: PodKey, endpoint: Endpoint | undefined): ReadonlySet<string> {
  const names = new Set([pod])
  for (const name of ratchetNameIn(endpoint)) names.add(name)
  for (const {peer} of endpoint?.declarations ?? []) names.add(peer)
  return names
}

const ratchetNameIn = (endpoint: Endpoint | undefined): readonly string[] =>
  endpoint?.ratchetName === undefined ? [] : [`${endpoint.namespace}/${endpoint.ratchetName}`]

/** Which pods mention a name. */
class Index {
  readonly #pods = new Map<string, Set<PodKey>>()

  add(pod: PodKey, names: Iterable<string>): void {
    for (const name of names) this.#pods.set(name, (this.#pods.get(name) ?? new Set()).add(pod))
  }

  remove(pod: PodKey, names: Iterable<string>): void {
    for (const name of names) {
      const pods = this.#pods.get(name)
      pods?.delete(pod)
      if (pods?.size === 0) this.#pods.delete(name)
    }
  }

  /** Those that have a name with one of them in common, and they themselves. */
  sharing(pods: Iterable<PodKey>, namesOf: (pod: PodKey) => Iterable<string>): Set<PodKey> {
    const found = new Set(pods)
    const names = new Set<string>()
    for (const pod of found) for (const name of namesOf(pod)) names.add(name)
    for (const name of names) for (const pod of this.#pods.get(name) ?? []) found.add(pod)
    return found
  }
}
