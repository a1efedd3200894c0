/** Pairs of pods while the API server is in trouble, and their agents are killed or stopped. Needs root. */
import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import fc from 'fast-check'
import {built} from './support/node.ts'
import {type Cluster, createDefinitions, type PairedPod, startCluster} from './support/pairs.ts'

test.before(built)

const end = (peer: string, ifname: string, ip: string, more: object = {}) => ({
  ...{peer, interface: ifname, ips: [ip]},
  ...more,
})

/** x on a with y on a, in1, and with z on b, in2. */
async function trio(cluster: Cluster): Promise<{x: PairedPod; y: PairedPod; z: PairedPod; look: () => unknown[]}> {
  const x = await cluster.start('a', 'x', {pairs: X})
  const y = await cluster.start('a', 'y', {pairs: [end('x', 'in1', '192.168.2.2/24')]})
  const z = await cluster.start('b', 'z', {pairs: [end('x', 'in1', '192.168.3.2/24')]})
  await cluster.told(x, 'up in1 veth', 'up in2 vxlan')
  await cluster.told(y, 'up in1 veth')
  await cluster.told(z, 'up in1 vxlan')
  await cluster.reaches(x, '192.168.3.2')
  const look = () => [x.namespace.index('in1'), x.namespace.index('in2'), z.namespace.index('in1')]
  return {x, y, z, look}
}
const X = [end('y', 'in1', '192.168.2.1/24'), end('z', 'in2', '192.168.3.1/24')]

test.serial('an API server that is away, slow or forgetful: what stands stays, and is right afterwards', async t => {
  const cluster = await startCluster(t)
  const {x, y, z, look} = await trio(cluster)
  const before = look()
  const {faults} = cluster.api
  const blows: readonly (readonly [string, () => unknown, (() => unknown)?])[] = [
    ['down', () => faults.down(), () => faults.up()],
    ['cut', () => faults.cutWatches()],
    ['forgetful', () => faults.compact({cutWatches: true})],
    [
      'gone',
      () => {
        faults.gone(5)
        faults.cutWatches()
      },
    ],
    [
      'failing',
      () => {
        faults.fail(20, 500)
        faults.cutWatches()
      },
    ],
    ['busy', () => faults.fail(5, 429)],
    ['truncated', () => faults.truncateNext()],
    ['stalled', () => faults.stallWatches(true), () => faults.stallWatches(false)],
    [
      'slow',
      () => {
        faults.latencyMs = 700
      },
      () => {
        faults.latencyMs = 0
      },
    ],
  ]
  for (const [n, [name, blow, mend]] of blows.entries()) {
    const ip = `192.168.${10 + n}`
    await blow()
    cluster.declare(x, [...X, end('y', 'v', `${ip}.1/24`), end('z', 'w', `${ip}.129/25`)])
    await sleep(300)
    t.deepEqual(look(), before, name)
    await mend?.()
    await cluster.told(x, 'up in1 veth', 'up in2 vxlan', 'up v veth', 'up w vxlan')
    await cluster.told(z, 'up in1 vxlan', 'up w vxlan')
    await blow()
    cluster.declare(x, X)
    await sleep(300)
    await mend?.()
    await cluster.told(x, 'up in1 veth', 'up in2 vxlan')
    await cluster.told(z, 'up in1 vxlan')
    await cluster.told(y, 'up in1 veth')
    await cluster.at('a').has(x, 'in1 192.168.2.1/24', 'in2 192.168.3.1/24')
    t.deepEqual(look(), before, name)
  }
  await cluster.until(() => cluster.documents().filter(each => each.startsWith('vnis')).length === 1)
  for (const pod of [x, y, z]) await cluster.stop(pod)
  await cluster.clean()
})

test.serial('agents that start while the store is away take nothing down', async t => {
  const cluster = await startCluster(t)
  const {x, y, z, look} = await trio(cluster)
  // They say nothing themselves.
  const v = await cluster.start('a', 'v')
  const w = await cluster.start('b', 'w', {pairs: [end('v', 'in1', '192.168.4.2/24')]})
  await cluster.told(v, 'up in1 vxlan')
  await cluster.told(w, 'up in1 vxlan')
  const all = () => [...look(), v.namespace.index('in1'), w.namespace.index('in1')]
  const before = all()
  for (let round = 0; round < 5; round++) {
    await cluster.api.faults.down()
    for (const {node} of cluster.nodes.values()) {
      await node.agent.kill()
      node.agent.start()
    }
    for (const {node} of cluster.nodes.values()) await node.says('serving CNI requests')
    if (round === 0) await sleep(3000)
    t.deepEqual(all(), before)
    t.true(cluster.pings(x, '192.168.3.2'))
    t.true(cluster.pings(x, '192.168.2.2'))
    await cluster.api.faults.up()
    for (const [name, {node}] of cluster.nodes)
      await cluster.until(
        async () => (await node.agent.metric('netgraft_pair_ends', {state: 'up'})) === (name === 'a' ? 4 : 2),
      )
    t.deepEqual(all(), before)
  }
  // Edited and gone meanwhile.
  await cluster.api.faults.down()
  for (const {node} of cluster.nodes.values()) await node.agent.kill()
  cluster.declare(x, [X[1]])
  cluster.declare(y, undefined)
  for (const {node} of cluster.nodes.values()) node.agent.start()
  for (const {node} of cluster.nodes.values()) await node.says('serving CNI requests')
  await cluster.api.faults.up()
  await cluster.told(x, 'up in2 vxlan')
  await cluster.told(y)
  await cluster.at('a').has(x, 'in2 192.168.3.1/24')
  t.deepEqual([x.namespace.index('in2'), z.namespace.index('in1')], [before[1], before[2]])
  for (const pod of [x, y, z, v, w]) await cluster.stop(pod)
  await cluster.clean()
})

test.serial('definitions that are installed later', async t => {
  const cluster = await startCluster(t, {crds: false})
  const x = await cluster.start('a', 'x', {pairs: X})
  const y = await cluster.start('a', 'y', {pairs: [end('x', 'in1', '192.168.2.2/24')]})
  const z = await cluster.start('b', 'z', {pairs: [end('x', 'in1', '192.168.3.2/24')]})
  await cluster.says(x, /^waiting : .*(pairpods|vnis)/)
  t.log(cluster.status(x)[0]!.reason)
  createDefinitions(cluster.api)
  await cluster.told(x, 'up in1 veth', 'up in2 vxlan')
  await cluster.told(z, 'up in1 vxlan')
  await cluster.reaches(x, '192.168.3.2')
  const {agent} = cluster.at('a').node
  t.deepEqual(
    agent.logs.filter(({level}) => level === 'error').map(line => JSON.stringify(line)),
    [],
  )
  for (const pod of [x, y, z]) await cluster.stop(pod)
  await cluster.clean()
})

test.serial('agents that are killed at any moment of building and removing', async t => {
  t.timeout(180_000)
  const cluster = await startCluster(t, {config: {pairs: {aliveSeconds: 5}}})
  const pods: PairedPod[] = []
  for (const [i, node] of ['a', 'a', 'b', 'b'].entries()) pods.push(await cluster.start(node, `p${i}`))
  // All with all: each pair by one of the two, which changes.
  const all = pods.flatMap((_, i) => pods.flatMap((_, j) => (i < j ? [[i, j] as const] : [])))
  const wishes = fc.sample(fc.subarray([...all]), {numRuns: 400, seed: 3})
  const lives = fc.sample(fc.integer({min: 20, max: 900}), {numRuns: 24, seed: 8})
  let edits = 0
  let last: readonly (readonly [number, number])[] = []
  const edit = () => {
    last = wishes[edits++ % wishes.length]!
    for (const i of pods.keys()) {
      const own = last.filter(pair => pair[edits % 2] === i)
      cluster.declare(
        pods[i]!,
        own.map(([j, k]) => {
          const peer = j === i ? k : j
          return end(`p${peer}`, `to${peer}`, `10.${j}.${k}.${i + 1}/24`, {peerInterface: `to${i}`})
        }),
      )
    }
  }
  for (const [n, life] of lives.entries()) {
    const killed = cluster.at(n % 3 === 0 ? 'b' : 'a').node.agent
    // At first within a moment of serving; later within a moment of an edit.
    if (n % 2 === 0) await cluster.until(() => killed.logs.some(({msg}) => msg === 'serving CNI requests'))
    edit()
    await sleep(n % 2 === 0 ? life / 3 : life)
    if (n % 3 === 1) edit()
    await killed.kill()
    if (n % 3 === 2) edit()
    killed.start()
  }
  t.log(`${edits} edits, ${lives.length} lives`)
  for (const [i, pod] of pods.entries()) {
    const peers = last.flatMap(([j, k]) => (j === i ? [k] : k === i ? [j] : []))
    const kind = (peer: number) => (pods[peer]!.node === pod.node ? 'veth' : 'vxlan')
    await cluster.told(pod, ...peers.sort().map(peer => `up to${peer} ${kind(peer)}`))
    await cluster.until(
      () =>
        cluster
          .at(pod.node)
          .interfaces(pod)
          .slice(1)
          .map(each => each.split(' ')[0])
          .join() === peers.map(peer => `to${peer}`).join(),
      () => `${peers}: p${i} has ${cluster.at(pod.node).interfaces(pod)}`,
    )
  }
  const tunnels = last.filter(([j, k]) => pods[j]!.node !== pods[k]!.node).length
  await cluster.until(
    () => cluster.documents().filter(each => each.startsWith('vnis')).length === tunnels,
    () => `${tunnels} numbers: ${cluster.documents()}`,
  )
  for (const pod of pods) await cluster.stop(pod)
  await cluster.clean()
})

test.serial('both pods and both agents go at once', async t => {
  const cluster = await startCluster(t, {config: {pairs: {aliveSeconds: 5}}})
  const x = await cluster.start('a', 'x', {pairs: [end('z', 'in1', '192.168.3.1/24')]})
  const z = await cluster.start('b', 'z')
  await cluster.told(x, 'up in1 vxlan')
  for (const {node} of cluster.nodes.values()) await node.agent.kill()
  for (const pod of [x, z]) await cluster.stop(pod)
  for (const {node} of cluster.nodes.values()) node.agent.start()
  await cluster.clean()
  t.pass()
})
