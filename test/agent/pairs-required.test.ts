/** Pods that start with their pairs or not at all: `netgraft.dev/pairs-required`. Needs root. */
import test, {type ExecutionContext} from 'ava'
import type {Declared} from './support/networks.ts'
import {built} from './support/node.ts'
import {type Cluster, type ClusterOptions, PAIRS, type PairedPod, REQUIRED, startCluster} from './support/pairs.ts'

test.before(built)

const required = {[REQUIRED]: 'true'}
const end = (peer: string, ip: string, more: object = {}) => ({peer, interface: 'in1', ips: [ip], ...more})
const says = (pairs: unknown, value = 'true') => ({[REQUIRED]: value, [PAIRS]: JSON.stringify(pairs)})

const bounded = (seconds: number, more: ClusterOptions = {}): ClusterOptions => ({
  ...more,
  config: {...more.config, pairs: {requiredSeconds: seconds}},
})

/** Its ADD, or the error that it ends with. */
async function tries(cluster: Cluster, node: string, pod: Declared): Promise<{code: number; msg: string} | undefined> {
  const networks = cluster.at(node)
  const {stdout, status} = await networks.runtime.call('ADD', pod, networks.asked(pod))
  return status === 0 ? undefined : JSON.parse(stdout)
}

/** As the runtime does, until the error says so: on a busy node it takes a while until anything is known. */
async function failsUntil(
  cluster: Cluster,
  t: ExecutionContext,
  node: string,
  pod: Declared,
  says: RegExp,
): Promise<void> {
  let failure: Awaited<ReturnType<typeof tries>>
  await cluster.until(
    async () => {
      failure = await tries(cluster, node, pod)
      return failure === undefined || says.test(failure.msg)
    },
    () => `${says}: ${failure?.msg}`,
  )
  t.is(failure?.code, 11)
}

for (const [where, nodes] of Object.entries({'one node': ['a', 'a'], 'two nodes': ['a', 'b']} as const)) {
  test(`both wait for each other, on ${where}`, async t => {
    const cluster = await startCluster(t, {nodes: [...new Set(nodes)]})
    const [x, y] = await Promise.all([
      cluster.start(nodes[0], 'x', {annotations: required, pairs: [end('y', '10.1.0.1/24')]}),
      cluster.start(nodes[1], 'y', {annotations: required, pairs: [end('x', '10.1.0.2/24')]}),
    ])
    // They have started: so it is there.
    t.true(cluster.at(nodes[0]).interfaces(x).includes('in1 10.1.0.1/24'))
    t.true(cluster.at(nodes[1]).interfaces(y).includes('in1 10.1.0.2/24'))
    await cluster.reaches(x, '10.1.0.2')
    // By then the journal has them as added, as all.
    await cluster.at(nodes[0]).runtime.succeeds('CHECK', x, {config: {prevResult: x.result}})
    await cluster.stop(x)
    await cluster.stop(y)
    await cluster.clean()
  })

  test(`one waits for another that comes later, on ${where}`, async t => {
    const cluster = await startCluster(t, {nodes: [...new Set(nodes)]})
    const starting = cluster.start(nodes[0], 'x', {annotations: required, pairs: [end('y', '10.1.0.1/24')]})
    const waits = {name: 'x', project: 'default', node: nodes[0]} as PairedPod
    await cluster.told(waits, 'waiting in1 peer')
    await cluster.start(nodes[1], 'y', {pairs: [end('x', '10.1.0.2/24')]})
    const x = await starting
    t.true(cluster.at(nodes[0]).interfaces(x).includes('in1 10.1.0.1/24'))
  })
}

test('it waits for so long, says for what, and succeeds when the runtime tries again', async t => {
  const cluster = await startCluster(t, bounded(1))
  const a = cluster.at('a')
  const x = await a.declare(says([end('y', '10.1.0.1/24'), {peer: 'z', interface: 'in2'}]), 'x')
  await failsUntil(
    cluster,
    t,
    'a',
    x,
    /pod "default\/x" waits for its pair in1 with default\/y:in1 \(and 1 more\): pod default\/y is not there/,
  )
  await a.runtime.clean()
  await cluster.start('b', 'y')
  await failsUntil(cluster, t, 'a', x, /waits for its pair in2 with default\/z:in2: pod default\/z is not there/)
  await a.runtime.succeeds('DEL', x, a.asked(x))
  await cluster.start('a', 'z')
  await cluster.until(async () => (await tries(cluster, 'a', x)) === undefined, 'it starts')
  t.deepEqual(
    a.interfaces(x).filter(each => !each.startsWith('eth0')),
    ['in1 10.1.0.1/24', 'in2'],
  )
  // What another pod declares is waited for, too.
  const w = await a.declare({[REQUIRED]: 'true'}, 'w')
  const y = await cluster.at('a').declare({[PAIRS]: JSON.stringify([{peer: 'w', interface: 'w1'}])}, 'v')
  await cluster.until(() => cluster.at('a').status(y, 'netgraft.dev/pairs-status').length > 0, 'v is known')
  await failsUntil(cluster, t, 'a', w, /waits for its pair w1 with default\/v:w1: pod default\/v has no sandbox yet/)
})

test('what is wrong with what it says is what it waits for', async t => {
  const cluster = await startCluster(t, bounded(1, {nodes: ['a']}))
  const a = cluster.at('a')
  const cases: readonly (readonly [annotations: Record<string, string>, says: RegExp])[] = [
    [{[REQUIRED]: 'true', [PAIRS]: '[{'}, /waits for its pairs: annotation netgraft\.dev\/pairs is not JSON/],
    [
      says([{peer: 'y', interface: 'in1', mtu: 'x'}]),
      /waits for its pair in1: annotation netgraft\.dev\/pairs\[0\]\.mtu is "x"/,
    ],
    [
      says([], 'yes'),
      /waits for its pairs: annotation netgraft\.dev\/pairs-required is "yes"; write "true" or "false"/,
    ],
    [
      says([end('other/y', '10.1.0.1/24')]),
      /waits for its pair in1: netgraft\.dev\/pairs\[0\] of default\/p\d names a pod of namespace other/,
    ],
    [
      {[REQUIRED]: 'true'},
      /is to start with its pairs, and neither its annotation netgraft\.dev\/pairs nor another pod names one yet/,
    ],
  ]
  for (const [i, [annotations, says]] of cases.entries()) {
    const pod = await a.declare(annotations, `p${i}`)
    await failsUntil(cluster, t, 'a', pod, says)
    await a.runtime.succeeds('DEL', pod, a.asked(pod))
  }
  t.is(await tries(cluster, 'a', await a.declare(says([end('nobody', '10.1.0.1/24')], 'false'))), undefined)
})

test('mended while it waits', async t => {
  const cluster = await startCluster(t, {nodes: ['a']})
  const a = cluster.at('a')
  await cluster.start('a', 'y')
  const x = await a.declare({[REQUIRED]: 'true', [PAIRS]: '[{'}, 'x')
  const trying = tries(cluster, 'a', x)
  await cluster.until(() => a.status(x, 'netgraft.dev/pairs-status')[0]?.state === 'failed', 'it is told')
  a.annotate(x, {[PAIRS]: JSON.stringify([end('y', '10.1.0.1/24')])})
  t.is(await trying, undefined)
  t.true(a.interfaces(x).includes('in1 10.1.0.1/24'))
})

test('a DEL ends the ADD that waits, and leaves nothing', async t => {
  // Waiting for the ADD would take longer than anybody here waits.
  const cluster = await startCluster(t, {
    nodes: ['a', 'b'],
    config: {pairs: {requiredSeconds: 100}, cni: {deadlineSeconds: 110}},
  })
  const a = cluster.at('a')
  await cluster.start('b', 'y')
  const x = await a.declare(says([end('y', '10.1.0.1/24'), end('nobody', '10.2.0.1/24', {interface: 'in2'})]), 'x')
  const trying = tries(cluster, 'a', x)
  await cluster.until(() => a.interfaces(x).some(each => each.startsWith('in1')), 'one of its pairs is up')
  const began = performance.now()
  await a.runtime.succeeds('DEL', x, a.asked(x))
  t.log(`DEL after ${Math.round(performance.now() - began)} ms`)
  t.is((await trying)?.code, 11)
  await a.runtime.clean()
  cluster.api.delete({resource: 'pods', namespace: 'default', name: 'x'})
  x.namespace.remove()
  await cluster.clean()
})

for (const how of ['SIGKILL', 'SIGTERM'] as const)
  test(`the agent ends while an ADD waits, by ${how}: the shim asks the next one`, async t => {
    const cluster = await startCluster(t)
    const a = cluster.at('a')
    const x = await a.declare(says([end('y', '10.1.0.1/24')]), 'x')
    const trying = tries(cluster, 'a', x)
    await cluster.until(() => a.status(x, 'netgraft.dev/pairs-status').length > 0, 'it waits')
    await a.node.agent.kill(how)
    a.node.agent.start()
    await a.runtime.serving()
    const y = await cluster.start('b', 'y')
    t.is(await trying, undefined)
    t.true(a.interfaces(x).includes('in1 10.1.0.1/24'))
    await cluster.told(y, 'up in1 vxlan')
    cluster.api.delete({resource: 'pods', namespace: 'default', name: 'x'})
    await a.runtime.succeeds('DEL', x, a.asked(x))
    x.namespace.remove()
    await cluster.stop(y)
    await a.runtime.clean()
    await cluster.clean()
  })

test('many that wait keep nobody else from starting, not even whom they wait for', async t => {
  const cluster = await startCluster(t, {nodes: ['a'], config: {cni: {concurrency: 2}, pairs: {requiredSeconds: 60}}})
  const a = cluster.at('a')
  const names = Array.from({length: 8}, (_, i) => i)
  const waiting = await Promise.all(names.map(i => a.declare(says([end(`y${i}`, `10.1.${i}.1/24`)]), `x${i}`)))
  const trying = waiting.map(pod => tries(cluster, 'a', pod))
  await cluster.until(
    () => waiting.every(pod => a.status(pod, 'netgraft.dev/pairs-status').length > 0),
    'all of them wait',
  )
  const began = performance.now()
  const other = await cluster.start('a', 'other')
  t.log(`another pod after ${Math.round(performance.now() - began)} ms`)
  await cluster.stop(other)
  await Promise.all(
    names.map(i => cluster.start('a', `y${i}`, {annotations: required, pairs: [end(`x${i}`, `10.1.${i}.2/24`)]})),
  )
  t.deepEqual(
    await Promise.all(trying),
    names.map(() => undefined),
  )
})

test('a pod that is required and one that is not, in a chain across nodes', async t => {
  const cluster = await startCluster(t)
  const names = ['p0', 'p1', 'p2', 'p3', 'p4', 'p5']
  const pods = await Promise.all(
    names.map((name, i) =>
      cluster.start(i % 2 ? 'b' : 'a', name, {
        annotations: required,
        pairs: [
          ...(i > 0 ? [{peer: names[i - 1], interface: 'left', peerInterface: 'right'}] : []),
          ...(i < 5 ? [{peer: names[i + 1], interface: 'right', peerInterface: 'left'}] : []),
        ],
      }),
    ),
  )
  for (const [i, pod] of pods.entries())
    t.is(cluster.at(pod.node).interfaces(pod).length, 1 + (i > 0 ? 1 : 0) + (i < 5 ? 1 : 0))
})
