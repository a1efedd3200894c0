/** What holds for all pods, whatever they declare. */
import test from 'ava'
import fc from 'fast-check'
import type {NodeName} from '../../src/model/facts.ts'
import type {Pair, PairKey, VniClaim} from '../../src/model/pair.ts'
import {parsePairs} from '../../src/pairs/declarations.ts'
import {endText} from '../../src/pairs/key.ts'
import {matchDeclarations} from '../../src/pairs/match.ts'
import {matchPairs} from '../../src/pairs/pairs.ts'
import {planEnds} from '../../src/pairs/plan.ts'
import {pairStates} from '../../src/pairs/states.ts'
import {vnisByPair, wantedVnis} from '../../src/pairs/vnis.ts'
import {cluster, element, NODES} from './arbitraries.ts'
import {formatPairs, formatPlans, formatProblems, names, PAIRS, rules} from './support.ts'

const RULES = rules('d>e')

test('the order in which things become known makes no difference', t => {
  const shuffled = cluster.chain(entries =>
    fc.tuple(fc.constant(entries), fc.shuffledSubarray([...entries], {minLength: entries.length})),
  )
  const property = fc.property(shuffled, ([one, other]) => {
    const [a, b] = [matchPairs(new Map(one), RULES), matchPairs(new Map(other), RULES)]
    t.deepEqual([...a.pairs], [...b.pairs])
    t.is(formatProblems(a.problems), formatProblems(b.problems))
  })
  fc.assert(property, {numRuns: 1000})
})

test('every declaration is in one pair, or in one problem of its pod', t => {
  const property = fc.property(cluster, entries => {
    const {pairs, problems} = matchPairs(new Map(entries), RULES)
    const ends = [...pairs.values()].flatMap(pair => pair.ends)
    for (const [key, {declarations}] of entries)
      for (const {at} of declarations) {
        const built = ends.filter(end => end.pod === key && end.at === at).length
        const told = (problems.get(key) ?? []).filter(problem => problem.at === at).length
        t.is(built + told, 1, `${key} ${at}`)
      }
    const said = ends.filter(end => end.at !== undefined).length
    t.true(said >= pairs.size)
  })
  fc.assert(property, {numRuns: 1000})
})

test('an interface is of one pair, a key of one pair of ends', t => {
  const property = fc.property(cluster, entries => {
    const {pairs} = matchPairs(new Map(entries), RULES)
    const texts = [...pairs.values()].flatMap(pair => pair.ends.map(endText))
    t.is(new Set(texts).size, texts.length)
    for (const [key, {ends}] of pairs) {
      t.is(key, key.toLowerCase() as PairKey)
      t.true(endText(ends[0]) < endText(ends[1]))
      t.not(ends[0].pod, ends[1].pod)
    }
  })
  fc.assert(property, {numRuns: 500})
})

test('who is one, and who is the other, makes no difference', t => {
  const said = fc.array(element, {maxLength: 4}).map(elements => {
    const text = JSON.stringify(elements.map(each => ({...each, peer: 'other'})))
    return parsePairs({[PAIRS]: text}, {}, {namespace: 'd', name: 'a'}).declarations
  })
  const property = fc.property(said, said, (one, other) => {
    const text = (match: readonly unknown[]) => JSON.stringify(match.map(each => each ?? null))
    const forth = matchDeclarations(one, other).map(text).sort()
    const back = matchDeclarations(other, one)
      .map(match => text(match.toReversed()))
      .sort()
    t.deepEqual(forth, back)
  })
  fc.assert(property, {numRuns: 2000})
})

test('a pod that goes takes along what only it declares, and nothing else that stands by itself', t => {
  const property = fc.property(cluster, fc.nat(), (entries, which) => {
    const [gone] = entries[which % entries.length]!
    const before = matchPairs(new Map(entries), RULES).pairs
    const after = matchPairs(new Map(entries.filter(([key]) => key !== gone)), RULES).pairs
    // Another pod may be the one that labels mean.
    if (entries.some(([, {ratchetName}]) => ratchetName !== undefined)) return
    for (const [key, {ends}] of before) {
      if (!ends.some(end => end.pod === gone)) t.true(after.has(key), key)
      else if (ends.every(end => end.pod === gone || end.at === undefined)) t.false(after.has(key), key)
    }
  })
  fc.assert(property, {numRuns: 1000})
})

test('all nodes come to plans that fit, and every pod is told of each of its pairs once', t => {
  const property = fc.property(cluster, fc.subarray(NODES), (entries, living) => {
    const all = new Map(entries)
    const {pairs, problems} = matchPairs(all, RULES)
    const claims = new Map([...pairs.keys()].map((pair, i) => [i + 1, {pair, node: NODES[0]!}]))
    const plans = NODES.map(self => planEnds(pairs, claims, {self, alive: new Set([...living, self]), port: 4790}))
    for (const key of pairs.keys()) {
      const built = plans.flatMap(each => {
        const plan = each.get(key)
        return plan?.kind === 'vxlan' ? [plan] : []
      })
      const [a, b] = built
      if (!a || !b) continue
      t.is(`${a.local} ${a.remote} ${a.vni} ${a.mtu}`, `${b.remote} ${b.local} ${b.vni} ${b.mtu}`)
      t.is(a.ends[0].peer, `${b.ends[0].pod}:${b.ends[0].interface}`)
    }
    for (const [i, self] of NODES.entries()) {
      const local = new Map(entries.filter(([, {node}]) => node === self))
      const states = pairStates({local, plans: plans[i]!, problems, progress: new Map()})
      for (const [key] of local) {
        const ends = [...pairs.values()].flatMap(pair => pair.ends).filter(end => end.pod === key).length
        const told = problems.get(key)?.length ?? 0
        t.is(states.get(key)!.filter(each => each.waitsFor !== 'ratchet').length, ends + told)
      }
    }
  })
  fc.assert(property, {numRuns: 500})
})

test('the same facts, the same plans', t => {
  const property = fc.property(cluster, entries => {
    const {pairs} = matchPairs(new Map(entries), RULES)
    const again = matchPairs(new Map(JSON.parse(JSON.stringify(entries)) as typeof entries), RULES).pairs
    t.is(formatPairs(pairs), formatPairs(again))
    const options = {self: NODES[0]!, alive: names('n1 n2 n3'), port: 4790}
    t.is(formatPlans(planEnds(pairs, new Map(), options)), formatPlans(planEnds(again, new Map(), options)))
  })
  fc.assert(property, {numRuns: 300})
})

interface Store {
  readonly claims: Map<number, VniClaim>
  /** What each node saw last. */
  readonly seen: Map<NodeName, {pairs: ReadonlyMap<PairKey, Pair>; claims: ReadonlyMap<number, VniClaim>}>
}

test('VNIs: one for each pair that needs it, none for two, none left', t => {
  const range = {from: 10, to: 24}
  const step = fc.tuple(fc.constantFrom(...NODES), fc.boolean(), fc.nat(2))
  const property = fc.property(
    fc.array(cluster, {minLength: 1, maxLength: 4}),
    fc.array(step, {maxLength: 30}),
    fc.subarray(NODES, {minLength: 1}),
    (histories, steps, living) => {
      const store: Store = {claims: new Map(), seen: new Map()}
      let pairs: ReadonlyMap<PairKey, Pair> = new Map()
      const alive = new Set(living)
      /** With what it saw, which may be old by now. */
      const act = (self: NodeName, quick: number) => {
        const seen = store.seen.get(self) ?? {pairs, claims: new Map()}
        const {take, giveBack} = wantedVnis(seen.pairs, seen.claims, {self, alive, range})
        t.is(new Set(take.map(({vnis}) => vnis[0])).size, take.length)
        for (const {pair, vnis} of take) {
          const free = vnis.slice(quick).find(vni => !store.claims.has(vni))
          if (free !== undefined) store.claims.set(free, {pair, node: self})
        }
        for (const {vni, claim} of giveBack) if (store.claims.get(vni) === claim) store.claims.delete(vni)
      }
      const look = (self: NodeName) => store.seen.set(self, {pairs, claims: new Map(store.claims)})
      for (const entries of histories) {
        pairs = matchPairs(new Map(entries), RULES).pairs
        for (const [self, looks, quick] of steps) {
          if (looks) look(self)
          act(self, quick)
        }
      }
      for (let round = 0; round < 4; round++)
        for (const self of NODES) {
          look(self)
          act(self, 0)
        }
      for (const self of NODES)
        t.deepEqual(wantedVnis(pairs, store.claims, {self, alive, range}), {take: [], giveBack: []}, 'at rest')
      const held = vnisByPair(store.claims)
      t.is(held.size, store.claims.size, 'one for each')
      for (const [key, {ends}] of pairs) {
        const [a, b] = ends.map(({endpoint}) => endpoint?.node)
        const needs = a !== undefined && b !== undefined && a !== b
        if (needs && alive.has(a) && alive.has(b)) t.true(held.has(key), key)
        if (a !== undefined && a === b) t.false(held.has(key), key)
      }
      for (const key of held.keys()) t.true(pairs.has(key), key)
    },
  )
  fc.assert(property, {numRuns: 500})
})
