/** What leads to the pod ranges of other nodes, backend by backend, and what this node's own ranges ask for. */
import test from 'ava'
import fc from 'fast-check'
import type {NodeFacts, NodeName} from '../../src/model/facts.ts'
import {parseIp} from '../../src/model/ip.ts'
import type {IfIndex} from '../../src/model/net.ts'
import type {Devices} from '../../src/model/plans.ts'
import {ownRanges} from '../../src/routes/claims.ts'
import {type Desired, desiredState} from '../../src/routes/desired.ts'
import type {RouteNetwork} from '../../src/routes/network.ts'
import {readUnderlay} from '../../src/routes/underlay.ts'
import {entryLines, kernel, lines, network, nodes} from './support.ts'

interface Setting {
  readonly backend: RouteNetwork['backend']
  readonly mode?: 'ptp' | 'bridge'
  readonly links?: readonly string[]
  /** The families of the tunnel devices that stand: 4 is the index of the one, 6 of the other. @default '46' */
  readonly tunnels?: '' | '4' | '6' | '46'
  /** What the MAC of any node makes, on device 2. @default not known */
  readonly linkLocal?: string
  /** Of this node's own tunnels. @default not known */
  readonly macs?: readonly string[]
}

const ETH0 = ['2 eth0 192.168.0.11/24 fd00::11/64']

/** Node a is this one. */
function desired(facts: ReadonlyMap<NodeName, NodeFacts>, setting: Setting): Desired {
  const {backend, mode = 'bridge', links = ETH0, tunnels = '46', linkLocal, macs} = setting
  const own = facts.get('a' as NodeName)
  const served = own ? ownRanges(own, own.addresses) : []
  const devices = Object.fromEntries([...tunnels].map(family => [family, Number(family) as IfIndex])) as Devices
  return desiredState(
    {
      nodes: facts,
      own,
      addressesOf: node => node.addresses,
      ...(linkLocal && {overLinkLocal: () => ({gateway: parseIp(linkLocal), dev: 2 as IfIndex})}),
    },
    {
      network: network({backend, pods: {mode}}),
      underlay: readUnderlay(kernel(links), own?.addresses ?? [], served),
      devices,
      ...(macs && {macs: new Set(macs)}),
      ownRanges: served,
    },
  )
}

/** Routes, then what the tunnels' devices have: a line each. */
const format = ({routes, tunnels}: Desired): string =>
  [
    ...lines(routes.values()).split('\n').filter(Boolean),
    ...[...tunnels.values()].flatMap(({addresses, neighbours, fdb}) => [
      ...addresses.map(entryLines.address),
      ...[...neighbours.values()].map(entryLines.neighbour),
      ...[...fdb.values()].map(entryLines.fdb),
    ]),
  ].join('\n')

const formatProblems = ({problems}: Desired): string =>
  problems.map(({kind, message}) => `${kind}: ${message}`).join('\n')

interface Case extends Setting {
  readonly name: string
  readonly nodes: readonly string[]
  readonly want: string
  readonly problems?: string
}

function check(cases: readonly Case[]): void {
  for (const {name, nodes: texts, want, problems = '', ...setting} of cases)
    test(`${setting.backend}: ${name}`, t => {
      const result = desired(nodes(...texts), setting)
      t.is(format(result), want)
      t.is(formatProblems(result), problems)
    })
}

// ---- vxlan

check([
  {
    name: 'a route, a neighbour and a forwarding entry for each range; of one end only one',
    backend: 'vxlan',
    nodes: ['b 10.1.2.0/24 fd00:2::/64 via 10.9.9.12 ends 10.9.9.12'],
    want:
      '10.1.2.0/24 via 10.9.9.12 dev 4 onlink proto 107 metric 2048\n' +
      'fd00:2::/64 via fe80::ff:fe00:412 dev 4 proto 107 metric 2048\n' +
      'neigh 4 10.9.9.12 02:00:00:00:04:12\n' +
      'neigh 4 fe80::ff:fe00:412 02:00:00:00:04:12\n' +
      'fdb 4 02:00:00:00:04:12 10.9.9.12',
  },
  {
    name: 'each range over its own family',
    backend: 'vxlan',
    nodes: ['b 10.1.2.0/24 fd00:2::/64 via 192.168.0.12 ends 192.168.0.12 fd00::12'],
    want:
      '10.1.2.0/24 via 192.168.0.12 dev 4 onlink proto 107 metric 2048\n' +
      'fd00:2::/64 via fe80::ff:fe00:612 dev 6 proto 107 metric 2048\n' +
      'neigh 4 192.168.0.12 02:00:00:00:04:12\n' +
      'fdb 4 02:00:00:00:04:12 192.168.0.12\n' +
      'neigh 6 fe80::ff:fe00:612 02:00:00:00:06:12\n' +
      'fdb 6 02:00:00:00:06:12 fd00::12',
  },
  {
    name: 'on one subnet, too, and to a node that reports no address at all',
    backend: 'vxlan',
    tunnels: '4',
    nodes: ['b 10.1.2.0/24 via 192.168.0.12 ends 192.168.0.12', 'c 10.1.3.0/24 ends 10.9.9.13'],
    want:
      '10.1.2.0/24 via 192.168.0.12 dev 4 onlink proto 107 metric 2048\n' +
      '10.1.3.0/24 via 10.9.9.13 dev 4 onlink proto 107 metric 2048\n' +
      'neigh 4 192.168.0.12 02:00:00:00:04:12\n' +
      'neigh 4 10.9.9.13 02:00:00:00:04:13\n' +
      'fdb 4 02:00:00:00:04:12 192.168.0.12\n' +
      'fdb 4 02:00:00:00:04:13 10.9.9.13',
  },
  {
    name: 'nothing published, or of another network only',
    backend: 'vxlan',
    nodes: ['b 10.1.2.0/24 via 192.168.0.12', 'c 10.1.3.0/24 via 192.168.0.13 ends 192.168.0.13 network blue'],
    want: '',
    problems:
      'unreachable: node b: pod range 10.1.2.0/24 has no route, since the node has published no end of a tunnel yet (annotation netgraft.dev/vtep-default)\n' +
      'unreachable: node c: pod range 10.1.3.0/24 has no route, since the node has published no end of a tunnel yet (annotation netgraft.dev/vtep-default)',
  },
  {
    name: 'tunnels of another identifier or port',
    backend: 'vxlan',
    nodes: [
      'b 10.1.2.0/24 ends 10.9.9.12 vni 2',
      'c 10.1.3.0/24 ends 10.9.9.13 port 4789',
      'd 10.1.4.0/24 ends 10.9.9.14 vni 2 port 4789',
    ],
    want: '',
    problems:
      'unreachable: node b: pod range 10.1.2.0/24 has no route, since its tunnel has the vni 2, and ours 1\n' +
      'unreachable: node c: pod range 10.1.3.0/24 has no route, since its tunnel has the port 4789, and ours 8472\n' +
      'unreachable: node d: pod range 10.1.4.0/24 has no route, since its tunnel has the vni 2, and ours 1',
  },
  {
    name: 'an end at an address of this machine',
    backend: 'vxlan',
    nodes: ['b 10.1.2.0/24 via 192.168.0.12 ends 192.168.0.11'],
    want: '',
    problems:
      'unreachable: node b: pod range 10.1.2.0/24 has no route, since the end of its tunnel, 192.168.0.11, is an address of this machine',
  },
  {
    name: 'a range around the end of its own tunnel, or around the node’s address',
    backend: 'vxlan',
    nodes: ['b 10.9.0.0/16 via 192.168.0.12 ends 10.9.9.12', 'c 10.8.0.0/16 via 10.8.8.13 ends 10.7.7.13'],
    want: '',
    problems:
      'unreachable: node b: pod range 10.9.0.0/16 has no route, since it contains the end of its own tunnel, 10.9.9.12\n' +
      "unreachable: node c: pod range 10.8.0.0/16 has no route, since it contains the node's own address 10.8.8.13",
  },
  {
    name: 'of two ends, one inside the range is no reason to leave the other family',
    backend: 'vxlan',
    nodes: ['b fd00:2::/64 10.9.0.0/16 ends 10.9.9.12 fd00::12'],
    want:
      'fd00:2::/64 via fe80::ff:fe00:612 dev 6 proto 107 metric 2048\n' +
      'neigh 6 fe80::ff:fe00:612 02:00:00:00:06:12\n' +
      'fdb 6 02:00:00:00:06:12 fd00::12',
    problems:
      'unreachable: node b: pod range 10.9.0.0/16 has no route, since it contains the end of its own tunnel, 10.9.9.12',
  },
  {
    name: 'no device of the family of any end',
    backend: 'vxlan',
    tunnels: '6',
    nodes: ['b 10.1.2.0/24 ends 10.9.9.12', 'c 10.1.3.0/24 ends '],
    want: '',
    problems:
      'unreachable: node b: pod range 10.1.2.0/24 has no route, since no tunnel of this node has the family of 10.9.9.12\n' +
      'unreachable: node c: pod range 10.1.3.0/24 has no route, since no tunnel of this node has the family of an end, since it has none',
  },
  {
    name: 'no device at all yet',
    backend: 'vxlan',
    tunnels: '',
    nodes: ['b 10.1.2.0/24 ends 10.9.9.12 fd00::12'],
    want: '',
    problems:
      'unreachable: node b: pod range 10.1.2.0/24 has no route, since no tunnel of this node has the family of 10.9.9.12, fd00::12',
  },
  {
    name: 'a MAC that its tunnel shares with another node’s',
    backend: 'vxlan',
    tunnels: '4',
    nodes: [
      'b 10.1.2.0/24 ends 10.9.9.12@02:00:00:00:00:01',
      'c 10.1.3.0/24 fd00:3::/64 ends 10.9.9.13@02:00:00:00:00:01',
    ],
    want:
      '10.1.3.0/24 via 10.9.9.13 dev 4 onlink proto 107 metric 2048\n' +
      'fd00:3::/64 via fe80::ff:fe00:1 dev 4 proto 107 metric 2048\n' +
      'neigh 4 10.9.9.13 02:00:00:00:00:01\n' +
      'neigh 4 fe80::ff:fe00:1 02:00:00:00:00:01\n' +
      'fdb 4 02:00:00:00:00:01 10.9.9.13',
    problems:
      "unreachable: node b has no route, since the MAC of its tunnel, 02:00:00:00:00:01, is also another node's",
  },
  {
    name: 'an end that its tunnel shares with another node’s: the newer object has it',
    backend: 'vxlan',
    tunnels: '4',
    nodes: [
      'b 10.1.2.0/24 ends 10.9.9.12@02:00:00:00:00:01',
      'c 10.1.3.0/24 ends 10.9.9.12@02:00:00:00:00:02',
      'd 10.1.4.0/24 ends 10.9.9.14',
    ],
    want:
      '10.1.4.0/24 via 10.9.9.14 dev 4 onlink proto 107 metric 2048\n' +
      '10.1.3.0/24 via 10.9.9.12 dev 4 onlink proto 107 metric 2048\n' +
      'neigh 4 10.9.9.14 02:00:00:00:04:14\n' +
      'neigh 4 10.9.9.12 02:00:00:00:00:02\n' +
      'fdb 4 02:00:00:00:04:14 10.9.9.14\n' +
      'fdb 4 02:00:00:00:00:02 10.9.9.12',
    problems: "unreachable: node b has no route, since the gateway to its range, 10.9.9.12, is also another node's",
  },
  {
    name: 'over IPv6 the gateway is the first address of the range, which a range around it may share',
    backend: 'vxlan',
    tunnels: '6',
    nodes: ['b 10.2.0.0/24 ends fd00:9::12', 'c 10.2.0.0/16 ends fd00:9::13'],
    want:
      '10.2.0.0/16 via 10.2.0.0 dev 6 onlink proto 107 metric 2048\n' +
      'neigh 6 10.2.0.0 02:00:00:00:06:13\n' +
      'fdb 6 02:00:00:00:06:13 fd00:9::13',
    problems:
      'overlap: node b: pod range 10.2.0.0/24 lies inside 10.2.0.0/16 of node c; the narrower one is served first\n' +
      "unreachable: node b has no route, since the gateway to its range, 10.2.0.0, is also another node's",
  },
  {
    name: 'several ranges of a node share the one gateway, which is no clash',
    backend: 'vxlan',
    tunnels: '4',
    nodes: ['b 10.1.2.0/24 10.1.3.0/24 ends 10.9.9.12'],
    want:
      '10.1.2.0/24 via 10.9.9.12 dev 4 onlink proto 107 metric 2048\n' +
      '10.1.3.0/24 via 10.9.9.12 dev 4 onlink proto 107 metric 2048\n' +
      'neigh 4 10.9.9.12 02:00:00:00:04:12\n' +
      'fdb 4 02:00:00:00:04:12 10.9.9.12',
  },
  {
    name: 'a MAC of a tunnel of this node',
    backend: 'vxlan',
    macs: ['02:00:00:00:00:aa', '02:00:00:00:00:bb'],
    nodes: [
      'b 10.1.2.0/24 fd00:2::/64 ends 10.9.9.12@02:00:00:00:00:aa fd00:9::12@02:00:00:00:00:cc',
      'c 10.1.3.0/24 ends 10.9.9.13@02:00:00:00:00:bb',
    ],
    want:
      'fd00:2::/64 via fe80::ff:fe00:cc dev 6 proto 107 metric 2048\n' +
      'neigh 6 fe80::ff:fe00:cc 02:00:00:00:00:cc\n' +
      'fdb 6 02:00:00:00:00:cc fd00:9::12',
    problems:
      "unreachable: node b: pod range 10.1.2.0/24 has no route, since the MAC of its tunnel, 02:00:00:00:00:aa, is also that of this node's\n" +
      "unreachable: node c: pod range 10.1.3.0/24 has no route, since the MAC of its tunnel, 02:00:00:00:00:bb, is also that of this node's",
  },
])

/** Which device takes each range, by the families of our tunnels and of the peer's ends. */
const FAMILIES = `
ours theirs 10.1.2.0/24 fd00:2::/64
4    4      4           4
4    6      none        none
4    46     4           4
6    4      none        none
6    6      6           6
6    46     6           6
46   4      4           4
46   6      6           6
46   46     4           6
none 46     none        none
46   none   none        none
`

for (const row of FAMILIES.trim().split('\n').slice(1)) {
  const [ours = '', theirs = '', ...want] = row.split(/ +/).map(word => (word === 'none' ? '' : word))
  test(`vxlan: over IPv${ours || ' nothing'} here and IPv${theirs || ' nothing'} there`, t => {
    const ends = [...theirs].map(family => (family === '4' ? '192.168.0.12' : 'fd00::12'))
    const {routes, problems} = desired(nodes(`b 10.1.2.0/24 fd00:2::/64 ends ${ends.join(' ')}`), {
      backend: 'vxlan',
      tunnels: ours as '46',
    })
    const taken = ['10.1.2.0/24', 'fd00:2::/64'].map(cidr => `${routes.get(cidr)?.nextHops[0]?.dev ?? ''}`)
    t.deepEqual(taken, want)
    t.is(problems.length, want.filter(each => each === '').length)
  })
}

// ---- direct

check([
  {
    name: 'what a node publishes of tunnels is nothing to it',
    backend: 'direct',
    nodes: ['b 10.1.2.0/24 via 192.168.0.12 ends 10.9.9.12 vni 7'],
    want: '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048',
  },
  {
    name: 'onlink is per family: IPv4 on a subnet, IPv6 with a /128',
    backend: 'direct',
    links: ['2 ens4 192.168.0.11/24 fd00::11/128'],
    nodes: ['a via 192.168.0.11 fd00::11', 'b 10.1.2.0/24 fd00:2::/64 via 192.168.0.12 fd00::12'],
    want:
      '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048\n' +
      'fd00:2::/64 via fd00::12 dev 2 onlink proto 107 metric 2048',
  },
  {
    name: 'a subnet goes before onlink',
    backend: 'direct',
    links: ['2 ens4 10.128.0.2/32', '3 eth1 172.16.0.1/24'],
    nodes: ['a via 10.128.0.2', 'b 10.1.2.0/24 via 10.128.0.3 172.16.0.3'],
    want: '10.1.2.0/24 via 172.16.0.3 dev 3 proto 107 metric 2048',
  },
])

/** By the families of the subnets here and of the peer's addresses. */
const DIRECT = `
here there 10.1.2.0/24 fd00:2::/64
4    4     direct      none
4    6     none        none
4    46    direct      none
6    4     none        none
6    6     none        direct
6    46    none        direct
46   4     direct      none
46   6     none        direct
46   46    direct      direct
`

for (const row of DIRECT.trim().split('\n').slice(1)) {
  const [here = '', there = '', ...want] = row.split(/ +/)
  test(`direct: IPv${here} here and IPv${there} there`, t => {
    const of = (families: string, four: string, six: string) =>
      [...families].map(family => (family === '4' ? four : six)).join(' ')
    const {routes, problems} = desired(
      nodes(`b 10.1.2.0/24 fd00:2::/64 via ${of(there, '192.168.0.12', 'fd00::12')} ends 192.168.0.12 fd00::12`),
      {backend: 'direct', links: [`2 eth0 ${of(here, '192.168.0.11/24', 'fd00::11/64')}`]},
    )
    const ways = ['10.1.2.0/24', 'fd00:2::/64'].map(cidr => (routes.has(cidr) ? 'direct' : 'none'))
    t.deepEqual(ways, want)
    t.is(problems.length, want.filter(each => each === 'none').length)
  })
}

// ---- auto

check([
  {
    name: 'direct on a connected subnet, a tunnel behind a router',
    backend: 'auto',
    tunnels: '4',
    nodes: ['b 10.1.2.0/24 via 192.168.0.12 ends 192.168.0.12', 'c 10.1.3.0/24 via 10.9.9.13 ends 10.9.9.13'],
    want:
      '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048\n' +
      '10.1.3.0/24 via 10.9.9.13 dev 4 onlink proto 107 metric 2048\n' +
      'neigh 4 10.9.9.13 02:00:00:00:04:13\n' +
      'fdb 4 02:00:00:00:04:13 10.9.9.13',
  },
  {
    name: 'decided per family: IPv6 through the tunnel over IPv4, IPv4 direct',
    backend: 'auto',
    tunnels: '4',
    links: ['2 eth0 192.168.0.11/24'],
    nodes: ['b 10.1.2.0/24 fd00:2::/64 via 192.168.0.12 ends 192.168.0.12'],
    want:
      '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048\n' +
      'fd00:2::/64 via fe80::ff:fe00:412 dev 4 proto 107 metric 2048\n' +
      'neigh 4 fe80::ff:fe00:412 02:00:00:00:04:12\n' +
      'fdb 4 02:00:00:00:04:12 192.168.0.12',
  },
  {
    name: 'direct needs no annotation, and no tunnel of ours',
    backend: 'auto',
    tunnels: '',
    nodes: ['b 10.1.2.0/24 via 10.9.9.9 192.168.0.12', 'c 10.1.3.0/24 via 192.168.0.13 ends 192.168.0.13 vni 9'],
    want:
      '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048\n' +
      '10.1.3.0/24 via 192.168.0.13 dev 2 proto 107 metric 2048',
  },
  {
    name: 'the own address is a /32: nobody knows who is behind the device, so that is for the tunnel',
    backend: 'auto',
    tunnels: '4',
    links: ['2 ens4 10.128.0.2/32'],
    nodes: ['a via 10.128.0.2', 'b 10.1.2.0/24 via 10.128.0.3 ends 10.128.0.3'],
    want:
      '10.1.2.0/24 via 10.128.0.3 dev 4 onlink proto 107 metric 2048\n' +
      'neigh 4 10.128.0.3 02:00:00:00:04:03\n' +
      'fdb 4 02:00:00:00:04:03 10.128.0.3',
  },
  {
    name: 'the own address is a /32, and the node publishes nothing',
    backend: 'auto',
    tunnels: '4',
    links: ['2 ens4 10.128.0.2/32'],
    nodes: ['a via 10.128.0.2', 'b 10.1.2.0/24 via 10.128.0.3'],
    want: '',
    problems:
      'unreachable: node b: pod range 10.1.2.0/24 has no route, since the node has published no end of a tunnel yet (annotation netgraft.dev/vtep-default)',
  },
  {
    name: 'an interface that goes down sends its peers through the tunnel',
    backend: 'auto',
    tunnels: '4',
    links: ['2 eth0 192.168.0.11/24 down'],
    nodes: ['b 10.1.2.0/24 via 192.168.0.12 ends 192.168.0.12'],
    want:
      '10.1.2.0/24 via 192.168.0.12 dev 4 onlink proto 107 metric 2048\n' +
      'neigh 4 192.168.0.12 02:00:00:00:04:12\n' +
      'fdb 4 02:00:00:00:04:12 192.168.0.12',
  },
])

// ---- the last resort of IPv6

check([
  {
    name: 'IPv6 over the link-local address of a node that has only IPv4, and IPv4 never',
    backend: 'direct',
    linkLocal: 'fe80::12',
    nodes: ['b 10.1.2.0/24 fd00:2::/64 via 192.168.0.12', 'c 10.1.3.0/24 fd00:3::/64'],
    want:
      '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048\n' +
      'fd00:2::/64 via fe80::12 dev 2 proto 107 metric 2048\n' +
      'fd00:3::/64 via fe80::12 dev 2 proto 107 metric 2048',
    problems: 'unreachable: node c: pod range 10.1.3.0/24 has no route, since the node reports no IPv4 InternalIP',
  },
  {
    name: 'an IPv6 address that cannot be reached is no reason to guess another one',
    backend: 'direct',
    linkLocal: 'fe80::12',
    nodes: ['b fd00:2::/64 via 192.168.0.12 fd00:9::12'],
    want: '',
    problems:
      'unreachable: node b: pod range fd00:2::/64 has no route, since fd00:9::12 is on no connected subnet of an interface that is up',
  },
  {
    name: 'a tunnel goes before it; without one it is better than nothing',
    backend: 'auto',
    tunnels: '4',
    linkLocal: 'fe80::12',
    nodes: ['b fd00:2::/64 via 192.168.0.12 ends 192.168.0.12', 'c fd00:3::/64 via 192.168.0.13'],
    want:
      'fd00:2::/64 via fe80::ff:fe00:412 dev 4 proto 107 metric 2048\n' +
      'fd00:3::/64 via fe80::12 dev 2 proto 107 metric 2048\n' +
      'neigh 4 fe80::ff:fe00:412 02:00:00:00:04:12\n' +
      'fdb 4 02:00:00:00:04:12 192.168.0.12',
  },
  {
    name: 'it is nothing to tunnels',
    backend: 'vxlan',
    linkLocal: 'fe80::12',
    nodes: ['b fd00:2::/64 via 192.168.0.12'],
    want: '',
    problems:
      'unreachable: node b: pod range fd00:2::/64 has no route, since the node has published no end of a tunnel yet (annotation netgraft.dev/vtep-default)',
  },
])

// ---- this node's own ranges

check([
  {
    name: 'own ranges are unreachable where no pod is, and their first addresses speak through each tunnel',
    backend: 'vxlan',
    mode: 'ptp',
    nodes: ['a 10.1.1.0/24 fd00:1::/64 via 192.168.0.11 fd00::11'],
    want:
      'unreachable 10.1.1.0/24 proto 107 metric 2048\n' +
      'unreachable fd00:1::/64 proto 107 metric 2048\n' +
      'addr 4 10.1.1.0/32\n' +
      'addr 4 fd00:1::/128\n' +
      'addr 6 10.1.1.0/32\n' +
      'addr 6 fd00:1::/128',
  },
  {
    name: 'on a bridge, which has a route of its own, they are not',
    backend: 'auto',
    tunnels: '4',
    nodes: ['a 10.1.1.0/24 via 192.168.0.11'],
    want: 'addr 4 10.1.1.0/32',
  },
  {
    name: 'without tunnels there are no addresses',
    backend: 'direct',
    mode: 'ptp',
    tunnels: '',
    nodes: ['a 10.1.1.0/24 via 192.168.0.11'],
    want: 'unreachable 10.1.1.0/24 proto 107 metric 2048',
  },
  {
    name: 'of several ranges of a family the first one',
    backend: 'vxlan',
    tunnels: '6',
    nodes: ['a fd00:9::/64 10.1.2.0/24 fd00:1::/64 10.1.1.0/24 via fd00::11'],
    want: 'addr 6 10.1.2.0/32\naddr 6 fd00:9::/128',
  },
  {
    name: 'a range that nobody can have makes neither',
    backend: 'vxlan',
    mode: 'ptp',
    tunnels: '4',
    nodes: ['a 0.0.0.0/0 127.1.0.0/16 via 192.168.0.11'],
    want: '',
    problems:
      'refused: node a: pod range 0.0.0.0/0 is wider than /8 and would take traffic that is not for pods; it gets no route\n' +
      'refused: node a: pod range 127.1.0.0/16 lies inside 127.0.0.0/8, which is not for pods; it gets no route',
  },
  {
    name: 'a range around its own address is told of, and not cut off',
    backend: 'direct',
    mode: 'ptp',
    tunnels: '',
    nodes: ['a 192.168.0.0/16 10.1.1.0/24 via 192.168.0.11'],
    want: 'unreachable 10.1.1.0/24 proto 107 metric 2048',
    problems:
      'refused: node a: its pod range 192.168.0.0/16 contains its own address; give its pods a range of their own',
  },
  {
    name: 'this node has no object yet: nothing is its own',
    backend: 'vxlan',
    mode: 'ptp',
    tunnels: '4',
    nodes: ['b 10.1.2.0/24 ends 10.9.9.12'],
    want:
      '10.1.2.0/24 via 10.9.9.12 dev 4 onlink proto 107 metric 2048\n' +
      'neigh 4 10.9.9.12 02:00:00:00:04:12\n' +
      'fdb 4 02:00:00:00:04:12 10.9.9.12',
  },
])

test('the address on a tunnel is usable at once, and makes no route of its own', t => {
  const {tunnels} = desired(nodes('a 10.1.1.0/24 fd00:1::/64 via 192.168.0.11'), {backend: 'vxlan', tunnels: '4'})
  t.deepEqual(
    tunnels.get(4 as IfIndex)!.addresses.map(({scope, flags}) => `${scope} ${flags.toString(16)}`),
    ['global 0', 'global 202'],
  )
})

// ---- what the order of the nodes decides: nothing

const CLUSTER = [
  'a 10.1.1.0/24 fd00:1::/64 via 192.168.0.11 fd00::11',
  'b 10.1.2.0/24 fd00:2::/64 via 192.168.0.12 fd00::12 ends 192.168.0.12 fd00::12',
  'c 10.1.3.0/24 fd00:3::/64 via 10.9.9.13 ends 10.9.9.13',
  'd 10.1.3.0/24 10.1.4.0/24 via 10.9.9.14 ends 10.9.9.14',
  'e 10.2.0.0/16 via 10.9.9.15 ends 10.9.9.15',
  'f 10.2.3.0/24 via 10.9.9.16 ends 10.9.9.16',
  'g fd00:7::/64 ends 10.9.9.17 fd00:9::17',
  'h 10.1.1.0/24 10.1.1.128/25 ends 10.9.9.18',
  'i 10.3.0.0/24 fd00:8::/64 via 192.168.0.19',
]

const sorted = (text: string) => text.split('\n').sort()

function orderMatters(t: {deepEqual: (a: unknown, b: unknown) => unknown}, texts: readonly string[]): void {
  for (const backend of ['auto', 'direct', 'vxlan'] as const) {
    const entries = [...nodes(...texts)]
    const all = (order: typeof entries) => {
      const result = desired(new Map(order), {backend, mode: 'ptp'})
      return [sorted(format(result)), sorted(formatProblems(result)), result.peers, result.ways]
    }
    const want = all(entries)
    fc.assert(
      fc.property(fc.shuffledSubarray(entries, {minLength: entries.length}), order => {
        t.deepEqual(all(order), want)
      }),
      {numRuns: 50},
    )
  }
}

test('the order of the nodes changes nothing, whatever the backend', t => orderMatters(t, CLUSTER))

test('nor does it where two nodes publish one MAC', t =>
  orderMatters(t, ['b 10.1.2.0/24 ends 10.9.9.12@02:00:00:00:00:01', 'c 10.1.3.0/24 ends 10.9.9.13@02:00:00:00:00:01']))

test('nor does it where clashes meet: of MACs, of ends, of first addresses over IPv6', t =>
  orderMatters(t, [
    ...CLUSTER,
    'j 10.4.1.0/24 ends 10.9.9.31@02:00:00:00:00:01',
    'k 10.4.2.0/24 ends 10.9.9.32@02:00:00:00:00:01',
    'l 10.4.3.0/24 ends 10.9.9.32@02:00:00:00:00:02',
    'm 10.5.0.0/16 ends fd00:9::33',
    'n 10.5.0.0/24 ends fd00:9::34@02:00:00:00:00:03',
    'o 10.4.4.0/24 ends fd00:9::35@02:00:00:00:00:03',
  ]))

test('of two objects of one age that publish one MAC, the one whose name is first has it', t => {
  const twins = [
    ...nodes('c 10.1.3.0/24 ends 10.9.9.13@02:00:00:00:00:01', 'b 10.1.2.0/24 ends 10.9.9.12@02:00:00:00:00:01'),
  ].map(([name, node]) => [name, {...node, createdAt: 7}] as const)
  for (const order of [twins, twins.toReversed()]) {
    const result = desired(new Map(order), {backend: 'vxlan', tunnels: '4'})
    t.deepEqual([...result.routes.keys()], ['10.1.2.0/24'])
    t.is(
      formatProblems(result),
      "unreachable: node c has no route, since the MAC of its tunnel, 02:00:00:00:00:01, is also another node's",
    )
  }
})

test('a range inside another node’s, with the same first address: each has a way of its own', t => {
  const {tunnels, routes} = desired(nodes('b 10.2.0.0/16 ends 10.9.9.12', 'c 10.2.0.0/24 ends 10.9.9.13'), {
    backend: 'vxlan',
    tunnels: '4',
  })
  const {neighbours, fdb} = tunnels.get(4 as IfIndex)!
  const remoteOf = (cidr: string) => {
    const {gateway} = routes.get(cidr)!.nextHops[0]!
    return `${fdb.get(neighbours.get(`${gateway}`)!.mac!)!.remote}`
  }
  t.deepEqual(['10.2.0.0/16', '10.2.0.0/24'].map(remoteOf), ['10.9.9.12', '10.9.9.13'])
})

test('a range around this node’s own, with the same first address: its gateway is not an address of ours', t => {
  const {tunnels, routes} = desired(nodes('a 10.2.0.0/24 via 192.168.0.11', 'b 10.2.0.0/16 ends 10.9.9.12'), {
    backend: 'vxlan',
    tunnels: '4',
  })
  const ours = tunnels.get(4 as IfIndex)!.addresses.map(({ip}) => `${ip}`)
  t.false(ours.includes(`${routes.get('10.2.0.0/16')?.nextHops[0]?.gateway}`))
})

test('over IPv6, too: the kernel takes no address of the device itself for a gateway', t => {
  const {tunnels, routes} = desired(nodes('a 10.2.0.0/24 via 192.168.0.11', 'b 10.2.0.0/16 ends fd00:9::12'), {
    backend: 'vxlan',
    tunnels: '6',
  })
  const ours = tunnels.get(6 as IfIndex)!.addresses.map(({ip}) => `${ip}`)
  t.false(ours.includes(`${routes.get('10.2.0.0/16')?.nextHops[0]?.gateway}`))
})

for (const range of ['0.0.0.0/0', '192.168.0.0/16', '192.168.0.0/28'])
  test(`this node's own range is ${range}: that does not cost the ways to the others`, t => {
    const result = desired(nodes(`a ${range} via 192.168.0.11`, 'b 10.1.2.0/24 via 192.168.0.12'), {
      backend: 'direct',
      mode: 'ptp',
      tunnels: '',
    })
    t.is(format(result), '10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048')
  })

test('an own range that is refused, or around the own address, sets no address on the tunnels', t => {
  const result = desired(nodes('a 0.0.0.0/0 10.8.0.0/16 10.7.0.0/16 via 10.8.0.11', 'b 10.8.2.0/24 ends 10.9.9.12'), {
    backend: 'vxlan',
    mode: 'ptp',
    links: ['2 eth0 10.8.0.11/32'],
    tunnels: '4',
  })
  t.is(
    format(result),
    'unreachable 10.7.0.0/16 proto 107 metric 2048\n' +
      '10.8.2.0/24 via 10.9.9.12 dev 4 onlink proto 107 metric 2048\n' +
      'addr 4 10.7.0.0/32\n' +
      'neigh 4 10.9.9.12 02:00:00:00:04:12\n' +
      'fdb 4 02:00:00:00:04:12 10.9.9.12',
  )
})

test('the ranges of this node that are served: none that no pods can have, and none around its address', t => {
  const [own] = nodes(
    'a 0.0.0.0/0 10.1.1.0/24 192.168.0.0/16 169.254.1.0/24 fd00:1::/64 fd00::/16 via 192.168.0.11 fd00::11',
  ).values()
  t.deepEqual(ownRanges(own!, own!.addresses).map(String), ['10.1.1.0/24', 'fd00:1::/64'])
})

test('property: whatever the cluster, every route through a tunnel has all that it needs there', t => {
  const host = fc.integer({min: 11, max: 14})
  const node = fc
    .record({
      ranges: fc.subarray(['10.1.X.0/24', 'fd00:X::/64', '10.X.0.0/16'], {minLength: 1}),
      addresses: fc.subarray(['192.168.0.X', '10.9.9.X', 'fd00::X'], {minLength: 1}),
      ends: fc.option(fc.subarray(['10.9.9.X', 'fd00:9::X'])),
      host,
      more: fc.constantFrom('', ' vni 2', ' network blue'),
    })
    .map(({ranges, addresses, ends, host, more}) =>
      `${ranges.join(' ')} via ${addresses.join(' ')}${ends ? ` ends ${ends.join(' ')}${more}` : ''}`.replaceAll(
        'X',
        `${host}`,
      ),
    )
  fc.assert(
    fc.property(
      fc.array(node, {maxLength: 5}),
      fc.constantFrom('auto', 'direct', 'vxlan'),
      fc.constantFrom('', '4', '6', '46'),
      (texts, backend, tunnels) => {
        const names = 'abcdef'
        const facts = nodes(...texts.map((text, i) => `${names[i]} ${text}`))
        const result = desired(facts, {backend, tunnels})
        for (const {destination, nextHops} of result.routes.values()) {
          const [{gateway, dev, onlink = false} = {}] = nextHops
          const entries = result.tunnels.get(dev!)
          if (!entries) continue
          t.is(onlink, destination.family === 4)
          const mac = entries.neighbours.get(`${gateway}`)?.mac
          t.truthy(mac && entries.fdb.get(mac)?.remote)
          t.is(`${entries.fdb.get(mac!)!.remote!.family}`, `${dev}`)
        }
        const known = [...result.tunnels.values()].flatMap(({neighbours, fdb}) => [neighbours.size, fdb.size])
        if (backend === 'direct')
          t.deepEqual(
            known,
            known.map(() => 0),
          )
      },
    ),
  )
})
