/** What people and others write of pairs: what cannot be served is told where its author looks, and nothing else is disturbed. Needs root. */
import test from 'ava'
import {built} from './support/node.ts'
import {PAIRS, STATUS, startCluster, withGoodPair} from './support/pairs.ts'

test.before(built)

const long = 'z'.repeat(5000)

/** An element beside the good one, and what is said of it. */
const ELEMENTS: readonly (readonly [element: unknown, says: RegExp])[] = [
  [
    {peer: 'x', interface: 'in1'},
    /^failed in1: annotation netgraft\.dev\/pairs\[1\]\.peer is "x", the pod itself; name another pod$/,
  ],
  [{peer: 'default/x', interface: 'in1'}, /^failed in1: .*the pod itself/],
  [{peer: 'y', interface: 'eth0'}, /^failed : .*\[1\]\.interface is "eth0", the pod's first interface/],
  [
    {peer: 'y', interface: 'good'},
    /^failed good: .*\[1\]\.interface is "good", and so is that of netgraft\.dev\/pairs\[0\]/,
  ],
  [{peer: 'y', interface: 'lo'}, /^failed : .*cannot be a pod interface's name/],
  [{peer: 'y'}, /^failed : .*\[1\]\.interface is missing/],
  [{interface: 'in1'}, /^failed in1: .*\[1\]\.peer is missing/],
  [{peer: 'a/b/c', interface: 'in1'}, /^failed in1: .*\[1\]\.peer is "a\/b\/c"; write \[<namespace>\/\]<pod>$/],
  [{peer: 'Y', interface: 'in1'}, /^failed in1: .*a pod's name has at most 253/],
  [{peer: '__proto__', interface: 'in1'}, /^failed in1: .*\[1\]\.peer is "__proto__"/],
  [{peer: 'y', interface: 'in1', name: '__proto__'}, /^failed in1: .*\[1\]\.name is "__proto__"/],
  [{peer: `y\u0000\u001b[31m\n`, interface: 'in1'}, /^failed in1: [^\p{Cc}]*\[1\]\.peer is "y\\u0000/u],
  [{peer: long, interface: 'in1'}, /^failed in1: .{0,250}$/],
  [{peer: 'y', interface: long}, /^failed : .{0,250}is longer than 15 bytes.{0,60}$/],
  [{peer: 'y', interface: 'in\u0007'}, /^failed : .*control character/],
  [{peer: 'y', interface: 'in1', ips: ['10.0.0.1']}, /^failed in1: .*\[1\]\.ips\[0\] is "10\.0\.0\.1"/],
  [{peer: 'y', interface: 'in1', ips: ['127.0.0.1/8']}, /^failed in1: .*which no interface can have/],
  [{peer: 'y', interface: 'in1', ips: '10.0.0.1/24'}, /^failed in1: .*\[1\]\.ips is "10\.0\.0\.1\/24"; write a list/],
  [{peer: 'y', interface: 'in1', mac: 'ff:ff:ff:ff:ff:ff'}, /^failed in1: .*\[1\]\.mac is "ff:ff:ff:ff:ff:ff"/],
  [{peer: 'y', interface: 'in1', mtu: 10}, /^failed in1: .*\[1\]\.mtu is 10; write a whole number from 68 to 65535/],
  [{peer: 'y', interface: 'in1', mtu: 1000, ips: ['fd00::1/64']}, /^failed in1: .*IPv6 needs 1280/],
  [
    {peer: 'y', interface: 'in1', routes: [{dst: '0.0.0.0/0'}]},
    /^failed in1: .*routes\[0\]\.dst is 0\.0\.0\.0\/0, and a pair never has the pod's default route/,
  ],
  [
    {peer: 'y', interface: 'in1', routes: [{dst: '::/0', gw: 'fe80::1'}]},
    /^failed in1: .*routes\[0\]\.dst is ::\/0, and a pair never/,
  ],
  [
    {peer: 'y', interface: 'in1', routes: [{dst: '10.1.0.0/16', gw: 'fe80::1'}]},
    /^failed in1: .*write the IPv4 address of a gateway/,
  ],
  [null, /^failed : .*\[1\] is null; write an object/],
  ['y', /^failed : .*\[1\] is "y"; write an object/],
]

test('an element that cannot be read is told, and the others are served', async t => {
  const cluster = await startCluster(t)
  const {x, good, untouched} = await withGoodPair(cluster)
  for (const [element, says] of ELEMENTS) {
    cluster.declare(x, [good, element])
    await cluster.says(x, says, /^up good: $/)
    t.is(cluster.status(x).length, 2, JSON.stringify(cluster.status(x)))
  }
  t.true(await untouched())
  const warnings = () =>
    cluster
      .at('a')
      .events(x)
      .filter(each => each.startsWith('Warning PairFailed: '))
  await cluster.until(
    // Of so many in so short a time some may be left out.
    () => new Set(warnings()).size > ELEMENTS.length / 2,
    () => warnings().join('\n'),
  )
  for (const text of ['[{', '{}', '7', '"x"', '['.repeat(100), `[${'7,'.repeat(1024)}7]`, '[1e999]']) {
    cluster.declare(x, text)
    await cluster.says(x, /^failed : annotation netgraft\.dev\/pairs/, /^up good: /)
  }
  t.true(await untouched())
  cluster.declare(x, [good])
  await cluster.told(x, 'up good vxlan')
  t.true(await untouched())
})

test('a malformed edit leaves what works as it was, after a restart of the agent, too', async t => {
  const cluster = await startCluster(t)
  const {x, good, untouched} = await withGoodPair(cluster)
  const more = {peer: 'y', interface: 'more', ips: ['10.98.0.1/24']}
  cluster.declare(x, [good, more])
  await cluster.told(x, 'up good vxlan', 'up more vxlan')
  const index = cluster.link(x, 'more').ifindex
  cluster.declare(x, [good, {...more, mtu: 'big'}])
  await cluster.says(x, /^failed more: .*\[1\]\.mtu is "big"/, /^up more: /, /^up good: /)
  cluster.declare(x, '[{"peer"')
  await cluster.says(x, /^failed : .*is not JSON/, /^up more: /, /^up good: /)
  await cluster.at('a').node.agent.kill()
  cluster.at('a').node.agent.start()
  await cluster.at('a').runtime.serving()
  await cluster.at('a').node.says('"listed"', '"vnis"')
  // Somebody edits it again, as badly.
  cluster.declare(x, '[{"peer":')
  await cluster.says(x, /^failed : .*is not JSON/, /^up more: /, /^up good: /)
  t.is(cluster.link(x, 'more').ifindex, index)
  t.true(await untouched())
  cluster.declare(x, [good])
  await cluster.told(x, 'up good vxlan')
  await cluster.until(() => !cluster.link(x, 'more'))
})

test('names that are properties of objects elsewhere are names', async t => {
  const cluster = await startCluster(t)
  const x = await cluster.start('a', 'constructor', {
    pairs: [
      {peer: 'tostring', interface: '__proto__', name: 'constructor', ips: ['10.1.0.1/24']},
      {peer: 'tostring', interface: 'hasOwnProperty', name: 'valueof'},
    ],
  })
  const y = await cluster.start('b', 'tostring', {
    pairs: `[{"peer": "constructor", "interface": "constructor", "name": "constructor", "ips": ["10.1.0.2/24"], "__proto__": {"mtu": 7}, "constructor": 1}]`,
  })
  await cluster.told(x, 'up __proto__ vxlan', 'up hasOwnProperty vxlan')
  await cluster.told(y, 'up constructor vxlan', 'up hasOwnProperty vxlan')
  t.is(cluster.link(y, 'constructor').mtu, 1450)
  await cluster.reaches(x, '10.1.0.2')
  await cluster.stop(x)
  await cluster.stop(y)
  await cluster.clean()
})

const LABELS = {
  ratchet: 'true',
  'ratchet.pod_name': 'primary',
  'ratchet.local_ip': '192.168.2.100',
  'ratchet.local_ifname': 'in1',
  'ratchet.pair_name': 'second',
  'ratchet.pair_ip': '192.168.2.101',
  'ratchet.pair_ifname': 'in2',
  'ratchet.primary': 'true',
}

/** What differs, and what is said. */
const WRONG_LABELS: readonly (readonly [labels: Record<string, string | null>, says: RegExp])[] = [
  [{'ratchet.pair_name': null}, /label ratchet\.pair_name is missing/],
  [{'ratchet.pair_name': 'primary'}, /label ratchet\.pair_name is "primary", the pod itself/],
  [
    {'ratchet.local_ip': 'nowhere'},
    /label ratchet\.local_ip is "nowhere"; write an IPv4 address without a prefix length/,
  ],
  [{'ratchet.local_ip': '192.168.2'}, /label ratchet\.local_ip is "192\.168\.2"/],
  [{'ratchet.pair_ip': '127.0.0.1'}, /label ratchet\.pair_ip is "127\.0\.0\.1/],
  [
    {'ratchet.pair_ip': '192.168.2.100'},
    /label ratchet\.pair_ip is "192\.168\.2\.100", and so is ratchet\.local_ip; change one/,
  ],
  [{'ratchet.local_ifname': null}, /label ratchet\.local_ifname is missing/],
  [{'ratchet.local_ifname': 'eth0'}, /label ratchet\.local_ifname is "eth0"/],
  [{'ratchet.pair_ifname': 'longer-than-15-bytes'}, /label ratchet\.pair_ifname .*is longer than 15 bytes/],
]

test('labels that are malformed are told, each with its name, and what stands stays', async t => {
  const cluster = await startCluster(t)
  const x = await cluster.start('a', 'x', {labels: LABELS})
  const y = await cluster.start('b', 'y', {
    labels: {ratchet: 'true', 'ratchet.pod_name': 'second', 'ratchet.primary': 'false'},
  })
  await cluster.told(x, 'up in1 vxlan')
  const index = cluster.link(x).ifindex
  for (const [labels, says] of WRONG_LABELS) {
    cluster.label(x, {...LABELS, ...labels})
    await cluster.says(x, new RegExp(`^failed [^:]*: ${says.source}`), /^up in1: /)
  }
  await cluster.told(y, 'up in2 vxlan')
  t.is(cluster.link(x).ifindex, index)
  // One that has never had a pair.
  const z = await cluster.start('a', 'z', {labels: {...LABELS, 'ratchet.pod_name': 'z', 'ratchet.local_ip': 'x'}})
  await cluster.says(z, /^failed in1: label ratchet\.local_ip is "x"/)
  t.is(cluster.link(z), undefined)
})

test("a pod of the host's network has no pairs, and is told so", async t => {
  const cluster = await startCluster(t)
  const a = cluster.at('a')
  const host = await a.declare({[PAIRS]: '[{"peer": "y", "interface": "in1"}]'}, 'host', 'default', {hostNetwork: true})
  const quiet = await a.declare({}, 'quiet', 'default', {hostNetwork: true})
  const y = await cluster.start('b', 'y', {
    pairs: [
      {peer: 'host', interface: 'in1'},
      {peer: 'quiet', interface: 'in2'},
    ],
  })
  const told = {...host, node: 'a', result: y.result}
  await cluster.says(
    told,
    /^failed : the pod uses the host's network, which pairs must not change; remove hostNetwork, or what it says of pairs$/,
  )
  await cluster.told(y, 'waiting in1 peer', 'waiting in2 peer')
  t.is(a.object(quiet)?.metadata.annotations?.[STATUS], undefined)
  t.deepEqual(
    a.node.namespace.json('link', 'show').filter(({ifname}) => ifname === 'in1'),
    [],
  )
})

test('annotations of every size that the API server takes', async t => {
  const cluster = await startCluster(t)
  const {x, y, good, untouched} = await withGoodPair(cluster)
  // A thousand pairs, each with as much as it can have.
  const many = Array.from({length: 1000}, (_, i) => ({
    peer: `no-such-pod-${i}`,
    interface: `i${i}`,
    ips: [`10.77.${i >> 8}.${i & 255}/32`],
    routes: [{dst: `10.78.${i >> 8}.${i & 255}/32`}],
  }))
  cluster.declare(x, [good, ...many])
  await cluster.until(() => cluster.status(x).length > 100, 'its status is told')
  const text = cluster.at('a').object(x)?.metadata.annotations?.[STATUS] ?? ''
  t.true(text.length < 70_000)
  t.regex(cluster.status(x).at(-1)!.reason!, /^\d+ more are not listed: an annotation has no room for them$/)
  t.true(await untouched())
  // One of them is another node's.
  cluster.declare(x, [good, ...many, {peer: 'y', interface: 'last', ips: ['10.97.0.1/24']}])
  await cluster.told(y, 'up good vxlan', 'up last vxlan')
  // So long that no status has any room beside it.
  cluster.declare(x, `[{"peer": "y", "interface": "big", "name": "${'n'.repeat(261_000)}"}]`)
  await cluster.until(
    () =>
      cluster
        .at('a')
        .events(x)
        .some(each => /Warning PairFailed: big: annotation netgraft\.dev\/pairs\[0\]\.name is "nnn/.test(each)),
    () => cluster.at('a').events(x).join('\n'),
  )
  cluster.declare(x, [good])
  await cluster.told(x, 'up good vxlan')
  await cluster.told(y, 'up good vxlan')
  t.true(await untouched())
})
