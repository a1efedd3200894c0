/** A pair's links on the real kernel, in network namespaces. Needs root. */
import {execFileSync} from 'node:child_process'
import test, {type ExecutionContext} from 'ava'
import {parseCidr, parseIp, parseIpWithPrefix} from '../../src/model/ip.ts'
import type {NamespaceKernel, Sandbox} from '../../src/model/namespace.ts'
import type {Mac} from '../../src/model/net.ts'
import type {Pair, PairKey, ReadyEnd, VethPlan, VxlanPlan} from '../../src/model/pair.ts'
import {Kernel} from '../../src/netlink/kernel.ts'
import {namespaces as doors, namespaceKernel} from '../../src/netlink/namespace.ts'
import {ensureVeth, ensureVxlan, removeEnd, standingEnds} from '../../src/pairs/links.ts'
import {type Namespace, namespaces} from '../netlink/namespace.ts'

const KEY = 'default/a.in1.b.in2' as PairKey

const pair = (key = KEY): Pair => ({key, ends: [] as never})

const end = (name: string, ips: readonly string[], more: Partial<ReadyEnd> = {}): ReadyEnd => ({
  pod: `default/${name}`,
  uid: name,
  sandbox: name,
  interface: name === 'a' ? 'in1' : 'in2',
  peer: '',
  ips: ips.map(parseIpWithPrefix),
  mac: `02:00:00:00:00:0${name === 'a' ? 1 : 2}` as Mac,
  routes: [],
  ...more,
})

interface Place {
  readonly kernel: NamespaceKernel
  readonly sandboxes: readonly Sandbox[]
  readonly pods: readonly Namespace[]
}

async function place(t: ExecutionContext, node: Namespace, pods: readonly Namespace[]): Promise<Place> {
  const kernel = namespaceKernel(await Kernel.open({netns: node.path}))
  const sandboxes = await Promise.all(pods.map(({path}) => doors().open(path)))
  t.teardown(async () => {
    for (const each of sandboxes) await each.close()
    kernel.close()
  })
  return {kernel, sandboxes, pods}
}

const pings = (from: Namespace, to: string): boolean => {
  try {
    execFileSync('ip', ['netns', 'exec', from.name, 'ping', '-c1', '-W2', '-q', to], {stdio: 'ignore'})
    return true
  } catch {
    return false
  }
}

const show = (pod: Namespace, ifname: string) => {
  const [link] = pod.json('addr', 'show', 'dev', ifname)
  const own = link.addr_info.filter((each: {scope: string}) => each.scope !== 'link')
  return {
    index: link.ifindex,
    mtu: link.mtu,
    mac: link.address,
    alias: link.ifalias,
    ips: own.map(({local, prefixlen}: {local: string; prefixlen: number}) => `${local}/${prefixlen}`).sort(),
  }
}

test('a veth straight between two pods: made, left alone, changed in place, made anew, taken away', async t => {
  const [node, ...pods] = (await namespaces(t, 3)) as [Namespace, Namespace, Namespace]
  const {kernel, sandboxes} = await place(t, node, pods)
  const both = sandboxes as [Sandbox, Sandbox]
  const plan = (mtu: number, a: ReadyEnd, b: ReadyEnd): VethPlan => ({
    kind: 'veth',
    pair: pair(),
    mtu,
    notes: [],
    ends: [a, b],
  })
  const a = end('a', ['192.168.2.100/24', 'fd00:2::100/64'])
  const b = end('b', ['192.168.2.101/24', 'fd00:2::101/64'])
  t.is(await ensureVeth(kernel, plan(1430, a, b), both), 'made')
  const first = show(pods[0], 'in1')
  t.deepEqual(first, {
    ...first,
    mtu: 1430,
    mac: a.mac,
    alias: `netgraft:pair:${KEY}`,
    ips: ['192.168.2.100/24', 'fd00:2::100/64'],
  })
  t.true(pings(pods[0], '192.168.2.101'))
  t.true(pings(pods[1], 'fd00:2::100'))
  t.is(await ensureVeth(kernel, plan(1430, a, b), both), 'kept')
  // What somebody adds in the pod is none of ours, and stays.
  pods[0].ip('addr', 'add', '10.99.0.1/24', 'dev', 'in1')
  t.is(await ensureVeth(kernel, plan(1430, a, b), both), 'kept')
  t.true(show(pods[0], 'in1').ips.includes('10.99.0.1/24'))
  pods[0].ip('addr', 'del', '10.99.0.1/24', 'dev', 'in1')

  // Another address, a route, an MTU, a MAC: the same link.
  const routes = [{dst: parseCidr('10.7.0.0/16'), gw: parseIp('192.168.2.101'), onlink: false}]
  const changed = end('a', ['192.168.2.110/24', 'fd00:2::100/64'], {routes, mac: '02:00:00:00:00:09' as Mac})
  t.is(await ensureVeth(kernel, plan(1400, changed, b), both), 'changed')
  const second = show(pods[0], 'in1')
  t.deepEqual(
    [second.index, second.mtu, second.mac, second.ips],
    [first.index, 1400, changed.mac, ['192.168.2.110/24', 'fd00:2::100/64']],
  )
  t.is(show(pods[1], 'in2').mtu, 1400)
  t.regex(pods[0].ip('route', 'show', '10.7.0.0/16'), /via 192\.168\.2\.101 dev in1/)
  t.is(await ensureVeth(kernel, plan(1400, changed, b), both), 'kept')
  t.is(await ensureVeth(kernel, plan(1400, {...changed, routes: []}, b), both), 'changed')
  t.is(pods[0].ip('route', 'show', '10.7.0.0/16'), '')

  // Half of it damaged.
  pods[1].ip('link', 'del', 'in2')
  t.is(await ensureVeth(kernel, plan(1400, a, b), both), 'made')
  t.true(pings(pods[0], '192.168.2.101'))

  const [standing] = await standingEnds(both[0])
  t.is(standing?.pair, KEY)
  await removeEnd(both[0], standing!)
  t.deepEqual(await standingEnds(both[1]), [])
  await removeEnd(both[0], standing!)
})

test("somebody else's interface is left alone, and what a killed agent has left is taken for ours", async t => {
  const [node, ...pods] = (await namespaces(t, 3)) as [Namespace, Namespace, Namespace]
  const {kernel, sandboxes} = await place(t, node, pods)
  const both = sandboxes as [Sandbox, Sandbox]
  const plan: VethPlan = {
    kind: 'veth',
    pair: pair(),
    mtu: 1430,
    notes: [],
    ends: [end('a', ['10.1.0.1/30']), end('b', ['10.1.0.2/30'])],
  }
  pods[1].ip('link', 'add', 'in2', 'type', 'veth', 'peer', 'name', 'x')
  await t.throwsAsync(ensureVeth(kernel, plan, both), {message: /"in2" already, and not of our making/})
  t.is(pods[0].json('link', 'show').length, 1)
  pods[1].ip('link', 'del', 'in2')
  // As after the first message: no alias yet, in our group.
  pods[1].ip('link', 'add', 'in2', 'group', `${0x6e70}`, 'type', 'veth', 'peer', 'name', 'y')
  t.is(await ensureVeth(kernel, plan, both), 'made')
  t.true(pings(pods[0], '10.1.0.2'))
})

test('a tunnel between pods of two nodes, and a link that changes over to it and back', async t => {
  const [one, two, podA, podB] = (await namespaces(t, 4)) as [Namespace, Namespace, Namespace, Namespace]
  one.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', two.name)
  for (const [node, n] of [
    [one, 1],
    [two, 2],
  ] as const) {
    node.ip('link', 'set', 'eth0', 'up')
    node.ip('addr', 'add', `172.20.0.${n}/24`, 'dev', 'eth0')
    node.ip('addr', 'add', `fd00:20::${n}/64`, 'dev', 'eth0', 'nodad')
  }
  const [left, right] = await Promise.all([place(t, one, [podA]), place(t, two, [podB])])
  const a = end('a', ['192.168.2.100/24'])
  const b = end('b', ['192.168.2.101/24'])
  const tunnel = (own: ReadyEnd, vni: number, local: string, remote: string): VxlanPlan => ({
    kind: 'vxlan',
    pair: pair(),
    mtu: 1430,
    notes: [],
    ends: [own],
    vni,
    port: 4790,
    local: parseIp(local),
    remote: parseIp(remote),
  })
  const ensure = (vni: number, from: string, to: string) =>
    Promise.all([
      ensureVxlan(left.kernel, tunnel(a, vni, from, to), left.sandboxes[0]!, undefined),
      ensureVxlan(right.kernel, tunnel(b, vni, to, from), right.sandboxes[0]!, undefined),
    ])
  t.deepEqual(await ensure(7001, '172.20.0.1', '172.20.0.2'), ['made', 'made'])
  t.true(pings(podA, '192.168.2.101'))
  t.is(show(podA, 'in1').mtu, show(podB, 'in2').mtu)
  t.deepEqual(await ensure(7001, '172.20.0.1', '172.20.0.2'), ['kept', 'kept'])
  // Over IPv6, another VNI.
  t.deepEqual(await ensure(7002, 'fd00:20::1', 'fd00:20::2'), ['made', 'made'])
  t.true(pings(podB, '192.168.2.100'))
  // A VNI that somebody on the node has taken is told.
  one.ip('link', 'add', 'vx9', 'type', 'vxlan', 'id', '7003', 'dstport', '4790', 'remote', '172.20.0.9', 'dev', 'eth0')
  await t.throwsAsync(
    ensureVxlan(left.kernel, tunnel(a, 7003, '172.20.0.1', '172.20.0.2'), left.sandboxes[0]!, undefined),
    {message: /VNI 7003 is in use on UDP port 4790/},
  )
  // The other pod is on this node now.
  const both = [left.sandboxes[0]!, right.sandboxes[0]!] as [Sandbox, Sandbox]
  const veth: VethPlan = {kind: 'veth', pair: pair(), mtu: 1430, notes: [], ends: [a, b]}
  t.is(await ensureVeth(left.kernel, veth, both), 'made')
  t.true(pings(podA, '192.168.2.101'))
  t.deepEqual(await ensure(7001, '172.20.0.1', '172.20.0.2'), ['made', 'made'])
  t.true(pings(podA, '192.168.2.101'))
})
