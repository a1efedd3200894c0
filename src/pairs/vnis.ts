/** Which VNIs are to be taken and given back, by whom. One per pair whose ends are on two nodes. Pure. */
import type {NodeName} from '../model/facts.ts'
import type {Pair, PairKey, VniClaim} from '../model/pair.ts'
import {keyHash} from './key.ts'

export interface VniRange {
  /** 1 or more. */
  readonly from: number
  /** Itself, too. Less than 2 ** 24. */
  readonly to: number
}

export interface VniWish {
  readonly pair: PairKey
  /** To be tried in this order. Empty: all of the range are taken. */
  readonly vnis: readonly number[]
}

/** Whatever is under this number is to go only if it is still this claim. */
export interface VniReturn {
  readonly vni: number
  readonly claim: VniClaim
}

export interface WantedVnis {
  readonly take: readonly VniWish[]
  readonly giveBack: readonly VniReturn[]
}

export type Claims = ReadonlyMap<number, VniClaim>

export interface VniOptions {
  readonly self: NodeName
  /** Nodes that show a sign of life. */
  readonly alive: ReadonlySet<NodeName>
  readonly range: VniRange
  /** Pairs with an end on this node. @default all that there are */
  readonly here?: Iterable<PairKey>
}

/** Numbers to try: that the first is taken by somebody who is quicker is rare, that all are is no accident. */
const TRIES = 8

/** Of several claims the lowest number counts. */
export function vnisByPair(claims: Claims): ReadonlyMap<PairKey, number> {
  const lowest = new Map<PairKey, number>()
  for (const [vni, {pair}] of claims) if (vni < (lowest.get(pair) ?? Number.POSITIVE_INFINITY)) lowest.set(pair, vni)
  return lowest
}

/**
 * What this node has to do. It takes for pairs of its own of which its name is the lesser of the two nodes'. It gives back
 * what it took itself: nobody else can tell whether what the claim was made for is only not seen yet. Of nodes that are
 * dead the least living one does. All views must be synced.
 */
export function wantedVnis(
  pairs: ReadonlyMap<PairKey, Pair>,
  claims: Claims,
  {self, alive, range, here = pairs.keys()}: VniOptions,
): WantedVnis {
  if (!alive.has(self)) return {take: [], giveBack: []}
  const held = vnisByPair(claims)
  const taken = new Set(claims.keys())
  const take: VniWish[] = []
  for (const key of here) {
    const pair = pairs.get(key)!
    if (held.has(key) || takerOf(pair, alive) !== self) continue
    const vnis = freeFrom(pair.key, taken, range)
    // So that no two of one pass try the same one first.
    if (vnis[0] !== undefined) taken.add(vnis[0])
    take.push({pair: pair.key, vnis})
  }
  const least = [...alive].reduce((a, b) => (a < b ? a : b))
  const giveBack = [...claims].flatMap(([vni, claim]) => {
    const giver = alive.has(claim.node) ? claim.node : least
    const useful = held.get(claim.pair) === vni && mayNeed(pairs.get(claim.pair)) && inRange(vni, range)
    return giver === self && !useful ? [{vni, claim}] : []
  })
  return {take, giveBack: giveBack.sort((a, b) => a.vni - b.vni)}
}

const inRange = (vni: number, {from, to}: VniRange): boolean => vni >= from && vni <= to

/** A sentence. Undefined: some are left. */
export function shortageOf(claims: Claims, range: VniRange): string | undefined {
  const size = range.to - range.from + 1
  if (claims.size < size || [...claims.keys()].filter(vni => inRange(vni, range)).length < size) return undefined
  return `every VNI from ${range.from} to ${range.to} is taken; widen pairs.vnis on all nodes, or remove other pairs`
}

/** Undefined: none is needed, or not all is there that it is needed for. */
function takerOf({ends}: Pair, alive: ReadonlySet<NodeName>): NodeName | undefined {
  const [a, b] = ends.map(({endpoint}) => endpoint?.node)
  if (a === undefined || b === undefined || a === b || !alive.has(a) || !alive.has(b)) return undefined
  return a < b ? a : b
}

/** While an end is not there, where it will be is not known: the number stays. */
function mayNeed(pair: Pair | undefined): boolean {
  const [a, b] = pair?.ends.map(({endpoint}) => endpoint?.node) ?? []
  return pair !== undefined && (a === undefined || b === undefined || a !== b)
}

/** From where the pair's key says, upwards and round. */
function freeFrom(key: PairKey, taken: ReadonlySet<number>, {from, to}: VniRange): readonly number[] {
  const size = to - from + 1
  const start = keyHash(key) % size
  const free: number[] = []
  for (let i = 0; i < size && free.length < TRIES; i++) {
    const vni = from + ((start + i) % size)
    if (!taken.has(vni)) free.push(vni)
  }
  return free
}
