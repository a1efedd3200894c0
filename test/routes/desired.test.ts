import test from 'ava'
import fc from 'fast-check'
import type {NodeFacts, NodeName} from '../../src/model/facts.ts'
import {ownRanges} from '../../src/routes/claims.ts'
import {type Desired, desiredState, findSelf} from '../../src/routes/desired.ts'
import {readUnderlay, type Underlay} from '../../src/routes/underlay.ts'
import {kernel, lines, network, nodes} from './support.ts'

interface Case {
  readonly name: string
  readonly nodes: string[]
  readonly links?: string[]
  readonly want: string
  readonly problems?: string
}

const ETH0 = ['1 lo 127.0.0.1/8 lo', '2 eth0 192.168.0.11/24 fd00::11/64']

const CASES: Case[] = [
  {
    name: 'dual-stack: each range via the address of its family; the own node is left out',
    nodes: [
      'a 10.1.1.0/24 fd00:1::/64 via 192.168.0.11 fd00::11',
      'b 10.1.2.0/24 fd00:2::/64 via 192.168.0.12 fd00::12',
    ],
    want: '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048\nfd00:2::/64 via fd00::12 dev 2 proto 107 metric 2048',
  },
  {
    name: 'this node has no object yet: the others are reached all the same',
    nodes: ['b 10.1.2.0/24 via 192.168.0.12'],
    want: '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048',
  },
  {
    name: 'a node without ranges yet is skipped in silence',
    nodes: ['a', 'b via 192.168.0.12'],
    want: '',
  },
  {
    name: 'the longest connected prefix decides the device',
    nodes: ['b 10.1.2.0/24 via 192.168.0.12'],
    links: ['2 wide 192.168.7.1/16', '3 near 192.168.0.11/24'],
    want: '10.1.2.0/24 via 192.168.0.12 dev 3 proto 107 metric 2048',
  },
  {
    name: "the node's own address is a /32: peers are reached onlink through its device",
    nodes: ['a 10.1.1.0/24 via 192.168.0.11', 'b 10.1.2.0/24 via 192.168.0.12'],
    links: ['2 ens4 192.168.0.11/32', '3 other 10.9.9.9/32'],
    want: '10.1.2.0/24 via 192.168.0.12 dev 2 onlink proto 107 metric 2048',
  },
  {
    name: 'no address of that family',
    nodes: ['b 10.1.2.0/24 fd00:2::/64 via 192.168.0.12'],
    want: '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048',
    problems: 'unreachable: node b: pod range fd00:2::/64 has no route, since the node reports no IPv6 InternalIP',
  },
  {
    name: 'behind a router, or the interface is down',
    nodes: ['b 10.1.2.0/24 via 192.168.9.12', 'c 10.1.3.0/24 via 172.16.0.3'],
    links: ['2 eth0 192.168.0.11/24', '3 eth1 172.16.0.1/24 down'],
    want: '',
    problems:
      'unreachable: node b: pod range 10.1.2.0/24 has no route, since 192.168.9.12 is on no connected subnet of an interface that is up\n' +
      'unreachable: node c: pod range 10.1.3.0/24 has no route, since 172.16.0.3 is on no connected subnet of an interface that is up',
  },
  {
    name: 'two nodes, one range: the newer object has it',
    nodes: ['b 10.1.2.0/24 via 192.168.0.12', 'c 10.1.2.0/24 via 192.168.0.13'],
    want: '10.1.2.0/24 via 192.168.0.13 dev 2 proto 107 metric 2048',
    problems: 'overlap: nodes b and c both claim pod range 10.1.2.0/24; c has it, being the newer object',
  },
  {
    name: 'a newer node claims the own range: nothing of ours is routed away',
    nodes: ['a 10.1.1.0/24 via 192.168.0.11', 'b 10.1.1.0/24 via 192.168.0.12', 'c 10.1.1.128/25 via 192.168.0.13'],
    want: '',
    problems:
      'overlap: nodes a and b both claim pod range 10.1.1.0/24; b has it, being the newer object\n' +
      'overlap: node c: pod range 10.1.1.128/25 lies inside 10.1.1.0/24 of node b; the narrower one is served first\n' +
      "overlap: node b: pod range 10.1.1.0/24 lies inside this node's own 10.1.1.0/24; it gets no route here\n" +
      "overlap: node c: pod range 10.1.1.128/25 lies inside this node's own 10.1.1.0/24; it gets no route here",
  },
  {
    name: 'ranges that merely overlap are both served',
    nodes: ['b 10.1.0.0/16 via 192.168.0.12', 'c 10.1.3.0/24 via 192.168.0.13'],
    want: '10.1.0.0/16 via 192.168.0.12 dev 2 proto 107 metric 2048\n10.1.3.0/24 via 192.168.0.13 dev 2 proto 107 metric 2048',
    problems:
      'overlap: node c: pod range 10.1.3.0/24 lies inside 10.1.0.0/16 of node b; the narrower one is served first',
  },
  {
    name: 'ranges that no pods can have',
    nodes: ['b 0.0.0.0/0 127.1.0.0/16 169.254.7.0/24 fe80:1::/64 192.168.0.0/28 via 192.168.0.12'],
    want: '',
    problems:
      'refused: node b: pod range 0.0.0.0/0 is wider than /8 and would take traffic that is not for pods; it gets no route\n' +
      'refused: node b: pod range 127.1.0.0/16 lies inside 127.0.0.0/8, which is not for pods; it gets no route\n' +
      'refused: node b: pod range 169.254.7.0/24 lies inside 169.254.0.0/16, which is not for pods; it gets no route\n' +
      'refused: node b: pod range fe80:1::/64 lies inside fe80::/10, which is not for pods; it gets no route\n' +
      'refused: node b: pod range 192.168.0.0/28 lies inside 192.168.0.0/24, which is not for pods; it gets no route',
  },
  {
    name: "a range around the node's own address",
    nodes: ['b 192.168.0.0/16 via 192.168.0.12'],
    want: '',
    problems:
      "unreachable: node b: pod range 192.168.0.0/16 has no route, since it contains the node's own address 192.168.0.12",
  },
  {
    name: 'of several addresses the first that can be reached',
    nodes: ['b 10.1.2.0/24 via 10.0.0.2 192.168.0.12'],
    want: '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048',
  },
  {
    name: "two interfaces in one subnet: the one with the node's own address",
    nodes: ['a 10.1.1.0/24 via 192.168.0.11', 'b 10.1.2.0/24 via 192.168.0.12'],
    links: ['2 wifi 192.168.0.50/24', '3 eth0 192.168.0.11/24'],
    want: '10.1.2.0/24 via 192.168.0.12 dev 3 proto 107 metric 2048',
  },
  {
    name: 'point-to-point addresses: the peer is what is connected',
    nodes: ['b 10.1.2.0/24 via 192.168.0.12', 'c 10.1.3.0/24 via 192.168.0.13'],
    links: ['2 ppp0 192.168.0.11/32>192.168.0.12', '3 ppp1 192.168.0.11/32>192.168.0.13'],
    want:
      '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048\n' +
      '10.1.3.0/24 via 192.168.0.13 dev 3 proto 107 metric 2048',
  },
  {
    name: 'the name of this node is wrong: its own object looks like a peer',
    nodes: ['me 10.1.1.0/24 via 192.168.0.11', 'b 10.1.2.0/24 via 192.168.0.12'],
    want: '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048',
    problems:
      "unreachable: node me: pod range 10.1.1.0/24 has no route, since 192.168.0.11 is an address of this machine: is this node's own name configured right?",
  },
  {
    name: 'our own links, the pods’ bridge and loopback are no underlay',
    nodes: ['a 10.1.1.0/24 via 192.168.0.11', 'b 10.1.2.0/24 via 192.168.0.12'],
    links: [
      '1 lo 192.168.0.5/24 lo',
      '2 ng-vx0 192.168.0.7/24 alias=netgraft:vxlan',
      '3 cbr0 10.1.1.1/24',
      '4 eth0 192.168.0.11/24',
    ],
    want: '10.1.2.0/24 via 192.168.0.12 dev 4 proto 107 metric 2048',
  },
]

/** Without tunnels; node a is this one. */
function desired(facts: ReadonlyMap<NodeName, NodeFacts>, underlay: Underlay): Desired {
  const own = facts.get('a' as NodeName)
  const served = own ? ownRanges(own, own.addresses) : []
  return desiredState(
    {nodes: facts, own, addressesOf: node => node.addresses},
    {network: network(), underlay, devices: {}, ownRanges: served},
  )
}

for (const {name, nodes: texts, links = ETH0, want, problems = ''} of CASES) {
  test(name, t => {
    const facts = nodes(...texts)
    const own = facts.get('a' as NodeName)
    const underlay = readUnderlay(kernel(links), own?.addresses ?? [], own ? ownRanges(own, own.addresses) : [])
    const {routes, problems: found} = desired(facts, underlay)
    t.is(lines(routes.values()), want)
    t.is(found.map(({kind, message}) => `${kind}: ${message}`).join('\n'), problems)
  })
}

test('the order of the nodes changes nothing', t => {
  const texts = CASES.flatMap(each => each.nodes).filter(text => !text.startsWith('a'))
  const facts = nodes(...texts.map((text, i) => `${String.fromCharCode(98 + i)}${text.slice(1)}`))
  const underlay = readUnderlay(kernel(ETH0), [], [])
  const routesOf = (entries: Iterable<[NodeName, never]>) =>
    lines(desired(new Map(entries), underlay).routes.values())
      .split('\n')
      .sort()
  const entries = [...facts] as [NodeName, never][]
  const want = routesOf(entries)
  fc.assert(
    fc.property(fc.shuffledSubarray(entries, {minLength: entries.length}), shuffled => {
      t.deepEqual(routesOf(shuffled), want)
    }),
    {numRuns: 50},
  )
})

test('this node is the configured one, else the one that reports the machine id', t => {
  const facts = nodes('a', 'b')
  t.is(findSelf(facts, 'x' as NodeName, 'id-b'), 'x' as NodeName)
  t.is(findSelf(facts, undefined, 'id-b'), 'b' as NodeName)
  t.is(findSelf(facts, undefined, 'id-z'), undefined)
  t.is(findSelf(facts, undefined, ''), undefined)
  const clones = new Map([...facts].map(([name, node]) => [name, {...node, machineId: 'id-b'}]))
  t.is(findSelf(clones, undefined, 'id-b'), undefined)
})
