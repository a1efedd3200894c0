/** Changes on the real kernel: what stands afterwards, and what a refusal says. Needs root. */
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import type {NodeName} from '../../src/model/facts.ts'
import {parseIp, parseIpWithPrefix} from '../../src/model/ip.ts'
import type {KernelState} from '../../src/model/kernel.ts'
import type {FdbEntry, IfIndex, Link, Mac, Route} from '../../src/model/net.ts'
import {type Change, type KernelWriter, OWN_GROUP, type OwnLinkSpec} from '../../src/model/plans.ts'
import type {Kernel} from '../../src/netlink/kernel.ts'
import {describeChange, kernelWriter} from '../../src/netlink/kernel-writer.ts'
import {kernelSource} from '../../src/netlink/source.ts'
import {desiredState} from '../../src/routes/desired.ts'
import {diffState} from '../../src/routes/diff.ts'
import {diffTunnels, indexesOf, standingTunnels, wantedTunnels} from '../../src/routes/tunnels.ts'
import {readUnderlay} from '../../src/routes/underlay.ts'
import {changeLine, network, nodes, route as parseRoute} from '../routes/support.ts'
import {foldOf} from './live-mirror.ts'
import {type Namespace, namespaces} from './namespace.ts'

const MAC = '02:00:00:00:00:01' as Mac
const OTHER = '02:00:00:00:00:02' as Mac
const GROUP = '01:00:5e:00:00:01' as Mac
const ZEROS = '00:00:00:00:00:00' as Mac
/** Of no link. */
const NOWHERE = 4711 as IfIndex

interface Bench {
  readonly at: Namespace
  readonly kernel: Kernel
  readonly writer: KernelWriter
  /** As dumps bring it. */
  readonly state: () => Promise<KernelState>
  /** Per change: "ok", "stood", or what the refusal says. */
  readonly write: (...changes: Change[]) => Promise<string[]>
}

/** A namespace whose v0 has 192.168.0.11/24 and fd00::11/64. */
async function bench(t: ExecutionContext): Promise<Bench> {
  const [at] = await namespaces(t, 1)
  at.ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1')
  at.ip('link', 'set', 'v0', 'up')
  at.ip('link', 'set', 'v1', 'up')
  at.ip('addr', 'add', '192.168.0.11/24', 'dev', 'v0')
  at.ip('addr', 'add', 'fd00::11/64', 'dev', 'v0', 'nodad')
  const kernel = await at.kernel()
  const source = kernelSource(kernel, {netns: at.path})
  const writer = kernelWriter(kernel, async () => undefined)
  return {
    at,
    kernel,
    writer,
    state: async () => foldOf(await source.snapshot()),
    write: async (...changes) =>
      (await writer.write(changes)).map(outcome => (outcome === 'stood' ? outcome : (outcome?.message ?? 'ok'))),
  }
}

/** {@link bench}, with a tunnel's device vx0. */
async function withTunnel(t: ExecutionContext): Promise<Bench & {readonly dev: IfIndex}> {
  const there = await bench(t)
  t.deepEqual(await there.write(addition('vx0')), ['ok'])
  return {...there, dev: there.at.index('vx0')}
}

const addition = (name: string, changed: Partial<OwnLinkSpec> = {}): Change => ({
  object: 'link',
  op: 'add',
  item: {
    name,
    alias: 'netgraft:network default',
    group: OWN_GROUP,
    mac: MAC,
    mtu: 1400,
    up: true,
    kind: {type: 'vxlan', vni: 1, port: 8472, local: parseIp('192.168.0.11')},
    ...changed,
  },
})

const linkOf = (index: IfIndex, name = 'x'): Link => ({
  index,
  name,
  up: true,
  carrier: true,
  loopback: false,
  mtu: 1500,
  group: 0,
})

const routeChange = (op: 'add' | 'replace' | 'delete', text: string): Change => ({
  object: 'route',
  op,
  item: parseRoute(text),
})
const unreachable = (op: 'add' | 'delete', destination: string): Change => ({
  object: 'route',
  op,
  item: {...parseRoute(destination), type: 'unreachable'},
})
const addressChange = (op: 'add' | 'delete', index: IfIndex, text: string): Change => {
  const {ip, length} = parseIpWithPrefix(text)
  return {object: 'address', op, item: {index, ip, length, scope: 'global', flags: ip.family === 6 ? 0x202 : 0}}
}
const neighbourChange = (op: 'replace' | 'delete', index: IfIndex, ip: string, mac = MAC): Change => ({
  object: 'neighbour',
  op,
  item: {index, ip: parseIp(ip), mac, state: 0x80},
})
const fdbChange = (op: 'add' | 'delete', index: IfIndex, mac: Mac, remote: string): Change => ({
  object: 'fdb',
  op,
  item: {index, mac, remote: parseIp(remote), state: 0x80, flags: 2},
})

// ---- links

test('a link comes with its alias, group, MAC and MTU, up, in one go', async t => {
  const {at, write} = await bench(t)
  const six = {type: 'vxlan', vni: 1, port: 8472, local: parseIp('fd00::11')} as const
  t.deepEqual(await write(addition('vx0'), addition('vx6', {mac: OTHER, kind: six})), ['ok', 'ok'])
  for (const [name, local, address] of [
    ['vx0', 'local', MAC],
    ['vx6', 'local6', OTHER],
  ] as const) {
    const [link] = at.json('link', 'show', 'dev', name)
    t.like(link, {ifalias: 'netgraft:network default', group: '28263', address, mtu: 1400})
    t.true(link.flags.includes('UP'))
    t.like(link.linkinfo.info_data, {id: 1, port: 8472, learning: false})
    t.truthy(link.linkinfo.info_data[local])
  }
})

test('what drifted of a link is set in one go', async t => {
  const {at, write, dev} = await withTunnel(t)
  at.ip('link', 'set', 'vx0', 'down', 'group', '5', 'alias', 'mine', 'address', OTHER, 'mtu', '1300')
  const to = {up: true, mtu: 1450, mac: MAC, alias: 'netgraft:network blue', group: OWN_GROUP} as const
  t.deepEqual(await write({object: 'link', op: 'set', item: linkOf(dev), to}), ['ok'])
  const [link] = at.json('link', 'show', 'dev', 'vx0')
  t.like(link, {ifalias: 'netgraft:network blue', group: '28263', address: MAC, mtu: 1450})
  t.true(link.flags.includes('UP'))
})

test('a link is deleted by its index, whatever its name is by now', async t => {
  const {at, write, dev} = await withTunnel(t)
  at.ip('link', 'set', 'vx0', 'down')
  at.ip('link', 'set', 'vx0', 'name', 'other')
  t.deepEqual(await write({object: 'link', op: 'delete', item: linkOf(dev, 'vx0')}), ['ok'])
  t.deepEqual(
    at.json('link', 'show').map(({ifname}) => ifname),
    ['lo', 'v1', 'v0'],
  )
})

test('of two devices of one identifier and port the second is refused, until the first has gone', async t => {
  const {write, dev} = await withTunnel(t)
  const [refusal] = await write(addition('vx1'))
  t.is(refusal, 'link add vx1 type vxlan: A VXLAN device with the specified VNI already exists (EEXIST)')
  t.deepEqual(await write({object: 'link', op: 'delete', item: linkOf(dev)}, addition('vx1')), ['ok', 'ok'])
})

test('a link of somebody else that has taken the name stays as it is', async t => {
  const {at, write} = await bench(t)
  at.ip('link', 'add', 'vx0', 'type', 'bridge')
  t.deepEqual(await write(addition('vx0')), ['link add vx0 type vxlan: file already exists (EEXIST)'])
  t.is(at.json('link', 'show', 'dev', 'vx0')[0].ifalias, undefined)
})

test('an alias is set where the link was made, and what is refused of it is told of that link', async t => {
  const {at, write} = await bench(t)
  at.ip('link', 'add', 'vx0', 'type', 'bridge')
  at.ip('link', 'set', 'vx0', 'alias', 'mine')
  const [second, third] = [2, 3].map(vni => ({type: 'vxlan', vni, port: 8472, local: parseIp('192.168.0.11')}) as const)
  const results = await write(
    addition('vx0'),
    addition('vx1', {alias: 'x'.repeat(300)}),
    addition('vx2', {kind: second!}),
    addition('vx3', {kind: third!}),
  )
  t.is(results[0], 'link add vx0 type vxlan: file already exists (EEXIST)')
  t.regex(results[1]!, /^link set vx1 alias x+: .*\(E[A-Z]+\)$/)
  t.deepEqual(results.slice(2), ['ok', 'ok'])
  t.deepEqual(
    ['vx0', 'vx1', 'vx2', 'vx3'].map(name => at.json('link', 'show', 'dev', name)[0].ifalias),
    ['mine', undefined, 'netgraft:network default', 'netgraft:network default'],
  )
})

// ---- what has gone, and what stands already

test('to delete what has gone is a success, for every object', async t => {
  const {write, dev, state} = await withTunnel(t)
  const v0 = [...(await state()).links.values()].find(({name}) => name === 'v0')!.index
  const results = await write(
    routeChange('delete', `10.1.2.0/24 via 192.168.0.12 dev ${v0}`),
    routeChange('delete', `fd00:2::/64 via fd00::12 dev ${v0}`),
    routeChange('delete', `10.1.2.0/24 via 10.1.2.0 dev ${dev} onlink`),
    routeChange('delete', `10.1.2.0/24 via 10.1.2.0 dev ${NOWHERE} onlink`),
    routeChange('delete', `fd00:2::/64 via fe80::1 dev ${NOWHERE}`),
    unreachable('delete', '10.1.1.0/24'),
    unreachable('delete', 'fd00:1::/64'),
    addressChange('delete', dev, '10.1.1.0/32'),
    addressChange('delete', dev, 'fd00:1::/128'),
    addressChange('delete', NOWHERE, '10.1.1.0/32'),
    addressChange('delete', NOWHERE, 'fd00:1::/128'),
    neighbourChange('delete', dev, '10.1.2.0'),
    neighbourChange('delete', dev, 'fe80::1'),
    neighbourChange('delete', NOWHERE, '10.1.2.0'),
    neighbourChange('delete', NOWHERE, 'fe80::1'),
    fdbChange('delete', dev, MAC, '192.168.0.12'),
    fdbChange('delete', NOWHERE, MAC, '192.168.0.12'),
    {object: 'link', op: 'delete', item: linkOf(NOWHERE)},
  )
  t.deepEqual(
    results,
    results.map(() => 'ok'),
  )
})

test('to add an address that stands is a success, and it stands once', async t => {
  const {at, write, dev} = await withTunnel(t)
  const both = [addressChange('add', dev, '10.1.1.0/32'), addressChange('add', dev, 'fd00:1::/128')]
  t.deepEqual(await write(...both, ...both), ['ok', 'ok', 'stood', 'stood'])
  t.deepEqual(await write(...both), ['stood', 'stood'])
  const addresses = at
    .json('addr', 'show', 'dev', 'vx0')[0]
    .addr_info.filter(({scope}: {scope: string}) => scope === 'global')
  t.deepEqual(
    addresses.map(({local, prefixlen}: {local: string; prefixlen: number}) => `${local}/${prefixlen}`),
    ['10.1.1.0/32', 'fd00:1::/128'],
  )
})

test('to replace a neighbour is a success, whatever stands', async t => {
  const {at, write, dev} = await withTunnel(t)
  at.ip('neigh', 'add', '10.1.2.0', 'lladdr', OTHER, 'dev', 'vx0', 'nud', 'stale')
  at.ip('neigh', 'add', 'fe80::1', 'lladdr', OTHER, 'dev', 'vx0', 'nud', 'permanent')
  const both = [neighbourChange('replace', dev, '10.1.2.0'), neighbourChange('replace', dev, 'fe80::1')]
  t.deepEqual(await write(...both, ...both), ['ok', 'ok', 'ok', 'ok'])
  t.deepEqual(
    at
      .json('neigh', 'show', 'dev', 'vx0', 'nud', 'permanent')
      .map(({dst, lladdr}) => `${dst} ${lladdr}`)
      .sort(),
    [`10.1.2.0 ${MAC}`, `fe80::1 ${MAC}`],
  )
})

// ---- refusals

test('a refusal names the object, and says what the kernel says', async t => {
  const {write, dev} = await withTunnel(t)
  const v0 = dev - 1
  const refused: readonly (readonly [change: Change, message: string | RegExp])[] = [
    [
      routeChange('add', `10.1.2.0/24 via 172.16.0.1 dev ${v0}`),
      /^route add 10\.1\.2\.0\/24 via 172\.16\.0\.1 dev \d+ proto 107 metric 2048: Nexthop has invalid gateway \(ENETUNREACH\)$/,
    ],
    [
      routeChange('replace', `fd00:2::/64 via fd00:9::1 dev ${v0}`),
      /^route replace fd00:2::\/64 via fd00:9::1 dev \d+ proto 107 metric 2048: .* \(E(HOSTUNREACH|NETUNREACH|INVAL)\)$/,
    ],
    [
      routeChange('add', '10.1.3.0/24 via 10.1.3.0 dev 4711 onlink'),
      /^route add 10\.1\.3\.0\/24 via 10\.1\.3\.0 dev 4711 onlink .* \(ENODEV\)$/,
    ],
    [addressChange('add', NOWHERE, '10.1.1.0/32'), /^addr add 10\.1\.1\.0\/32 dev 4711: .*\(ENODEV\)$/],
    [addressChange('add', dev, 'ff02::1/128'), /^addr add ff02::1\/128 dev \d+: .*\(E[A-Z]+\)$/],
    [neighbourChange('replace', NOWHERE, '10.1.2.0'), /^neigh replace 10\.1\.2\.0 dev 4711: .*\(ENODEV\)$/],
    [
      fdbChange('add', NOWHERE, MAC, '192.168.0.12'),
      /^fdb add 02:00:00:00:00:01 dev 4711 dst 192\.168\.0\.12: .*\(ENODEV\)$/,
    ],
    [
      {object: 'link', op: 'set', item: linkOf(dev), to: {mtu: 70_000}},
      /^link set \d+ mtu 70000: mtu greater than device maximum \(EINVAL\)$/,
    ],
    [{object: 'link', op: 'set', item: linkOf(NOWHERE), to: {up: true}}, /^link set 4711 up true: .*\(ENODEV\)$/],
    [addition('name-too-long-for-it'), /^link add name-too-long-for-it type vxlan: .*\(E[A-Z]+\)$/],
  ]
  const results = await write(...refused.map(([change]) => change))
  for (const [i, [, message]] of refused.entries()) t.regex(results[i]!, message as RegExp)
})

test('what a refusal is of, and what others have come to, whatever the number of requests', async t => {
  const {write, dev, writer} = await withTunnel(t)
  t.deepEqual(
    await write(
      addition('vx1'),
      fdbChange('add', dev, MAC, '192.168.0.12'),
      fdbChange('add', dev, MAC, '192.168.0.13'),
      addition('vx2', {kind: {type: 'vxlan', vni: 2, port: 8472, local: parseIp('192.168.0.11')}}),
      neighbourChange('replace', NOWHERE, '10.1.2.0'),
      neighbourChange('replace', dev, '10.1.2.0'),
    ),
    [
      'link add vx1 type vxlan: A VXLAN device with the specified VNI already exists (EEXIST)',
      'ok',
      `fdb add ${MAC} dev ${dev} dst 192.168.0.13: file already exists (EEXIST)`,
      'ok',
      'neigh replace 10.1.2.0 dev 4711: no such device (ENODEV)',
      'ok',
    ],
  )
  t.deepEqual(await writer.write([]), [])
  const [refusal] = await writer.write([fdbChange('add', dev, MAC, '192.168.0.13')])
  t.like(refusal, {code: 'EEXIST'})
})

test('a change in words, without carrying it out', t => {
  const dev = 4 as IfIndex
  for (const [change, words] of [
    [addition('vx0'), 'link add vx0 type vxlan'],
    [{object: 'link', op: 'set', item: linkOf(dev), to: {mtu: 1400, alias: 'a b'}}, 'link set 4 mtu 1400 alias a b'],
    [{object: 'link', op: 'delete', item: linkOf(dev)}, 'link del 4'],
    [
      routeChange('replace', '10.1.2.0/24 via 10.1.2.0 dev 4 onlink'),
      'route replace 10.1.2.0/24 via 10.1.2.0 dev 4 onlink proto 107 metric 2048',
    ],
    [unreachable('add', 'fd00:1::/64'), 'route add unreachable fd00:1::/64 proto 107 metric 2048'],
    [addressChange('delete', dev, 'fd00:1::/128'), 'addr del fd00:1::/128 dev 4'],
    [neighbourChange('replace', dev, 'fe80::1'), 'neigh replace fe80::1 dev 4'],
    [fdbChange('add', dev, MAC, 'fd00::12'), `fdb add ${MAC} dev 4 dst fd00::12`],
    [fdbChange('delete', dev, MAC, 'fd00::12'), `fdb del ${MAC} dev 4`],
    [fdbChange('delete', dev, ZEROS, 'fd00::12'), `fdb del ${ZEROS} dev 4`],
    [fdbChange('delete', dev, GROUP, '192.168.0.12'), `fdb del ${GROUP} dev 4`],
  ] as [Change, string][])
    t.is(describeChange(change), words)
})

// ---- what the kernel makes of forwarding entries: the assumptions of src/routes/diff.ts and of its tests

test('forwarding entries: a MAC once, with one remote, or several for a group and for nobody', async t => {
  const {at, write, dev, state} = await withTunnel(t)
  const fdb = async () =>
    [...((await state()).fdb.get(dev)?.values() ?? [])]
      .flat()
      .map(({mac, remote}: FdbEntry) => `${mac} ${remote}`)
      .sort()
  // A MAC goes whole, whatever remote is named.
  t.deepEqual(await write(fdbChange('add', dev, MAC, '192.168.0.12'), fdbChange('delete', dev, MAC, '192.168.0.99')), [
    'ok',
    'ok',
  ])
  t.deepEqual(await fdb(), [])
  t.deepEqual(await write(fdbChange('add', dev, MAC, '192.168.0.12')), ['ok'])
  at.bridge('fdb', 'append', MAC, 'dev', 'vx0', 'dst', '192.168.0.13')
  t.deepEqual(await fdb(), [`${MAC} 192.168.0.12`])
  for (const mac of [ZEROS, GROUP])
    for (const remote of ['192.168.0.12', '192.168.0.13', '192.168.0.14'])
      at.bridge('fdb', 'append', mac, 'dev', 'vx0', 'dst', remote)
  t.deepEqual(
    await write(
      fdbChange('delete', dev, ZEROS, '192.168.0.13'),
      fdbChange('delete', dev, ZEROS, '192.168.0.14'),
      fdbChange('delete', dev, GROUP, '192.168.0.12'),
    ),
    ['ok', 'ok', 'ok'],
  )
  t.deepEqual(await fdb(), [`${MAC} 192.168.0.12`])
  t.deepEqual(await write(fdbChange('delete', dev, MAC, '192.168.0.12'), fdbChange('add', dev, MAC, '192.168.0.15')), [
    'ok',
    'ok',
  ])
  t.deepEqual((await fdb()).at(-1), `${MAC} 192.168.0.15`)
})

test('a forwarding entry that somebody has bound to an interface can be removed', async t => {
  const {at, write, dev, state} = await withTunnel(t)
  at.bridge('fdb', 'add', MAC, 'dev', 'vx0', 'dst', '192.168.0.12', 'via', 'v0')
  const [entry] = (await state()).fdb.get(dev)!.get(MAC)!
  t.deepEqual(await write({object: 'fdb', op: 'delete', item: entry!}), ['ok'])
  t.is((await state()).fdb.get(dev)?.get(MAC), undefined)
})

// ---- routes that lead nowhere, and neighbours that are asked for

test('own ranges that are unreachable read as they were written', async t => {
  const {write, state} = await bench(t)
  t.deepEqual(await write(unreachable('add', '10.1.1.0/24'), unreachable('add', 'fd00:1::/64')), ['ok', 'ok'])
  const want: Route[] = [
    {...parseRoute('10.1.1.0/24'), type: 'unreachable'},
    {...parseRoute('fd00:1::/64'), type: 'unreachable'},
  ]
  const desired = {
    routes: new Map(want.map(each => [`${each.destination}`, each])),
    tunnels: new Map(),
    peers: 0,
    problems: [],
    ways: {4: 0, 6: 0},
  }
  t.deepEqual(diffState(desired, await state(), 107).changes, [])
})

test('the kernel looks for neighbours when it is asked to; what it cannot look for is no matter', async t => {
  const [at, there] = await namespaces(t, 2)
  at.ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1', 'netns', there.name)
  at.ip('link', 'set', 'v0', 'up')
  at.ip('addr', 'add', '192.168.0.11/24', 'dev', 'v0')
  there.ip('link', 'set', 'v1', 'address', OTHER, 'up')
  there.ip('addr', 'add', '192.168.0.12/24', 'dev', 'v1')
  const writer = kernelWriter(await at.kernel(), async () => undefined)
  const index = at.index('v0')
  await writer.resolve([
    {index: NOWHERE, ip: parseIp('192.168.0.12')},
    {index, ip: parseIp('192.168.0.12')},
  ])
  const known = () => at.json('neigh', 'show', 'dev', 'v0').find(({dst}) => dst === '192.168.0.12')?.lladdr
  for (let tries = 0; known() === undefined && tries < 200; tries++) await new Promise(done => setTimeout(done, 20))
  t.is(known(), OTHER)
})

// ---- all together

const OF = network({backend: 'auto', pods: {mode: 'ptp'}})

/** Nodes that come, go, and change their ends, MACs and subnets; none in another's way. Node a is this one. */
const cluster = fc
  .tuple(
    fc.constantFrom('a 10.1.1.0/24 fd00:1::/64', 'a 10.1.7.0/24 fd00:7::/64'),
    fc.constantFrom('192.168.0.11 fd00::11', '192.168.0.11 fd00::11', '192.168.0.11', 'fd00::11'),
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
  .map(([own, addresses, peers]) => [
    `${own} via ${addresses}`,
    ...peers.map(({ranges, address, ends, mac}, i) =>
      `${'bcdefg'[i]} ${ranges.join(' ')} via ${address}${ends ? ` ends ${ends.map(end => end + mac).join(' ')}` : ''}`.replaceAll(
        'X',
        `${21 + i}`,
      ),
    ),
  ])

/** What somebody may do to the tunnels, most of which works. */
const meddling = fc.array(
  fc.constantFrom(
    'fdb append 00:00:00:00:00:00 dev ng-vx0 dst 10.9.9.99',
    'fdb replace 02:00:00:00:04:21 dev ng-vx0 dst 10.9.9.99',
    'fdb replace 02:00:00:00:aa:21 dev ng-vx0 dst 10.9.9.99 dynamic',
    'fdb add 02:00:00:00:00:77 dev ng-vx0-6 dst fd00:9::99',
    'fdb append 01:00:5e:00:00:01 dev ng-vx0 dst 10.9.9.98',
    'fdb append 01:00:5e:00:00:01 dev ng-vx0 dst 10.9.9.99',
    'fdb replace 02:00:00:00:04:21 dev ng-vx0 dst 10.9.9.99 via v0',
    'fdb flush dev ng-vx0',
    'neigh add 10.7.7.7 lladdr 02:00:00:00:00:77 dev ng-vx0 nud permanent',
    'neigh replace 10.1.21.0 lladdr 02:00:00:00:00:77 dev ng-vx0-6 nud permanent',
    'neigh replace 10.9.9.21 lladdr 02:00:00:00:00:77 dev ng-vx0 nud permanent',
    'neigh replace 10.9.9.22 lladdr 02:00:00:00:00:77 dev ng-vx0 nud stale',
    'neigh flush dev ng-vx0-6 nud permanent',
    'addr add 10.1.1.0/24 dev ng-vx0',
    'addr add 10.7.7.7/32 dev ng-vx0',
    'addr add fd00:77::7/128 dev ng-vx0',
    'addr add fd00:1::/64 dev ng-vx0',
    'addr flush dev ng-vx0-6',
    'route flush proto 107',
    'route replace 10.1.21.0/24 via 192.168.0.99 proto 107 metric 2048',
    'route add 10.1.99.0/24 via 192.168.0.99 proto 107 metric 7',
    'route add 10.1.22.0/24 via 192.168.0.99 metric 5',
    'link set ng-vx0 mtu 1300',
    'link set ng-vx0 address 02:00:00:00:00:66',
    'link set ng-vx0 group 0',
    'link set ng-vx0-6 down',
    'link del ng-vx0',
    'link add ng-vx1 type vxlan id 9 dstport 8472 local 192.168.0.11',
  ),
  {maxLength: 4},
)

test('property: whatever the cluster was, and whatever others have done, one pass makes it right, and the next does nothing', async t => {
  const {at, write, state} = await bench(t)
  /** The changes that are made. Anything that is refused is added. */
  const pass = async (texts: readonly string[], refused: string[]): Promise<string[]> => {
    const facts = nodes(...texts)
    const own = facts.get('a' as NodeName)!
    const carryOut = async (changes: readonly Change[]) => {
      for (const result of await write(...changes)) if (result !== 'ok') refused.push(result)
      return changes.map(changeLine)
    }
    let kernel = await state()
    const underlay = readUnderlay(kernel, own.addresses, own.podCIDRs)
    const wanted = wantedTunnels(OF, own, own.addresses, kernel, underlay.local)
    const made = await carryOut(diffTunnels(OF, wanted, kernel).changes)
    kernel = await state()
    const devices = indexesOf(standingTunnels(OF, wanted, kernel))
    const want = desiredState(
      {nodes: facts, own, addressesOf: node => node.addresses},
      {network: OF, underlay, devices},
    )
    return [...made, ...(await carryOut(diffState(want, kernel, 107).changes))]
  }
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(cluster, meddling), {minLength: 3, maxLength: 6}), async rounds => {
      for (const [texts, commands] of rounds) {
        for (const command of commands) {
          const words = command.split(' ')
          try {
            if (words[0] === 'fdb') at.bridge(...words)
            else at.ip(...words)
          } catch {}
        }
        const refused: string[] = []
        await pass(texts, refused)
        t.deepEqual(refused, [])
        t.deepEqual(await pass(texts, refused), [])
      }
    }),
    {numRuns: 12, endOnFailure: true},
  )
})
