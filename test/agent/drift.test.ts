/** Who else writes routes: what is theirs stays, what is ours is put right. The real agent; needs root. */
import test from 'ava'
import {built, SELF, startNode} from './support/node.ts'

const B = 'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2 fd00:100::2'
const C = 'c 10.64.3.0/24 fd00:64:3::/64 via 192.168.0.3 fd00:100::3'
const TO_B = ['10.64.2.0/24 via 192.168.0.2', 'fd00:64:2::/64 via fd00:100::2']
const TO_C = ['10.64.3.0/24 via 192.168.0.3', 'fd00:64:3::/64 via fd00:100::3']

test.before(built)

test('foreign routes stay as they are, ours carry our mark', async t => {
  const node = await startNode(t, {nodes: [SELF, B], start: false})
  const foreign = [
    'route add 10.70.0.0/24 via 192.168.0.7',
    'route add 10.70.1.0/24 via 192.168.0.7 proto 108 metric 2048',
    'route add 10.70.2.0/24 via 192.168.0.7 proto 107 table 100',
    'route add fd00:70::/64 via fd00:100::7 proto static',
    'route add blackhole 10.70.3.0/24',
    'route add default via 192.168.0.254',
  ]
  for (const command of foreign) await node.ip(command)
  const before = [await node.allRoutes(4), await node.allRoutes(6)].flat().sort()
  node.agent.start()
  await node.has(...TO_B)
  node.remove('b')
  await node.has()
  t.deepEqual([await node.allRoutes(4), await node.allRoutes(6)].flat().sort(), before)
  t.true((await node.ip('-N route show table 100')).includes('10.70.2.0/24'))
})

test('leftovers with our mark go, whoever left them', async t => {
  const node = await startNode(t, {nodes: [SELF, B], start: false})
  for (const stray of [
    'route add 10.99.0.0/24 via 192.168.0.9 proto 107 metric 2048',
    'route add 10.64.2.0/24 via 192.168.0.9 proto 107 metric 2048',
    'route add 10.64.2.0/24 via 192.168.0.8 proto 107 metric 9',
    'route add blackhole 10.98.0.0/24 proto 107',
    'route add fd00:99::/64 via fd00:100::9 proto 107 metric 2048',
  ])
    await node.ip(stray)
  node.agent.start()
  await node.has(...TO_B)
  // And while it runs.
  await node.ip('route add 10.97.0.0/24 via 192.168.0.9 proto 107 metric 2048')
  await node.ip('route add fd00:97::/64 via fd00:100::9 proto 107')
  await node.until(async () => (await node.agent.metric('netgraft_drift_repairs_total')) === 2)
  await node.has(...TO_B)
})

test('what is deleted, replaced or flushed by hand is put right', async t => {
  const node = await startNode(t, {nodes: [SELF, B, C]})
  await node.has(...TO_B, ...TO_C)
  const hands = [
    'route del 10.64.2.0/24',
    '-6 route del fd00:64:2::/64',
    'route replace 10.64.2.0/24 via 192.168.0.99 proto 107 metric 2048',
    'route replace blackhole 10.64.3.0/24 proto 107 metric 2048',
    '-6 route replace fd00:64:2::/64 via fd00:100::99 proto 107 metric 2048',
    'route append 10.64.2.0/24 via 192.168.0.99 proto 107 metric 2048',
    'route change 10.64.2.0/24 via 192.168.0.2 proto 107 metric 2048 mtu 1300',
    'route flush proto 107',
    '-6 route flush proto 107',
  ]
  for (const hand of hands) {
    const repairs = (await node.agent.metric('netgraft_drift_repairs_total'))!
    await node.ip(hand)
    await node.until(async () => (await node.agent.metric('netgraft_drift_repairs_total'))! > repairs, hand)
    await node.has(...TO_B, ...TO_C)
  }
  // This takes the way to the other nodes as well.
  await node.ip('route flush table main')
  await node.says('warn', 'refused', 'ENETUNREACH')
  await node.ip('route add 192.168.0.0/16 dev eth0 src 192.168.0.1')
  await node.has(...TO_B, ...TO_C)
})

test('a path that the kernel merged into ours is told and left alone, until it goes', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  await node.ip('-6 route append fd00:64:2::/64 via fd00:100::99 proto static metric 2048')
  await node.until(async () => (await node.agent.metric('netgraft_conflicts')) === 1)
  await node.ip('-6 route del fd00:64:2::/64 via fd00:100::99 metric 2048')
  await node.until(async () => (await node.agent.metric('netgraft_conflicts')) === 0)
  await node.has(...TO_B)
})

test('a route that was replaced by a stranger with our metric is the stranger’s, until it goes', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  await node.ip('route replace 10.64.2.0/24 via 192.168.0.99 proto static metric 2048')
  await node.says('conflict', '10.64.2.0/24', 'ours cannot stand beside it')
  await node.has(TO_B[1]!)
  await node.ip('route del 10.64.2.0/24 proto static')
  await node.has(...TO_B)
})

test('a path that a stranger merges into our IPv6 route is the stranger’s to take away', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  await node.ip('-6 route append fd00:64:2::/64 via fd00:100::99 proto static metric 2048')
  await node.says('conflict', 'fd00:64:2::/64', 'nexthop via fd00:100::99')
  await node.ip('-6 route del fd00:64:2::/64 via fd00:100::99')
  await node.has(...TO_B)
  await node.says('trouble over', 'fd00:64:2::/64')
})

test('a user’s own route stands before ours, and is reported', async t => {
  const node = await startNode(t, {nodes: [SELF, B, C], start: false})
  await node.ip('route add 10.64.2.0/24 via 192.168.0.99')
  await node.ip('route add fd00:64:2::/64 via fd00:100::99')
  node.agent.start()
  await node.has(...TO_B, ...TO_C)
  await node.says('warn', 'conflict', '10.64.2.0/24', 'ours stands behind it')
  await node.says('warn', 'conflict', 'fd00:64:2::/64', 'ours stands behind it')
  t.is(await node.agent.metric('netgraft_conflicts'), 2)
  t.true((await node.allRoutes(4)).some(line => line.startsWith('10.64.2.0/24 via 192.168.0.99')))
  t.true((await node.allRoutes(6)).some(line => line.startsWith('fd00:64:2::/64 via fd00:100::99')))
  await node.ip('route del 10.64.2.0/24 via 192.168.0.99')
  await node.says('trouble over', '10.64.2.0/24')
  await node.until(async () => (await node.agent.metric('netgraft_conflicts')) === 1)
  await node.has(...TO_B, ...TO_C)
})

test('a foreign route of our metric keeps ours out; when it goes, ours takes over', async t => {
  const node = await startNode(t, {nodes: [SELF, B, C], start: false})
  await node.ip('route add 10.64.2.0/24 via 192.168.0.99 metric 2048')
  await node.ip('route add fd00:64:3::/64 via fd00:100::99 metric 2048')
  node.agent.start()
  await node.has(TO_B[1]!, TO_C[0]!)
  await node.says('warn', 'conflict', '10.64.2.0/24', 'ours cannot stand beside it')
  await node.says('warn', 'conflict', 'fd00:64:3::/64', 'ours cannot stand beside it')
  t.is(await node.agent.metric('netgraft_routes'), 2)
  await node.ip('route del 10.64.2.0/24 metric 2048')
  await node.has(...TO_B, TO_C[0]!)
  await node.ip('route del fd00:64:3::/64 metric 2048')
  await node.has(...TO_B, ...TO_C)
  t.is(await node.agent.metric('netgraft_conflicts'), 0)
})

test('a link that flaps, and an address that comes back, have their routes again', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  // Stays up without IPv6's addresses, which a downed link loses.
  await node.ip('link set eth0 down')
  await node.has()
  await node.says('warn', 'node b', 'is on no connected subnet')
  await node.ip('link set eth0 up')
  await node.has(TO_B[0]!)
  await node.ip('addr add fd00:100::1/64 dev eth0 nodad')
  await node.has(...TO_B)
  await node.ip('addr del 192.168.0.1/16 dev eth0')
  await node.has(TO_B[1]!)
  await node.ip('addr add 192.168.0.1/16 dev eth0')
  await node.has(...TO_B)
  for (let i = 0; i < 5; i++) {
    await node.ip('link set eth0 down')
    await node.ip('link set eth0 up')
  }
  await node.ip('addr replace fd00:100::1/64 dev eth0 nodad')
  await node.has(...TO_B)
  // The carrier alone takes no route away.
  await node.ip('link set sw0 down')
  await node.until(async () => (await node.ip('link show eth0')).includes('NO-CARRIER'))
  await node.has(...TO_B)
})

test('a link that is deleted and made anew, and one that takes over the subnet, carry the routes', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  await node.ip('link del eth0')
  await node.has()
  await node.ip('link add eth0 type veth peer name sw0')
  await node.ip('link set sw0 up')
  await node.ip('link set eth0 up')
  await node.ip('addr add 192.168.0.1/16 dev eth0')
  await node.ip('addr add fd00:100::1/64 dev eth0 nodad')
  await node.has(...TO_B)
  await node.ip('link set eth0 down')
  await node.ip('link set eth0 name eth1')
  await node.ip('link set eth1 up')
  await node.ip('addr add fd00:100::1/64 dev eth1 nodad')
  await node.has(...TO_B.map(route => `${route} dev eth1 metric 2048`))
})
