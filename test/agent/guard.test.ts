/** Pods that send into the tunnels between nodes. The real agents; needs root. */
import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import type {Namespace} from '../netlink/namespace.ts'
import {built} from './support/node.ts'
import {type Cluster, type PairedPod, startCluster} from './support/pairs.ts'
import {send} from './support/vxlan-packets.ts'

test.before(built)

const NFT = '/usr/sbin/nft'
const TABLE = ['table', 'inet', 'netgraft-guard'] as const

const spaceOf = (cluster: Cluster, node: string): Namespace => cluster.at(node).node.namespace
const addressOf = (pod: PairedPod): string => pod.result.ips[0]!.address.split('/')[0]!
const tables = (at: Namespace): string => at.exec(NFT, 'list', 'tables')
const guarded = (cluster: Cluster, node: string, what = 'udp dport @tunnels') =>
  cluster.until(
    () => tables(spaceOf(cluster, node)).includes(TABLE[2]) && listed(spaceOf(cluster, node)).includes(what),
  )
const listed = (at: Namespace): string => at.exec(NFT, '-a', 'list', ...TABLE)

/** Both nodes know of each other. */
const knowBoth = async (cluster: Cluster) => {
  for (const node of ['a', 'b']) await guarded(cluster, node, '192.168.0.1-192.168.0.2')
}

test('what pods send to tunnels is dropped on their own node and on others, and the tunnels carry what they should', async t => {
  const cluster = await startCluster(t, {config: {networks: [{backend: 'vxlan'}]}})
  const x = await cluster.start('a', 'x', {pairs: [{peer: 'y', interface: 'in1', ips: ['10.9.0.1/24']}]})
  const y = await cluster.start('b', 'y', {pairs: [{peer: 'x', interface: 'in1', ips: ['10.9.0.2/24']}]})
  const z = await cluster.start('a', 'z')
  await cluster.told(x, 'up in1 vxlan')
  await cluster.told(y, 'up in1 vxlan')
  await knowBoth(cluster)
  const {vni} = cluster.status(x)[0]!
  const [a, b] = [spaceOf(cluster, 'a'), spaceOf(cluster, 'b')]

  for (const [to, address, dev] of [
    [a, '192.168.0.1', 'ng-vx0'],
    [a, '10.64.1.0', 'ng-vx0'],
    [a, 'fd00:100::1', 'ng-vx0-6'],
    [b, '192.168.0.2', 'ng-vx0'],
    [b, 'fd00:100::2', 'ng-vx0-6'],
    // By the tunnel, to the end of the tunnel.
    [b, '10.64.2.0', 'ng-vx0'],
  ] as const)
    t.is(await send({from: z.namespace, address, port: 8472, vni: 1, to, dev}), 0, address)
  for (const address of ['192.168.0.2', 'fd00:100::2', '10.64.2.0'])
    t.is(await send({from: z.namespace, address, port: 8473, vni: vni!, to: y.namespace, dev: 'in1'}), 0, address)
  // What is sent is not refused for being badly made.
  t.true((await send({from: b, address: '192.168.0.1', port: 8472, vni: 1, to: a, dev: 'ng-vx0'})) > 0)
  t.true((await send({from: a, address: '192.168.0.2', port: 8473, vni: vni!, to: y.namespace, dev: 'in1'})) > 0)
  await cluster.reaches(x, '10.9.0.2')
  await cluster.reaches(z, addressOf(y))
})

test('tunnels of pods among themselves are theirs', async t => {
  const cluster = await startCluster(t, {config: {networks: [{backend: 'vxlan'}]}})
  const x = await cluster.start('a', 'x')
  const y = await cluster.start('b', 'y')
  await knowBoth(cluster)
  for (const [pod, peer] of [
    [x, y],
    [y, x],
  ] as const) {
    const ends = ['local', addressOf(pod), 'remote', addressOf(peer)]
    pod.namespace.ip('link', 'add', 'vx', 'type', 'vxlan', 'id', '1', ...ends, 'dstport', '8472')
    pod.namespace.ip('addr', 'add', pod === x ? '10.7.0.1/24' : '10.7.0.2/24', 'dev', 'vx')
    pod.namespace.ip('link', 'set', 'vx', 'up')
  }
  await cluster.reaches(x, '10.7.0.2')
  t.pass()
})

test('it comes back when somebody takes it away, stays over an unchanged restart, and goes with the tunnels', async t => {
  const cluster = await startCluster(t, {nodes: ['a']})
  const {node} = cluster.at('a')
  const at = node.namespace
  await guarded(cluster, 'a', '192.168.0.1')
  t.regex(listed(at), /elements = \{ 8473 \}/, 'no tunnels but those of pairs')
  at.exec(NFT, 'delete', ...TABLE)
  await guarded(cluster, 'a', '192.168.0.1')
  at.exec(NFT, 'insert', 'rule', 'inet', TABLE[2], 'input', 'accept')
  await cluster.until(() => !/^\s*accept/m.test(listed(at)))
  const before = listed(at)
  await node.agent.restart()
  await cluster.at('a').runtime.serving()
  await node.until(async () => (await node.agent.http('/readyz'))?.status === 200)
  // A write would come within this time, and not matter if it came later.
  await sleep(1000)
  t.is(listed(at), before)
  node.configure({networks: [{backend: 'direct'}], pairs: {enabled: false}})
  await node.agent.restart()
  await cluster.until(() => !tables(at).includes(TABLE[2]))
})
