/** Ratchet's labels, alone and beside our annotation. Needs root. */
import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import {built} from './support/node.ts'
import {type PairedPod, startCluster} from './support/pairs.ts'

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

/** As in ratchet's own example. */
const PRIMARY = {
  ratchet: 'true',
  'ratchet.pod_name': 'primary-pod',
  'ratchet.target_pod': 'primary-pod',
  'ratchet.target_container': 'main',
  'ratchet.public_ip': '1.1.1.1',
  'ratchet.local_ip': '192.168.2.100',
  'ratchet.local_ifname': 'in1',
  'ratchet.pair_name': 'pair-pod',
  'ratchet.pair_ip': '192.168.2.101',
  'ratchet.pair_ifname': 'in2',
  'ratchet.primary': 'true',
}
const SECOND = {ratchet: 'true', 'ratchet.pod_name': 'pair-pod', 'ratchet.primary': 'false'}

for (const [where, nodes] of Object.entries({'one node': ['a', 'a'], 'two nodes': ['a', 'b']} as const))
  for (const primaryFirst of [true, false])
    test(`ratchet's labels, on ${where}, the primary ${primaryFirst ? 'first' : 'last'}`, async t => {
      const cluster = await startCluster(t, {nodes: [...new Set(nodes)]})
      const kind = nodes[0] === nodes[1] ? 'veth' : 'vxlan'
      // Their names are others than those that the labels give.
      const start = {
        x: () => cluster.start(nodes[0], 'web-7d9f', {labels: PRIMARY}),
        y: () => cluster.start(nodes[1], 'db-0', {labels: SECOND}),
      }
      let [x, y] = [primaryFirst ? await start.x() : undefined, primaryFirst ? undefined : await start.y()]
      if (x) await cluster.told(x, 'waiting in1 peer')
      if (y) await cluster.told(y, 'waiting ratchet')
      x ??= await start.x()
      y ??= await start.y()
      await cluster.told(x, `up in1 ${kind}`)
      await cluster.told(y, `up in2 ${kind}`)
      await cluster.at(nodes[0]).has(x, 'in1 192.168.2.100/24')
      await cluster.at(nodes[1]).has(y, 'in2 192.168.2.101/24')
      await cluster.reaches(x, '192.168.2.101')
      t.like(cluster.status(x)[0], {peer: 'default/db-0:in2'})
      // Taken away while they run.
      cluster.label(y, {ratchet: 'false'})
      await cluster.told(x, 'waiting in1 peer')
      await cluster.told(y)
      await cluster.at(nodes[0]).has(x)
      await cluster.at(nodes[1]).has(y)
      cluster.label(y, {ratchet: 'true'})
      await cluster.told(y, `up in2 ${kind}`)
      cluster.label(x, {'ratchet.local_ip': '192.168.2.105'})
      await cluster.at(nodes[0]).has(x, 'in1 192.168.2.105/24')
      await cluster.stop(x)
      await cluster.told(y, 'waiting ratchet')
      await cluster.stop(y)
      await cluster.clean()
    })

test("ratchet's labels of a pod that is not eligible, and those of two primaries", async t => {
  const cluster = await startCluster(t)
  const off = await cluster.start('a', 'off', {labels: {...PRIMARY, ratchet: 'false'}})
  const x = await cluster.start('a', 'x', {labels: PRIMARY})
  const y = await cluster.start('b', 'y', {
    labels: {
      ...PRIMARY,
      'ratchet.pod_name': 'pair-pod',
      'ratchet.pair_name': 'primary-pod',
      'ratchet.local_ip': '192.168.2.101',
      'ratchet.pair_ip': '192.168.2.100',
    },
  })
  for (const pod of [x, y])
    await cluster.says(
      pod,
      /^contradiction in1: .*both have the label ratchet\.primary: "true"; leave it at one of them/,
    )
  await cluster.told(off)
  cluster.label(y, {'ratchet.primary': 'false'})
  await cluster.told(x, 'up in1 vxlan')
  await cluster.told(y, 'up in2 vxlan')
  // A third one with the name of the first takes its place: it is newer. The API server tells ages in whole seconds.
  await sleep(1100)
  const z = await cluster.start('b', 'z', {labels: PRIMARY})
  await cluster.says(
    x,
    /^contradiction in1: .*does not count: default\/z, which is newer, has the same ratchet\.pod_name/,
  )
  await cluster.told(z, 'up in1 veth')
  await cluster.told(y, 'up in2 veth')
  await cluster.at('a').has(x)
  await cluster.stop(z)
  await cluster.told(x, 'up in1 vxlan')
  await cluster.told(y, 'up in2 vxlan')
  t.pass()
})

test('labels at one end and the annotation at the other, and both in one pod', async t => {
  const cluster = await startCluster(t)
  const x = await cluster.start('a', 'x', {
    labels: PRIMARY,
    pairs: [{peer: 'y', interface: 'more', ips: ['10.6.0.1/24']}],
  })
  const y = await cluster.start('b', 'y', {
    labels: SECOND,
    pairs: [
      {
        peer: 'x',
        interface: 'in2',
        peerInterface: 'in1',
        mtu: 1400,
        routes: [{dst: '10.60.0.0/16', gw: '192.168.2.100'}],
      },
      {peer: 'x', interface: 'more', peerInterface: 'more', ips: ['10.6.0.2/24']},
    ],
  })
  await cluster.told(x, 'up in1 vxlan', 'up more vxlan')
  await cluster.told(y, 'up in2 vxlan', 'up more vxlan')
  await cluster.at('a').has(x, 'in1 192.168.2.100/24', 'more 10.6.0.1/24')
  await cluster.at('b').has(y, 'in2 192.168.2.101/24', 'more 10.6.0.2/24')
  t.deepEqual([cluster.link(x).mtu, cluster.link(y, 'in2').mtu], [1400, 1400])
  t.deepEqual(routesOf(y), ['10.60.0.0/16 via 192.168.2.100 in2'])
  await cluster.reaches(x, '192.168.2.101')
  await cluster.reaches(y, '10.6.0.1')
  // The annotation says another address than the labels of the other pod.
  cluster.declare(y, [{peer: 'x', interface: 'in2', peerInterface: 'in1', ips: ['192.168.2.7/24']}])
  for (const pod of [x, y])
    await cluster.says(
      pod,
      /^contradiction in[12]: .*mean the same interface to have 192\.168\.2\.\d+\/24 and 192\.168\.2\./,
    )
  await cluster.says(x, /^up more/)
})
