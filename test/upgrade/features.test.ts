/** Pairs and further networks while the configuration changes under them. Needs root. */
import test, {type ExecutionContext} from 'ava'
import {type EtcdPeer, startEtcdPeer} from '../agent/support/etcd.ts'
import {bridgeConf} from '../agent/support/networks.ts'
import {built} from '../agent/support/node.ts'
import {type Cluster, createDefinitions, startCluster} from '../agent/support/pairs.ts'
import {echo, flows, losses, temporary} from './support.ts'

test.before(built)

const NETWORKS = 'k8s.v1.cni.cncf.io/networks'
const end = (peer: string, ip: string) => ({peer, interface: 'pair', ips: [ip]})
const DIRECT = {networks: [{backend: 'direct'}]}

async function rollout(cluster: Cluster, config: object): Promise<void> {
  for (const {node, runtime} of cluster.nodes.values()) {
    await node.agent.stop()
    node.configure({...DIRECT, ...config})
    node.agent.start()
    await runtime.serving()
  }
}

async function busy(t: ExecutionContext, etcd?: EtcdPeer) {
  const cluster = await startCluster(t, {config: {...DIRECT, pairs: {aliveSeconds: 5}}, ...(etcd && {etcd})})
  if (etcd) createDefinitions(cluster.api)
  const leases = temporary(t)
  const ipam = {type: 'host-local', dataDir: leases, ranges: [[{subnet: '10.97.1.0/24'}]]}
  const a = cluster.at('a')
  if (!etcd) a.define('green', bridgeConf('green', '10.97.1.0/24', {ipam}))
  const x = await cluster.start('a', 'x', {
    pairs: [end('z', '10.98.0.1/24')],
    ...(!etcd && {annotations: {[NETWORKS]: 'green'}}),
  })
  const z = await cluster.start('b', 'z', {pairs: [end('x', '10.98.0.2/24')]})
  await cluster.told(x, 'up pair vxlan')
  await cluster.told(z, 'up pair vxlan')
  await cluster.reaches(x, '10.98.0.2')
  await echo(t, z)
  return {cluster, a, x, z}
}

test.serial(
  'pairs and further networks that are switched off stay with the pods that have them, and go with these',
  async t => {
    t.timeout(180_000)
    const {cluster, a, x, z} = await busy(t)
    const traffic = await flows(t, x, ['10.98.0.2'])
    await rollout(cluster, {pairs: {enabled: false}, attachments: {enabled: false}})
    t.deepEqual(losses(await traffic()), [])
    t.truthy(cluster.link(x, 'pair'))
    t.truthy(cluster.link(x, 'net1'))
    a.annotate(x, {[NETWORKS]: null})
    const later = await a.start({[NETWORKS]: 'green'})
    t.is(a.interfaces(later).length, 1)
    t.truthy(cluster.link(x, 'net1'))
    await a.runtime.succeeds('DEL', later)
    for (const pod of [x, z]) await cluster.stop(pod)
    for (const {runtime} of cluster.nodes.values()) await runtime.clean()
  },
)

test.serial('pairs that are switched off and on again are taken over as they stand', async t => {
  t.timeout(180_000)
  const {cluster, x, z} = await busy(t)
  const index = () => [x, z].map(pod => cluster.link(pod, 'pair')?.ifindex).join()
  const before = index()
  const traffic = await flows(t, x, ['10.98.0.2'])
  await rollout(cluster, {pairs: {enabled: false}})
  await rollout(cluster, {pairs: {aliveSeconds: 5}})
  await cluster.told(x, 'up pair vxlan')
  await cluster.told(z, 'up pair vxlan')
  t.deepEqual(losses(await traffic()), [])
  t.is(index(), before)
  for (const pod of [x, z]) await cluster.stop(pod)
  await cluster.clean()
})

test.serial('another port, and other VNIs: links are made anew, and lead to each other in the end', async t => {
  t.timeout(180_000)
  const {cluster, x, z} = await busy(t)
  await rollout(cluster, {pairs: {aliveSeconds: 5, port: 8490, vnis: {from: 50, to: 60}}})
  await cluster.until(() => {
    const vnis = [x, z].map(pod => cluster.link(pod, 'pair')?.linkinfo?.info_data)
    return vnis.every(data => data?.port === 8490 && data.id >= 50 && data.id <= 60)
  })
  await cluster.reaches(x, '10.98.0.2')
  await cluster.until(() => cluster.api.list('vnis.netgraft.dev').length === 1, 'the old VNI is given back')
  for (const pod of [x, z]) await cluster.stop(pod)
  await cluster.clean()
})

test.serial('from one store to the other and back: pairs go on in the end', async t => {
  t.timeout(300_000)
  const etcd = await startEtcdPeer(t)
  const {cluster, x, z} = await busy(t, etcd)
  for (const store of [{}, {store: etcd.store}]) {
    await rollout(cluster, {pairs: {aliveSeconds: 5}, ...store})
    await cluster.told(x, 'up pair vxlan')
    await cluster.told(z, 'up pair vxlan')
    await cluster.reaches(x, '10.98.0.2')
  }
  for (const pod of [x, z]) await cluster.stop(pod)
  for (const {runtime} of cluster.nodes.values()) await runtime.clean()
})
