/** From what is wanted of the tunnels and what the kernel has to the changes, and what the kernel makes of them. */
import test from 'ava'
import fc from 'fast-check'
import type {NodeName} from '../../src/model/facts.ts'
import {parseIp} from '../../src/model/ip.ts'
import type {KernelState} from '../../src/model/kernel.ts'
import type {Address, FdbEntry, IfIndex, Mac, Neighbour, Route} from '../../src/model/net.ts'
import type {Change, OwnLinkSpec} from '../../src/model/plans.ts'
import {type Desired, desiredState} from '../../src/routes/desired.ts'
import {additions, diffState} from '../../src/routes/diff.ts'
import {readUnderlay} from '../../src/routes/underlay.ts'
import {byDestination, changeLine, entryLines, kernel, lines, macOf, network, nodes, route} from './support.ts'

const PROTOCOL = 107
const ETH0 = '2 eth0 192.168.0.11/24 fd00::11/64'
/** The tunnels' devices: over IPv4 and over IPv6. */
const DEVICES = ['4 ng-vx0 alias=netgraft:network_default', '6 ng-vx0-6 alias=netgraft:network_default']

const A = 'a 10.1.1.0/24 fd00:1::/64 via 192.168.0.11 fd00::11'
const B = 'b 10.1.2.0/24 via 10.9.9.12 ends 10.9.9.12'

/** What node a is to have of the others, over `devices` ("46": over both families). */
function desired(texts: readonly string[], devices = '4'): Desired {
  const facts = nodes(...texts)
  const own = facts.get('a' as NodeName)
  return desiredState(
    {nodes: facts, own, addressesOf: node => node.addresses},
    {
      network: network({backend: 'auto'}),
      underlay: readUnderlay(kernel([ETH0]), own?.addresses ?? [], own?.podCIDRs ?? []),
      devices: Object.fromEntries([...devices].map(family => [family, Number(family) as IfIndex])),
    },
  )
}

/** "10.1.2.0/24 via …", "addr 4 10.1.1.0/32", "neigh 4 …", "fdb 4 …": a kernel that has these, and its links. */
function standing(texts: readonly string[]): KernelState {
  const entries = texts.filter(text => /^(neigh|fdb) /.test(text))
  const addresses = texts.filter(text => text.startsWith('addr ')).map(text => text.split(' ').slice(1))
  const links = [ETH0, ...DEVICES].map(link => {
    const own = addresses.filter(([index]) => link.startsWith(`${index} `)).map(([, address]) => address)
    return [link, ...own].join(' ')
  })
  return kernel(links, texts.filter(text => /^[\da-f:.]+\//.test(text)).map(route), entries)
}

const changesOf = (want: Desired, have: KernelState) => diffState(want, have, PROTOCOL).changes

// ---- tables

interface Case {
  readonly name: string
  readonly nodes: readonly string[]
  readonly have: readonly string[]
  readonly changes: readonly string[]
}

const MAC_12 = macOf('10.9.9.12')
const OTHER = '02:00:00:00:00:99'
const WAY = '10.1.2.0/24 via 10.9.9.12 dev 4 onlink proto 107 metric 2048'
const READY = [WAY, `neigh 4 10.9.9.12 ${MAC_12}`, `fdb 4 ${MAC_12} 10.9.9.12`]
const OWN = ['addr 4 10.1.1.0/32', 'addr 4 fd00:1::/128']

const CASES: Case[] = [
  {name: 'everything is there', nodes: [A, B], have: [...READY, ...OWN], changes: []},
  {
    name: 'what makes a way comes before the route',
    nodes: [A, B],
    have: [],
    changes: [
      'add addr 4 10.1.1.0/32',
      'add addr 4 fd00:1::/128',
      `add fdb 4 ${MAC_12} 10.9.9.12`,
      `replace neigh 4 10.9.9.12 ${MAC_12}`,
      `add route ${WAY}`,
    ],
  },
  {
    name: 'what ends one comes after the route',
    nodes: [A],
    have: [...READY, ...OWN],
    changes: [`delete route ${WAY}`, `delete fdb 4 ${MAC_12} 10.9.9.12`, `delete neigh 4 10.9.9.12 ${MAC_12}`],
  },
  {
    name: 'a node that comes to the subnet: its route leaves the tunnel before the tunnel is cleared',
    nodes: [A, 'b 10.1.2.0/24 via 192.168.0.12 ends 10.9.9.12'],
    have: [...READY, ...OWN],
    changes: [
      'replace route 10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048',
      `delete fdb 4 ${MAC_12} 10.9.9.12`,
      `delete neigh 4 10.9.9.12 ${MAC_12}`,
    ],
  },
  {
    name: 'a node that leaves the subnet: the tunnel is ready before its route goes there',
    nodes: [A, B],
    have: ['10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048', ...OWN],
    changes: [`add fdb 4 ${MAC_12} 10.9.9.12`, `replace neigh 4 10.9.9.12 ${MAC_12}`, `replace route ${WAY}`],
  },
  {
    name: 'a node that moves: its MAC is freed before it leads elsewhere',
    nodes: [A, `b 10.1.2.0/24 ends 10.9.9.77@${MAC_12}`],
    have: [...READY, ...OWN],
    changes: [
      `delete fdb 4 ${MAC_12} 10.9.9.12`,
      `add fdb 4 ${MAC_12} 10.9.9.77`,
      `replace neigh 4 10.9.9.77 ${MAC_12}`,
      'replace route 10.1.2.0/24 via 10.9.9.77 dev 4 onlink proto 107 metric 2048',
      `delete neigh 4 10.9.9.12 ${MAC_12}`,
    ],
  },
  {
    name: 'a node with a new MAC: the old one goes when nobody needs it any more',
    nodes: [A, `b 10.1.2.0/24 ends 10.9.9.12@${OTHER}`],
    have: [...READY, ...OWN],
    changes: [`add fdb 4 ${OTHER} 10.9.9.12`, `replace neigh 4 10.9.9.12 ${OTHER}`, `delete fdb 4 ${MAC_12} 10.9.9.12`],
  },
  {
    name: 'IPv6 with a new MAC, which is another gateway',
    nodes: ['a', `b fd00:2::/64 ends 10.9.9.12@${OTHER}`],
    have: [
      'fd00:2::/64 via fe80::ff:fe00:412 dev 4 proto 107 metric 2048',
      `neigh 4 fe80::ff:fe00:412 ${MAC_12}`,
      `fdb 4 ${MAC_12} 10.9.9.12`,
    ],
    changes: [
      `add fdb 4 ${OTHER} 10.9.9.12`,
      `replace neigh 4 fe80::ff:fe00:99 ${OTHER}`,
      'replace route fd00:2::/64 via fe80::ff:fe00:99 dev 4 proto 107 metric 2048',
      `delete fdb 4 ${MAC_12} 10.9.9.12`,
      `delete neigh 4 fe80::ff:fe00:412 ${MAC_12}`,
    ],
  },
  {
    name: 'of several remotes of a MAC the right one is made anew: the kernel takes a MAC away whole',
    nodes: [A, B],
    have: [...READY, ...OWN, `fdb 4 ${MAC_12} 10.9.9.13`],
    changes: [`delete fdb 4 ${MAC_12} 10.9.9.12`, `delete fdb 4 ${MAC_12} 10.9.9.13`, `add fdb 4 ${MAC_12} 10.9.9.12`],
  },
  {
    name: 'of several wrong remotes none stays',
    nodes: [A, B],
    have: [WAY, `neigh 4 10.9.9.12 ${MAC_12}`, ...OWN, `fdb 4 ${MAC_12} 10.9.9.13`, `fdb 4 ${MAC_12} 10.9.9.14`],
    changes: [`delete fdb 4 ${MAC_12} 10.9.9.13`, `delete fdb 4 ${MAC_12} 10.9.9.14`, `add fdb 4 ${MAC_12} 10.9.9.12`],
  },
  {
    name: 'where packets without an entry would be flooded to, nothing leads',
    nodes: [A, B],
    have: [...READY, ...OWN, 'fdb 4 00:00:00:00:00:00 10.9.9.13', 'fdb 4 00:00:00:00:00:00 10.9.9.14'],
    changes: ['delete fdb 4 00:00:00:00:00:00 10.9.9.13', 'delete fdb 4 00:00:00:00:00:00 10.9.9.14'],
  },
  {
    name: 'an entry that would age, or leads to another port, is made anew',
    nodes: [A, B, 'c 10.1.3.0/24 ends 10.9.9.13'],
    have: [
      ...OWN,
      WAY,
      `neigh 4 10.9.9.12 ${MAC_12}`,
      `fdb 4 ${MAC_12} 10.9.9.12 state 2`,
      '10.1.3.0/24 via 10.9.9.13 dev 4 onlink proto 107 metric 2048',
      'neigh 4 10.9.9.13 02:00:00:00:04:13',
      'fdb 4 02:00:00:00:04:13 10.9.9.13 port 4789',
    ],
    changes: [
      `delete fdb 4 ${MAC_12} 10.9.9.12 state 2`,
      `add fdb 4 ${MAC_12} 10.9.9.12`,
      'delete fdb 4 02:00:00:00:04:13 10.9.9.13 port 4789',
      'add fdb 4 02:00:00:00:04:13 10.9.9.13',
    ],
  },
  {
    name: 'a neighbour that would age, has another MAC or none is put right',
    nodes: [A, B, 'c 10.1.3.0/24 ends 10.9.9.13', 'd 10.1.4.0/24 ends 10.9.9.14'],
    have: [
      ...OWN,
      ...READY.slice(0, 1),
      `neigh 4 10.9.9.12 ${MAC_12} state 4`,
      `fdb 4 ${MAC_12} 10.9.9.12`,
      '10.1.3.0/24 via 10.9.9.13 dev 4 onlink proto 107 metric 2048',
      `neigh 4 10.9.9.13 ${OTHER}`,
      'fdb 4 02:00:00:00:04:13 10.9.9.13',
      '10.1.4.0/24 via 10.9.9.14 dev 4 onlink proto 107 metric 2048',
      'neigh 4 10.9.9.14  state 32',
      'fdb 4 02:00:00:00:04:14 10.9.9.14',
    ],
    changes: [
      `replace neigh 4 10.9.9.12 ${MAC_12}`,
      'replace neigh 4 10.9.9.13 02:00:00:00:04:13',
      'replace neigh 4 10.9.9.14 02:00:00:00:04:14',
    ],
  },
  {
    name: 'neighbours that the kernel made come and go by themselves; permanent ones of anybody go',
    nodes: [A, B],
    have: [
      ...READY,
      ...OWN,
      `neigh 4 10.7.7.7 ${OTHER} state 4`,
      'neigh 4 10.7.7.8  state 32',
      'neigh 4 ff02::16 33:33:00:00:00:16 state 64',
      `neigh 4 10.7.7.9 ${OTHER}`,
    ],
    changes: [`delete neigh 4 10.7.7.9 ${OTHER}`],
  },
  {
    name: 'addresses: an old one goes when the new one is there; those of the link stay',
    nodes: [A],
    have: ['addr 4 10.7.1.0/32', 'addr 4 10.1.1.0/24', 'addr 4 fd00:7::/128', 'addr 4 fe80::1/64'],
    changes: [
      'add addr 4 10.1.1.0/32',
      'add addr 4 fd00:1::/128',
      'delete addr 4 10.7.1.0/32',
      'delete addr 4 10.1.1.0/24',
      'delete addr 4 fd00:7::/128',
    ],
  },
  {
    name: 'an address of a family that has no new one stays: with the last one all routes of the device would go',
    nodes: ['a 10.1.1.0/24 via 192.168.0.11'],
    have: ['addr 4 10.1.1.0/32', 'addr 4 fd00:7::/128'],
    changes: [],
  },
  {
    name: 'what is on devices that are no tunnels of ours is nobody’s business',
    nodes: [A],
    have: [...OWN, `neigh 9 10.1.9.0 ${OTHER}`, `fdb 9 ${OTHER} 10.9.9.9`, `neigh 2 192.168.0.12 ${OTHER}`],
    changes: [],
  },
]

for (const {name, nodes: texts, have, changes} of CASES)
  test(name, t => {
    t.deepEqual(changesOf(desired(texts), standing(have)).map(changeLine), changes)
  })

test('nodes that move from one family to the other: both tunnels first, then the routes, then what is left', t => {
  const before = desired(['b 10.1.2.0/24 fd00:2::/64 ends 10.9.9.12'], '46')
  const after = desired(['b 10.1.2.0/24 fd00:2::/64 ends fd00:9::12'], '46')
  const model = new ModelKernel(standing([]))
  model.carryOut(changesOf(before, model.state))
  t.deepEqual(changesOf(after, model.state).map(changeLine), [
    'add fdb 6 02:00:00:00:06:12 fd00:9::12',
    'replace neigh 6 10.1.2.0 02:00:00:00:06:12',
    'replace neigh 6 fe80::ff:fe00:612 02:00:00:00:06:12',
    'replace route 10.1.2.0/24 via 10.1.2.0 dev 6 onlink proto 107 metric 2048',
    'replace route fd00:2::/64 via fe80::ff:fe00:612 dev 6 proto 107 metric 2048',
    `delete fdb 4 ${MAC_12} 10.9.9.12`,
    `delete neigh 4 10.9.9.12 ${MAC_12}`,
    `delete neigh 4 fe80::ff:fe00:412 ${MAC_12}`,
  ])
})

// ---- what only adds

test('additions: what is missing, and nothing that stands is changed or removed', t => {
  const want = desired([A, B, 'c 10.1.3.0/24 ends 10.9.9.13', 'd 10.1.4.0/24 via 192.168.0.14'])
  const have = standing([
    ...READY,
    `neigh 4 10.9.9.13 ${OTHER}`,
    `fdb 4 ${OTHER} 10.9.9.9`,
    '10.1.4.0/24 via 192.168.0.99 dev 2 proto 107 metric 2048',
    '10.1.9.0/24 via 192.168.0.99 dev 2 proto 107 metric 2048',
    'addr 4 10.7.1.0/32',
  ])
  t.deepEqual(additions(changesOf(want, have), have).map(changeLine), [
    'add addr 4 10.1.1.0/32',
    'add addr 4 fd00:1::/128',
    'add fdb 4 02:00:00:00:04:13 10.9.9.13',
    'add route 10.1.3.0/24 via 10.9.9.13 dev 4 onlink proto 107 metric 2048',
  ])
})

test('additions: a MAC that leads elsewhere is not added a second time', t => {
  const want = desired([A, `b 10.1.2.0/24 ends 10.9.9.77@${MAC_12}`])
  const have = standing([...READY, ...OWN])
  // Its new gateway is nobody's yet; the route still takes the old one.
  t.deepEqual(additions(changesOf(want, have), have).map(changeLine), [`replace neigh 4 10.9.9.77 ${MAC_12}`])
})

test('additions: a link only where none has its name, whosever that is', t => {
  const item = (name: string): OwnLinkSpec => ({
    name,
    alias: 'netgraft:network default',
    group: 28263,
    kind: {type: 'vxlan', vni: 1, port: 8472, local: parseIp('192.168.0.11')},
  })
  const have = kernel(['2 eth0', '4 ng-vx0 vxlan=2,8472,192.168.0.11 alias=netgraft:network_default', '5 mine'])
  const [two, four] = [have.links.get(2 as IfIndex)!, have.links.get(4 as IfIndex)!]
  const changes: Change[] = [
    {object: 'link', op: 'delete', item: four},
    {object: 'link', op: 'add', item: item('ng-vx0')},
    {object: 'link', op: 'add', item: item('mine')},
    {object: 'link', op: 'add', item: item('ng-vx0-6')},
    {object: 'link', op: 'set', item: two, to: {mtu: 1400}},
  ]
  t.deepEqual(additions(changes, have).map(changeLine), ['add link ng-vx0-6'])
})

test('an IPv6 address of another length makes room for the right one', t => {
  // To the kernel it is the same address: it refuses the second one (EEXIST), whatever the length.
  const want = desired(['a fd00:1::/64 via 192.168.0.11'])
  const model = new ModelKernel(standing(['addr 4 fd00:1::/64']))
  model.carryOut(changesOf(want, model.state))
  t.deepEqual(changesOf(want, model.state).map(changeLine), [])
})

test('an IPv6 address of another length goes first, and once; IPv4 has both side by side', t => {
  const want = desired(['a 10.1.1.0/24 fd00:1::/64 via 192.168.0.11'])
  const have = standing(['addr 4 fd00:1::/64', 'addr 4 10.1.1.0/24'])
  t.deepEqual(changesOf(want, have).map(changeLine), [
    'add addr 4 10.1.1.0/32',
    'delete addr 4 fd00:1::/64',
    'add addr 4 fd00:1::/128',
    'delete addr 4 10.1.1.0/24',
  ])
})

// ---- a kernel

/**
 * What Linux does with the changes, as test/netlink/kernel-writer.test.ts sees it do so. An FDB has one entry for a MAC,
 * with one or several remotes.
 */
class ModelKernel {
  readonly refusals: string[] = []
  #routes: readonly Route[]
  #addresses: readonly Address[]
  #neighbours: readonly Neighbour[]
  #fdb: readonly FdbEntry[]
  readonly #links: KernelState['links']

  constructor(state: KernelState) {
    this.#links = state.links
    this.#routes = [...state.routes.values()].flat()
    this.#addresses = [...state.addresses.values()].flat()
    this.#neighbours = [...state.neighbours.values()].flatMap(each => [...each.values()])
    this.#fdb = [...state.fdb.values()].flatMap(each => [...each.values()].flat())
  }

  get state(): KernelState {
    const addresses = new Map<IfIndex, Address[]>()
    for (const each of this.#addresses) addresses.set(each.index, [...(addresses.get(each.index) ?? []), each])
    const neighbours = new Map<IfIndex, Map<string, Neighbour>>()
    for (const each of this.#neighbours)
      neighbours.set(each.index, (neighbours.get(each.index) ?? new Map()).set(`${each.ip}`, each))
    const fdb = new Map<IfIndex, Map<Mac, readonly FdbEntry[]>>()
    for (const each of this.#fdb) {
      const macs = fdb.get(each.index) ?? new Map<Mac, readonly FdbEntry[]>()
      fdb.set(each.index, macs.set(each.mac, [...(macs.get(each.mac) ?? []), each]))
    }
    return {links: this.#links, routes: byDestination(this.#routes), addresses, neighbours, fdb}
  }

  /** One after the other. A refusal ends nothing. `each` is called after every one. */
  carryOut(changes: readonly Change[], each: (change: Change) => void = () => {}): void {
    for (const change of changes) {
      const refusal = this.#apply(change)
      if (refusal) this.refusals.push(`${changeLine(change)}: ${refusal}`)
      each(change)
    }
  }

  #apply(change: Change): string | undefined {
    switch (change.object) {
      case 'route':
        return this.#route(change.op, change.item)
      case 'address':
        return this.#address(change.op, change.item)
      case 'neighbour': {
        const others = this.#neighbours.filter(
          ({index, ip}) => index !== change.item.index || `${ip}` !== `${change.item.ip}`,
        )
        const known = others.length < this.#neighbours.length
        this.#neighbours = change.op === 'delete' ? others : [...others, change.item]
        return change.op === 'delete' && !known ? 'ENOENT' : undefined
      }
      case 'fdb':
        return this.#fdbEntry(change.op, change.item)
      case 'link':
        return 'EOPNOTSUPP'
    }
  }

  #route(op: 'add' | 'replace' | 'delete', item: Route): string | undefined {
    const same = (other: Route) => `${other.destination}` === `${item.destination}` && other.metric === item.metric
    const exact = (other: Route) => lines([other]) === lines([item])
    if (op === 'add' && this.#routes.some(same)) return 'EEXIST'
    if (op === 'delete' && !this.#routes.some(exact)) return 'ESRCH'
    const replaced = this.#routes.find(op === 'delete' ? exact : same)
    this.#routes = [...this.#routes.filter(other => other !== replaced), ...(op === 'delete' ? [] : [item])]
    return undefined
  }

  /** IPv6 has an address of a device once, of whatever length. */
  #address(op: 'add' | 'delete', item: Address): string | undefined {
    const here = (other: Address) => other.index === item.index && `${other.ip}` === `${item.ip}`
    const exact = (other: Address) => here(other) && other.length === item.length
    if (op === 'delete' && !this.#addresses.some(exact)) return 'EADDRNOTAVAIL'
    // The writer takes an address that stands for a success.
    if (op === 'add' && this.#addresses.some(item.ip.family === 6 ? here : exact)) return undefined
    this.#addresses = op === 'add' ? [...this.#addresses, item] : this.#addresses.filter(other => !exact(other))
    return undefined
  }

  /**
   * To take a remote away that an entry does not have is a success. Only a group's MAC, or the zero one, may have several;
   * any other's deletion names none: the MAC goes whole.
   */
  #fdbEntry(op: 'add' | 'delete', item: FdbEntry): string | undefined {
    const mine = (other: FdbEntry) => other.index === item.index && other.mac === item.mac
    const exact = (other: FdbEntry) =>
      mine(other) &&
      (!isGroup(item.mac) || !item.remote || (`${other.remote}` === `${item.remote}` && other.port === item.port))
    if (op === 'add' && this.#fdb.some(mine)) return 'EEXIST'
    if (op === 'delete' && !this.#fdb.some(mine)) return 'ENOENT'
    this.#fdb = op === 'add' ? [...this.#fdb, item] : this.#fdb.filter(other => !exact(other))
    return undefined
  }
}

const isGroup = (mac: string): boolean =>
  mac === '00:00:00:00:00:00' || (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1

/** Everything that is wanted, or that a kernel has of it: a line each, sorted. */
const wantedLines = ({routes, tunnels}: Desired): string[] =>
  [
    ...[...routes.values()].map(each => lines([each])),
    ...[...tunnels.values()].flatMap(({addresses, neighbours, fdb}) => [
      ...addresses.map(entryLines.address),
      ...[...neighbours.values()].map(entryLines.neighbour),
      ...[...fdb.values()].map(entryLines.fdb),
    ]),
  ].sort()

const stateLines = ({routes, addresses, neighbours, fdb}: KernelState, of: (index: IfIndex) => boolean): string[] =>
  [
    ...[...routes.values()].flat().map(each => lines([each])),
    ...[...addresses.values()]
      .flat()
      .filter(({index}) => of(index))
      .map(entryLines.address),
    ...[...neighbours.values()]
      .flatMap(each => [...each.values()])
      .filter(({index}) => of(index))
      .map(entryLines.neighbour),
    ...[...fdb.values()]
      .flatMap(each => [...each.values()].flat())
      .filter(({index}) => of(index))
      .map(entryLines.fdb),
  ].sort()

const isTunnel = (index: IfIndex) => index === 4 || index === 6

/** Nodes that change their ends, MACs and subnets, without two of them in each other's way. */
const cluster = fc
  .tuple(
    fc.option(fc.constantFrom('10.1.1.0/24', '10.1.7.0/24', 'fd00:1::/64', '10.1.1.0/24 fd00:1::/64')),
    fc.array(
      fc.record({
        ranges: fc.subarray(['10.1.X.0/24', 'fd00:X::/64'], {minLength: 1}),
        address: fc.constantFrom('192.168.0.X', '10.9.9.X', '192.168.0.X fd00::X'),
        ends: fc.option(fc.subarray(['10.9.9.X', '10.9.8.X', 'fd00:9::X', 'fd00:8::X'], {minLength: 1, maxLength: 1})),
        mac: fc.constantFrom('', '@02:00:00:00:aa:X', '@02:00:00:00:bb:X'),
      }),
      {maxLength: 4},
    ),
  )
  .map(([own, peers]) => [
    ...(own ? [`a ${own} via 192.168.0.11`] : []),
    ...peers.map(({ranges, address, ends, mac}, i) =>
      `${'bcdefg'[i]} ${ranges.join(' ')} via ${address}${ends ? ` ends ${ends.map(end => end + mac).join(' ')}` : ''}`.replaceAll(
        'X',
        `${21 + i}`,
      ),
    ),
  ])

const tunnels = fc.constantFrom('4', '6', '46')

/** What others, or an earlier process, may have left on the tunnels and among the routes. */
const mess = fc.uniqueArray(
  fc.oneof(
    fc
      .tuple(
        fc.constantFrom('4', '6'),
        fc.constantFrom('00:00:00:00:00:00', '01:00:5e:00:00:01', '02:00:00:00:aa:21', '02:00:00:00:04:22', OTHER),
        fc.constantFrom('10.9.9.21', '10.9.8.22', '10.9.9.99', 'fd00:9::21'),
        fc.constantFrom('', ' state 2', ' port 9'),
      )
      .map(([dev, mac, remote, more]) => `fdb ${dev} ${mac} ${remote}${more}`),
    fc
      .tuple(
        fc.constantFrom('4', '6'),
        fc.constantFrom('10.1.21.0', '10.1.22.0', '10.9.9.21', '10.9.8.22', 'fe80::ff:fe00:421', '10.7.7.7'),
        fc.constantFrom('02:00:00:00:aa:21', '02:00:00:00:04:22', OTHER),
        fc.constantFrom('', ' state 4', ' state 64'),
      )
      .map(([dev, ip, mac, state]) => `neigh ${dev} ${ip} ${mac}${state}`),
    fc
      .tuple(
        fc.constantFrom('4', '6'),
        fc.constantFrom(
          '10.1.1.0/32',
          '10.1.7.0/32',
          '10.1.1.0/24',
          'fd00:1::/128',
          'fd00:1::/64',
          'fd00:7::/128',
          'fe80::7/64',
        ),
      )
      .map(([dev, address]) => `addr ${dev} ${address}`),
    fc
      .tuple(
        fc.constantFrom('10.1.21.0/24', '10.1.22.0/24', 'fd00:21::/64', '10.1.99.0/24'),
        fc.constantFrom('dev 4', 'dev 2'),
        fc.constantFrom('proto 107', 'proto 107', 'proto 4'),
        fc.constantFrom('metric 2048', 'metric 2048', 'metric 9000', 'metric 0'),
      )
      .map(words => words.join(' ')),
  ),
  {maxLength: 10, selector: text => keyOf(text)},
)

/**
 * The kernel has one of these: of an address of a device (IPv6: of whatever length), of a MAC (of a group: of a remote),
 * of a destination and a metric.
 */
const keyOf = (text: string) => {
  const words = text.split(' ')
  if (words[0] === 'addr') return text.includes(':') ? text.replace(/\/.*/, '') : text
  return words[0] === 'fdb'
    ? words.slice(0, isGroup(words[2]!) ? 4 : 3).join(' ')
    : words[0] === 'neigh'
      ? words.slice(0, 3).join(' ')
      : `${words[0]} ${words.at(-1)}`
}

test('property: carried out, the changes lead to what is wanted; a second look finds nothing to do', t => {
  fc.assert(
    fc.property(cluster, cluster, tunnels, tunnels, mess, (before, now, devicesBefore, devices, left) => {
      const model = new ModelKernel(standing(left))
      const foreign = stateLines(model.state, () => false).filter(line => !line.includes('proto 107'))
      model.carryOut(changesOf(desired(before, devicesBefore), model.state))
      t.deepEqual(model.refusals, [])
      const want = desired(now, devices)
      const {changes, conflicts} = diffState(want, model.state, PROTOCOL)
      model.carryOut(changes)
      t.deepEqual(model.refusals, [])
      t.deepEqual(changesOf(want, model.state).map(changeLine), [])
      const blocked = [...conflicts.values()]
        .flat()
        .filter(each => each.blocks)
        .map(each => lines([each.wanted]))
      const stands = stateLines(model.state, isTunnel)
      t.deepEqual(
        wantedLines(want).filter(line => !blocked.includes(line) && !stands.includes(line)),
        [],
      )
      // Nothing else of ours stands, but for what nothing wanted has a say in.
      const rest = stands.filter(line => !wantedLines(want).includes(line))
      for (const line of rest) t.regex(line, /^addr . |^neigh .* state |^(fdb|neigh) [46] |proto 4 /)
      for (const index of want.tunnels.keys())
        t.deepEqual(
          rest.filter(line => new RegExp(`^(fdb ${index} |neigh ${index} \\S+ \\S+$)`).test(line)),
          [],
        )
      t.deepEqual(
        stateLines(model.state, () => false).filter(line => !line.includes('proto 107')),
        foreign,
      )
    }),
    {numRuns: 500},
  )
})

/** Whether packets to the prefix find their way: over a device that is no tunnel, or with all that a tunnel needs. */
function hasWay({routes, neighbours, fdb}: KernelState, destination: string): boolean {
  return (routes.get(destination) ?? []).some(({protocol, nextHops: [hop]}) => {
    if (protocol !== PROTOCOL || !hop) return false
    if (!isTunnel(hop.dev!)) return true
    const mac = neighbours.get(hop.dev!)?.get(`${hop.gateway}`)?.mac
    return mac !== undefined && (fdb.get(hop.dev!)?.get(mac) ?? []).length > 0
  })
}

test('property: a prefix that had a way and keeps one is never without; but for a MAC that leads elsewhere', t => {
  fc.assert(
    fc.property(cluster, cluster, tunnels, tunnels, (before, now, devicesBefore, devices) => {
      const model = new ModelKernel(standing([]))
      model.carryOut(changesOf(desired(before, devicesBefore), model.state))
      const want = desired(now, devices)
      const changes = changesOf(want, model.state)
      const moved = changes.some(
        ({object, op, item}) => object === 'fdb' && op === 'delete' && want.tunnels.get(item.index)?.fdb.has(item.mac),
      )
      const kept = [...want.routes.keys()].filter(destination => hasWay(model.state, destination))
      model.carryOut(changes, change => {
        if (!moved)
          for (const destination of kept)
            t.true(hasWay(model.state, destination), `${destination} after ${changeLine(change)}`)
      })
      for (const destination of want.routes.keys()) t.true(hasWay(model.state, destination))
    }),
    {numRuns: 500},
  )
})

test('property: additions take nothing away', t => {
  fc.assert(
    fc.property(cluster, cluster, tunnels, mess, (before, now, devices, left) => {
      const model = new ModelKernel(standing(left))
      model.carryOut(changesOf(desired(before, devices), model.state))
      const had = stateLines(model.state, () => true)
      const want = desired(now, devices)
      const changes = additions(changesOf(want, model.state), model.state)
      t.deepEqual(
        [...new Set(changes.map(({op}) => op))].filter(op => op !== 'add' && op !== 'replace'),
        [],
      )
      model.carryOut(changes)
      const has = stateLines(model.state, () => true)
      t.deepEqual(
        had.filter(line => !has.includes(line)),
        [],
      )
    }),
    {numRuns: 500},
  )
})
