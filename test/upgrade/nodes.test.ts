/** Nodes that are drained, boot anew, or are taken from the cluster: nothing of theirs is left. Needs root. */
import {readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import {type EtcdPeer, startEtcdPeer} from '../agent/support/etcd.ts'
import {bridgeConf} from '../agent/support/networks.ts'
import {built} from '../agent/support/node.ts'
import {type Cluster, type PairedPod, startCluster} from '../agent/support/pairs.ts'
import {temporary} from './support.ts'

test.before(built)

const NETWORKS = 'k8s.v1.cni.cncf.io/networks'
const end = (peer: string, ip: string) => ({peer, interface: `to-${peer}`, ips: [ip]})

/** Waits longer than tests do elsewhere: agents look for what dead nodes have left now and then only. */
async function eventually(is: () => unknown, what: () => string): Promise<void> {
  for (const deadline = performance.now() + 240_000; !(await is()); await sleep(100))
    if (performance.now() > deadline) throw new Error(`never came true: ${what()}`)
}

/** On node a: x with a pair to y on b, and a further network with addresses of `host-local`. */
async function busy(t: ExecutionContext, cluster: Cluster) {
  const leases = temporary(t)
  const a = cluster.at('a')
  const ipam = {type: 'host-local', dataDir: leases, ranges: [[{subnet: '10.97.1.0/24'}]]}
  a.define('green', bridgeConf('green', '10.97.1.0/24', {ipam}))
  const x = await cluster.start('a', 'x', {pairs: [end('y', '10.98.0.1/24')], annotations: {[NETWORKS]: 'green'}})
  const y = await cluster.start('b', 'y', {pairs: [end('x', '10.98.0.2/24')]})
  await cluster.told(x, 'up to-y vxlan')
  await cluster.told(y, 'up to-x vxlan')
  const leased = () => readdirSync(join(leases, 'green')).filter(name => /^10\./.test(name))
  t.is(leased().length, 1)
  return {a, x, y, leased}
}

test.serial('a node that is drained has nothing of its pods left', async t => {
  t.timeout(180_000)
  const cluster = await startCluster(t, {config: {networks: [{backend: 'vxlan'}]}})
  const {a, x, y, leased} = await busy(t, cluster)
  await cluster.stop(x)
  await a.runtime.clean()
  t.deepEqual(leased(), [])
  await cluster.told(y, 'waiting to-x peer')
  await cluster.stop(y)
  await cluster.clean()
})

test.serial('a node that boots anew removes what the pods before have left, and serves the new ones', async t => {
  t.timeout(180_000)
  const cluster = await startCluster(t, {config: {networks: [{backend: 'vxlan'}]}})
  const {a, x, y, leased} = await busy(t, cluster)
  const {node, runtime} = a
  await node.agent.kill('SIGKILL')
  // What does not outlive the machine's memory: namespaces, links, routes, sockets, and the boot's number.
  x.namespace.remove()
  // The other end of what is in the pod's namespace may have gone with that.
  for (const {ifname} of node.namespace.json('link', 'show'))
    if (/^(ng-|veth)/.test(ifname)) await node.ip(`link del ${ifname}`).catch(() => {})
  rmSync(`${node.agent.state}.run`, {recursive: true, force: true})
  const journal = join(node.agent.state, 'journal')
  for (const name of readdirSync(journal)) {
    const text = readFileSync(join(journal, name), 'utf8')
    writeFileSync(join(journal, name), text.replaceAll(/"boot":"[^"]*"/g, '"boot":"the one before"'))
  }
  node.agent.start()
  await runtime.serving()
  await node.until(() => readdirSync(journal).length === 0, 'the journal is empty')
  t.deepEqual(leased(), [])
  // The kubelet makes the pod's sandbox anew, and ends the old one when it gets to it.
  const [sandbox] = await runtime.pods(1)
  const again: PairedPod = {...(await a.wire({...x, ...sandbox!})), node: 'a'}
  await cluster.told(again, 'up to-y vxlan')
  await cluster.told(y, 'up to-x vxlan')
  await cluster.reaches(again, '10.98.0.2')
  await runtime.succeeds('DEL', x)
  await cluster.reaches(again, '10.98.0.2')
  for (const pod of [again, y]) await cluster.stop(pod)
  await cluster.clean()
  t.deepEqual(leased(), [])
})

/** What the store and the API server have of pairs and of signs of life. */
async function left(cluster: Cluster, etcd: EtcdPeer | undefined): Promise<string[]> {
  if (etcd) return etcd.keys()
  const names = (plural: string, namespace?: string) =>
    cluster.api.list(plural, namespace).map(({metadata}) => `${plural.split('.')[0]}/${metadata.name}`)
  const leases = names('leases.coordination.k8s.io', 'kube-system')
  return [...['pairpods', 'vnis', 'pairs'].flatMap(plural => names(`${plural}.netgraft.dev`)), ...leases].sort()
}

for (const store of ['kubernetes', 'etcd'] as const)
  test.serial(
    `a node that is taken from the cluster: its routes, pairs and VNIs go, and what it said in ${store}`,
    async t => {
      t.timeout(600_000)
      const etcd = store === 'etcd' ? await startEtcdPeer(t) : undefined
      const cluster = await startCluster(t, {
        nodes: ['a', 'b', 'c'],
        config: {networks: [{backend: 'direct'}], pairs: {aliveSeconds: 5}},
        ...(etcd && {etcd}),
      })
      const x = await cluster.start('a', 'x', {pairs: [end('z', '10.98.0.1/24')]})
      const z = await cluster.start('c', 'z', {pairs: [end('x', '10.98.0.2/24'), end('w', '10.98.1.2/24')]})
      const w = await cluster.start('c', 'w', {pairs: [end('z', '10.98.1.1/24')]})
      await cluster.told(x, 'up to-z vxlan')
      await cluster.told(z, 'up to-w veth', 'up to-x vxlan')
      const routes = () => cluster.at('a').node.routes()
      t.true((await routes()).some(line => line.startsWith('10.64.3.0/24 ')))

      await cluster.at('c').node.agent.kill('SIGKILL')
      cluster.at('c').node.remove('c')
      for (const {name} of [z, w]) cluster.api.delete({resource: 'pods', namespace: 'default', name})
      await eventually(
        async () => !(await routes()).some(line => line.startsWith('10.64.3.0/24 ')),
        () => 'the route goes',
      )
      await cluster.told(x, 'waiting to-z peer')
      let have: string[] = []
      const mine = etcd ? ['pairpods/default/x', 'pairs/default/'] : ['leases/netgraft-a', 'pairpods/x', 'pairs/']
      const foreign = () => have.filter(each => !mine.some(start => each.startsWith(start)))
      await eventually(
        async () => {
          have = await left(cluster, etcd)
          return foreign().length === 0
        },
        () => `there is ${have.join(', ')}`,
      )
      t.true(
        have.some(each => each.startsWith(mine[0]!)),
        'those of a living node stay',
      )
      t.log(have.join(', '))
      for (const {node} of cluster.nodes.values())
        t.false(node.agent.logs.some(({msg}) => msg.startsWith('what somebody has written into the store')))
      await cluster.stop(x)
    },
  )

test.serial('a node that was the only one with pairs: others put its part of the store in order', async t => {
  t.timeout(600_000)
  const cluster = await startCluster(t, {config: {networks: [{backend: 'direct'}], pairs: {aliveSeconds: 5}}})
  const y = await cluster.start('b', 'y', {pairs: [end('z', '10.98.1.1/24')]})
  const z = await cluster.start('b', 'z', {pairs: [end('y', '10.98.1.2/24')]})
  await cluster.told(z, 'up to-y veth')
  await cluster.at('b').node.agent.kill('SIGKILL')
  cluster.at('b').node.remove('b')
  for (const {name} of [y, z]) cluster.api.delete({resource: 'pods', namespace: 'default', name})
  let have: string[] = []
  await eventually(
    async () => {
      have = await left(cluster, undefined)
      return have.join() === 'leases/netgraft-a'
    },
    () => `there is ${have.join(', ')}`,
  )
  t.pass()
})
