/** The ways on which nodes reach each other's pods. */

/** direct: via the other node's address. vxlan: through the tunnel. */
export type Way = 'direct' | 'vxlan'

const WAYS = ['direct', 'vxlan'] as const

/** "direct" if all are, else "2 direct, 4 vxlan". */
export function describeWays(ways: Iterable<Way>): string {
  const all = [...ways]
  const counts = WAYS.map(way => ({way, count: all.filter(each => each === way).length})).filter(({count}) => count > 0)
  return counts.length === 1 ? counts[0]!.way : counts.map(({way, count}) => `${count} ${way}`).join(', ')
}
