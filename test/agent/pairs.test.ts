/** Pairs of pods from what their annotations say to the packets on the links. Needs root. */
import test from 'ava'
import {startCluster} from './support/pairs.ts'

const end = (peer: string, ip: string, more: object = {}) => ({peer, interface: 'in1', ips: [ip], ...more})

test('two pods of one node, by a veth', async t => {
  const cluster = await startCluster(t, {nodes: ['a']})
  const x = await cluster.start('a', 'x', {pairs: [end('y', '192.168.2.100/24')]})
  await cluster.told(x, 'waiting in1 peer')
  const y = await cluster.start('a', 'y', {pairs: [end('x', '192.168.2.101/24')]})
  await cluster.told(x, 'up in1 veth')
  await cluster.told(y, 'up in1 veth')
  t.true(cluster.pings(x, '192.168.2.101'))
  await cluster.stop(y)
  await cluster.told(x, 'waiting in1 peer')
  await cluster.stop(x)
  await cluster.clean()
})

test('two pods of two nodes, by a tunnel', async t => {
  const cluster = await startCluster(t)
  const x = await cluster.start('a', 'x', {pairs: [end('y', '192.168.2.100/24')]})
  const y = await cluster.start('b', 'y', {pairs: [end('x', '192.168.2.101/24')]})
  await cluster.told(x, 'up in1 vxlan')
  await cluster.told(y, 'up in1 vxlan')
  await cluster.reaches(x, '192.168.2.101')
  await cluster.stop(y)
  await cluster.told(x, 'waiting in1 peer')
  t.deepEqual(cluster.at('a').interfaces(x).length, 1)
  await cluster.stop(x)
  await cluster.clean()
})
