/** Pairs of pods whose nodes die, are cut off, stop for a while and come back. Needs root. */
import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import {built} from './support/node.ts'
import {type Cluster, type PairedPod, startCluster} from './support/pairs.ts'

test.before(built)

const CONFIG = {pairs: {aliveSeconds: 5}, kernel: {resyncSeconds: 10}}

const end = (peer: string, ifname: string, ip: string) => ({peer, interface: ifname, ips: [ip]})

const beside = (cluster: Cluster, pod: PairedPod) => cluster.at(pod.node).interfaces(pod).slice(1)

const remove = (cluster: Cluster, {project, name}: PairedPod) =>
  cluster.api.delete({resource: 'pods', namespace: project, name})

/** Of which node the others are told that the pod is there. */
const placeOf = (cluster: Cluster, name: string): string | undefined =>
  (cluster.api.get({resource: 'pairpods.netgraft.dev', name})?.spec as {node?: string} | undefined)?.node

const vnis = (cluster: Cluster) => cluster.documents().filter(each => each.startsWith('vnis'))

test.serial(
  'a node dies: what stands stays, its pods are paired where they start anew, and it leaves nothing',
  async t => {
    t.timeout(180_000)
    const cluster = await startCluster(t, {nodes: ['a', 'b', 'c'], config: CONFIG})
    const x = await cluster.start('a', 'x', {pairs: [end('y', 'in1', '192.168.2.1/24')]})
    const y = await cluster.start('b', 'y', {pairs: [end('x', 'in1', '192.168.2.2/24')]})
    const z = await cluster.start('b', 'z', {pairs: [end('w', 'in1', '192.168.3.1/24')]})
    const w = await cluster.start('c', 'w', {pairs: [end('z', 'in1', '192.168.3.2/24')]})
    await cluster.told(x, 'up in1 vxlan')
    await cluster.told(y, 'up in1 vxlan')
    await cluster.told(z, 'up in1 vxlan')
    await cluster.told(w, 'up in1 vxlan')
    const before = x.namespace.index('in1')
    const {vni} = cluster.status(x)[0]!
    await cluster.at('b').node.agent.kill()
    await cluster.told(x, 'waiting in1 node')
    await cluster.told(w, 'waiting in1 node')
    await cluster.says(x, /node b, where default\/y is, shows no sign of life/)
    t.true(cluster.pings(x, '192.168.2.2'))
    // Longer than until what the dead have left is looked through: its pods are still there.
    await sleep(17_000)
    t.is(x.namespace.index('in1'), before)
    t.true(cluster.pings(x, '192.168.2.2'))
    t.deepEqual([placeOf(cluster, 'y'), placeOf(cluster, 'z')], ['b', 'b'])

    remove(cluster, y)
    remove(cluster, z)
    const anew = await cluster.start('c', 'y', {pairs: [end('x', 'in1', '192.168.2.2/24')]})
    await cluster.told(anew, 'up in1 vxlan')
    await cluster.told(x, 'up in1 vxlan')
    t.is(cluster.status(x)[0]!.vni, vni)
    await cluster.reaches(x, '192.168.2.2')
    await cluster.told(w, 'waiting in1 peer')
    await cluster.until(() => beside(cluster, w).length === 0)
    await cluster.until(() => placeOf(cluster, 'z') === undefined)
    t.is(placeOf(cluster, 'y'), 'c')
    // It took this number itself.
    t.true(vnis(cluster).some(each => each.endsWith('default/w.in1.z.in1')))
    cluster.declare(w, undefined)
    await cluster.told(w)
    await cluster.until(
      () => vnis(cluster).length === 1,
      () => `the dead node's number is given back: ${vnis(cluster)}`,
    )

    const standing = [x.namespace.index('in1'), anew.namespace.index('in1')]
    t.deepEqual(beside(cluster, y), ['in1 192.168.2.2/24'])
    cluster.at('b').node.agent.start()
    await cluster.until(() => beside(cluster, y).length === 0 && beside(cluster, z).length === 0)
    await cluster.at('b').runtime.serving()
    await sleep(1000)
    t.deepEqual([x.namespace.index('in1'), anew.namespace.index('in1')], standing)
    t.true(cluster.pings(x, '192.168.2.2'))
    for (const pod of [y, z]) await cluster.at('b').runtime.succeeds('DEL', pod)
    for (const pod of [x, anew, w]) await cluster.stop(pod)
    await cluster.clean()
  },
)

test.serial('a node is cut off from everything, and comes back', async t => {
  const cluster = await startCluster(t, {nodes: ['a', 'b'], config: CONFIG})
  const x = await cluster.start('a', 'x', {
    pairs: [end('y', 'in1', '192.168.2.1/24'), end('v', 'in2', '192.168.4.1/24')],
  })
  const y = await cluster.start('b', 'y', {
    pairs: [end('x', 'in1', '192.168.2.2/24'), end('z', 'in2', '192.168.3.1/24')],
  })
  const z = await cluster.start('b', 'z')
  await cluster.told(x, 'up in1 vxlan', 'waiting in2 peer')
  await cluster.told(y, 'up in1 vxlan', 'up in2 veth')
  const look = () => [x.namespace.index('in1'), y.namespace.index('in1'), y.namespace.index('in2')]
  const before = look()
  const {namespace, agent} = cluster.at('b').node
  const switchTo = (state: string) => {
    for (const name of ['lo', 'eth0']) namespace.ip('link', 'set', name, state)
  }
  switchTo('down')
  await cluster.told(x, 'waiting in1 node', 'waiting in2 peer')
  // Said while it does not hear it.
  cluster.declare(x, [end('y', 'in1', '192.168.2.9/24'), end('z', 'in3', '192.168.5.1/24')])
  await cluster.told(x, 'waiting in1 node', 'waiting in3 node')
  await sleep(5000)
  t.deepEqual(look(), before)
  switchTo('up')
  await cluster.told(x, 'up in1 vxlan', 'up in3 vxlan')
  await cluster.told(y, 'up in1 vxlan', 'up in2 veth')
  await cluster.told(z, 'up in2 veth', 'up in3 vxlan')
  await cluster.until(() => beside(cluster, x).includes('in1 192.168.2.9/24'))
  await cluster.reaches(x, '192.168.2.2')
  t.is(y.namespace.index('in2'), before[2]!)
  t.is(agent.stderr, '')
  for (const pod of [x, y, z]) await cluster.stop(pod)
  await cluster.clean()
})

test.serial('an agent that stops for a while takes nothing from those that came after it', async t => {
  t.timeout(180_000)
  const cluster = await startCluster(t, {nodes: ['a', 'b', 'c'], config: CONFIG})
  const says = {pairs: [end('x', 'in1', '192.168.2.2/24')]}
  const x = await cluster.start('a', 'x', {pairs: [end('y', 'in1', '192.168.2.1/24')]})
  let y = await cluster.start('b', 'y', says)
  await cluster.told(x, 'up in1 vxlan')
  await cluster.told(y, 'up in1 vxlan')
  // In the middle of a write or not; of another second or the same; dead for the others or not.
  for (const [busyMs, restMs, deadMs] of [
    [0, 1100, 0],
    [30, 1100, 0],
    [300, 1100, 7000],
    [30, 0, 0],
    [0, 0, 7000],
    [300, 0, 0],
  ] as const) {
    const [old, {agent}] = [y, cluster.at(y.node).node]
    if (busyMs > 0) {
      cluster.api.faults.latencyMs = 500
      cluster.declare(old, [...says.pairs, end('nobody', 'in7', '192.168.7.1/24')])
      await sleep(busyMs)
    }
    agent.process!.kill('SIGSTOP')
    cluster.api.faults.latencyMs = 0
    remove(cluster, old)
    await sleep(restMs)
    y = await cluster.start(old.node === 'b' ? 'c' : 'b', 'y', says)
    await cluster.told(x, 'up in1 vxlan')
    await cluster.told(y, 'up in1 vxlan')
    await cluster.reaches(x, '192.168.2.2')
    await sleep(deadMs)
    const standing = [x.namespace.index('in1'), y.namespace.index('in1')]
    agent.process!.kill('SIGCONT')
    await cluster.until(() => beside(cluster, old).length === 0, 'what it has built for the pod that is gone goes')
    await sleep(1000)
    await cluster.until(() => placeOf(cluster, 'y') === y.node)
    await cluster.told(x, 'up in1 vxlan')
    await cluster.told(y, 'up in1 vxlan')
    await cluster.reaches(x, '192.168.2.2')
    // Of the same second nobody can tell who is the newer one, until the older one is known to be gone.
    if (restMs > 0) t.deepEqual([x.namespace.index('in1'), y.namespace.index('in1')], standing)
    await cluster.at(old.node).runtime.succeeds('DEL', old)
    old.namespace.remove()
  }
  for (const pod of [x, y]) await cluster.stop(pod)
  await cluster.clean()
})
