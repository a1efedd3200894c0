/** Links of pairs that somebody takes away, changes or stands in the way of; numbers that run out; pods without a journal. Needs root. */
import {rmSync} from 'node:fs'
import test from 'ava'
import {startCriPeer} from './support/cri-peer.ts'
import {built} from './support/node.ts'
import {type Cluster, type PairedPod, startCluster} from './support/pairs.ts'

test.before(built)

const end = (peer: string, ifname: string, ip: string, more: object = {}) => ({
  ...{peer, interface: ifname, ips: [ip]},
  ...more,
})

const repairs = (cluster: Cluster, node: string) => cluster.at(node).node.agent.metric('netgraft_pair_repairs_total')

/** All that a repair may not change. */
const looks = (cluster: Cluster, pod: PairedPod, name: string): string => {
  const found = pod.namespace.json('link', 'show').find(({ifname}) => ifname === name)
  if (!found) return 'none'
  const addresses = cluster
    .at(pod.node)
    .interfaces(pod)
    .find(each => each.startsWith(`${name} `))
  const routes = pod.namespace.ip('route', 'show', 'proto', '107').trim()
  return `${addresses} mac ${found.address} mtu ${found.mtu} ${found.flags.includes('UP') ? 'up' : 'down'} ${found.ifalias} ${routes}`
}

test.serial('what is taken away or changed inside of pods is put right', async t => {
  const cluster = await startCluster(t, {config: {kernel: {resyncSeconds: 10}}})
  const x = await cluster.start('a', 'x', {
    pairs: [
      end('y', 'in1', '192.168.2.1/24', {routes: [{dst: '10.99.0.0/16', gw: '192.168.2.2'}]}),
      end('z', 'in2', '192.168.3.1/24', {mtu: 1400}),
    ],
  })
  const y = await cluster.start('a', 'y', {pairs: [end('x', 'in1', '192.168.2.2/24')]})
  const z = await cluster.start('b', 'z', {pairs: [end('x', 'in1', '192.168.3.2/24')]})
  await cluster.told(x, 'up in1 veth', 'up in2 vxlan')
  await cluster.told(z, 'up in1 vxlan')
  await cluster.reaches(x, '192.168.3.2')
  const all = [
    [x, 'in1'],
    [x, 'in2'],
    [y, 'in1'],
    [z, 'in1'],
  ] as const
  const look = () => all.map(([pod, name]) => looks(cluster, pod, name)).join('\n')
  const before = look()
  t.log(before)
  const right = async (what: string) => {
    await cluster.until(
      () => look() === before,
      () => `after ${what} there is\n${look()}\ninstead of\n${before}`,
    )
    await cluster.reaches(x, '192.168.2.2')
    await cluster.reaches(x, '192.168.3.2')
    await cluster.told(x, 'up in1 veth', 'up in2 vxlan')
    await cluster.told(y, 'up in1 veth')
    await cluster.told(z, 'up in1 vxlan')
  }
  const count = async () => (await repairs(cluster, 'a'))! + (await repairs(cluster, 'b'))!
  let done = await count()
  t.is(done, 0)
  for (const [pod, name] of all) {
    pod.namespace.ip('link', 'del', name)
    await right(`${pod.name} ${name} was deleted`)
    await cluster.until(async () => (await count()) === done + 1, 'a repair is counted')
    done++
  }
  for (const [pod, name] of all) {
    pod.namespace.ip('link', 'set', name, 'down')
    pod.namespace.ip('addr', 'flush', 'dev', name, 'scope', 'global')
    pod.namespace.ip('link', 'set', name, 'mtu', '1300')
  }
  x.namespace.ip('link', 'set', 'in2', 'address', '02:00:00:00:00:01')
  await right('all were changed')
  await cluster.until(async () => (await count()) > done, 'repairs are counted')
  // One that is renamed has gone from its place.
  x.namespace.ip('link', 'set', 'in2', 'down')
  x.namespace.ip('link', 'set', 'in2', 'name', 'away')
  await right('one was renamed')
  t.false(x.namespace.json('link', 'show').some(({ifname}) => ifname === 'away'))
  for (const pod of [x, y, z]) await cluster.stop(pod)
  await cluster.clean()
})

test.serial("somebody else's tunnel with the same number stands in the way until it goes", async t => {
  const cluster = await startCluster(t, {config: {pairs: {vnis: {from: 77, to: 77}}}})
  const {node} = cluster.at('a')
  node.namespace.ip('link', 'add', 'theirs', 'type', 'vxlan', 'id', '77', 'dstport', '8473', 'dev', 'eth0')
  const x = await cluster.start('a', 'x', {pairs: [end('y', 'in1', '192.168.2.1/24')]})
  const y = await cluster.start('b', 'y', {pairs: [end('x', 'in1', '192.168.2.2/24')]})
  await cluster.says(x, /^failed in1: .*VNI 77 is in use on UDP port 8473 of this node/)
  await cluster.told(y, 'up in1 vxlan')
  await node.says('could not be connected; trying again', 'VNI 77 is in use')
  // It is not touched.
  t.is(node.namespace.json('link', 'show', 'theirs').length, 1)
  node.namespace.ip('link', 'del', 'theirs')
  await cluster.told(x, 'up in1 vxlan')
  await cluster.reaches(x, '192.168.2.2')
  for (const pod of [x, y]) await cluster.stop(pod)
  await cluster.clean()
})

test.serial('numbers run out: that is told, and heals when one becomes free', async t => {
  const cluster = await startCluster(t, {nodes: ['a', 'b', 'c'], config: {pairs: {vnis: {from: 21, to: 23}}}})
  const count = 6
  const pods: PairedPod[][] = [[], []]
  for (let n = 1; n <= count; n++) {
    // The first node of a pair takes its number.
    pods[0]!.push(
      await cluster.start(n % 2 === 0 ? 'a' : 'b', `x${n}`, {pairs: [end(`y${n}`, 'in1', `192.168.${n}.1/24`)]}),
    )
    pods[1]!.push(await cluster.start('c', `y${n}`))
  }
  // Both nodes at once.
  for (const [i, pod] of pods[1]!.entries()) cluster.declare(pod, [end(`x${i + 1}`, 'in1', `192.168.${i + 1}.2/24`)])
  const served = new Set<number>()
  while (served.size < count) {
    const up = () => pods[0]!.flatMap((pod, i) => (cluster.states(pod)[0] === 'up in1 vxlan' ? i : []))
    const want = Math.min(3, count - served.size)
    await cluster.until(
      () => up().length === want,
      () => `${want} of those that are left are up: there are ${pods[0]!.map(pod => cluster.states(pod))}`,
    )
    const ups = up()
    t.is(new Set(ups.map(i => cluster.status(pods[0]![i]!)[0]!.vni)).size, want)
    for (const [i, pod] of pods[0]!.entries()) {
      if (served.has(i) || ups.includes(i)) continue
      for (const each of [pod, pods[1]![i]!])
        await cluster.says(each, /^waiting in1: .*every VNI from 21 to 23 is taken.*pairs\.vnis/)
    }
    await cluster.reaches(pods[0]![ups[0]!]!, `192.168.${ups[0]! + 1}.2`)
    if (served.size === 0)
      await cluster.until(() =>
        [...cluster.nodes.values()].some(({node}) =>
          node.agent.logs.some(line => /every VNI from 21/.test(`${line.reason}`)),
        ),
      )
    // Of the last ones all go at once.
    for (const i of want < 3 ? ups : ups.slice(0, 1)) {
      served.add(i)
      cluster.declare(pods[0]![i]!, undefined)
      cluster.declare(pods[1]![i]!, undefined)
      await cluster.told(pods[0]![i]!)
    }
  }
  for (const pod of pods.flat()) await cluster.stop(pod)
  await cluster.clean()
})

test.serial('pods without a journal are found through the runtime', async t => {
  const cri = await startCriPeer(t)
  const cluster = await startCluster(t, {config: {attachments: {criSockets: [cri.socket]}}})
  const x = await cluster.start('a', 'x', {
    pairs: [end('y', 'in1', '192.168.2.1/24'), end('z', 'in2', '192.168.3.1/24')],
  })
  const y = await cluster.start('a', 'y', {pairs: [end('x', 'in1', '192.168.2.2/24')]})
  const z = await cluster.start('b', 'z', {pairs: [end('x', 'in1', '192.168.3.2/24')]})
  await cluster.told(x, 'up in1 veth', 'up in2 vxlan')
  await cluster.told(z, 'up in1 vxlan')
  const {node} = cluster.at('a')
  for (const {id, uid, name, namespace} of [x, y]) cri.sandboxes.push({id, uid, name, netns: namespace.path})
  const indexes = () => ['in1', 'in2'].map(name => x.namespace.index(name))
  const before = indexes()
  await node.agent.stop()
  rmSync(node.agent.state, {recursive: true, maxRetries: 5})
  // Nobody has asked for it meanwhile.
  cluster.declare(z, undefined)
  cluster.declare(x, [end('y', 'in1', '192.168.2.1/24')])
  node.agent.start()
  await cluster.at('a').runtime.serving()
  await cluster.told(x, 'up in1 veth')
  await cluster.told(z)
  await cluster.until(
    () =>
      !cluster
        .at('a')
        .interfaces(x)
        .some(each => each.startsWith('in2')),
    'in2 is gone',
  )
  t.is(x.namespace.index('in1'), before[0]!)
  cluster.declare(z, [end('x', 'in1', '192.168.3.2/24', {peerInterface: 'in3'})])
  await cluster.told(x, 'up in1 veth', 'up in3 vxlan')
  await cluster.told(z, 'up in1 vxlan')

  // Another plugin has given it its first interface.
  const foreign = await cluster.at('a').declare({}, 'foreign')
  node.namespace.ip('link', 'add', 'vethforeign', 'type', 'veth', 'peer', 'eth0', 'netns', foreign.namespace.name)
  foreign.namespace.ip('addr', 'add', '10.99.0.2/24', 'dev', 'eth0')
  foreign.namespace.ip('link', 'set', 'eth0', 'up')
  cri.sandboxes.push({id: foreign.id, uid: foreign.uid, name: 'foreign', netns: foreign.namespace.path})
  cluster.api.patch(
    {resource: 'pods', namespace: 'default', name: 'foreign', status: true},
    {status: {phase: 'Running', podIP: '10.99.0.2'}},
  )
  const f: PairedPod = {...foreign, node: 'a', result: x.result}
  cluster.declare(f, [end('y', 'f1', '192.168.7.1/24'), end('z', 'f2', '192.168.8.1/24')])
  await cluster.told(f, 'up f1 veth', 'up f2 vxlan')
  // It goes, and nobody tells us.
  cri.sandboxes.splice(
    cri.sandboxes.findIndex(({name}) => name === 'foreign'),
    1,
  )
  f.namespace.remove()
  cluster.api.delete({resource: 'pods', namespace: 'default', name: 'foreign'})
  await cluster.told(y, 'up in1 veth')
  for (const pod of [x, y, z]) await cluster.stop(pod)
  await cluster.clean()
})
