/** Claims of VNIs, by number and by pair. */
import type {NodeName} from '../model/facts.ts'
import type {PairKey, VniClaim} from '../model/pair.ts'

export interface KeptClaims {
  /** Live. */
  readonly all: ReadonlyMap<number, VniClaim>
  /** Of several the lowest number counts. */
  vniOf(pair: PairKey): number | undefined
  /** Whether it has any. */
  ofNode(node: NodeName): boolean
  /** undefined: nobody has it. The pairs for which that changes something. */
  set(vni: number, claim: VniClaim | undefined): readonly PairKey[]
}

export function createClaims(): KeptClaims {
  const all = new Map<number, VniClaim>()
  const byPair = new Map<PairKey, Set<number>>()
  /** How many. */
  const byNode = new Map<NodeName, number>()
  const count = (claim: VniClaim | undefined, more: number) => {
    if (claim) byNode.set(claim.node, (byNode.get(claim.node) ?? 0) + more)
  }
  const lowest = (pair: PairKey): number | undefined => {
    const vnis = byPair.get(pair)
    return vnis && Math.min(...vnis)
  }
  return {
    all,
    vniOf: lowest,
    ofNode: node => (byNode.get(node) ?? 0) > 0,
    set: (vni, claim) => {
      const before = all.get(vni)
      const pairs = [...new Set([before, claim].flatMap(each => each?.pair ?? []))]
      const had = pairs.map(lowest)
      count(before, -1)
      count(claim, 1)
      if (before) {
        const vnis = byPair.get(before.pair)!
        vnis.delete(vni)
        if (vnis.size === 0) byPair.delete(before.pair)
        all.delete(vni)
      }
      if (claim) {
        all.set(vni, claim)
        byPair.set(claim.pair, (byPair.get(claim.pair) ?? new Set()).add(vni))
      }
      return pairs.filter((pair, i) => lowest(pair) !== had[i])
    },
  }
}
