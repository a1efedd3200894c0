/** The ring of pods that the lab shows: who is where, what they declare, and what changes when one of them moves. */
import test from 'ava'
import {changesOf, countKinds, kindOf, mover, pairsOf, planRing} from '../../src/lab/ring.ts'

const NODES = ['n1', 'n2', 'n3']

for (const [count, spread, kinds, changed] of [
  [1, 'n1 n1 n1 n1 n1 n1', '6 veth', ''],
  [
    2,
    'n1 n1 n1 n2 n2 n2',
    '4 veth, 2 vxlan',
    'ring-2 – ring-3 is vxlan instead of veth, ring-3 – ring-4 is veth instead of vxlan',
  ],
  [
    3,
    'n1 n1 n2 n2 n3 n3',
    '3 veth, 3 vxlan',
    'ring-1 – ring-2 is vxlan instead of veth, ring-2 – ring-3 is veth instead of vxlan',
  ],
] as const)
  test(`nodes: ${count}`, t => {
    const ring = planRing(NODES.slice(0, count), [4, 6])
    t.is([...ring.nodes.values()].join(' '), spread)
    t.is(countKinds(ring.links.map(link => kindOf(link, ring.nodes))), kinds)
    const after = new Map(ring.nodes).set(mover(ring), NODES[Math.min(count, 2) - 1]!)
    t.is(changesOf(ring.links, ring.nodes, after), changed)
  })

test('each pod declares its two ends, with addresses that nobody else has', t => {
  const {nodes, links} = planRing(['n1'], [4, 6])
  t.deepEqual(JSON.parse(pairsOf('ring-6', links)), [
    {peer: 'ring-5', interface: 'prev', peerInterface: 'next', ips: ['192.168.65.2/30', 'fd10:65::2/64']},
    {peer: 'ring-1', interface: 'next', peerInterface: 'prev', ips: ['192.168.66.1/30', 'fd10:66::1/64']},
  ])
  const declared = [...nodes.keys()].flatMap(pod => JSON.parse(pairsOf(pod, links)) as {ips: string[]}[])
  t.is(new Set(declared.flatMap(({ips}) => ips)).size, 24)
})
