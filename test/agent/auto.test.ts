/** Backend auto: direct where a peer is on a connected subnet, else through a tunnel, per family. The real agent; needs root. */
import test from 'ava'
import {built, OWN_TUNNELS, OWN_VTEP, SELF, startNode, VTEP, vtep} from './support/node.ts'

const AUTO = {networks: [{backend: 'auto'}]}

/** On the same subnets. */
const B = 'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2 fd00:100::2'
const B_ENDS = '192.168.0.2/02:00:00:00:04:02 fd00:100::2/02:00:00:00:06:02'
const TO_B4 = ['route 10.64.2.0/24 via 192.168.0.2 dev eth0 metric 2048']
const TO_B6 = ['route fd00:64:2::/64 via fd00:100::2 dev eth0 metric 2048']

/** Behind a router. */
const FAR_B = B.replace('192.168.0.2', '10.9.0.2').replace('fd00:100::2', 'fd00:9::2')
const FAR_ENDS = '10.9.0.2/02:00:00:00:04:02 fd00:9::2/02:00:00:00:06:02'
const TO_FAR_B4 = [
  'route 10.64.2.0/24 via 10.9.0.2 dev ng-vx0 metric 2048 onlink',
  'neigh 10.9.0.2 dev ng-vx0 lladdr 02:00:00:00:04:02',
  'fdb 02:00:00:00:04:02 dev ng-vx0 dst 10.9.0.2',
]
const TO_FAR_B6 = [
  'route fd00:64:2::/64 via fe80::ff:fe00:602 dev ng-vx0-6 metric 2048',
  'neigh fe80::ff:fe00:602 dev ng-vx0-6 lladdr 02:00:00:00:06:02',
  'fdb 02:00:00:00:06:02 dev ng-vx0-6 dst fd00:9::2',
]

const TO_C = [
  'route 10.64.3.0/24 via 10.9.0.3 dev ng-vx0 metric 2048 onlink',
  'neigh 10.9.0.3 dev ng-vx0 lladdr 02:00:00:00:04:03',
  'fdb 02:00:00:00:04:03 dev ng-vx0 dst 10.9.0.3',
]
const C = 'c 10.64.3.0/24 via 10.9.0.3 ends 10.9.0.3/02:00:00:00:04:03'

/** What was told of a prefix, each line up to its way: "Deleted 10.64.2.0/24", "10.64.2.0/24". */
const toldOf = (lines: readonly string[], prefix: string) =>
  lines.filter(line => line.includes(prefix)).map(line => line.replace(/ (via|dev) .*/, ''))

test.before(built)

test('peers on the subnet are reached directly, others through tunnels, each family by itself', async t => {
  const node = await startNode(t, {
    nodes: [
      SELF,
      B,
      `${FAR_B.replace('b ', 'far ').replaceAll('64', '65')} ends ${FAR_ENDS}`,
      // Direct in one family, far in the other.
      'half4 10.66.1.0/24 fd00:66:1::/64 via 192.168.0.11 fd00:9::11 ends 192.168.0.11/02:00:00:00:04:11 fd00:9::11/02:00:00:00:06:11',
      'half6 10.66.2.0/24 fd00:66:2::/64 via 10.9.0.12 fd00:100::12 ends 10.9.0.12/02:00:00:00:04:12 fd00:100::12/02:00:00:00:06:12',
      // On the subnet, and its IPv6 only through the tunnel over IPv4.
      'four 10.66.3.0/24 fd00:66:3::/64 via 192.168.0.13 ends 192.168.0.13/02:00:00:00:04:13',
    ],
    config: AUTO,
  })
  await node.holds(
    OWN_TUNNELS,
    TO_B4,
    TO_B6,
    [...TO_FAR_B4, ...TO_FAR_B6].map(line => line.replaceAll('64', '65')),
    [
      'route 10.66.1.0/24 via 192.168.0.11 dev eth0 metric 2048',
      'route fd00:66:1::/64 via fe80::ff:fe00:611 dev ng-vx0-6 metric 2048',
      'neigh fe80::ff:fe00:611 dev ng-vx0-6 lladdr 02:00:00:00:06:11',
      'fdb 02:00:00:00:06:11 dev ng-vx0-6 dst fd00:9::11',
    ],
    [
      'route 10.66.2.0/24 via 10.9.0.12 dev ng-vx0 metric 2048 onlink',
      'neigh 10.9.0.12 dev ng-vx0 lladdr 02:00:00:00:04:12',
      'fdb 02:00:00:00:04:12 dev ng-vx0 dst 10.9.0.12',
      'route fd00:66:2::/64 via fd00:100::12 dev eth0 metric 2048',
    ],
    [
      'route 10.66.3.0/24 via 192.168.0.13 dev eth0 metric 2048',
      'route fd00:66:3::/64 via fe80::ff:fe00:413 dev ng-vx0 metric 2048',
      'neigh fe80::ff:fe00:413 dev ng-vx0 lladdr 02:00:00:00:04:13',
      'fdb 02:00:00:00:04:13 dev ng-vx0 dst 192.168.0.13',
    ],
  )
  // Published all the same: others may have to use the tunnel.
  await node.until(() => node.published() === OWN_VTEP)
  t.deepEqual(
    node.agent.logs.filter(line => !['info', 'debug'].includes(line.level)),
    [],
  )
})

test('a peer that moves behind a router and back has a route at every moment', async t => {
  const node = await startNode(t, {nodes: [SELF, `${B} ends ${B_ENDS}`, C], config: AUTO})
  await node.holds(OWN_TUNNELS, TO_B4, TO_B6, TO_C)
  const heard = await node.monitor()
  // Its end is known before it is far away, and after: a node's object and its annotation do not change at once.
  node.put(`${B} ends ${FAR_ENDS}`)
  node.put(`${FAR_B} ends ${FAR_ENDS}`)
  await node.holds(OWN_TUNNELS, TO_FAR_B4, TO_FAR_B6, TO_C)
  node.put(B)
  await node.holds(OWN_TUNNELS, TO_B4, TO_B6, TO_C)
  const told = await heard()
  t.deepEqual(toldOf(told, '10.64.2.0/24'), ['10.64.2.0/24', '10.64.2.0/24'])
  t.deepEqual(toldOf(told, 'fd00:64:2::/64'), ['fd00:64:2::/64', 'fd00:64:2::/64'])
  t.is(await node.agent.metric('netgraft_route_changes_total', {op: 'replace'}), 4)
  t.is(await node.agent.metric('netgraft_route_changes_total', {op: 'delete'}), 0)
})

test('an address of this node’s on the subnet of far peers makes them near, and its loss far again', async t => {
  const node = await startNode(t, {nodes: [SELF, `${FAR_B} ends ${FAR_ENDS}`], config: AUTO})
  await node.holds(OWN_TUNNELS, TO_FAR_B4, TO_FAR_B6)
  const heard = await node.monitor()
  await node.ip('link add eth1 type veth peer name sw1')
  await node.ip('link set sw1 up')
  await node.ip('link set eth1 up')
  await node.ip('addr add 10.9.0.1/24 dev eth1')
  await node.ip('addr add fd00:9::1/64 dev eth1 nodad')
  await node.holds(OWN_TUNNELS, [
    'route 10.64.2.0/24 via 10.9.0.2 dev eth1 metric 2048',
    'route fd00:64:2::/64 via fd00:9::2 dev eth1 metric 2048',
  ])
  t.deepEqual(toldOf(await heard(), '64:2::'), ['fd00:64:2::/64'])
  // The kernel itself takes the direct routes with the addresses.
  await node.ip('addr flush dev eth1')
  await node.holds(OWN_TUNNELS, TO_FAR_B4, TO_FAR_B6)
  t.pass()
})

test('the node’s own address changes, before or after its object says so: all follows', async t => {
  const node = await startNode(t, {nodes: [SELF, B, C], config: AUTO})
  await node.holds(OWN_TUNNELS, TO_B4, TO_B6, TO_C)
  const moved = (four: string, six: string) =>
    OWN_TUNNELS.map(line => line.replace('192.168.0.1', four).replace('fd00:100::1', six))
  const published = (four: string, six: string) => vtep(`${four}/fe:13:d4:48:ff:f4`, `${six}/b2:5b:53:89:76:6a`)[VTEP]
  const renumber = async (from: number, to: number) => {
    // The other way round the kernel would take both: the second address of a subnet goes with the first.
    await node.ip(`addr del 192.168.0.${from}/16 dev eth0`)
    await node.ip(`addr add 192.168.0.${to}/16 dev eth0`)
    await node.ip(`addr add fd00:100::${to}/64 dev eth0 nodad`)
    await node.ip(`addr del fd00:100::${from}/64 dev eth0`)
  }
  const say = (n: number) =>
    node.put(SELF.replace('192.168.0.1', `192.168.0.${n}`).replace('fd00:100::1', `fd00:100::${n}`))
  await renumber(1, 21)
  say(21)
  await node.holds(moved('192.168.0.21', 'fd00:100::21'), TO_B4, TO_B6, TO_C)
  await node.until(() => node.published() === published('192.168.0.21', 'fd00:100::21'))
  say(22)
  await renumber(21, 22)
  await node.holds(moved('192.168.0.22', 'fd00:100::22'), TO_B4, TO_B6, TO_C)
  await node.until(() => node.published() === published('192.168.0.22', 'fd00:100::22'))
  // Both stand for a while, and the object names one of them.
  await node.ip('addr add 192.168.0.1/16 dev eth0')
  await node.ip('addr add fd00:100::1/64 dev eth0 nodad')
  say(1)
  await node.holds(OWN_TUNNELS, TO_B4, TO_B6, TO_C)
  await node.until(() => node.published() === OWN_VTEP)
  // It loses a family, and has it back.
  node.put(SELF.replace(' fd00:100::1', ''))
  await node.holds(
    OWN_TUNNELS.filter(line => !line.includes('ng-vx0-6')),
    TO_B4,
    TO_B6,
    TO_C,
  )
  await node.until(() => node.published() === vtep('192.168.0.1/fe:13:d4:48:ff:f4')[VTEP])
  say(1)
  await node.holds(OWN_TUNNELS, TO_B4, TO_B6, TO_C)
  await node.until(() => node.published() === OWN_VTEP)
  t.pass()
})

test('an object that names the new address before the interface has it costs no tunnel', async t => {
  const node = await startNode(t, {nodes: [SELF, C], config: AUTO})
  await node.holds(OWN_TUNNELS, TO_C)
  const heard = await node.monitor('link')
  node.put(SELF.replace('192.168.0.1', '192.168.0.2').replace('fd00:100::1', 'fd00:100::2'))
  node.put('d 10.64.4.0/24 via 192.168.0.4')
  await node.until(async () => (await node.routes()).some(line => line.startsWith('10.64.4.0/24')))
  await node.holds(OWN_TUNNELS, TO_C, 'route 10.64.4.0/24 via 192.168.0.4 dev eth0 metric 2048')
  t.deepEqual(
    (await heard()).filter(line => line.startsWith('Deleted')),
    [],
  )
})

test('a peer on the subnet needs no end; one that leaves the subnet without one is told', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: AUTO})
  await node.holds(OWN_TUNNELS, TO_B4, TO_B6)
  node.put(FAR_B)
  await node.says('"unreachable"', 'node b', '10.64.2.0/24', 'published no end of a tunnel yet')
  await node.holds(OWN_TUNNELS)
  node.put(`${FAR_B} ends ${FAR_ENDS}`)
  await node.holds(OWN_TUNNELS, TO_FAR_B4, TO_FAR_B6)
  await node.says('trouble over', '10.64.2.0/24')
})

test('an unchanged restart writes nothing', async t => {
  const node = await startNode(t, {nodes: [SELF, B, C], config: AUTO})
  await node.holds(OWN_TUNNELS, TO_B4, TO_B6, TO_C)
  await node.until(() => node.published() === OWN_VTEP)
  const heard = await node.monitor('all')
  await node.agent.restart()
  await node.until(() => node.agent.ready())
  t.is(await node.agent.metric('netgraft_tunnel_changes_total'), undefined)
  t.is(await node.agent.metric('netgraft_route_changes_total'), 0)
  t.deepEqual(await heard(), [])
  await node.holds(OWN_TUNNELS, TO_B4, TO_B6, TO_C)
})

test('backend none: what an earlier configuration made goes, the own range stays, and nobody is complained of', async t => {
  const nodes = [SELF, B, `${FAR_B.replace('b ', 'far ').replaceAll('64', '65')} ends ${FAR_ENDS}`]
  const node = await startNode(t, {nodes, config: AUTO})
  await node.holds(
    OWN_TUNNELS,
    TO_B4,
    TO_B6,
    [...TO_FAR_B4, ...TO_FAR_B6].map(line => line.replaceAll('64', '65')),
  )
  await node.agent.stop()
  node.configure({networks: [{backend: 'none'}]})
  node.agent.start()
  await node.until(() => node.agent.ready())
  await node.holds(OWN_TUNNELS.filter(line => line.startsWith('route unreachable')))
  await node.until(() => node.published() === undefined)
  t.deepEqual(
    node.agent.logs.filter(line => !['info', 'debug'].includes(line.level)),
    [],
  )
})
