/** What is there already, what is allowed, and what tunnels carry. Needs root. */
import test from 'ava'
import {bridgeConf} from './support/networks.ts'
import {built} from './support/node.ts'
import {startCluster, withGoodPair} from './support/pairs.ts'

test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'

test('an interface that the pod has already stays, and the pair waits for its name', async t => {
  const cluster = await startCluster(t)
  const a = cluster.at('a')
  const x = await cluster.start('a', 'x')
  const y = await cluster.start('b', 'y')
  x.namespace.ip('link', 'add', 'in1', 'type', 'bridge')
  y.namespace.ip('link', 'add', 'in2', 'mtu', '1234', 'type', 'veth', 'peer', 'name', 'other')
  cluster.declare(x, [
    {peer: 'y', interface: 'in1'},
    {peer: 'y', interface: 'in2'},
    {peer: 'y', interface: 'in3', peerInterface: 'eth0'},
  ])
  await cluster.says(
    x,
    /^failed in1: pod "default\/x" has an interface "in1" already, and not of our making; remove it, or give pair "default\/x\.in1\.y\.in1" another one/,
    /^up in2: /,
    /^failed in3: .*\.peerInterface is "eth0"/,
  )
  await cluster.says(y, /^up in1: /, /^failed in2: pod "default\/y" has an interface "in2" already/)
  t.is(cluster.link(x, 'in1').linkinfo.info_kind, 'bridge')
  t.is(cluster.link(y, 'in2').mtu, 1234)
  await cluster.until(
    () => a.events(x).some(each => /^Warning PairFailed: in1 to default\/y:in1: pod "default\/x" has/.test(each)),
    () => a.events(x).join('\n'),
  )
  t.true((await a.node.agent.metric('netgraft_pair_errors_total'))! > 0)
  // Once they are gone, nobody needs to say anything.
  x.namespace.ip('link', 'del', 'in1')
  y.namespace.ip('link', 'del', 'in2')
  cluster.declare(x, [
    {peer: 'y', interface: 'in1'},
    {peer: 'y', interface: 'in2'},
  ])
  await cluster.told(x, 'up in1 vxlan', 'up in2 vxlan')
  await cluster.told(y, 'up in1 vxlan', 'up in2 vxlan')
})

test("an interface of another network of the pod's, by either who was first", async t => {
  const cluster = await startCluster(t)
  const a = cluster.at('a')
  a.define('green', bridgeConf('green', '10.8.0.0/24', {ipam: {}}))
  const net = JSON.stringify([{name: 'green', interface: 'in1'}])
  await cluster.start('b', 'y')
  const pairs = [{peer: 'y', interface: 'in1', peerInterface: 'x1'}]
  const x = await cluster.start('a', 'x', {annotations: {[NPWG]: net}, pairs})
  await a.told(x, 'attached default/green in1')
  await cluster.says(x, /^failed in1: pod "default\/x" has an interface "in1" already, and not of our making/)
  t.is(cluster.link(x, 'in1').linkinfo.info_kind, 'veth')
  const index = cluster.link(x, 'in1').ifindex
  // Whoever is there first, on a pod that runs.
  const z = await cluster.start('a', 'z', {pairs: [{peer: 'y', interface: 'in1', peerInterface: 'z1'}]})
  await cluster.told(z, 'up in1 vxlan')
  a.annotate(z, {[NPWG]: net})
  await a.told(z, /^failed default\/green in1 .*"in1" is already there/)
  await cluster.told(z, 'up in1 vxlan')
  t.is(cluster.link(x, 'in1').ifindex, index)
  a.annotate(x, {[NPWG]: null})
  await cluster.told(x, 'up in1 vxlan')
})

test('a namespace is not paired with without its knowledge', async t => {
  const grants = [{from: 'trusted', to: 'default'}]
  const cluster = await startCluster(t, {config: {pairs: {grants}}})
  for (const name of ['other', 'trusted']) cluster.api.create({apiVersion: 'v1', kind: 'Namespace', metadata: {name}})
  const y = await cluster.start('b', 'y')
  const x = await cluster.start('a', 'x', {
    project: 'other',
    pairs: [{peer: 'default/y', interface: 'in1', peerInterface: 'o1'}],
  })
  await cluster.says(
    x,
    /^failed in1: netgraft\.dev\/pairs\[0\] of other\/x names a pod of namespace default, which does not name this one; let that pod declare the pair, too, or add the two namespaces to pairs\.grants$/,
  )
  await cluster.until(
    () =>
      cluster
        .at('a')
        .events(x)
        .some(each => each.startsWith('Warning PairFailed: in1: ')),
    'an Event',
  )
  t.deepEqual(cluster.states(y), [])
  t.is(cluster.link(y, 'o1'), undefined)
  // Named by a namespace that may.
  const z = await cluster.start('a', 'z', {
    project: 'trusted',
    pairs: [{peer: 'default/y', interface: 'in1', peerInterface: 't1'}],
  })
  await cluster.told(z, 'up in1 vxlan')
  await cluster.told(y, 'up t1 vxlan')
  // Both say so.
  cluster.declare(y, [{peer: 'other/x', interface: 'o1'}])
  await cluster.told(x, 'up in1 vxlan')
  await cluster.told(y, 'up o1 vxlan', 'up t1 vxlan')
  t.like(cluster.status(x)[0], {peer: 'default/y:o1'})
  cluster.declare(y, undefined)
  await cluster.says(x, /^failed in1: .*does not name this one/)
  await cluster.at('a').has(x)
  await cluster.told(y, 'up t1 vxlan')
})

test('isolation can be switched off', async t => {
  const cluster = await startCluster(t, {nodes: ['a'], config: {pairs: {isolation: false}}})
  cluster.api.create({apiVersion: 'v1', kind: 'Namespace', metadata: {name: 'other'}})
  await cluster.start('a', 'y')
  const x = await cluster.start('a', 'x', {project: 'other', pairs: [{peer: 'default/y', interface: 'in1'}]})
  await cluster.told(x, 'up in1 veth')
  t.pass()
})

test('a route that the pod has already stays', async t => {
  const cluster = await startCluster(t, {nodes: ['a']})
  const x = await cluster.start('a', 'x')
  await cluster.start('a', 'y')
  x.namespace.ip('route', 'add', '10.50.0.0/16', 'dev', 'eth0')
  x.namespace.ip('route', 'add', 'fd00:50::/48', 'dev', 'eth0', 'metric', '1024')
  const routes = () => [4, 6].map(f => x.namespace.ip(`-${f}`, 'route', 'show').match(/^(10\.50|fd00:50).*$/m)?.[0])
  const before = routes()
  for (const dst of ['10.50.0.0/16', 'fd00:50::/48']) {
    cluster.declare(x, [{peer: 'y', interface: 'in1', ips: ['10.9.0.1/24', 'fd00:9::1/64'], routes: [{dst}]}])
    await cluster.says(x, new RegExp(`^failed in1: .*the pod has a route to ${dst} already; write another one`))
  }
  t.deepEqual(routes(), before)
  x.namespace.ip('route', 'del', 'fd00:50::/48', 'dev', 'eth0')
  await cluster.told(x, 'up in1 veth')
  t.regex(routes()[1]!, /dev in1/)
})

test('an MTU that no tunnel carries: both ends have what one does, and the status says why', async t => {
  const cluster = await startCluster(t)
  const [x, y, z] = [await cluster.start('a', 'x'), await cluster.start('b', 'y'), await cluster.start('a', 'z')]
  cluster.declare(x, [
    {peer: 'y', interface: 'in1', mtu: 9000, ips: ['10.1.0.1/24']},
    {peer: 'z', interface: 'in2', mtu: 9000},
  ])
  for (const pod of [x, y])
    await cluster.says(pod, /^up in1: the mtu is 1450 instead of 9000: a tunnel between the nodes carries no more/)
  // Wherever it moves to, it is the same.
  for (const pod of [x, z]) await cluster.says(pod, /^up in2: the mtu is 1450 instead of 9000/)
  const mtus = () =>
    [cluster.link(x, 'in1'), cluster.link(y, 'in1'), cluster.link(x, 'in2'), cluster.link(z, 'in2')]
      .map(l => l?.mtu)
      .join()
  t.is(mtus(), '1450,1450,1450,1450')
  const index = cluster.link(y).ifindex
  // One node's interface carries less, then both more.
  cluster.at('b').node.namespace.ip('link', 'set', 'eth0', 'mtu', '1400')
  await cluster.until(() => mtus() === '1350,1350,1450,1450', mtus)
  for (const pod of [x, y]) await cluster.says(pod, /^up in1: the mtu is 1350 instead of 9000/)
  for (const node of ['a', 'b']) cluster.at(node).node.namespace.ip('link', 'set', 'eth0', 'mtu', '8000')
  await cluster.until(() => mtus() === '7950,7950,7950,7950', mtus)
  t.is(cluster.link(y).ifindex, index)
  await cluster.until(() => cluster.status(x)[0]?.mtu === 7950, 'told of 7950')
  // Too small for IPv6, which the other pair does without.
  cluster.declare(x, [
    {peer: 'y', interface: 'in1', ips: ['10.1.0.1/24']},
    {peer: 'y', interface: 'in6', ips: ['fd00:6::1/64']},
  ])
  await cluster.told(x, 'up in1 vxlan', 'up in6 vxlan')
  cluster.at('a').node.namespace.ip('link', 'set', 'eth0', 'mtu', '1300')
  for (const pod of [x, y])
    await cluster.says(
      pod,
      /^failed in6: a tunnel between the nodes carries 1250 bytes, and fd00:6::1\/64 needs 1280; raise the MTU/,
      /^up in1: /,
    )
  cluster.at('a').node.namespace.ip('link', 'set', 'eth0', 'mtu', '1500')
  await cluster.told(x, 'up in1 vxlan', 'up in6 vxlan')
  t.is(cluster.link(x, 'in6').mtu, 1450)
})

for (const family of [4, 6] as const)
  test(`nodes with IPv${family} alone`, async t => {
    const cluster = await startCluster(t, {families: [family]})
    const x = await cluster.start('a', 'x', {
      pairs: [{peer: 'y', interface: 'in1', ips: ['10.1.0.1/24', 'fd00:9::1/64']}],
    })
    const y = await cluster.start('b', 'y', {
      pairs: [{peer: 'x', interface: 'in1', ips: ['10.1.0.2/24', 'fd00:9::2/64']}],
    })
    await cluster.told(x, 'up in1 vxlan')
    await cluster.told(y, 'up in1 vxlan')
    for (const address of ['10.1.0.2', 'fd00:9::2']) await cluster.reaches(x, address)
    t.is(cluster.link(x).mtu, family === 4 ? 1450 : 1430)
    const {local, local6} = cluster.link(x).linkinfo.info_data
    t.is(local ?? local6, family === 4 ? '192.168.0.1' : 'fd00:100::1')
  })

test('a node that loses an address of a family: the other one, or a sentence', async t => {
  const cluster = await startCluster(t)
  const {x, y} = await withGoodPair(cluster)
  const b = cluster.at('b').node.namespace
  b.ip('addr', 'del', '192.168.0.2/24', 'dev', 'eth0')
  await cluster.until(() => [x, y].every(pod => cluster.link(pod, 'good')?.mtu === 1430), 'by IPv6')
  await cluster.reaches(x, '10.99.0.2')
  cluster.at('a').node.namespace.ip('addr', 'del', 'fd00:100::1/64', 'dev', 'eth0')
  for (const pod of [x, y])
    await cluster.says(
      pod,
      /^failed good: nodes a and b have no addresses of one family for tunnels; give both an IPv4 or both an IPv6 address/,
    )
  b.ip('addr', 'add', '192.168.0.2/24', 'dev', 'eth0')
  await cluster.told(x, 'up good vxlan')
  await cluster.told(y, 'up good vxlan')
  await cluster.reaches(x, '10.99.0.2')
  t.pass()
})
