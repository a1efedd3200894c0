/** The kernel port on the real kernel, every statement compared with what `ip` and `bridge` print. Needs root. */
import {release} from 'node:os'
import test, {type ExecutionContext} from 'ava'
import {type Cidr, parseCidr, parseIp} from '../../src/model/ip.ts'
import {IFA_F, type IfIndex, type Link, type LinkSpec, type Mac, type Route} from '../../src/model/net.ts'
import {addAddress, deleteAddress, dumpAddresses, replaceAddress} from '../../src/netlink/address.ts'
import type {Kernel} from '../../src/netlink/kernel.ts'
import {
  addLink,
  decodeLink,
  deleteLink,
  deleteLinkGroup,
  dumpLinks,
  RTM_NEWLINK,
  setLink,
} from '../../src/netlink/link.ts'
import {
  addFdb,
  addNeighbour,
  appendFdb,
  deleteFdb,
  deleteNeighbour,
  dumpFdb,
  dumpNeighbours,
  NTF,
  NUD,
  replaceFdb,
  replaceNeighbour,
} from '../../src/netlink/neighbour.ts'
import {addRoute, appendRoute, deleteRoute, dumpRoutes, replaceRoute} from '../../src/netlink/route.ts'
import {addRule, deleteRule, dumpRules} from '../../src/netlink/rule.ts'
import {addressesOf, fdbOf, lines, linksOf, neighboursOf, routesOf, rulesOf} from './iproute.ts'
import {type Namespace, namespaces} from './namespace.ts'

const mac = (n: number): Mac => `02:00:00:00:00:${n.toString(16).padStart(2, '0')}` as Mac
const veth = (name: string, peer: string): LinkSpec => ({name, kind: {type: 'veth', peer: {name: peer}}})

/** A namespace with a pair d–e that is up, without addresses of the kernel's own making. */
async function pair(t: ExecutionContext): Promise<{at: Namespace; kernel: Kernel; dev: IfIndex}> {
  const [at] = await namespaces(t, 1)
  const kernel = await at.kernel()
  await kernel.writeSysctl('ipv6/conf/default/addr_gen_mode', '1')
  for (const error of await kernel.batch([addLink(veth('d', 'e')), setLink('d', {up: true}), setLink('e', {up: true})]))
    t.is(error, undefined)
  return {at, kernel, dev: at.index('d')}
}

/** As {@link pair}, with 192.168.0.1/24 and 2001:db8::1/64 on d. */
async function connected(t: ExecutionContext): Promise<{at: Namespace; kernel: Kernel; dev: IfIndex}> {
  const {at, kernel, dev} = await pair(t)
  await kernel.do(addAddress({index: dev, ip: parseIp('192.168.0.1'), length: 24}))
  await kernel.do(addAddress({index: dev, ip: parseIp('2001:db8::1'), length: 64, flags: IFA_F.NODAD}))
  return {at, kernel, dev}
}

const code = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
    return 'none'
  } catch (error) {
    return (error as {code?: unknown}).code
  }
}

// ---- links

test('links of every kind are made, changed and removed as ip sees them', async t => {
  const {at, kernel, dev} = await connected(t)
  const same = async () => t.deepEqual(lines(await kernel.dump(dumpLinks())), lines(linksOf(at)))
  const specs: LinkSpec[] = [
    {name: 'br0', mtu: 1400, mac: mac(1), group: 107, up: true, kind: {type: 'bridge'}},
    {
      name: 'vx4',
      mac: mac(2),
      up: true,
      kind: {type: 'vxlan', vni: 1, port: 8472, local: parseIp('192.168.0.1'), dev},
    },
    {
      name: 'vx6',
      mtu: 1300,
      kind: {
        type: 'vxlan',
        vni: 0xffffff,
        port: 4789,
        local: parseIp('2001:db8::1'),
        remote: parseIp('2001:db8::2'),
        learning: true,
      },
    },
    {name: 'mv0', mac: mac(3), kind: {type: 'macvlan', parent: dev, mode: 'bridge'}},
    {name: 'mv1', mac: mac(4), kind: {type: 'macvlan', parent: at.index('e'), mode: 'private'}},
    {name: 'v0', up: true, group: 7, kind: {type: 'veth', peer: {name: 'v1', mac: mac(5), mtu: 1280, group: 8}}},
  ]
  for (const spec of specs) {
    await kernel.do(addLink(spec))
    await same()
  }
  const index = at.index('v0')
  const master = at.index('br0')
  await kernel.do(setLink(index, {master, mtu: 1350, mac: mac(6), alias: 'netgraft:test', group: 9}))
  t.like(
    (await kernel.dump(dumpLinks())).find(link => link.name === 'v0'),
    {
      master,
      mtu: 1350,
      mac: mac(6),
      alias: 'netgraft:test',
      group: 9,
      up: true,
    } as Partial<Link>,
  )
  await same()
  await kernel.do(setLink(index, {master: 0, up: false}))
  await kernel.do(setLink(index, {name: 'renamed'}))
  await same()
  await kernel.do(deleteLink('renamed'))
  await kernel.do(deleteLink(at.index('mv0')))
  await same()
  t.is(await code(kernel.do(deleteLink('renamed'))), 'ENODEV')
  t.is(await code(kernel.do(addLink(specs[0]!))), 'EEXIST')
})

test('a veth is made with its named peer already in another namespace, and moves between them', async t => {
  const [a, b] = await namespaces(t, 2)
  const kernel = await a.kernel()
  const netns = await b.fd()
  const peer = {name: 'eth0', netns, mtu: 1400, mac: mac(2), group: 107}
  await kernel.do(addLink({name: 'pod0', mtu: 1400, mac: mac(1), group: 107, up: true, kind: {type: 'veth', peer}}))
  t.like(b.json('link', 'show', 'dev', 'eth0')[0], {ifname: 'eth0', mtu: 1400, address: mac(2), group: '107'})
  t.false(a.json('link', 'show').some(link => link.ifname === 'eth0'))
  t.deepEqual(lines(await kernel.dump(dumpLinks())), lines(linksOf(a)))
  t.deepEqual(lines(await (await b.kernel()).dump(dumpLinks())), lines(linksOf(b)))
  const [ours] = (await kernel.dump(dumpLinks())).filter(link => link.name === 'pod0')
  t.is(ours!.parent, b.index('eth0'))
  t.is(typeof ours!.parentNsid, 'number')

  await kernel.do(setLink('pod0', {netns}))
  t.like(b.json('link', 'show', 'dev', 'pod0')[0], {address: mac(1), group: '107'})
  t.false(a.json('link', 'show').some(link => link.ifname === 'pod0'))
})

test('a group of links is removed at once, and no other', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await at.kernel()
  for (const n of [1, 2, 3]) await kernel.do(addLink({...veth(`a${n}`, `b${n}`), group: n === 3 ? 0 : 4711}))
  await kernel.do(deleteLinkGroup(4711))
  t.deepEqual((await kernel.dump(dumpLinks({kind: 'veth'}))).map(link => link.name).sort(), ['a3', 'b3'])
})

/** Linux 6.2: "rtnetlink: Honour NLM_F_ECHO flag in rtnl_newlink". */
const [major, minor] = release().split('.').map(Number) as [number, number]
const echoes = major > 6 || (major === 6 && minor >= 2)

test('a link that was made tells its index, where the kernel can', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await at.kernel()
  const made = await kernel.echo(addLink(veth('v0', 'v1')), RTM_NEWLINK, decodeLink)
  if (echoes) t.deepEqual([made?.name, made?.index], ['v0', at.index('v0')])
  else t.is(made, undefined)
  t.deepEqual((await kernel.dump(dumpLinks({kind: 'veth'}))).map(link => link.name).sort(), ['v0', 'v1'])
  t.is(await code(kernel.echo(addLink(veth('v0', 'v2')), RTM_NEWLINK, decodeLink)), 'EEXIST')
})

test('links are filtered by master and by kind', async t => {
  const {at, kernel} = await pair(t)
  for (const name of ['br0', 'br1']) await kernel.do(addLink({name, kind: {type: 'bridge'}}))
  const master = at.index('br0')
  await kernel.do(setLink('d', {master}))
  await kernel.do(setLink('e', {master: at.index('br1')}))
  const names = async (...filter: Parameters<typeof dumpLinks>) =>
    (await kernel.dump(dumpLinks(...filter))).map(link => link.name).sort()
  t.deepEqual(await names({master}), ['d'])
  t.deepEqual(await names({kind: 'bridge'}), ['br0', 'br1'])
  t.deepEqual(await names({kind: 'veth', master}), ['d'])
  t.deepEqual(await names({kind: 'bridge', master}), [])
  t.deepEqual(await names({master: 4711 as IfIndex}), [])
})

test('a kind that the kernel has no module for matches no link', async t => {
  const {kernel} = await pair(t)
  t.deepEqual(await kernel.dump(dumpLinks({kind: 'no-such-kind'})), [])
})

// ---- addresses

test('addresses are added, replaced and removed as ip sees them', async t => {
  const {at, kernel, dev: index} = await pair(t)
  // Not every version of ip tells who made an address.
  const dumped = async () => (await kernel.dump(dumpAddresses())).map(({protocol, ...address}) => address)
  const same = async () => t.deepEqual(lines(await dumped()), lines(addressesOf(at)))
  const addresses = [
    {index, ip: parseIp('192.168.0.1'), length: 24, broadcast: parseIp('192.168.0.255')},
    {index, ip: parseIp('10.0.0.1'), length: 32, peer: parseIp('10.0.0.2'), scope: 'link'},
    {index, ip: parseIp('169.254.1.1'), length: 32, scope: 'link'},
    {index, ip: parseIp('10.1.0.1'), length: 16, flags: IFA_F.NOPREFIXROUTE},
    {index, ip: parseIp('2001:db8::1'), length: 64, flags: IFA_F.NODAD},
    {index, ip: parseIp('2001:db8:1::1'), length: 128, peer: parseIp('2001:db8:1::2'), flags: IFA_F.NODAD},
    {index, ip: parseIp('2001:db8:2::1'), length: 64, flags: IFA_F.NODAD | IFA_F.NOPREFIXROUTE},
  ] as const
  for (const address of addresses) {
    await kernel.do(addAddress(address))
    await same()
    t.is(await code(kernel.do(addAddress(address))), 'EEXIST')
    await kernel.do(replaceAddress(address))
  }
  await same()
  t.deepEqual(
    (await kernel.dump(dumpAddresses({family: 4, index: at.index('lo')}))).map(address => `${address.ip}`),
    ['127.0.0.1'],
  )
  t.is((await kernel.dump(dumpAddresses({family: 6, index}))).length, 3)
  t.deepEqual(await kernel.dump(dumpAddresses({family: 4, index: 4711 as IfIndex})), [])
  for (const address of addresses) await kernel.do(deleteAddress(address))
  await same()
  t.deepEqual(await kernel.dump(dumpAddresses({index})), [])
  t.is(await code(kernel.do(deleteAddress(addresses[0]))), 'EADDRNOTAVAIL')
  await kernel.do(addAddress({...addresses[0], protocol: 107}))
  t.deepEqual(
    (await kernel.dump(dumpAddresses({index}))).map(({protocol}) => protocol),
    [107],
  )
})

// ---- routes

const route = (destination: string, rest: Partial<Route>): Route => ({
  destination: parseCidr(destination),
  type: 'unicast',
  table: 254,
  protocol: 107,
  metric: 2048,
  scope: 'global',
  nextHops: [],
  ...rest,
})

const via = (gateway: string, dev?: IfIndex) => ({gateway: parseIp(gateway), ...(dev === undefined ? {} : {dev})})

function everyRoute(dev: IfIndex): Route[] {
  return [
    route('10.1.0.0/24', {nextHops: [via('192.168.0.2', dev)]}),
    route('10.2.0.0/24', {nextHops: [{...via('172.16.0.1', dev), onlink: true}], metric: 0}),
    route('10.3.0.0/24', {
      nextHops: [
        {...via('192.168.0.2', dev), weight: 1},
        {...via('192.168.0.3', dev), weight: 10},
      ],
    }),
    route('10.4.0.0/24', {
      nextHops: [
        {...via('fe80::2', dev), weight: 1},
        {...via('192.168.0.3', dev), weight: 256},
      ],
    }),
    route('10.5.0.0/24', {nextHops: [via('fe80::2', dev)]}),
    route('10.6.0.0/24', {nextHops: [via('192.168.0.2', dev)], source: parseIp('192.168.0.1'), mtu: 1400}),
    route('10.7.0.0/24', {nextHops: [via('192.168.0.2', dev)], table: 1000}),
    route('10.8.0.1/32', {nextHops: [{dev}], scope: 'link'}),
    route('0.0.0.0/0', {nextHops: [via('192.168.0.254', dev)]}),
    route('10.9.0.0/16', {type: 'blackhole'}),
    route('10.10.0.0/16', {type: 'unreachable'}),
    route('10.11.0.0/16', {type: 'prohibit'}),
    route('10.12.0.0/16', {type: 'throw', table: 1000}),
    route('2001:db8:1::/64', {nextHops: [via('2001:db8::2', dev)]}),
    route('2001:db8:2::/64', {nextHops: [{...via('2001:db8:ffff::1', dev), onlink: true}]}),
    route('2001:db8:3::/64', {
      nextHops: [
        {...via('2001:db8::2', dev), weight: 1},
        {...via('2001:db8::3', dev), weight: 2},
      ],
    }),
    route('2001:db8:4::/64', {nextHops: [via('2001:db8::2', dev)], source: parseIp('2001:db8::1'), mtu: 1400}),
    route('2001:db8:5::/64', {nextHops: [via('fe80::2', dev)], table: 100_000}),
    route('2001:db8:6::1/128', {nextHops: [{dev}]}),
    route('::/0', {nextHops: [via('2001:db8::fe', dev)]}),
    route('2001:db8:7::/48', {type: 'blackhole'}),
    route('2001:db8:8::/48', {type: 'unreachable'}),
    route('2001:db8:9::/48', {type: 'prohibit'}),
  ]
}

test('routes of every kind are added, found as they were wanted, and removed', async t => {
  const {at, kernel, dev} = await connected(t)
  const same = async () => {
    for (const family of [4, 6] as const)
      t.deepEqual(lines(await kernel.dump(dumpRoutes({family}))), lines(routesOf(at, family)))
  }
  const ours = async () => [
    ...(await kernel.dump(dumpRoutes({family: 4, protocol: 107}))),
    ...(await kernel.dump(dumpRoutes({family: 6, protocol: 107}))),
  ]
  await same()
  const routes = everyRoute(dev)
  for (const each of routes) {
    await t.notThrowsAsync(kernel.do(addRoute(each)), `${each.destination}`)
    t.is(await code(kernel.do(addRoute(each))), 'EEXIST', `${each.destination}`)
  }
  await same()
  // What is read back is exactly what was wanted: a mirror that differs would be written again for ever.
  t.deepEqual(lines(await ours()), lines(routes))
  for (const each of routes) await t.notThrowsAsync(kernel.do(deleteRoute(each)), `${each.destination}`)
  t.deepEqual(await ours(), [])
  t.is(await code(kernel.do(deleteRoute(routes[0]!))), 'ESRCH')
  await same()
})

test('a route is removed as it was read', async t => {
  const {kernel, dev} = await connected(t)
  for (const each of everyRoute(dev)) await kernel.do(addRoute(each))
  for (const family of [4, 6] as const)
    for (const each of await kernel.dump(dumpRoutes({family, protocol: 107})))
      await t.notThrowsAsync(kernel.do(deleteRoute(each)), `${each.destination}`)
  t.deepEqual(await kernel.dump(dumpRoutes({family: 4, protocol: 107})), [])
  t.deepEqual(await kernel.dump(dumpRoutes({family: 6, protocol: 107})), [])
})

test('a route is replaced, appended to, and only removed by its own protocol and next hop', async t => {
  const {at, kernel, dev} = await connected(t)
  for (const [destination, first, second] of [
    ['10.1.0.0/24', '192.168.0.2', '192.168.0.3'],
    ['2001:db8:1::/64', '2001:db8::2', '2001:db8::3'],
  ] as const) {
    const one = route(destination, {nextHops: [via(first, dev)]})
    const two = route(destination, {nextHops: [via(second, dev)]})
    const {family} = one.destination
    const read = () => kernel.dump(dumpRoutes({family, protocol: 107}))
    const same = async () => t.deepEqual(lines(await kernel.dump(dumpRoutes({family}))), lines(routesOf(at, family)))
    await kernel.do(replaceRoute(one))
    await kernel.do(replaceRoute(two))
    t.deepEqual(lines(await read()), lines([two]))
    await kernel.do(appendRoute(one))
    await same()
    t.is(await code(kernel.do(deleteRoute({...one, protocol: 99}))), 'ESRCH')
    t.is(await code(kernel.do(deleteRoute({...one, metric: 2049}))), 'ESRCH')
    await kernel.do(deleteRoute(two))
    t.deepEqual(lines(await read()), lines([one]))
    t.is(await code(kernel.do(deleteRoute(two))), 'ESRCH')
    await same()
  }
})

test('routes are filtered by table, protocol, type and device', async t => {
  const {at, kernel, dev} = await connected(t)
  const other = at.index('e')
  await kernel.do(addAddress({index: other, ip: parseIp('192.168.1.1'), length: 24}))
  const routes = [
    ...everyRoute(dev),
    route('10.20.0.0/24', {nextHops: [{dev: other}], scope: 'link', protocol: 108}),
    route('10.21.0.0/24', {nextHops: [{dev: other}], scope: 'link', table: 1000}),
  ]
  for (const each of routes) await kernel.do(addRoute(each))
  for (const [filter, words] of [
    [{family: 4, table: 1000}, ['table', '1000']],
    [{family: 4, protocol: 107}, ['table', 'all', 'proto', '107']],
    [{family: 6, protocol: 107}, ['table', 'all', 'proto', '107']],
    [{family: 4, dev: other}, ['table', 'all', 'dev', 'e']],
    [{family: 6, table: 100_000}, ['table', '100000']],
    [{family: 4, table: 254, protocol: 108}, ['table', '254', 'proto', '108']],
    [{family: 4, type: 'blackhole'}, ['table', 'all', 'type', 'blackhole']],
  ] as const) {
    const ours = await kernel.dump(dumpRoutes(filter))
    t.true(ours.length > 0, words.join(' '))
    // `ip … dev e` does not say the device again: compare the destinations.
    const destinations = (all: {destination: Cidr}[]) => all.map(each => `${each.destination}`).sort()
    t.deepEqual(destinations(ours), destinations(routesOf(at, filter.family, ...words)), words.join(' '))
  }
})

test('a filter that names an absent device or table finds nothing', async t => {
  const {kernel} = await pair(t)
  for (const family of [4, 6] as const) {
    t.deepEqual(await kernel.dump(dumpRoutes({family, dev: 4711 as IfIndex})), [])
    t.deepEqual(await kernel.dump(dumpRoutes({family, table: 4711})), [])
    t.deepEqual(await kernel.dump(dumpNeighbours({family, index: 4711 as IfIndex})), [])
  }
  t.deepEqual(await kernel.dump(dumpFdb({index: 4711 as IfIndex})), [])
})

// ---- neighbours and forwarding entries

test('neighbours are added, replaced and removed as ip sees them, and filtered by device', async t => {
  const {at, kernel, dev} = await connected(t)
  const other = at.index('e')
  const same = async () => {
    for (const family of [4, 6] as const) {
      const both = async () => [lines(await kernel.dump(dumpNeighbours({family}))), lines(neighboursOf(at, family))]
      let [ours, theirs] = await both()
      // The kernel makes entries of its own in between: those of the groups that IPv6 tells of itself in.
      for (let n = 0; n < 20 && ours!.join() !== theirs!.join(); n++) [ours, theirs] = await both()
      t.deepEqual(ours, theirs)
    }
  }
  const entries = [
    {index: dev, ip: parseIp('192.168.0.2'), mac: mac(2)},
    {index: dev, ip: parseIp('192.168.0.3'), mac: mac(3), state: NUD.NOARP},
    {index: dev, ip: parseIp('2001:db8::2'), mac: mac(2)},
    {index: other, ip: parseIp('192.168.0.2'), mac: mac(4)},
  ]
  for (const entry of entries) await kernel.do(addNeighbour(entry))
  await same()
  t.is(await code(kernel.do(addNeighbour(entries[0]!))), 'EEXIST')
  await kernel.do(replaceNeighbour({...entries[0]!, mac: mac(9)}))
  await same()
  const found = await kernel.dump(dumpNeighbours({family: 4, index: other}))
  t.deepEqual(lines(found), lines([{index: other, ip: parseIp('192.168.0.2'), mac: mac(4), state: NUD.PERMANENT}]))
  await kernel.do(deleteNeighbour(entries[0]!))
  await same()
  t.false((await kernel.dump(dumpNeighbours({family: 4, index: dev}))).some(each => `${each.ip}` === '192.168.0.2'))
})

test('forwarding entries are added, appended, replaced and removed as bridge sees them, and filtered by device', async t => {
  const {at, kernel, dev} = await connected(t)
  for (const [name, vni] of [
    ['vx0', 1],
    ['vx1', 2],
  ] as const) {
    const kind = {type: 'vxlan', vni, port: 8472, local: parseIp('192.168.0.1'), dev} as const
    await kernel.do(addLink({name, up: true, kind}))
  }
  await kernel.do(addLink({name: 'br0', kind: {type: 'bridge'}}))
  await kernel.do(setLink('e', {master: at.index('br0')}))
  const index = at.index('vx0')
  const read = async (...filter: Parameters<typeof dumpFdb>) =>
    (await kernel.dump(dumpFdb(...filter))).map(({state, ...entry}) => entry)
  const same = async () => t.deepEqual(lines(await read()), lines(fdbOf(at)))
  const entry = {index, mac: mac(2), remote: parseIp('192.168.0.2')}
  await kernel.do(addFdb(entry))
  t.is(await code(kernel.do(addFdb(entry))), 'EEXIST')
  const flood = {index, mac: '00:00:00:00:00:00' as Mac, remote: parseIp('192.168.0.2')}
  await kernel.do(appendFdb(flood))
  await kernel.do(appendFdb({...flood, remote: parseIp('192.168.0.3'), vni: 9, port: 4789}))
  await kernel.do(addFdb({index: at.index('vx1'), mac: mac(3), remote: parseIp('192.168.0.4')}))
  await kernel.do(addFdb({index: at.index('e'), mac: mac(4), flags: NTF.MASTER, state: NUD.NOARP}))
  await same()
  t.is((await read({index})).filter(each => each.remote).length, 3)
  await kernel.do(replaceFdb({...entry, remote: parseIp('192.168.0.9')}))
  t.deepEqual(
    (await read({index})).filter(each => each.mac === mac(2)).map(each => `${each.remote}`),
    ['192.168.0.9'],
  )
  await same()
  await kernel.do(deleteFdb({...flood, remote: parseIp('192.168.0.3'), vni: 9, port: 4789}))
  await kernel.do(deleteFdb({...entry, remote: parseIp('192.168.0.9')}))
  await same()
  t.deepEqual(
    (await read({index})).filter(each => each.remote).map(each => `${each.remote}`),
    ['192.168.0.2'],
  )
  t.is(await code(kernel.do(deleteFdb(entry))), 'ENOENT')
})

// ---- rules

test('rules are added and removed as ip sees them', async t => {
  const {at, kernel} = await pair(t)
  const same = async () => {
    for (const family of [4, 6] as const)
      t.deepEqual(lines(await kernel.dump(dumpRules(family))), lines(rulesOf(at, family)))
  }
  await same()
  const rules = [
    {family: 4, priority: 100, table: 1000, protocol: 107, from: parseCidr('10.1.0.0/16')},
    {
      family: 4,
      priority: 101,
      table: 100,
      protocol: 107,
      from: parseCidr('10.1.0.1/32'),
      to: parseCidr('10.2.0.0/16'),
      iif: 'd',
      oif: 'e',
      fwmark: 1,
      fwmask: 0xff,
    },
    {family: 6, priority: 102, table: 254, protocol: 107, to: parseCidr('2001:db8::/32')},
  ] as const
  for (const rule of rules) {
    await kernel.do(addRule(rule))
    t.is(await code(kernel.do(addRule(rule))), 'EEXIST')
  }
  await same()
  for (const rule of rules) await kernel.do(deleteRule(rule))
  await same()
  t.is(await code(kernel.do(deleteRule(rules[0]))), 'ENOENT')
})

test('rules that are no lookups are not read as such', async t => {
  const {at, kernel} = await pair(t)
  const before = await kernel.dump(dumpRules(4))
  at.ip('rule', 'add', 'from', '10.0.0.0/8', 'pref', '50', 'blackhole')
  at.ip('rule', 'add', 'not', 'from', '10.0.0.0/8', 'pref', '51', 'lookup', '100')
  at.ip('rule', 'add', 'from', '10.0.0.0/8', 'pref', '52', 'goto', '32766')
  t.deepEqual(await kernel.dump(dumpRules(4)), before)
})

// ---- batches

test('a batch goes on after a refusal and says which, and why in the kernel’s words', async t => {
  const {at, kernel, dev} = await connected(t)
  const good = (n: number) => route(`10.1.${n}.0/24`, {nextHops: [via('192.168.0.2', dev)]})
  const unreachable = route('10.2.0.0/24', {nextHops: [via('172.16.0.1', dev)]})
  const results = await kernel.batch([
    addRoute(good(1)),
    addRoute(unreachable),
    addRoute(good(2)),
    addRoute(good(1)),
    deleteLink('absent'),
    addRoute(good(3)),
  ])
  t.deepEqual(
    results.map(error => error?.code),
    [undefined, 'ENETUNREACH', undefined, 'EEXIST', 'ENODEV', undefined],
  )
  t.is(results[1]!.op, `route add 10.2.0.0/24 via 172.16.0.1 dev ${dev} proto 107 metric 2048`)
  t.is(results[1]!.errno, 101)
  t.is(results[1]!.hint, 'Nexthop has invalid gateway')
  t.is(results[1]!.message, `${results[1]!.op}: Nexthop has invalid gateway (ENETUNREACH)`)
  t.is(results[4]!.message, 'link del absent: no such device (ENODEV)')
  t.deepEqual(
    routesOf(at, 4, 'table', '254', 'proto', '107').map(each => `${each.destination}`),
    ['10.1.1.0/24', '10.1.2.0/24', '10.1.3.0/24'],
  )
})

test('an empty batch is nothing, and a batch may end with a refusal', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await at.kernel()
  t.deepEqual(await kernel.batch([]), [])
  t.deepEqual(
    (await kernel.batch([addLink({name: 'br0', kind: {type: 'bridge'}}), deleteLink('absent')])).map(e => e?.code),
    [undefined, 'ENODEV'],
  )
})

test('a link can be made, named and configured in one batch', async t => {
  const [at] = await namespaces(t, 1)
  const kernel = await at.kernel()
  const results = await kernel.batch([
    addLink({name: 'br0', group: 107, kind: {type: 'bridge'}}),
    setLink('br0', {alias: 'netgraft:lan', up: true, mtu: 1400}),
  ])
  t.deepEqual(results, [undefined, undefined])
  t.like(at.json('link', 'show', 'dev', 'br0')[0], {ifalias: 'netgraft:lan', mtu: 1400, group: '107'})
})

const COUNT = 10_000
const nth = (i: number, nextHops: Route['nextHops']): Route =>
  route(`10.${100 + (i >> 14)}.${(i >> 6) & 0xff}.${(i & 0x3f) << 2}/30`, {nextHops})

test('10,000 routes are written in one batch, and the dump equals what ip lists', async t => {
  const {at, kernel, dev} = await connected(t)
  const routes = Array.from({length: COUNT}, (_, i) => nth(i, [via('192.168.0.2', dev)]))
  const errors = (await kernel.batch(routes.map(addRoute))).filter(Boolean)
  t.deepEqual(errors, [])
  const dump = lines(await kernel.dump(dumpRoutes({family: 4, table: 254, protocol: 107})))
  t.is(dump.length, COUNT)
  t.deepEqual(dump, lines(routesOf(at, 4, 'table', '254', 'proto', '107')))
  t.deepEqual(dump, lines(routes))
})

test('10,000 refusals are all reported, and none is lost', async t => {
  const {kernel, dev} = await connected(t)
  const results = await kernel.batch(Array.from({length: COUNT}, (_, i) => addRoute(nth(i, [via('172.16.0.1', dev)]))))
  t.is(results.length, COUNT)
  t.deepEqual(
    new Set(results.map(error => `${error?.code} ${error?.hint}`)),
    new Set(['ENETUNREACH Nexthop has invalid gateway']),
  )
  // The socket is as good as new.
  await kernel.do(addRoute(nth(0, [via('192.168.0.2', dev)])))
  t.is((await kernel.dump(dumpRoutes({family: 4, protocol: 107}))).length, 1)
})

test('requests on one port do not mix their answers', async t => {
  const {at, kernel, dev} = await connected(t)
  const [routes, refusals, links, ...rest] = await Promise.all([
    kernel.batch(Array.from({length: 500}, (_, i) => addRoute(nth(i, [via('192.168.0.2', dev)])))),
    kernel.batch(Array.from({length: 500}, () => deleteLink('absent'))),
    kernel.dump(dumpLinks()),
    ...Array.from({length: 50}, () => kernel.dump(dumpAddresses({index: dev}))),
  ])
  t.true(routes.every(error => error === undefined))
  t.true(refusals.every(error => error?.code === 'ENODEV'))
  t.deepEqual(lines(links), lines(linksOf(at)))
  for (const addresses of rest) t.is(addresses.length, 2)
})
