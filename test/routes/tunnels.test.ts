/** The tunnel devices: which there should be, what is done to have them, what is published of them. */
import test from 'ava'
import fc from 'fast-check'
import type {NetworkName} from '../../src/model/config-network.ts'
import type {NodeName} from '../../src/model/facts.ts'
import type {KernelState} from '../../src/model/kernel.ts'
import type {IfIndex, Link, Mac} from '../../src/model/net.ts'
import {isOwnLink, type LinkChange} from '../../src/model/plans.ts'
import {formatVtep} from '../../src/model/vtep.ts'
import type {RouteNetwork} from '../../src/routes/network.ts'
import {
  diffTunnels,
  indexesOf,
  standingTunnels,
  type TunnelSpec,
  tunnelMac,
  vtepOf,
  wantedTunnels,
} from '../../src/routes/tunnels.ts'
import {readUnderlay} from '../../src/routes/underlay.ts'
import {changeLine, kernel, network, nodes, route} from './support.ts'

const VXLAN = network({backend: 'vxlan'})
/** Of the tunnels of node a in the network "default". */
const MAC = {4: tunnelMac(VXLAN, 4, {name: 'a' as NodeName}), 6: tunnelMac(VXLAN, 6, {name: 'a' as NodeName})}

const A = 'a via 192.168.0.11 fd00::11'
const ETH0 = '2 eth0 192.168.0.11/24 fd00::11/64'
/** The devices as they should be, on {@link ETH0}. */
const MARKS = 'group=28263 alias=netgraft:network_default'
const VX0 = `4 ng-vx0 vxlan=1,8472,192.168.0.11 mtu=1450 mac=${MAC[4]} ${MARKS}`
const VX6 = `6 ng-vx0-6 vxlan=1,8472,fd00::11 mtu=1430 mac=${MAC[6]} ${MARKS}`

const want = (of: RouteNetwork, node: string | undefined, state: KernelState) => {
  const own = node === undefined ? undefined : [...nodes(node).values()][0]
  const addresses = own?.addresses ?? []
  return wantedTunnels(of, own, addresses, state, readUnderlay(state, addresses, []).local)
}

const specLine = ({name, mtu, kind}: TunnelSpec) =>
  `${name} vni ${kind.vni} port ${kind.port} local ${kind.local} mtu ${mtu}`

// ---- which there should be

interface Wanted {
  readonly name: string
  readonly network?: Partial<RouteNetwork>
  readonly node?: string
  readonly links: readonly string[]
  readonly routes?: readonly string[]
  readonly want: string | undefined
}

const V4 = 'ng-vx0 vni 1 port 8472 local 192.168.0.11'
const V6 = 'ng-vx0-6 vni 1 port 8472 local fd00::11'

const WANTED: Wanted[] = [
  {name: 'one for each family of the node', node: A, links: [ETH0], want: `${V4} mtu 1450\n${V6} mtu 1430`},
  {
    name: 'with backend auto, too',
    network: {backend: 'auto'},
    node: A,
    links: [ETH0],
    want: `${V4} mtu 1450\n${V6} mtu 1430`,
  },
  {name: 'none for backend direct', network: {backend: 'direct'}, node: A, links: [ETH0], want: ''},
  {name: 'none for backend direct, whoever this is', network: {backend: 'direct'}, links: [ETH0, VX0], want: ''},
  {name: 'this node is not known: nothing is known', links: [ETH0, VX0], want: undefined},
  {name: 'a node without an address: nothing is known', node: 'a', links: [ETH0, VX0], want: undefined},
  {name: 'IPv4 alone', node: 'a via 192.168.0.11', links: [ETH0], want: `${V4} mtu 1450`},
  {name: 'IPv6 alone', node: 'a via fd00::11', links: [ETH0], want: `${V6} mtu 1430`},
  {
    name: 'as the network says',
    network: {vxlan: {vni: 16777215, port: 4789, device: 'blue'}},
    node: A,
    links: [ETH0],
    want:
      'blue vni 16777215 port 4789 local 192.168.0.11 mtu 1450\n' +
      'blue-6 vni 16777215 port 4789 local fd00::11 mtu 1430',
  },
  {name: 'an address that is not on this machine', node: 'a via 192.168.0.99', links: [ETH0], want: ''},
  {
    name: 'of several addresses the first that is on this machine',
    node: 'a via 10.0.0.1 192.168.0.11 192.168.0.12',
    links: ['2 eth0 192.168.0.12/24 192.168.0.11/24'],
    want: `${V4} mtu 1450`,
  },
  {
    name: 'of several addresses the one that its device has, as long as both the node and this machine do',
    node: 'a via 192.168.0.12 192.168.0.11 fd00::12 fd00::11',
    links: ['2 eth0 192.168.0.12/24 192.168.0.11/24 fd00::12/64 fd00::11/64', VX0, VX6],
    want: `${V4} mtu 1450\n${V6} mtu 1430`,
  },
  {
    name: 'nor one that only this machine has',
    node: 'a via 192.168.0.12',
    links: ['2 eth0 192.168.0.12/24 192.168.0.11/24', VX0],
    want: 'ng-vx0 vni 1 port 8472 local 192.168.0.12 mtu 1450',
  },
  {
    name: 'an IPv6 link-local address is no end',
    node: 'a via fe80::11 febf::11 fd00::11',
    links: ['2 eth0 fe80::11/64 febf::11/64 fd00::11/64'],
    want: `${V6} mtu 1430`,
  },
  {name: 'an IPv6 link-local address alone', node: 'a via fe80::11', links: ['2 eth0 fe80::11/64'], want: ''},
  {
    name: 'an address that is gone for a moment keeps its device, and that its MTU',
    node: A,
    links: ['2 eth0', VX0.replace('mtu=1450', 'mtu=1400'), VX6],
    want: `${V4} mtu 1400\n${V6} mtu 1430`,
  },
  {
    name: 'an address that the node does not have any more does not',
    node: 'a via 192.168.0.12',
    links: ['2 eth0', VX0],
    want: '',
  },
  {
    name: 'an address that has come takes the place of one that is gone',
    node: 'a via 192.168.0.11 10.0.0.11',
    links: ['2 eth0', '3 eth1 10.0.0.11/24', VX0],
    want: 'ng-vx0 vni 1 port 8472 local 10.0.0.11 mtu 1450',
  },
  {name: 'a configured MTU', network: {mtu: 9000}, node: A, links: [ETH0], want: `${V4} mtu 9000\n${V6} mtu 9000`},
  {
    name: 'the MTU of the interface that has the address',
    node: A,
    links: ['2 eth0 192.168.0.11/24 mtu=9001', '3 eth1 fd00::11/64 mtu=1400'],
    want: `${V4} mtu 8951\n${V6} mtu 1330`,
  },
  {name: 'never less than IPv4 allows', node: A, links: [`${ETH0} mtu=100`], want: `${V4} mtu 68\n${V6} mtu 68`},
  {
    name: 'an address on loopback: the MTU of what the default route leads to',
    node: A,
    links: ['1 lo 192.168.0.11/32 fd00::11/128 lo mtu=65536', '2 eth0 mtu=1500', '3 eth1 mtu=1400'],
    routes: ['0.0.0.0/0 via 10.0.0.1 dev 2 proto 3 metric 0', '::/0 via fe80::1 dev 3 proto 9 metric 1024'],
    want: `${V4} mtu 1450\n${V6} mtu 1330`,
  },
  {
    name: 'an address on loopback without a default route: no MTU of ours',
    node: 'a via 192.168.0.11',
    links: ['1 lo 192.168.0.11/32 lo mtu=65536', '2 eth0'],
    want: `${V4} mtu undefined`,
  },
]

for (const {name, network: changed, node, links, routes = [], want: expected} of WANTED)
  test(`wanted: ${name}`, t => {
    const specs = want(network({backend: 'vxlan', ...changed}), node, kernel(links, routes.map(route)))
    t.is(specs?.map(specLine).join('\n'), expected)
  })

test('a wanted device bears our marks, is up and does not learn', t => {
  const [four, six] = want(VXLAN, A, kernel([ETH0]))!
  for (const [spec, family] of [
    [four!, 4],
    [six!, 6],
  ] as const) {
    t.like(spec, {alias: 'netgraft:network default', group: 28263, mac: MAC[family], up: true})
    t.is(spec.kind.learning, false)
    t.false('remote' in spec.kind || 'dev' in spec.kind)
  }
})

// ---- its MAC

test('a MAC is the same for ever', t => {
  t.is(MAC[4], tunnelMac({name: 'default' as NetworkName}, 4, {name: 'a' as NodeName}))
  t.deepEqual(MAC, {4: 'fe:13:d4:48:ff:f4', 6: 'b2:5b:53:89:76:6a'} as never)
})

test('property: a MAC is of one device, locally administered, and differs by node, network and family', t => {
  const name = fc.string({minLength: 1}) as fc.Arbitrary<string & NodeName & NetworkName>
  fc.assert(
    fc.property(name, name, name, name, (node, other, of, second) => {
      const all = [node, other].flatMap(each =>
        [of, second].flatMap(net => ([4, 6] as const).map(family => tunnelMac({name: net}, family, {name: each}))),
      )
      for (const mac of all) t.regex(mac, /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/)
      t.is(new Set(all).size, 2 * (node === other ? 1 : 2) * (of === second ? 1 : 2))
    }),
  )
})

test('5,000 nodes, two networks, both families: no MAC twice', t => {
  const macs = new Set<Mac>()
  for (let i = 0; i < 5000; i++)
    for (const name of ['default', 'blue'] as NetworkName[])
      for (const family of [4, 6] as const) macs.add(tunnelMac({name}, family, {name: `node-${i}` as NodeName}))
  t.is(macs.size, 20_000)
})

// ---- what is done to have them

interface Diffed {
  readonly name: string
  readonly links: readonly string[]
  readonly node?: string | undefined
  readonly network?: Partial<RouteNetwork>
  readonly changes: readonly string[]
  readonly problems?: string
}

const NO_ALIAS = VX0.replace(/ alias=.*/, '')

const DIFFED: Diffed[] = [
  {name: 'everything is there', links: [ETH0, VX0, VX6], changes: []},
  {name: 'nothing is there', links: [ETH0], changes: ['add link ng-vx0', 'add link ng-vx0-6']},
  {
    name: 'one of another identifier, port or address is made anew',
    links: [ETH0, VX0.replace('=1,', '=2,'), VX6.replace('8472', '4789')],
    changes: ['delete link ng-vx0', 'add link ng-vx0', 'delete link ng-vx0-6', 'add link ng-vx0-6'],
  },
  {
    name: 'one of another address, or of none',
    links: [ETH0, VX0.replace('0.11 ', '0.12 '), VX6.replace('fd00::11', '')],
    changes: ['delete link ng-vx0', 'add link ng-vx0', 'delete link ng-vx0-6', 'add link ng-vx0-6'],
  },
  {
    name: 'one that learns, or is bound to a device',
    links: [ETH0, VX0.replace('0.11 ', '0.11,learning '), VX6.replace('::11', '::11,dev')],
    changes: ['delete link ng-vx0', 'add link ng-vx0', 'delete link ng-vx0-6', 'add link ng-vx0-6'],
  },
  {
    name: 'one that floods somewhere',
    links: [ETH0, VX0.replace('0.11 ', '0.11,remote '), VX6],
    changes: ['delete link ng-vx0', 'add link ng-vx0'],
  },
  {
    name: 'a link of ours that is no tunnel at all',
    links: [ETH0, `4 ng-vx0 ${MARKS}`, VX6],
    changes: ['delete link ng-vx0', 'add link ng-vx0'],
  },
  {
    name: 'whatever drifted is put right in place, all at once',
    links: [
      ETH0,
      '4 ng-vx0 vxlan=1,8472,192.168.0.11 mtu=1500 mac=02:00:00:00:00:99 alias=netgraft:network_old group=5 down',
      VX6,
    ],
    changes: [`set link ng-vx0 mtu=1450 mac=${MAC[4]} alias=netgraft:network default group=28263 up=true`],
  },
  ...(
    [
      ['MTU', 'mtu=1450', 'mtu=1449', 'mtu=1450'],
      ['MAC', `mac=${MAC[4]}`, 'mac=02:00:00:00:00:99', `mac=${MAC[4]}`],
      ['group', 'group=28263', 'group=0', 'group=28263'],
      ['being up', 'mtu', 'down mtu', 'up=true'],
    ] as const
  ).map(
    ([name, from, to, change]): Diffed => ({
      name: `its ${name} alone`,
      links: [ETH0, VX0.replace(from, to), VX6],
      changes: [`set link ng-vx0 ${change}`],
    }),
  ),
  {
    name: 'one that lost its alias is known by its group',
    links: [ETH0, NO_ALIAS, VX6],
    changes: ['set link ng-vx0 alias=netgraft:network default'],
  },
  {
    name: 'a link of that name that is not ours is told of, and left alone',
    links: [ETH0, '4 ng-vx0 vxlan=1,8472,192.168.0.11', '6 ng-vx0-6 group=28263 alias=somebody'],
    changes: [],
    problems:
      'device: a link named ng-vx0 stands here that is not ours; rename it, or choose another name for vxlan.device\n' +
      'device: a link named ng-vx0-6 stands here that is not ours; rename it, or choose another name for vxlan.device',
  },
  {
    name: 'a device of a name that it does not have any more goes',
    network: {vxlan: {vni: 2, port: 8472, device: 'blue'}},
    node: 'a via 192.168.0.11',
    links: [ETH0, VX0, VX6],
    changes: ['delete link ng-vx0', 'delete link ng-vx0-6', 'add link blue'],
  },
  {
    name: 'so does the one of a family that the node has no more',
    node: 'a via fd00::11',
    links: [ETH0, VX0, VX6],
    changes: ['delete link ng-vx0'],
  },
  {
    name: 'so do all when the backend needs none',
    network: {backend: 'direct'},
    links: [ETH0, VX0, VX6],
    changes: ['delete link ng-vx0', 'delete link ng-vx0-6'],
  },
  {
    name: 'those of other networks, of others, and what is no tunnel stay',
    network: {backend: 'direct'},
    links: [
      ETH0,
      '4 ng-vx1 vxlan=2,8472,192.168.0.11 group=28263 alias=netgraft:network_blue',
      '5 flannel.1 vxlan=1,8472,192.168.0.11',
      '7 ng-pod0 group=28263 alias=netgraft:network_default',
      '8 ng-pod1 group=28263',
    ],
    changes: [],
  },
  {name: 'nothing is known of this node: nothing is done', node: undefined, links: [ETH0, VX0, VX6], changes: []},
  {name: 'its addresses are not known: nothing is done', node: 'a', links: [ETH0, VX0, VX6], changes: []},
  {
    name: 'nothing is known, and there is somebody else’s',
    node: undefined,
    links: [ETH0, '4 ng-vx0', VX6.replace('=1,', '=2,')],
    changes: [],
  },
]

for (const each of DIFFED)
  test(`devices: ${each.name}`, t => {
    const of = network({backend: 'vxlan', ...each.network})
    const state = kernel(each.links)
    const {changes, problems} = diffTunnels(of, want(of, 'node' in each ? each.node : A, state), state)
    t.deepEqual(changes.map(changeLine), each.changes)
    t.is(problems.map(({kind, message}) => `${kind}: ${message}`).join('\n'), each.problems ?? '')
  })

test('a device that was renamed in the configuration makes room before the new one comes', t => {
  // The kernel has room for one device of an identifier and port: a second one is refused (EEXIST).
  const of = network({backend: 'vxlan', vxlan: {vni: 1, port: 8472, device: 'blue'}})
  const state = kernel([ETH0, VX0])
  const {changes} = diffTunnels(of, want(of, 'a via 192.168.0.11', state), state)
  t.deepEqual(changes.map(changeLine), ['delete link ng-vx0', 'add link blue'])
})

/** What the kernel makes of the changes. A new device's index is new, too. */
function carryOut(state: KernelState, changes: readonly LinkChange[]): KernelState {
  const links = new Map(state.links)
  for (const change of changes) {
    if (change.op === 'delete') links.delete(change.item.index)
    else if (change.op === 'set') links.set(change.item.index, {...links.get(change.item.index)!, ...change.to})
    else {
      const {name, kind, mac, mtu = 1500, up, alias, group} = change.item
      if (kind.type !== 'vxlan') throw new Error(kind.type)
      const index = (Math.max(...links.keys()) + 1) as IfIndex
      const {type, learning, ...vxlan} = kind
      links.set(index, {
        index,
        name,
        kind: type,
        up: up ?? false,
        carrier: true,
        loopback: false,
        mtu,
        ...(mac && {mac}),
        alias,
        group,
        vxlan: {...vxlan, learning: learning ?? false},
      })
    }
  }
  return {...state, links}
}

/** Devices in whatever state, by our name, an old one's or somebody else's. */
const device = fc
  .record({
    name: fc.constantFrom('ng-vx0', 'ng-vx0-6', 'old', 'ng-vx1'),
    tunnel: fc.option(
      fc.tuple(
        fc.constantFrom('1', '2'),
        fc.constantFrom('8472', '4789'),
        fc.constantFrom('192.168.0.11', 'fd00::11', '192.168.0.12', ''),
        fc.constantFrom('', ',learning', ',dev', ',remote'),
      ),
    ),
    mtu: fc.constantFrom(1450, 1430, 1500),
    mac: fc.constantFrom(MAC[4], MAC[6], '02:00:00:00:00:99'),
    alias: fc.constantFrom('', 'alias=netgraft:network_default', 'alias=netgraft:network_blue', 'alias=mine'),
    group: fc.constantFrom(0, 28263),
    up: fc.constantFrom('', 'down'),
  })
  .map(({name, tunnel, mtu, mac, alias, group, up}) => {
    const [vni, port, local, more] = tunnel ?? []
    const kind = tunnel ? `vxlan=${vni},${port},${local}${more}` : ''
    return [name, kind, `mtu=${mtu}`, `mac=${mac}`, alias, `group=${group}`, up].filter(Boolean).join(' ')
  })

test('property: carried out, the changes leave nothing to do, and what is not ours as it was', t => {
  const devices = fc.uniqueArray(device, {maxLength: 4, selector: text => text.split(' ')[0]})
  const settings = fc.record({
    backend: fc.constantFrom('auto', 'direct', 'vxlan'),
    node: fc.constantFrom(undefined, 'a', A, 'a via 192.168.0.11', 'a via fd00::11'),
    eth0: fc.constantFrom(ETH0, '2 eth0'),
  })
  fc.assert(
    fc.property(devices, settings, (texts, {backend, node, eth0}) => {
      const of = network({backend: backend as 'vxlan'})
      const before = kernel([eth0, ...texts.map((text, i) => `${i + 4} ${text}`)])
      const wanted = want(of, node, before)
      const after = carryOut(before, diffTunnels(of, wanted, before).changes)
      t.deepEqual(diffTunnels(of, want(of, node, after), after).changes, [])
      const foreign = ({links}: KernelState) =>
        [...links.values()].filter(
          link => !isOwnLink(link) || (link.alias === 'netgraft:network blue' && link.name === 'ng-vx1'),
        )
      t.deepEqual(foreign(after), foreign(before))
      // Whatever was wanted and is not somebody else's stands now.
      if (wanted) {
        const stands = Object.values(standingTunnels(of, wanted, after)).map(({name}) => name)
        const blocked = foreign(before).map(({name}) => name)
        t.deepEqual(
          stands,
          wanted.map(({name}) => name).filter(name => !blocked.includes(name)),
        )
      } else t.is(after.links.size, before.links.size)
    }),
    {numRuns: 1000},
  )
})

// ---- those that stand, and what is published of them

const names = (links: Partial<Record<4 | 6, Link>>): string =>
  Object.entries(links)
    .map(([family, {name, index}]) => `${family}: ${name} ${index}`)
    .join(', ')

for (const [name, links, node, expected] of [
  ['both', [ETH0, VX0, VX6], A, '4: ng-vx0 4, 6: ng-vx0-6 6'],
  ['none', [ETH0], A, ''],
  ['one that is down does not', [ETH0, `${VX0} down`, VX6], A, '6: ng-vx0-6 6'],
  ['one that is about to be made anew does not', [ETH0, VX0.replace('8472', '4789'), VX6], A, '6: ng-vx0-6 6'],
  ['one that is not wanted does not', [ETH0, VX0, VX6], 'a via fd00::11', '6: ng-vx0-6 6'],
  [
    'one whose settings drifted does',
    [ETH0, VX0.replace('mtu=1450', 'mtu=1400'), VX6],
    A,
    '4: ng-vx0 4, 6: ng-vx0-6 6',
  ],
  ['one without an alias does', [ETH0, NO_ALIAS], A, '4: ng-vx0 4'],
  ['somebody else’s does not', [ETH0, VX0.replace(MARKS, '')], A, ''],
  ['a link that is no tunnel does not', [ETH0, `4 ng-vx0 ${MARKS}`], A, ''],
  [
    'nothing is known of this node: those of ours',
    [ETH0, VX0, VX6.replace('=1,', '=2,')],
    undefined,
    '4: ng-vx0 4, 6: ng-vx0-6 6',
  ],
  ['its addresses are not known: those of ours', [ETH0, VX0, VX6], 'a', '4: ng-vx0 4, 6: ng-vx0-6 6'],
  ['nothing is known, and one is somebody else’s', [ETH0, VX0, VX6.replace(MARKS, '')], undefined, '4: ng-vx0 4'],
  ['nothing is known, and one has the other family', [ETH0, VX0.replace('192.168.0.11', 'fd00::11')], undefined, ''],
] as const)
  test(`standing: ${name}`, t => {
    const state = kernel(links)
    const standing = standingTunnels(VXLAN, want(VXLAN, node, state), state)
    t.is(names(standing), expected)
    t.is(
      Object.entries(indexesOf(standing))
        .map(([family, index]) => `${family} ${index}`)
        .join(),
      [...expected.matchAll(/(\d): \S+ (\d)/g)].map(([, family, index]) => `${family} ${index}`).join(),
    )
  })

for (const [name, links, expected] of [
  [
    'both ends, IPv4 first',
    [VX6, VX0],
    `{"vni":1,"port":8472,"ends":[{"ip":"192.168.0.11","mac":"${MAC[4]}"},{"ip":"fd00::11","mac":"${MAC[6]}"}]}`,
  ],
  ['one end', [VX6], `{"vni":1,"port":8472,"ends":[{"ip":"fd00::11","mac":"${MAC[6]}"}]}`],
  ['none: nothing', [ETH0], undefined],
  [
    'the MAC that it has, not the one that it should have',
    [VX0.replace(`mac=${MAC[4]}`, 'mac=02:00:00:00:00:99')],
    '{"vni":1,"port":8472,"ends":[{"ip":"192.168.0.11","mac":"02:00:00:00:00:99"}]}',
  ],
] as const)
  test(`published: ${name}`, t => {
    const state = kernel(links)
    const vtep = vtepOf(VXLAN, standingTunnels(VXLAN, want(VXLAN, A, state), state))
    t.is(vtep && formatVtep(vtep), expected)
    if (vtep) t.is(vtep.network, 'default')
  })
