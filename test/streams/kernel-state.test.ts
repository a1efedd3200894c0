/** The fold of kernel changes: by tables, and against the real kernel (needs root). */
import {spawn} from 'node:child_process'
import test from 'ava'
import fc from 'fast-check'
import {Cidr, parseCidr, parseIp, parseIpWithPrefix} from '../../src/model/ip.ts'
import type {KernelChange} from '../../src/model/kernel.ts'
import type {Address, IfIndex, Link, NextHop, Route, RouteType} from '../../src/model/net.ts'
import {MutableKernelState} from '../../src/streams/kernel-state.ts'
import {ipBatch, liveMirror, stateText} from '../netlink/live-mirror.ts'
import {namespaces} from '../netlink/namespace.ts'
import {entryLines, tunnelEntries} from '../routes/support.ts'

/** "10.1.0.0/24 via 10.0.0.9 dev 2 [onlink] proto 4 metric 0 [src A] [mtu N] [nexthop via A dev 2 weight 1]… [table N] [dead]" */
function route(text: string): Route {
  const [head = '', ...paths] = text.split(' nexthop ')
  const words = head.split(' ')
  const type = words[0]!.includes('/') ? 'unicast' : (words.shift() as RouteType)
  const after = (word: string, among = words) => (among.includes(word) ? among[among.indexOf(word) + 1] : undefined)
  const hop = (among: string[]): NextHop => ({
    ...(among.includes('via') && {gateway: parseIp(after('via', among)!)}),
    ...(among.includes('dev') && {dev: Number(after('dev', among)) as IfIndex}),
    ...(among.includes('onlink') && {onlink: true}),
    ...(among.includes('weight') && {weight: Number(after('weight', among))}),
  })
  const single = words.includes('dev') ? [hop(words)] : []
  return {
    destination: parseCidr(words[0]!),
    type,
    table: Number(after('table') ?? 254),
    protocol: Number(after('proto') ?? 4),
    metric: Number(after('metric') ?? 0),
    scope: 'global',
    nextHops: paths.length > 0 ? paths.map(path => hop(path.split(' '))) : single,
    ...(words.includes('tos') && {tos: Number(after('tos'))}),
    ...(words.includes('src') && {source: parseIp(after('src')!)}),
    ...(words.includes('mtu') && {mtu: Number(after('mtu'))}),
    ...(words.includes('dead') && {dead: true}),
  }
}

/** "2 d0 up carrier mtu 1500 veth 3 lo vxlan" */
function link(text: string): Link {
  const [index, name, ...words] = text.split(' ')
  const after = (word: string) => (words.includes(word) ? Number(words[words.indexOf(word) + 1]) : undefined)
  const parent = after('veth') as IfIndex | undefined
  return {
    index: Number(index) as IfIndex,
    name: name!,
    up: words.includes('up'),
    carrier: words.includes('carrier'),
    loopback: words.includes('lo'),
    mtu: after('mtu') ?? 1500,
    group: 0,
    ...(parent !== undefined && {kind: 'veth', parent}),
    ...(words.includes('vxlan') && {kind: 'vxlan'}),
    ...(words.includes('nsid') && {parentNsid: after('nsid')!}),
  }
}

/** "2 10.0.0.1/24 [peer A]" */
function address(text: string): Address {
  const [index, subnet, , peer] = text.split(' ')
  const at = {index: Number(index) as IfIndex, ...parseIpWithPrefix(subnet!)}
  return {...at, scope: 'global', flags: 0, ...(peer && {peer: parseIp(peer)})}
}

/** "neigh 4 10.1.2.0 MAC", "fdb 4 MAC 192.168.0.12": see {@link tunnelEntries}. */
function entries(lines: readonly string[]) {
  const {neighbours, fdb} = tunnelEntries(lines)
  return {
    neighbours: [...neighbours.values()].flatMap(each => [...each.values()]),
    fdb: [...fdb.values()].flatMap(each => [...each.values()].flat()),
  }
}

/**
 * "+ link …": it is there now. "= …": with NLM_F_REPLACE. "- …": it is gone. An "own" at the end: we did it; a "@7": in
 * the namespace 7.
 */
function change(text: string): KernelChange {
  const [, sign, object, rest = '', own, nsid] = /^([+=-]) (link|addr|route|neigh|fdb) (.*?)( own)?(?: @(\d+))?$/.exec(
    text,
  )!
  const how = {gone: sign === '-', replaces: sign === '=', own: own !== undefined, ...(nsid && {nsid: Number(nsid)})}
  if (object === 'link') return {object, item: link(rest), ...how}
  if (object === 'addr') return {object: 'address', item: address(rest), ...how}
  if (object === 'neigh') return {object: 'neighbour', item: entries([`neigh ${rest}`]).neighbours[0]!, ...how}
  if (object === 'fdb') return {object, item: entries([`fdb ${rest}`]).fdb[0]!, ...how}
  return {object: 'route', item: route(rest), ...how}
}

interface Case {
  readonly title: string
  readonly before?: readonly string[]
  readonly changes: readonly string[]
  /** What stands of links, addresses and routes; 'resync': the fold says that it cannot know. */
  readonly after: readonly string[] | 'resync'
}

const D0 = 'link 2 d0 up carrier'
const D1 = 'link 3 d1 up carrier'
const A0 = 'addr 2 10.0.0.1/24'
const VIA_9 = 'route 10.1.0.0/24 via 10.0.0.9 dev 2'
const VIA_8 = 'route 10.1.0.0/24 via 10.0.0.8 dev 2'
const TWO_WAYS = 'route 10.1.0.0/24 nexthop via 10.0.0.9 dev 2 weight 1 nexthop via 10.0.1.9 dev 3 weight 1'
const SIX = 'route fd01::/64 via fd00::9 dev 2 metric 1024'
const SIX_WAYS = 'route fd01::/64 metric 1024 nexthop via fd00::9 dev 2 weight 1 nexthop via fd00::8 dev 2 weight 1'

const CASES: readonly Case[] = [
  {title: 'what appears stands', changes: [`+ ${D0}`, `+ ${A0}`, `+ ${VIA_9}`], after: [D0, A0, VIA_9]},
  {
    title: 'what appears twice stands once',
    changes: [`+ ${A0}`, `+ ${A0}`, `+ ${VIA_9}`, `+ ${VIA_9}`],
    after: [A0, VIA_9],
  },
  {title: 'what goes is gone', before: [D0, A0, VIA_9], changes: [`- ${VIA_9}`, `- ${A0}`, `- ${D0}`], after: []},
  {title: 'what goes twice is gone', before: [VIA_9], changes: [`- ${VIA_9}`, `- ${VIA_9}`], after: []},
  {
    title: 'a renamed link is the same one',
    before: [D0],
    changes: ['+ link 2 e0 up carrier'],
    after: ['link 2 e0 up carrier'],
  },
  {
    title: 'other namespaces and other tables are none of its business',
    before: [D0, VIA_9],
    changes: [`- ${D0} @7`, `- ${VIA_9} @7`, `+ ${VIA_8} table 100`, `- ${VIA_9} table 100`],
    after: [D0, VIA_9],
  },
  {
    title: 'a link that goes takes its addresses and routes along',
    before: [D0, D1, A0, VIA_9, 'route 10.2.0.0/24 dev 3'],
    changes: [`- ${D0}`],
    after: [D1, 'route 10.2.0.0/24 dev 3'],
  },
  {
    title: 'a link that goes down takes its routes along, not its addresses',
    before: [D0, A0, VIA_9, 'route blackhole 10.3.0.0/24'],
    changes: ['+ link 2 d0'],
    after: ['link 2 d0', A0, 'route blackhole 10.3.0.0/24'],
  },
  {
    title: 'a link that is down already drops what an older message brought back',
    before: ['link 2 d0'],
    changes: [`+ ${VIA_9}`, '+ link 2 d0'],
    after: ['link 2 d0'],
  },
  {
    title: 'of a multipath route a lost link takes a part',
    before: [D0, D1, TWO_WAYS],
    changes: [`- ${D1}`],
    after: 'resync',
  },
  {
    title: 'a lost carrier leaves the routes, as dead ones',
    before: [D0, VIA_9, SIX],
    changes: ['+ link 2 d0 up'],
    after: ['link 2 d0 up', `${VIA_9} dead`, `${SIX} dead`],
  },
  {
    title: 'a carrier that returns revives them',
    before: ['link 2 d0 up', `${VIA_9} dead`],
    changes: [`+ ${D0}`],
    after: [D0, VIA_9],
  },
  {
    title: 'whether a multipath route is dead depends on the past',
    before: [D0, D1, TWO_WAYS],
    changes: ['+ link 2 d0 up'],
    after: 'resync',
  },
  {
    title: 'the last IPv4 address takes every IPv4 route of its link along',
    before: [D0, A0, 'addr 2 fd00::1/64', VIA_9, SIX],
    changes: [`- ${A0}`],
    after: [D0, 'addr 2 fd00::1/64', SIX],
  },
  {
    title: 'an IPv4 address that is not the last one takes only the routes from it',
    before: [A0, 'addr 2 10.0.5.1/24', `${VIA_9} src 10.0.5.1`, 'route 10.2.0.0/24 via 10.0.0.9 dev 2'],
    changes: ['- addr 2 10.0.5.1/24'],
    after: [A0, 'route 10.2.0.0/24 via 10.0.0.9 dev 2'],
  },
  {
    title: 'an address that another link carries too may keep the routes from it',
    before: [A0, 'addr 2 10.0.5.1/24', 'addr 3 10.0.5.1/24', `${VIA_9} src 10.0.5.1`],
    changes: ['- addr 2 10.0.5.1/24'],
    after: 'resync',
  },
  {
    title: 'kernels disagree on what happens to IPv6 routes from an address that goes',
    before: ['addr 2 fd00::1/64', 'addr 2 fd00::2/64', `${SIX} src fd00::2`],
    changes: ['- addr 2 fd00::2/64'],
    after: 'resync',
  },
  {
    title: 'an IPv4 address has a peer to its name, an IPv6 address only itself',
    before: ['addr 2 10.0.0.1/32 peer 10.0.0.2', 'addr 2 fd00::1/64'],
    changes: ['+ addr 2 10.0.0.1/32 peer 10.0.0.3', '+ addr 2 fd00::1/128 peer fd00::2'],
    after: ['addr 2 10.0.0.1/32 peer 10.0.0.2', 'addr 2 10.0.0.1/32 peer 10.0.0.3', 'addr 2 fd00::1/128 peer fd00::2'],
  },
  {
    title: 'a replace takes the place of the one of its metric',
    before: [VIA_9, `${VIA_9} metric 9`],
    changes: [`= ${VIA_8}`],
    after: [VIA_8, `${VIA_9} metric 9`],
  },
  {title: 'without replace both stand', before: [VIA_9], changes: [`+ ${VIA_8}`], after: [VIA_8, VIA_9]},
  {
    title: 'a replace leaves a route of another type of service',
    before: [VIA_9, `${VIA_9} tos 16`],
    changes: [`= ${VIA_8} tos 16`],
    after: [`${VIA_8} tos 16`, VIA_9],
  },
  {
    title: 'of two at one metric, which one a replace took is unknown',
    before: [VIA_9, VIA_8],
    changes: ['= route 10.1.0.0/24 dev 3'],
    after: 'resync',
  },
  {
    title: 'nor is it when the new one stands already',
    before: [VIA_9, VIA_8],
    changes: [`= ${VIA_8}`],
    after: 'resync',
  },
  {
    title: 'routes that differ in their source only are two',
    before: [VIA_9, `${VIA_9} src 10.0.0.1`],
    changes: [`- ${VIA_9} src 10.0.0.1`],
    after: [VIA_9],
  },
  {title: 'a dead route is the same one', before: [`${VIA_9} dead`], changes: [`- ${VIA_9}`], after: []},
  {title: 'an IPv6 multipath route comes whole', changes: [`+ ${SIX_WAYS}`], after: [SIX_WAYS]},
  {title: 'an IPv6 path that joins others', before: [SIX], changes: [`+ ${SIX_WAYS}`], after: 'resync'},
  {title: 'an IPv6 path that leaves others', before: [SIX_WAYS], changes: [`- ${SIX}`], after: 'resync'},
  {title: 'an IPv6 multipath route goes whole', before: [SIX_WAYS], changes: [`- ${SIX_WAYS}`], after: []},
  {
    title: 'the MTU of an IPv6 route follows the link',
    before: [D0, `${SIX} mtu 1400`],
    changes: [`+ ${D0} mtu 1300`],
    after: 'resync',
  },
  {title: 'IPv6 leaves a link of too small an MTU', before: [D0, SIX], changes: [`+ ${D0} mtu 1200`], after: 'resync'},
  {
    title: 'of a pair the first end learns of the second',
    changes: ['+ link 5 v0 veth 0', '+ link 6 v1 veth 5'],
    after: ['link 5 v0 veth 6', 'link 6 v1 veth 5'],
  },
  {
    title: 'the end that stays when the other moves away',
    before: ['link 5 v0 veth 6', 'link 6 v1 veth 5'],
    changes: ['- link 6 v1 veth 5'],
    after: 'resync',
  },
  {
    title: 'an end whose other is in another namespace stays as it is',
    before: ['link 5 v0 veth 6 nsid 0', 'link 6 b0'],
    changes: ['- link 6 b0'],
    after: ['link 5 v0 veth 6 nsid 0'],
  },
]

const snapshot = (lines: readonly string[]) => {
  const those = (prefix: string) => lines.filter(line => line.startsWith(prefix)).map(line => line.slice(prefix.length))
  return {
    links: those('link ').map(link),
    addresses: those('addr ').map(address),
    routes: those('route ').map(route),
    ...entries(lines.filter(line => /^(neigh|fdb) /.test(line))),
  }
}

for (const {title, before = [], changes, after} of CASES) {
  test(title, t => {
    const state = new MutableKernelState(snapshot(before))
    const exact = changes.map(change).every(each => state.apply(each)) && state.complete()
    t.is(exact, after !== 'resync')
    if (after !== 'resync') t.is(stateText(state), stateText(new MutableKernelState(snapshot(after))))
  })
}

const VX = 'link 4 vx0 up carrier vxlan'
const MAC = '02:00:00:00:00:01'
const OTHER = '02:00:00:00:00:02'
const ZEROS = '00:00:00:00:00:00'

const ENTRIES: readonly Case[] = [
  {
    title: 'what appears on a tunnel stands',
    before: [VX],
    changes: [`+ neigh 4 10.1.2.0 ${MAC}`, `+ neigh 4 fe80::1 ${MAC}`, `+ fdb 4 ${MAC} 192.168.0.12`],
    after: [`neigh 4 10.1.2.0 ${MAC}`, `neigh 4 fe80::1 ${MAC}`, `fdb 4 ${MAC} 192.168.0.12`],
  },
  {
    title: 'what goes from a tunnel is gone, also twice',
    before: [VX, `neigh 4 10.1.2.0 ${MAC}`, `fdb 4 ${MAC} 192.168.0.12`],
    changes: [
      `- neigh 4 10.1.2.0 ${MAC}`,
      `- fdb 4 ${MAC} 192.168.0.12`,
      `- neigh 4 10.1.2.0 ${MAC}`,
      `- fdb 4 ${MAC} 192.168.0.12`,
    ],
    after: [],
  },
  {
    title: 'a neighbour of a tunnel is as it was told last, also without a MAC',
    before: [VX, `neigh 4 10.1.2.0 ${MAC}`, `neigh 4 10.1.3.0 ${MAC}`],
    changes: [`+ neigh 4 10.1.2.0 ${OTHER} state 4`, '+ neigh 4 10.1.3.0  state 32'],
    after: [`neigh 4 10.1.2.0 ${OTHER} state 4`, 'neigh 4 10.1.3.0  state 32'],
  },
  {
    title: 'the same forwarding entry told again is one',
    before: [VX, `fdb 4 ${MAC} 192.168.0.12`],
    changes: [`+ fdb 4 ${MAC} 192.168.0.12 state 64`],
    after: [`fdb 4 ${MAC} 192.168.0.12 state 64`],
  },
  {
    title: 'a second remote of a MAC, made by us, joins the first',
    before: [VX, `fdb 4 ${ZEROS} 192.168.0.12`],
    changes: [`+ fdb 4 ${ZEROS} 192.168.0.13 own`],
    after: [`fdb 4 ${ZEROS} 192.168.0.12`, `fdb 4 ${ZEROS} 192.168.0.13`],
  },
  {
    title: 'made by somebody else, it may have taken the place of the first',
    before: [VX, `fdb 4 ${MAC} 192.168.0.12`],
    changes: [`+ fdb 4 ${MAC} 192.168.0.13`],
    after: 'resync',
  },
  {
    title: 'somebody else’s entry of another MAC is another one',
    before: [VX, `fdb 4 ${MAC} 192.168.0.12`],
    changes: [`+ fdb 4 ${OTHER} 192.168.0.12`],
    after: [`fdb 4 ${MAC} 192.168.0.12`, `fdb 4 ${OTHER} 192.168.0.12`],
  },
  {
    title: 'of several remotes one goes',
    before: [VX, `fdb 4 ${ZEROS} 192.168.0.12`, `fdb 4 ${ZEROS} 192.168.0.13`],
    changes: [`- fdb 4 ${ZEROS} 192.168.0.12`],
    after: [`fdb 4 ${ZEROS} 192.168.0.13`],
  },
  {
    title: 'a tunnel that goes takes its entries along',
    before: [
      VX,
      'link 5 vx1 vxlan',
      `neigh 4 10.1.2.0 ${MAC}`,
      `fdb 4 ${MAC} 192.168.0.12`,
      `fdb 5 ${MAC} 192.168.0.12`,
    ],
    changes: [`- ${VX}`],
    after: [`fdb 5 ${MAC} 192.168.0.12`],
  },
  {
    title: 'a tunnel that goes down keeps them until the kernel says otherwise',
    before: [VX, `neigh 4 10.1.2.0 ${MAC}`, `fdb 4 ${MAC} 192.168.0.12`],
    changes: ['+ link 4 vx0 vxlan', `- neigh 4 10.1.2.0 ${MAC}`],
    after: [`fdb 4 ${MAC} 192.168.0.12`],
  },
  {
    title: 'those of other namespaces are none of its business',
    before: [VX, `fdb 4 ${MAC} 192.168.0.12`],
    changes: [`+ fdb 4 ${MAC} 192.168.0.13 @7`, `+ neigh 4 10.1.2.0 ${MAC} @7`, `- fdb 4 ${MAC} 192.168.0.12 @7`],
    after: [`fdb 4 ${MAC} 192.168.0.12`],
  },
  {
    title: 'of a device that is no tunnel: what is known of the MACs of IPv4 neighbours, and nothing else',
    before: [D0],
    changes: [
      `+ neigh 2 192.168.0.12 ${MAC} state 2`,
      '+ neigh 2 192.168.0.13  state 1',
      `+ neigh 2 fd00::12 ${MAC} state 2`,
      `+ fdb 2 ${MAC} 192.168.0.12`,
    ],
    after: [`neigh 2 192.168.0.12 ${MAC} state 2`],
  },
  {
    title: 'there, one that fails keeps its last MAC, until it is gone',
    before: [D0, `neigh 2 192.168.0.12 ${MAC} state 2`, `neigh 2 192.168.0.13 ${MAC} state 2`],
    changes: ['+ neigh 2 192.168.0.12  state 32', '- neigh 2 192.168.0.13  state 32'],
    after: [`neigh 2 192.168.0.12 ${MAC} state 2`],
  },
]

/** One line a neighbour and a forwarding entry, of all devices. */
const entriesText = ({neighbours, fdb}: MutableKernelState): string =>
  [
    ...[...neighbours.values()].flatMap(each => [...each.values()].map(entryLines.neighbour)),
    ...[...fdb.values()].flatMap(each => [...each.values()].flat().map(entryLines.fdb)),
  ]
    .sort()
    .join('\n')

for (const {title, before = [], changes, after} of ENTRIES) {
  test(title, t => {
    const state = new MutableKernelState(snapshot(before))
    const exact = changes.map(change).every(each => state.apply(each)) && state.complete()
    t.is(exact, after !== 'resync')
    if (after !== 'resync') t.is(entriesText(state), [...after].sort().join('\n'))
  })
}

test('a change whose maker is not known is not ours', t => {
  const state = new MutableKernelState(snapshot([VX, `fdb 4 ${MAC} 192.168.0.12`]))
  const {own: _, ...unknown} = change(`+ fdb 4 ${MAC} 192.168.0.13`)
  t.false(state.apply(unknown as KernelChange))
})

test('remotes that differ in their port only are two', t => {
  const [one, other] = [`fdb 4 ${ZEROS} 192.168.0.12`, `fdb 4 ${ZEROS} 192.168.0.12 port 9`] as const
  const state = new MutableKernelState(snapshot([VX, one, other]))
  t.is(entriesText(state), `${one}\n${other}`)
  state.apply(change(`- ${other}`))
  t.is(entriesText(state), one)
})

const WAKES: readonly (readonly [title: string, before: readonly string[], change: string, wakes: boolean])[] = [
  ['a link', [], `+ ${D0}`, true],
  ['an address', [D0], `+ ${A0}`, true],
  ['a route', [D0], `+ ${VIA_9}`, true],
  ['anything in another namespace', [], `+ ${D0} @7`, false],
  ['a neighbour on a tunnel', [VX], `+ neigh 4 10.1.2.0 ${MAC}`, true],
  ['a neighbour on a tunnel that is known', [VX, `neigh 4 10.1.2.0 ${MAC}`], `+ neigh 4 10.1.2.0 ${MAC}`, true],
  ['a neighbour on a tunnel that goes', [VX], `- neigh 4 fe80::1 ${MAC}`, true],
  ['a neighbour on a tunnel in another namespace', [VX], `- neigh 4 fe80::1 ${MAC} @7`, false],
  ['a forwarding entry of a tunnel', [VX], `+ fdb 4 ${MAC} 192.168.0.12`, true],
  ['a forwarding entry of a tunnel that goes', [VX], `- fdb 4 ${MAC} 192.168.0.12`, true],
  ["a bridge's forwarding entry", [D0], `+ fdb 2 ${MAC} 192.168.0.12`, false],
  ['a forwarding entry of a device that is not known', [], `+ fdb 4 ${MAC} 192.168.0.12`, false],
  ['an IPv4 neighbour with a MAC that was not known', [D0], `+ neigh 2 192.168.0.12 ${MAC} state 2`, true],
  ['an IPv4 neighbour without a MAC', [D0], '+ neigh 2 192.168.0.12  state 1', false],
  [
    'an IPv4 neighbour that is reached again',
    [D0, `neigh 2 192.168.0.12 ${MAC} state 4`],
    `+ neigh 2 192.168.0.12 ${MAC} state 2`,
    false,
  ],
  [
    'an IPv4 neighbour with another MAC',
    [D0, `neigh 2 192.168.0.12 ${MAC} state 4`],
    `+ neigh 2 192.168.0.12 ${OTHER} state 4`,
    true,
  ],
  [
    'an IPv4 neighbour that fails',
    [D0, `neigh 2 192.168.0.12 ${MAC} state 4`],
    '+ neigh 2 192.168.0.12  state 32',
    false,
  ],
  ['an IPv4 neighbour that goes', [D0, `neigh 2 192.168.0.12 ${MAC}`], '- neigh 2 192.168.0.12 ', true],
  ['an IPv4 neighbour that goes and was never known', [D0], '- neigh 2 192.168.0.12 ', false],
  ['an IPv6 neighbour', [D0], `+ neigh 2 fd00::12 ${MAC} state 2`, false],
  ['an IPv6 neighbour that goes', [D0], `- neigh 2 fd00::12 ${MAC}`, false],
]

for (const [title, before, text, wakes] of WAKES)
  test(`${title} ${wakes ? 'wakes' : 'wakes nobody'}`, t => {
    t.is(new MutableKernelState(snapshot(before)).concerns(change(text)) === 'all', wakes)
  })

test('the snapshot keeps the main table only', t => {
  const state = new MutableKernelState(snapshot([VIA_9, 'route 10.2.0.0/24 dev 2 table 255']))
  t.deepEqual([...state.routes.keys()], [String(new Cidr(parseIp('10.1.0.0'), 24))])
})

const DEVICES = ['v0', 'v1', 'u0', 'u1']
const PEER: Readonly<Record<string, string>> = {v0: 'v1', v1: 'v0', u0: 'u1', u1: 'u0'}
const START = [
  'link add v0 type veth peer name v1',
  'link add u0 type veth peer name u1',
  ...DEVICES.map(dev => `link set ${dev} up`),
  'addr add 10.0.0.1/24 dev v0',
  'addr add 10.0.1.1/24 dev u0',
  'addr add fd00::1/64 dev v0',
  'addr add fd01::1/64 dev u0',
]
const CLEAR = ['v0', 'v1', 'u0', 'u1', 'x0', 'br0'].map(dev => `link del ${dev}`)

/**
 * `ip` commands, most of which the kernel accepts. Left out is what it does but never tells: an alias of a link that is
 * down, and (as its dumps say less than it has) an IPv6 route beside a multipath one of its metric.
 */
function command(elsewhere: string): fc.Arbitrary<string> {
  const pick = (...words: string[]) => fc.constantFrom(...words)
  const text = (strings: TemplateStringsArray, ...parts: fc.Arbitrary<string>[]) =>
    fc.tuple(...parts).map(values => String.raw({raw: strings}, ...values))
  const dev = pick(...DEVICES)
  const links = fc.oneof(
    {weight: 4, arbitrary: text`link set ${dev} ${pick('up', 'up', 'down')}`},
    {weight: 2, arbitrary: dev.map(name => `link add ${name} type veth peer name ${PEER[name]}`)},
    text`link del ${dev}`,
    text`link set ${dev} mtu ${pick('1200', '1400', '1500')}`,
    text`link set ${dev} up alias ${pick('one', 'two')}`,
    text`link set ${dev} netns ${pick(elsewhere)}`,
    text`link set ${dev} name x0`,
    text`link set x0 name ${dev}`,
    text`link add br0 type bridge`,
    text`link set ${dev} ${pick('nomaster', 'master br0')}`,
    text`link set br0 ${pick('up', 'down')}`,
  )
  const four = pick('10.0.0.1/24', '10.0.0.2/24', '10.0.1.1/24', '10.0.2.1/32', '10.0.0.7/25', '10.0.2.1 peer 10.0.2.2')
  const six = pick('fd00::1/64', 'fd00::2/64', 'fd01::1/64', 'fd02::1/128', 'fd02::1 peer fd02::2')
  const addresses = fc.oneof(
    text`addr ${pick('add', 'add', 'del')} ${fc.oneof(four, six)} dev ${dev}`,
    text`addr replace ${fc.oneof(four, six)} dev ${dev} ${pick('', 'noprefixroute')}`,
    text`addr flush dev ${dev}`,
  )
  const family = (
    prefix: fc.Arbitrary<string>,
    gateway: fc.Arbitrary<string>,
    source: fc.Arbitrary<string>,
    v6: boolean,
  ) => {
    const verb = pick('add', 'add', 'replace', 'replace', 'append', 'prepend', 'change', 'del')
    const key = text`${pick('', 'metric 100', 'metric 2048')} ${pick('', 'proto 107', v6 ? '' : 'tos 16')}`
    const path = text`nexthop via ${gateway} ${pick('', '', 'weight 2')}`
    const anyPath = text`nexthop via ${gateway} dev ${dev} onlink`
    return fc.oneof(
      {weight: 4, arbitrary: text`route ${verb} ${prefix} via ${gateway} ${key} ${source}`},
      {weight: 3, arbitrary: text`route ${verb} ${prefix} ${key} ${path} ${fc.oneof(path, anyPath)}`},
      {weight: 2, arbitrary: text`route ${verb} ${prefix} dev ${dev} ${v6 ? pick('metric 300') : key} ${source}`},
      text`route ${verb} ${prefix} ${key} ${path} ${path} ${anyPath}`,
      text`route ${verb} ${prefix} via ${gateway} dev ${dev} onlink ${key}`,
      text`route ${verb} ${pick('blackhole', 'unreachable', 'prohibit')} ${prefix} ${key}`,
      text`route ${verb} ${prefix} via ${gateway} ${key} mtu 1300`,
      {weight: 2, arbitrary: text`route del ${prefix}`},
    )
  }
  const routes = fc.oneof(
    {
      weight: 10,
      arbitrary: family(
        pick('10.9.1.0/24', '10.9.2.0/24', '10.0.0.0/24', '10.9.0.0/16'),
        pick('10.0.0.9', '10.0.0.10', '10.0.1.9'),
        pick('', '', 'src 10.0.0.1', 'src 10.0.2.1'),
        false,
      ),
    },
    {
      weight: 10,
      arbitrary: family(
        pick('fd09:1::/64', 'fd09:2::/64', 'fd00::/64'),
        pick('fd00::9', 'fd00::10', 'fd01::9'),
        pick('', '', 'src fd00::1'),
        true,
      ),
    },
    text`route flush ${pick('proto 107', 'table main', 'dev v0')}`,
  )
  return fc.oneof({weight: 5, arbitrary: links}, {weight: 3, arbitrary: addresses}, {weight: 10, arbitrary: routes})
}

for (const silent of ['0', '1']) {
  test(`whatever ip does, the mirror says what a dump says (skip_notify_on_dev_down ${silent})`, async t => {
    const [at, elsewhere] = await namespaces(t, 2)
    const live = await liveMirror(t, at)
    for (const conf of ['all', 'default']) await live.kernel.writeSysctl(`ipv6/conf/${conf}/accept_dad`, '0')
    await live.kernel.writeSysctl('ipv6/route/skip_notify_on_dev_down', silent)
    const rounds = fc.array(fc.array(command(elsewhere.name), {minLength: 1, maxLength: 6}), {
      minLength: 8,
      maxLength: 16,
    })
    await fc.assert(
      fc.asyncProperty(rounds, async commands => {
        await ipBatch(at, [...CLEAR, ...START])
        for (const round of commands) {
          await ipBatch(at, round)
          await live.agrees()
        }
      }),
      {numRuns: 12, endOnFailure: true},
    )
    t.deepEqual(live.errors, [])
    t.true(live.resyncs.includes('inexact'))
  })
}

const VXLANS = [
  'link del vx0',
  'link del vx1',
  'link add vx0 type vxlan id 1 dstport 8472 local 10.0.0.1 nolearning',
  'link set vx0 up',
]

/**
 * `ip` and `bridge` commands on two tunnels, most of which the kernel accepts. Left out is what it does but never tells
 * (it refuses to replace an entry of a group or of zeros, but changes its state), and ports (see above).
 */
function tunnelCommand(): fc.Arbitrary<string> {
  const pick = (...words: string[]) => fc.constantFrom(...words)
  const dev = pick('vx0', 'vx0', 'vx1')
  const mac = pick(MAC, OTHER, ZEROS, '01:00:5e:00:00:01')
  const remote = pick('10.0.0.2', '10.0.0.3', '10.0.0.4')
  const text = (strings: TemplateStringsArray, ...parts: fc.Arbitrary<string>[]) =>
    fc.tuple(...parts).map(values => String.raw({raw: strings}, ...values))
  const links = fc.oneof(
    text`ip link set ${dev} ${pick('up', 'up', 'down')}`,
    text`ip link del ${dev}`,
    text`ip link add vx0 type vxlan id 1 dstport 8472 local 10.0.0.1 nolearning`,
    text`ip link add vx1 type vxlan id 2 dstport 8472 local 10.0.0.1 nolearning`,
    text`ip link set ${dev} address 02:00:00:00:0a:0${pick('1', '2')}`,
    text`ip link set ${dev} name x0`,
    text`ip link set x0 name ${dev}`,
  )
  const neighbours = fc.oneof(
    text`ip neigh ${pick('add', 'replace', 'replace')} ${pick('10.1.2.0', '10.1.3.0', 'fe80::12', 'fe80::13')} lladdr ${mac} dev ${dev} nud ${pick('permanent', 'permanent', 'noarp', 'stale')}`,
    text`ip neigh del ${pick('10.1.2.0', '10.1.3.0', 'fe80::12')} dev ${dev}`,
    text`ip neigh flush dev ${dev} nud ${pick('all', 'permanent')}`,
  )
  const how = pick('permanent', 'dynamic', 'extern_learn')
  const fdb = fc.oneof(
    {weight: 2, arbitrary: text`bridge fdb ${pick('add', 'append')} ${mac} dev ${dev} dst ${remote} ${how}`},
    text`bridge fdb replace ${pick(MAC, OTHER)} dev ${dev} dst ${remote} ${how}`,
    text`bridge fdb del ${mac} dev ${dev} ${pick('dst 10.0.0.2', 'dst 10.0.0.3', '')}`,
    text`bridge fdb flush dev ${dev} ${pick('', 'permanent')}`,
  )
  return fc.oneof({weight: 2, arbitrary: links}, {weight: 4, arbitrary: neighbours}, {weight: 6, arbitrary: fdb})
}

/** What cannot be done is left out. */
function bridgeBatch(at: {readonly name: string}, commands: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('bridge', ['-n', at.name, '-force', '-batch', '-'], {stdio: ['pipe', 'ignore', 'ignore']})
    child.on('error', reject)
    child.on('close', () => resolve())
    child.stdin.end(`${commands.join('\n')}\n`)
  })
}

test('whatever ip and bridge do to tunnels, the mirror says what a dump says', async t => {
  const [at] = await namespaces(t, 1)
  const live = await liveMirror(t, at)
  // Else the kernel makes neighbours for its own multicast, of which it does not tell.
  await live.kernel.writeSysctl('ipv6/conf/default/addr_gen_mode', '1')
  await ipBatch(at, ['link add v0 type veth peer name v1', 'link set v0 up', 'addr add 10.0.0.1/24 dev v0'])
  await ipBatch(at, VXLANS)
  await bridgeBatch(at, [`fdb add ${MAC} dev vx0 dst 10.0.0.2`, `fdb replace ${MAC} dev vx0 dst 10.0.0.3`])
  await live.agrees()
  t.true(live.resyncs.includes('inexact'))
  const rounds = fc.array(fc.array(tunnelCommand(), {minLength: 1, maxLength: 8}), {minLength: 8, maxLength: 16})
  await fc.assert(
    fc.asyncProperty(rounds, async commands => {
      await ipBatch(at, VXLANS)
      for (const round of commands) {
        const of = (tool: string) =>
          round.filter(each => each.startsWith(`${tool} `)).map(each => each.slice(tool.length + 1))
        await ipBatch(at, of('ip'))
        await bridgeBatch(at, of('bridge'))
        await live.agrees()
      }
    }),
    {numRuns: 12, endOnFailure: true},
  )
  t.deepEqual(live.errors, [])
})
