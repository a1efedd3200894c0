/** The real agent turns nodes into routes, and keeps to its own. Needs root. */
import test from 'ava'
import {built, machineId, nodeObject, SELF, startNode} from './support/node.ts'

const B = 'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2 fd00:100::2'
const TO_B = ['10.64.2.0/24 via 192.168.0.2', 'fd00:64:2::/64 via fd00:100::2']

test.before(built)

test('the pod ranges of the other nodes are routed, of both families; nodes come, change and go', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  node.put('c 10.64.3.0/24 via 192.168.0.3')
  await node.has(...TO_B, '10.64.3.0/24 via 192.168.0.3')
  // Another address.
  node.put('c 10.64.3.0/24 via 192.168.77.3')
  await node.has(...TO_B, '10.64.3.0/24 via 192.168.77.3')
  // Another range, and one more.
  node.put('c 10.64.4.0/24 10.64.5.0/24 via 192.168.77.3')
  await node.has(...TO_B, '10.64.4.0/24 via 192.168.77.3', '10.64.5.0/24 via 192.168.77.3')
  // What changes nothing of this writes nothing.
  const written = await node.agent.metric('netgraft_route_changes_total')
  for (let beat = 0; beat < 20; beat++)
    node.api.patch({resource: 'nodes', name: 'b'}, {metadata: {annotations: {beat: `${beat}`}}})
  // The range moves to another node.
  node.put('c 10.64.4.0/24 via 192.168.77.3', 'd 10.64.5.0/24 via 192.168.0.4')
  await node.has(...TO_B, '10.64.4.0/24 via 192.168.77.3', '10.64.5.0/24 via 192.168.0.4')
  t.true((await node.agent.metric('netgraft_route_changes_total'))! <= written! + 2)
  node.remove('b', 'c')
  await node.has('10.64.5.0/24 via 192.168.0.4')
  t.is(await node.agent.metric('netgraft_peers'), 1)
  t.deepEqual(
    node.agent.logs.filter(line => !['info', 'debug'].includes(line.level)),
    [],
  )
})

test('a pod range that moves between nodes is never without a route', async t => {
  const node = await startNode(t, {nodes: [SELF, B, 'c via 192.168.0.3']})
  await node.has(...TO_B)
  const heard = await node.monitor()
  // The new owner first, as when a node's object outlives its successor's birth.
  node.put('c 10.64.2.0/24 via 192.168.0.3')
  node.put('b fd00:64:2::/64 via 192.168.0.2 fd00:100::2')
  await node.has('10.64.2.0/24 via 192.168.0.3', 'fd00:64:2::/64 via fd00:100::2')
  const told = (await heard()).filter(line => line.includes('10.64.2.0/24'))
  t.deepEqual(
    told.map(line => line.replace(/ via .*/, '')),
    ['10.64.2.0/24'],
  )
  t.is(await node.agent.metric('netgraft_route_changes_total', {op: 'replace'}), 1)
  t.is(await node.agent.metric('netgraft_route_changes_total', {op: 'delete'}), 0)
})

test('the own node is found by the machine id', async t => {
  const node = await startNode(t, {nodes: [B], env: {NODE_NAME: ''}})
  node.api.create(nodeObject(SELF, {status: {addresses: [], nodeInfo: {machineID: machineId()}}}))
  await node.has(...TO_B)
})

test('a node that is not there yet is no reason to wait, and its own range is no longer routed once it is', async t => {
  const node = await startNode(t, {nodes: [B]})
  await node.has(...TO_B)
  node.put(SELF)
  await node.says('listed')
  await node.has(...TO_B)
})

test('a peer behind a node address without a subnet is reached onlink', async t => {
  const node = await startNode(t, {
    nodes: [SELF, B],
    network: [
      'link add eth0 type veth peer name sw0',
      'link set eth0 up',
      'link set sw0 up',
      'addr add 192.168.0.1/32 dev eth0',
      'addr add fd00:100::1/128 dev eth0 nodad',
    ],
  })
  await node.has(
    '10.64.2.0/24 via 192.168.0.2 dev eth0 metric 2048 onlink',
    'fd00:64:2::/64 via fd00:100::2 dev eth0 metric 2048 onlink',
  )
})

test('what cannot be reached is told, once, and is routed when it can', async t => {
  const node = await startNode(t, {nodes: [SELF, B, 'far 10.64.9.0/24 via 172.31.0.9']})
  await node.has(...TO_B)
  await node.says('warn', 'node far', '172.31.0.9 is on no connected subnet')
  t.is(await node.agent.metric('netgraft_invalid_inputs', {kind: 'unreachable'}), 1)
  await node.ip('addr add 172.31.0.1/24 dev eth0')
  await node.has(...TO_B, '10.64.9.0/24 via 172.31.0.9')
  await node.says('trouble over', 'node far')
  t.is(node.agent.logs.filter(line => line.msg === 'trouble').length, 1)
})

test('forwarding is switched on and kept on, and a router that is listened to is listened to further on', async t => {
  const node = await startNode(t, {start: false})
  const sysctl = (name: string) => node.namespace.exec('sysctl', '-n', name).trim()
  for (const setting of ['net.ipv4.ip_forward=0', 'net.ipv6.conf.all.forwarding=0', 'net.ipv6.conf.eth0.accept_ra=1'])
    node.namespace.exec('sysctl', '-qw', setting)
  await node.ip('-6 route add default via fe80::1 dev eth0 proto ra')
  node.agent.start()
  await node.says('forwarding switched on')
  t.is(sysctl('net.ipv6.conf.all.forwarding'), '1')
  t.is(sysctl('net.ipv4.ip_forward'), '1')
  t.is(sysctl('net.ipv6.conf.eth0.accept_ra'), '2')
  t.is(sysctl('net.ipv6.conf.sw0.accept_ra'), '1')
  node.namespace.exec('sysctl', '-qw', 'net.ipv4.ip_forward=0')
  await node.ip('link add pod0 type bridge')
  await node.until(() => sysctl('net.ipv4.ip_forward') === '1')
})

test('an unchanged restart writes nothing to the kernel, and stopping leaves it as it is', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  const heard = await node.monitor()
  t.is(await node.agent.stop(), 0)
  await node.has(...TO_B)
  node.agent.start()
  await node.until(() => node.agent.ready())
  t.is(await node.agent.metric('netgraft_route_changes_total'), 0)
  t.is(await node.agent.metric('netgraft_routes'), 2)
  await node.has(...TO_B)
  t.deepEqual(await heard(), [])
})
