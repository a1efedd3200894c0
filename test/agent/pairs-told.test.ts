/** What is told of pairs: `kubectl get pairs`, metrics, Events. Needs root. */
import test from 'ava'
import {built} from './support/node.ts'
import {type PairedPod, startCluster} from './support/pairs.ts'

test.before(built)

test('objects, metrics and Events tell what has become of pairs', async t => {
  const cluster = await startCluster(t)
  const [a, b] = [cluster.at('a'), cluster.at('b')]
  const x = await cluster.start('a', 'x', {
    pairs: [
      {name: 'left', peer: 'y', interface: 'in1', ips: ['10.1.0.1/24'], mtu: 1400},
      {peer: 'z', interface: 'in2'},
      {peer: 'nobody', interface: 'in3'},
      {peer: 'y', interface: 'in4', mtu: 1300},
      {peer: 'y', interface: 'eth0'},
    ],
  })
  const y = await cluster.start('b', 'y', {
    pairs: [
      {name: 'left', peer: 'x', interface: 'in1'},
      {peer: 'x', interface: 'in4', mtu: 1200},
    ],
  })
  const z = await cluster.start('a', 'z')
  await cluster.until(
    () => cluster.states(x).join() === 'up in1 vxlan,up in2 veth,waiting in3 peer,contradiction in4,failed',
    () => cluster.states(x).join(),
  )
  const pages = () =>
    Object.fromEntries(
      cluster.api.list('pairs.netgraft.dev').map(({metadata, spec, status}) => [metadata.name, {spec, status}]),
    )
  await cluster.until(
    () => Object.keys(pages()).length === 3,
    () => JSON.stringify(pages()),
  )
  const vni = cluster.status(x)[0]!.vni
  await cluster.until(
    () => ['x.in1.y.in1', 'x.in2.z.in2'].every(name => (pages()[name]?.status as {state?: string})?.state === 'up'),
    () => JSON.stringify(pages()),
  )
  t.deepEqual(pages(), {
    'x.in1.y.in1': {
      spec: {
        name: 'left',
        mtu: 1400,
        vni,
        ends: [
          {namespace: 'default', pod: 'x', interface: 'in1', ips: ['10.1.0.1/24'], node: 'a'},
          {namespace: 'default', pod: 'y', interface: 'in1', node: 'b'},
        ],
      },
      status: {state: 'up', kind: 'vxlan', node: 'a'},
    },
    'x.in2.z.in2': {
      spec: {
        ends: [
          {namespace: 'default', pod: 'x', interface: 'in2', node: 'a'},
          {namespace: 'default', pod: 'z', interface: 'in2', node: 'a'},
        ],
      },
      status: {state: 'up', kind: 'veth', node: 'a'},
    },
    'nobody.in3.x.in3': {
      spec: {
        ends: [
          {namespace: 'default', pod: 'nobody', interface: 'in3'},
          {namespace: 'default', pod: 'x', interface: 'in3', node: 'a'},
        ],
      },
      status: {state: 'waiting', reason: 'pod default/nobody is not there', node: 'a'},
    },
  })

  const ends = async (node: typeof a, state: string, kind: string) =>
    (await node.node.agent.metric('netgraft_pair_ends', {state, kind})) ?? 0
  const counts = async (node: typeof a) =>
    Promise.all(
      [
        ['up', 'veth'],
        ['up', 'vxlan'],
        ['waiting', ''],
        ['contradiction', ''],
        ['failed', ''],
      ].map(([state, kind]) => ends(node, state!, kind!)),
    )
  await cluster.until(async () => `${await counts(a)}` === '2,1,1,1,1', 'metrics of a')
  await cluster.until(async () => `${await counts(b)}` === '0,1,0,1,0', 'metrics of b')
  for (const [node, kind] of [
    [a, 'veth'],
    [a, 'vxlan'],
    [b, 'vxlan'],
  ] as const)
    t.is(await node.node.agent.metric('netgraft_pair_ready_seconds_count', {kind}), 1)
  t.is(await a.node.agent.metric('netgraft_pair_repairs_total'), 0)

  const has = async (pod: PairedPod, ...events: RegExp[]) => {
    const all = () => cluster.at(pod.node).events(pod)
    await cluster.until(
      () => events.every(want => all().some(each => want.test(each))),
      () => all().join('\n'),
    )
  }
  await has(
    x,
    /^Normal Paired: paired in1 to default\/y:in1 by vxlan \(mtu 1400\)$/,
    /^Normal Paired: paired in2 to default\/z:in2 by veth \(mtu 1450\)$/,
    /^Warning PairContradiction: in4: netgraft\.dev\/pairs\[3\] of default\/x and netgraft\.dev\/pairs\[1\] of default\/y differ in their mtu, 1300 and 1200/,
    /^Warning PairFailed: annotation netgraft\.dev\/pairs\[4\]\.interface is "eth0"/,
  )
  // Somebody deletes a link: it is put right, and counted.
  x.namespace.ip('link', 'del', 'in1')
  await cluster.until(async () => (await a.node.agent.metric('netgraft_pair_repairs_total')) === 1, 'one repair')
  await cluster.stop(z)
  await has(x, /^Normal Unpaired: in2 to default\/z:in2 is not up any more: pod default\/z is not there$/)
  cluster.declare(x, undefined)
  cluster.declare(y, undefined)
  await has(x, /^Normal Unpaired: in1 is no longer paired with default\/y:in1$/)
  await cluster.told(x)
  await cluster.stop(x)
  await cluster.stop(y)
  await cluster.clean()
  await cluster.until(async () => [...(await counts(a)), ...(await counts(b))].every(each => each === 0), 'all are 0')
})
