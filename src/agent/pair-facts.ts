/** What is known of all pairs: what the nodes tell each other through the store, and what this node knows of its own pods. */
import {isDeepStrictEqual} from 'node:util'
import type {NodeName} from '../model/facts.ts'
import type {Endpoint, Pair, PairKey, PairPlan, PairProblem, PodKey, VniClaim} from '../model/pair.ts'
import type {Entry} from '../model/store.ts'
import {createPairBook, type Touched} from '../pairs/book.ts'
import {createClaims} from '../pairs/claims.ts'
import {type EndpointDocument, mayReplace, type VniDocument, vniOf} from '../pairs/documents.ts'
import {planPair} from '../pairs/plan.ts'
import type {PairRules} from '../pairs/verdicts.ts'
import {shortageOf, type VniRange} from '../pairs/vnis.ts'

export interface PairFactsOptions {
  readonly self: NodeName
  readonly rules: PairRules
  /** UDP. */
  readonly port: number
  readonly vnis?: VniRange
  /** Whether there is such a pod on this node, as far as is known. */
  readonly isHere: (pod: PodKey) => boolean
}

export interface PairFacts {
  /** Live: all pairs of the cluster. */
  readonly pairs: ReadonlyMap<PairKey, Pair>
  /** Live: those with an end on this node. */
  readonly here: ReadonlySet<PairKey>
  /** Live: what this node tells of its pods. */
  readonly local: ReadonlyMap<PodKey, Endpoint>
  /** Live. */
  readonly claims: ReadonlyMap<number, VniClaim>
  /** Whether this node has taken a VNI, or an earlier process of it has. */
  readonly hasOwnClaim: boolean
  /** Nodes that show a sign of life. */
  readonly alive: ReadonlySet<NodeName>
  /** Whether those that are not among them show none: before anything is heard nobody knows. */
  readonly isAliveKnown: boolean
  pairsOf(pod: PodKey): readonly PairKey[]
  problemsOf(pod: PodKey): readonly PairProblem[]
  /** Undefined: there is no such pair, or none of its ends is here. */
  planOf(pair: PairKey): PairPlan | undefined
  /** Of this node's own pod. undefined: it has nothing to do with a pair, or is not there. */
  tell(pod: PodKey, endpoint: Endpoint | undefined): Touched
  /** It has gone from this node, and nothing is known of it any more. */
  forget(pod: PodKey): Touched
  /** Of what the store has, these have changed. */
  takeEndpoints(stored: ReadonlyMap<string, Entry<EndpointDocument>>, keys: Iterable<string>): Touched
  takeClaims(stored: ReadonlyMap<string, Entry<VniDocument>>, keys: Iterable<string>): Touched
  /** Of all pods of which anything is known. */
  readonly pods: Iterable<PodKey>
  /** It has just been made or given back, and the store's stream has not told of it yet. */
  noteClaim(vni: number, claim: VniClaim | undefined): Touched
  takeAlive(nodes: ReadonlySet<NodeName>): Touched
}

export function createPairFacts({self, rules, port, vnis, isHere}: PairFactsOptions): PairFacts {
  const book = createPairBook(rules)
  /** Of this node's pods; null: it is known that there is nothing to tell of it. */
  const own = new Map<PodKey, Endpoint | null>()
  const local = new Map<PodKey, Endpoint>()
  /** What the book has. */
  const fed = new Map<PodKey, Endpoint>()
  const byPod = new Map<PodKey, Set<PairKey>>()
  const podsOf = new Map<PairKey, readonly PodKey[]>()
  const here = new Set<PairKey>()
  /** Plans, each with all that it followed from: they are asked for far more often than they change. */
  const planned = new Map<PairKey, {readonly from: readonly unknown[]; readonly plan: PairPlan | undefined}>()
  const claims = createClaims()
  let stored: ReadonlyMap<string, Entry<EndpointDocument>> = new Map()
  let alive: ReadonlySet<NodeName> = new Set([self])
  let isAliveKnown = false

  /** What this node knows of its own pods goes first: it is there before the store has it, and without the store. */
  const endpointOf = (pod: PodKey): Endpoint | undefined => {
    const mine = own.get(pod)
    const told = stored.get(pod)?.value.spec
    if (mine) return told && told.node !== self && !mayReplace(told, mine) ? told : mine
    // What an earlier process has told of a pod that is still there holds until we know better.
    if (told?.node === self) return mine === undefined && isHere(pod) ? told : undefined
    return told
  }

  const index = (keys: Iterable<PairKey>): void => {
    for (const key of keys) {
      for (const pod of podsOf.get(key) ?? []) {
        const all = byPod.get(pod)
        all?.delete(key)
        if (all?.size === 0) byPod.delete(pod)
      }
      podsOf.delete(key)
      here.delete(key)
      planned.delete(key)
      const pair = book.pairs.get(key)
      if (!pair) continue
      const pods = pair.ends.map(({pod}) => pod)
      podsOf.set(key, pods)
      for (const pod of pods) byPod.set(pod, (byPod.get(pod) ?? new Set()).add(key))
      if (pair.ends.some(({endpoint}) => endpoint?.node === self)) here.add(key)
    }
  }

  /** `more`: touched whatever has changed. */
  const refresh = (pods: Iterable<PodKey>, more: Iterable<PodKey> = []): Touched => {
    const changes: (readonly [PodKey, Endpoint | undefined])[] = []
    for (const pod of pods) {
      const endpoint = endpointOf(pod)
      if (isDeepStrictEqual(fed.get(pod), endpoint)) continue
      if (endpoint) fed.set(pod, endpoint)
      else fed.delete(pod)
      changes.push([pod, endpoint])
    }
    const touched = changes.length > 0 ? book.update(changes) : {pairs: new Set<PairKey>(), pods: new Set<PodKey>()}
    index(touched.pairs)
    const pairs = new Set(touched.pairs)
    const all = new Set(touched.pods)
    for (const pod of more) {
      all.add(pod)
      for (const key of byPod.get(pod) ?? []) pairs.add(key)
    }
    return {pairs, pods: all}
  }

  const claimed = (keys: readonly PairKey[]): Touched => ({
    pairs: new Set(keys),
    pods: new Set(keys.flatMap(key => podsOf.get(key) ?? [])),
  })

  const shortage = (): string | undefined => vnis && shortageOf(claims.all, vnis)
  /** Who waits for a number is told when there is none left, and when there is one. */
  const changeClaims = (change: () => readonly PairKey[]): Touched => {
    const before = shortage()
    const keys = change()
    if (shortage() === before) return claimed(keys)
    return claimed([...keys, ...[...here].filter(key => claims.vniOf(key) === undefined)])
  }

  return {
    pairs: book.pairs,
    here,
    local,
    claims: claims.all,
    get hasOwnClaim() {
      return claims.ofNode(self)
    },
    get pods() {
      return fed.keys()
    },
    get alive() {
      return alive
    },
    get isAliveKnown() {
      return isAliveKnown
    },
    pairsOf: pod => [...(byPod.get(pod) ?? [])],
    problemsOf: pod => book.problems.get(pod) ?? [],
    planOf: key => {
      const pair = book.pairs.get(key)
      if (!pair) return undefined
      const [vni, short] = [claims.vniOf(key), shortage()]
      const from = [pair, vni, alive, short]
      const known = planned.get(key)
      if (known?.from.every((each, i) => each === from[i])) return known.plan
      const plan = planPair(pair, vni, {self, alive, port, shortage: short})
      planned.set(key, {from, plan})
      return plan
    },
    tell: (pod, endpoint) => {
      own.set(pod, endpoint ?? null)
      if (endpoint) local.set(pod, endpoint)
      else local.delete(pod)
      return refresh([pod], [pod])
    },
    forget: pod => {
      own.delete(pod)
      local.delete(pod)
      return refresh([pod], [pod])
    },
    takeEndpoints: (items, keys) => {
      stored = items
      return refresh(keys)
    },
    takeClaims: (items, keys) =>
      changeClaims(() =>
        [...keys].flatMap(key => {
          const vni = vniOf(key)
          return vni === undefined ? [] : claims.set(vni, items.get(key)?.value.spec)
        }),
      ),
    noteClaim: (vni, claim) => changeClaims(() => claims.set(vni, claim)),
    takeAlive: nodes => {
      const now = new Set([...nodes, self])
      const changed = new Set([...now, ...alive].filter(node => now.has(node) !== alive.has(node)))
      if (changed.size > 0) alive = now
      // Who is not among the first ones is known to be dead only now.
      const isNews = (node: NodeName) => changed.has(node) || (!isAliveKnown && !now.has(node))
      const touched = [...here].filter(key =>
        book.pairs.get(key)?.ends.some(({endpoint}) => endpoint && isNews(endpoint.node)),
      )
      isAliveKnown = true
      return claimed(touched)
    },
  }
}
