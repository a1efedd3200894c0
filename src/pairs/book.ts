/**
 * The pairs of all pods, kept while pods come, change and go: the same as {@link matchPairs} of all of them, at the cost of
 * those that have to do with the ones that changed.
 */
import type {Endpoint, Pair, PairKey, PairProblem, PodKey} from '../model/pair.ts'
import {inOrder} from './pairs.ts'
import {type PairRules, type Verdict, verdicts} from './verdicts.ts'

export interface PairBook {
  /** Live. */
  readonly pairs: ReadonlyMap<PairKey, Pair>
  /** Live. As of {@link matchPairs}. */
  readonly problems: ReadonlyMap<PodKey, readonly PairProblem[]>
  /** undefined: it has gone. Pairs and problems that stay as they are may be other objects than before. */
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

  const forget = (verdict: Verdict, touched: {pairs: Set<PairKey>; pods: Set<PodKey>}) => {
    for (const pod of verdict.pods) {
      const all = verdictsOf.get(pod)
      all?.delete(verdict)
      if (all?.size === 0) verdictsOf.delete(pod)
      touched.pods.add(pod)
    }
    if (verdict.pair) {
      pairs.delete(verdict.pair.key)
      touched.pairs.add(verdict.pair.key)
    }
  }

  const keep = (verdict: Verdict, touched: {pairs: Set<PairKey>; pods: Set<PodKey>}) => {
    for (const pod of verdict.pods) {
      const all = verdictsOf.get(pod) ?? new Set()
      verdictsOf.set(pod, all.add(verdict))
      touched.pods.add(pod)
    }
    if (verdict.pair) {
      pairs.set(verdict.pair.key, verdict.pair)
      touched.pairs.add(verdict.pair.key)
    }
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

      const touched = {pairs: new Set<PairKey>(), pods: new Set<PodKey>(affected)}
      for (const pod of affected) for (const verdict of verdictsOf.get(pod) ?? []) forget(verdict, touched)
      const concerned = new Map<PodKey, Endpoint>()
      for (const pod of withNamesakes(around(around(affected)))) {
        const endpoint = endpoints.get(pod)
        if (endpoint) concerned.set(pod, endpoint)
      }
      for (const verdict of verdicts(concerned, rules))
        if (verdict.pods.some(pod => affected.has(pod))) keep(verdict, touched)

      for (const pod of touched.pods) {
        const told = [...(verdictsOf.get(pod) ?? [])].flatMap(verdict =>
          verdict.told.flatMap(([to, problem]) => (to === pod ? problem : [])),
        )
        if (told.length > 0) problems.set(pod, told.sort(inOrder))
        else problems.delete(pod)
      }
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
