/** Every way to say that two pods are a pair, and what becomes of it while they run. Needs root. */
import test, {type ExecutionContext} from 'ava'
import {built} from './support/node.ts'
import {type Cluster, type PairedPod, startCluster} from './support/pairs.ts'

test.before(built)

/** Routes of the pairs of a pod: "10.50.0.0/16 via 192.168.2.101 in1". */
function routesOf({namespace}: PairedPod): string[] {
  return [4, 6].flatMap(family =>
    namespace
      .json('-N', `-${family}`, 'route', 'show', 'proto', '107')
      .filter(({dev}) => dev !== 'eth0')
      .map(({dst, gateway, dev}) => [dst, ...(gateway ? ['via', gateway] : []), dev].join(' ')),
  )
}

const both = (cluster: Cluster, t: ExecutionContext, x: PairedPod, y: PairedPod) => ({
  link: (pod: PairedPod, ifname: string) => {
    const link = cluster.link(pod, ifname)
    t.truthy(link, `${pod.name} has ${ifname}`)
    return link
  },
  pods: [x, y] as const,
})

for (const [where, nodes] of Object.entries({'one node': ['a', 'a'], 'two nodes': ['a', 'b']} as const))
  test(`every key, on ${where}`, async t => {
    const cluster = await startCluster(t, {nodes: [...new Set(nodes)]})
    const x = await cluster.start(nodes[0], 'x', {
      pairs: [
        {
          name: 'left',
          peer: 'default/y',
          interface: 'in1',
          peerInterface: 'out1',
          ips: ['192.168.2.100/24', 'fd00:2::100/64'],
          mac: '02:00:00:00:AA:01',
          mtu: 1400,
          routes: [
            {dst: '10.50.0.0/16', gw: '192.168.2.101'},
            {dst: '10.51.0.0/16'},
            {dst: 'fd00:50::/48', gw: 'fd00:2::101'},
            {dst: 'fd00:51::/48'},
          ],
        },
      ],
    })
    const y = await cluster.start(nodes[1], 'y', {
      pairs: [{name: 'left', peer: 'x', interface: 'out1', ips: ['192.168.2.101/24', 'fd00:2::101/64']}],
    })
    const kind = nodes[0] === nodes[1] ? 'veth' : 'vxlan'
    await cluster.told(x, `up in1 ${kind}`)
    await cluster.told(y, `up out1 ${kind}`)
    const {link} = both(cluster, t, x, y)
    t.is(link(x, 'in1').address, '02:00:00:00:aa:01')
    t.is(link(x, 'in1').mtu, 1400)
    t.is(link(y, 'out1').mtu, 1400)
    t.is(link(x, 'in1').linkinfo.info_kind, kind)
    t.deepEqual(cluster.at(nodes[0]).interfaces(x)[1], 'in1 192.168.2.100/24 fd00:2::100/64')
    t.deepEqual(routesOf(x), [
      '10.50.0.0/16 via 192.168.2.101 in1',
      '10.51.0.0/16 in1',
      'fd00:50::/48 via fd00:2::101 in1',
      'fd00:51::/48 in1',
    ])
    t.deepEqual(routesOf(y), [])
    y.namespace.ip('addr', 'add', '10.50.0.1/32', 'dev', 'lo')
    for (const address of ['192.168.2.101', 'fd00:2::101', '10.50.0.1']) await cluster.reaches(x, address)
    const [status] = cluster.status(x)
    t.like(status, {peer: 'default/y:out1', mtu: 1400, name: 'left', pair: 'default/x.in1.y.out1'})
    t.is(cluster.status(y)[0]!.vni, status!.vni)
    t.is(status!.vni === undefined, kind === 'veth')
  })

test('chains, stars and rings, and several pairs of two pods', async t => {
  const cluster = await startCluster(t, {nodes: ['a', 'b', 'c']})
  const at = ['a', 'b', 'c', 'a', 'b', 'c']
  const pods = ['p0', 'p1', 'p2', 'p3', 'p4', 'p5']
  // A ring of six, a chain in which only the left end speaks, a star around p0, and p1 twice with p4.
  const pairs = pods.map((_, i) => {
    const next = (i + 1) % 6
    const before = (i + 5) % 6
    return [
      {peer: pods[next], interface: 'next', peerInterface: 'before', ips: [`10.1.${i}.1/24`]},
      {peer: pods[before], interface: 'before', peerInterface: 'next', ips: [`10.1.${before}.2/24`]},
      ...(i < 5 ? [{peer: pods[next], interface: 'right', peerInterface: 'left', ips: [`10.2.${i}.1/24`]}] : []),
      ...(i === 0
        ? [2, 3, 4].map(n => ({peer: pods[n], interface: `star${n}`, peerInterface: 'hub', ips: [`10.3.${n}.1/24`]}))
        : []),
      ...(i >= 2 && i <= 4 ? [{peer: 'p0', interface: 'hub', ips: [`10.3.${i}.2/24`]}] : []),
      ...(i === 1 || i === 4
        ? ['one', 'two'].map((name, n) => ({name, peer: pods[5 - i], interface: name, ips: [`10.4.${n}.${i}/24`]}))
        : []),
    ]
  })
  const started: PairedPod[] = []
  for (const [i, name] of pods.entries()) started.push(await cluster.start(at[i]!, name, {pairs: pairs[i]}))
  const counts = [2 + 1 + 3, 2 + 2 + 2, 2 + 2 + 1, 2 + 2 + 1, 2 + 2 + 1 + 2, 2 + 1]
  for (const [i, pod] of started.entries())
    await cluster.until(
      () => cluster.status(pod).length === counts[i] && cluster.states(pod).every(each => each.startsWith('up')),
      () => `${pod.name}: ${JSON.stringify(cluster.status(pod))}`,
    )
  for (let i = 0; i < 6; i++) {
    await cluster.reaches(started[i]!, `10.1.${i}.2`)
    await cluster.reaches(started[(i + 1) % 6]!, `10.1.${i}.1`)
  }
  for (const n of [2, 3, 4]) await cluster.reaches(started[0]!, `10.3.${n}.2`)
  for (const n of [0, 1]) await cluster.reaches(started[1]!, `10.4.${n}.4`)
  const vnis = started.flatMap(pod => cluster.status(pod).flatMap(({vni}) => vni ?? []))
  const links = started.flatMap(pod => cluster.status(pod).flatMap(({vni, interface: ifname}) => (vni ? [ifname] : [])))
  t.is(new Set(vnis).size, links.length / 2)
  for (const pod of started) await cluster.stop(pod)
  await cluster.clean()
})

for (const nodes of [['a'], ['a', 'b']])
  for (const silentFirst of [true, false])
    test(`only one of two declares the pair, ${nodes.length} nodes, ${silentFirst ? 'after' : 'before'} the other starts`, async t => {
      const cluster = await startCluster(t, {nodes})
      const kind = nodes.length === 1 ? 'veth' : 'vxlan'
      const node = nodes.at(-1)!
      const wish = {pairs: [{peer: 'y', interface: 'in1', peerInterface: 'out1', ips: ['fd00:9::1/64', '10.9.0.1/24']}]}
      let y = silentFirst ? await cluster.start(node, 'y') : undefined
      const x = await cluster.start('a', 'x', wish)
      if (!y) await cluster.told(x, 'waiting in1 peer')
      y ??= await cluster.start(node, 'y')
      await cluster.told(x, `up in1 ${kind}`)
      await cluster.told(y, `up out1 ${kind}`)
      // It has no address there, but for that which the kernel gives it.
      const {local} = y.namespace
        .json('-6', 'addr', 'show', 'dev', 'out1')[0]
        .addr_info.find(({scope}: {scope: string}) => scope === 'link')
      await cluster.reaches(x, `${local}%in1`)
      // Nobody names it any more.
      cluster.declare(x, undefined)
      await cluster.told(x)
      await cluster.told(y)
      await cluster.at('a').has(x)
      await cluster.at(node).has(y)
      await cluster.clean()
      t.is(
        cluster.at(node).node.api.get({resource: 'pods', namespace: 'default', name: 'y'})?.metadata.annotations?.[
          'netgraft.dev/pairs-status'
        ],
        undefined,
      )
    })

for (const [where, nodes] of Object.entries({'one node': ['a', 'a'], 'two nodes': ['a', 'b']} as const))
  test(`edited while the pods run, on ${where}`, async t => {
    const cluster = await startCluster(t, {nodes: [...new Set(nodes)]})
    const kind = nodes[0] === nodes[1] ? 'veth' : 'vxlan'
    const [x, y] = [await cluster.start(nodes[0], 'x'), await cluster.start(nodes[1], 'y')]
    const one = {peer: 'y', interface: 'in1', ips: ['192.168.2.1/24']}
    const other = {peer: 'x', interface: 'in1', ips: ['192.168.2.2/24']}
    cluster.declare(x, [one])
    cluster.declare(y, [other])
    await cluster.told(x, `up in1 ${kind}`)
    await cluster.told(y, `up in1 ${kind}`)
    await cluster.reaches(x, '192.168.2.2')
    const index = () => [x, y].map(pod => cluster.link(pod)?.ifindex)
    const before = index()

    // In place: addresses, of both families, one end at a time.
    cluster.declare(x, [{...one, ips: ['192.168.2.3/24', 'fd00:3::3/64']}])
    await cluster.at(nodes[0]).has(x, 'in1 192.168.2.3/24 fd00:3::3/64')
    cluster.declare(y, [{...other, ips: ['192.168.2.2/25', 'fd00:3::2/64']}])
    await cluster.at(nodes[1]).has(y, 'in1 192.168.2.2/25 fd00:3::2/64')
    await cluster.reaches(x, 'fd00:3::2')
    // The MTU of both, by one of them.
    const now = {...one, ips: ['192.168.2.3/24', 'fd00:3::3/64']}
    cluster.declare(x, [{...now, mtu: 1300}])
    await cluster.until(() => [x, y].every(pod => cluster.link(pod).mtu === 1300), 'mtu 1300')
    await cluster.until(() => [x, y].every(pod => cluster.status(pod)[0]?.mtu === 1300), 'told of 1300')
    cluster.declare(x, [now])
    await cluster.until(() => [x, y].every(pod => cluster.link(pod).mtu === 1450), 'mtu 1450')
    // Routes: made, changed, taken away.
    cluster.declare(x, [{...now, routes: [{dst: '10.7.0.0/16'}, {dst: 'fd00:7::/48', gw: 'fd00:3::2'}]}])
    await cluster.until(
      () => routesOf(x).join() === '10.7.0.0/16 in1,fd00:7::/48 via fd00:3::2 in1',
      () => routesOf(x).join(),
    )
    cluster.declare(x, [{...now, routes: [{dst: '10.7.0.0/16', gw: '192.168.2.2'}]}])
    await cluster.until(
      () => routesOf(x).join() === '10.7.0.0/16 via 192.168.2.2 in1',
      () => routesOf(x).join(),
    )
    // An address that goes takes its routes along in the kernel: they are made again.
    cluster.declare(x, [{...now, ips: ['192.168.2.4/24'], routes: [{dst: '10.7.0.0/16', gw: '192.168.2.2'}]}])
    await cluster.at(nodes[0]).has(x, 'in1 192.168.2.4/24')
    await cluster.until(
      () => routesOf(x).join() === '10.7.0.0/16 via 192.168.2.2 in1',
      () => routesOf(x).join(),
    )
    cluster.declare(x, [{...now, mac: '02:00:00:00:00:99'}])
    await cluster.until(() => cluster.link(x).address === '02:00:00:00:00:99', 'its mac')
    await cluster.until(
      () => routesOf(x).length === 0,
      () => routesOf(x).join(),
    )
    await cluster.reaches(x, 'fd00:3::2')
    t.deepEqual(index(), before, 'the link is the same')
    await cluster.told(x, `up in1 ${kind}`)

    // A second one beside it, which the other end does not name.
    cluster.declare(x, [now, {peer: 'y', interface: 'in2', ips: ['10.8.0.1/24']}])
    await cluster.told(x, `up in1 ${kind}`, `up in2 ${kind}`)
    await cluster.told(y, `up in1 ${kind}`, `up in2 ${kind}`)
    // Another name at one end, where both have said none of the other's.
    cluster.declare(x, [
      {...now, interface: 'new1'},
      {peer: 'y', interface: 'in2', ips: ['10.8.0.1/24']},
    ])
    await cluster.told(x, `up in2 ${kind}`, `up new1 ${kind}`)
    await cluster.until(() => cluster.link(y, 'in1') && cluster.link(y, 'in2') && !cluster.link(x, 'in1'), 'renamed')
    await cluster.reaches(x, 'fd00:3::2')
    // The names of two are changed for each other.
    cluster.declare(x, [
      {...now, interface: 'in2', peerInterface: 'in1'},
      {peer: 'y', interface: 'new1', peerInterface: 'in2', ips: ['10.8.0.1/24']},
    ])
    await cluster.at(nodes[0]).has(x, 'in2 192.168.2.3/24 fd00:3::3/64', 'new1 10.8.0.1/24')
    await cluster.told(x, `up in2 ${kind}`, `up new1 ${kind}`)
    await cluster.reaches(x, 'fd00:3::2')
    // One goes, then the other.
    cluster.declare(x, [{...now, interface: 'in2'}])
    await cluster.told(x, `up in2 ${kind}`)
    await cluster.told(y, `up in1 ${kind}`)
    await cluster.at(nodes[0]).has(x, 'in2 192.168.2.3/24 fd00:3::3/64')
    cluster.declare(x, [])
    cluster.declare(y, undefined)
    for (const pod of [x, y]) await cluster.told(pod)
    await cluster.at(nodes[0]).has(x)
    await cluster.at(nodes[1]).has(y)
    await cluster.clean()
  })

/** Of x and of y, and what both are told. */
const CONTRADICTIONS: Readonly<Record<string, readonly [x: object, y: object, says: RegExp]>> = {
  mtu: [{mtu: 1400}, {mtu: 1300}, /differ in their mtu, 1400 and 1300/],
  interface: [
    {name: 'n', peerInterface: 'out9'},
    {name: 'n'},
    /mean the same interface by in1 and out9|by out9 and in1/,
  ],
  addresses: [{ips: ['10.0.9.1/24']}, {ips: ['10.0.9.1/16']}, /give both ends the address 10\.0\.9\.1/],
  macs: [{mac: '02:00:00:00:00:01'}, {mac: '02:00:00:00:00:01'}, /give both ends the mac 02:00:00:00:00:01/],
  'IPv6 and a small mtu': [{mtu: 1000}, {ips: ['fd00::1/64']}, /mean an mtu of 1000 and the address fd00::1\/64/],
}

test('what two pods say that cannot both be is told to both, and mended by either', async t => {
  const cluster = await startCluster(t)
  const cases = Object.entries(CONTRADICTIONS)
  const pods = await Promise.all(
    cases.map(async ([_, [x, y]], i) => [
      await cluster.start('a', `x${i}`, {pairs: [{peer: `y${i}`, interface: 'in1', ...x}]}),
      await cluster.start(i % 2 ? 'a' : 'b', `y${i}`, {pairs: [{peer: `x${i}`, interface: 'in1', ...y}]}),
    ]),
  )
  for (const [i, [name, [, , says]]] of cases.entries())
    for (const pod of pods[i]!) {
      await cluster.says(pod, new RegExp(`^contradiction in1: .*(${says.source})`))
      t.is(cluster.link(pod), undefined, name)
      await cluster.until(
        () =>
          cluster
            .at(pod.node)
            .events(pod)
            .some(each => /^Warning PairContradiction: in1: /.test(each)),
        () => cluster.at(pod.node).events(pod).join(),
      )
    }
  for (const [i, [x, y]] of pods.entries()) {
    const kind = i % 2 ? 'veth' : 'vxlan'
    cluster.declare(i % 2 ? x! : y!, [{peer: i % 2 ? `y${i}` : `x${i}`, interface: 'in1'}])
    await cluster.told(x!, `up in1 ${kind}`)
    await cluster.told(y!, `up in1 ${kind}`)
  }
})

test('one interface for two pairs: what both ends declare comes first, and the other is told', async t => {
  const cluster = await startCluster(t)
  const x = await cluster.start('a', 'x', {pairs: [{peer: 'y', interface: 'in1'}]})
  const y = await cluster.start('b', 'y', {pairs: [{peer: 'x', interface: 'in1'}]})
  await cluster.told(x, 'up in1 vxlan')
  const index = cluster.link(x).ifindex
  const z = await cluster.start('b', 'z', {pairs: [{peer: 'x', interface: 'zz', peerInterface: 'in1'}]})
  await cluster.says(z, /^contradiction zz: .*would have the interface in1 of default\/x, and so would/)
  await cluster.says(x, /^contradiction in1: .*would have the interface in1 of default\/x/, /^up in1/)
  t.is(cluster.link(x).ifindex, index)
  cluster.declare(z, [{peer: 'x', interface: 'zz'}])
  await cluster.told(x, 'up in1 vxlan', 'up zz vxlan')
  await cluster.told(z, 'up zz vxlan')
  await cluster.told(y, 'up in1 vxlan')
})
