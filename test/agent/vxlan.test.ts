/** Backend vxlan: what the kernel has, what is published, and what is told of what cannot be. The real agent; needs root. */
import test from 'ava'
import {
  built,
  nodeObject,
  OWN_TUNNELS,
  OWN_VTEP,
  SELF,
  startNode,
  type TestNode,
  VTEP,
  VXLAN,
  vtep,
} from './support/node.ts'

const B =
  'b 10.64.2.0/24 fd00:64:2::/64 via 10.9.0.2 fd00:9::2 ends 10.9.0.2/02:00:00:00:04:02 fd00:9::2/02:00:00:00:06:02'
const TO_B4 = [
  'route 10.64.2.0/24 via 10.9.0.2 dev ng-vx0 metric 2048 onlink',
  'neigh 10.9.0.2 dev ng-vx0 lladdr 02:00:00:00:04:02',
  'fdb 02:00:00:00:04:02 dev ng-vx0 dst 10.9.0.2',
]
const TO_B6 = [
  'route fd00:64:2::/64 via fe80::ff:fe00:602 dev ng-vx0-6 metric 2048',
  'neigh fe80::ff:fe00:602 dev ng-vx0-6 lladdr 02:00:00:00:06:02',
  'fdb 02:00:00:00:06:02 dev ng-vx0-6 dst fd00:9::2',
]
const TO_B = [...TO_B4, ...TO_B6]
/** Where only IPv4 ends meet: both families over the one device. */
const TO_B_OVER_4 = [
  ...TO_B4,
  'route fd00:64:2::/64 via fe80::ff:fe00:402 dev ng-vx0 metric 2048',
  'neigh fe80::ff:fe00:402 dev ng-vx0 lladdr 02:00:00:00:04:02',
]
/** Where only IPv6 ends meet. */
const TO_B_OVER_6 = [
  ...TO_B6,
  'route 10.64.2.0/24 via 10.64.2.0 dev ng-vx0-6 metric 2048 onlink',
  'neigh 10.64.2.0 dev ng-vx0-6 lladdr 02:00:00:00:06:02',
]
const on = (device: string, lines: readonly string[]) => lines.filter(line => ` ${line} `.includes(` ${device} `))
const OWN_RANGES = OWN_TUNNELS.filter(line => line.startsWith('route'))

const eth0 = (...addresses: string[]) => [
  'link add eth0 type veth peer name sw0',
  'link set eth0 up',
  'link set sw0 up',
  ...addresses.map(address => `addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`),
]

/** Every trouble that was ever told, in order. */
const troubles = (node: TestNode) => node.agent.logs.filter(line => line.msg === 'trouble').map(line => line.reason)

const publishes = (node: TestNode, text: string | undefined) =>
  node.until(
    () => node.published() === text,
    () => `${text} is published, not ${node.published()}`,
  )

test.before(built)

test('nodes of both families: devices, addresses, and per peer a route, a neighbour and a forwarding entry', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN})
  await node.holds(OWN_TUNNELS, TO_B)
  await publishes(node, OWN_VTEP)
  node.put('c 10.64.3.0/24 10.64.4.0/24 fd00:64:3::/64 via 10.9.0.3 ends 10.9.0.3/02:00:00:00:04:03')
  const TO_C = [
    'route 10.64.3.0/24 via 10.9.0.3 dev ng-vx0 metric 2048 onlink',
    'route 10.64.4.0/24 via 10.9.0.3 dev ng-vx0 metric 2048 onlink',
    'route fd00:64:3::/64 via fe80::ff:fe00:403 dev ng-vx0 metric 2048',
    'neigh 10.9.0.3 dev ng-vx0 lladdr 02:00:00:00:04:03',
    'neigh fe80::ff:fe00:403 dev ng-vx0 lladdr 02:00:00:00:04:03',
    'fdb 02:00:00:00:04:03 dev ng-vx0 dst 10.9.0.3',
  ]
  await node.holds(OWN_TUNNELS, TO_B, TO_C)
  node.remove('b')
  await node.holds(OWN_TUNNELS, TO_C)
  t.deepEqual(troubles(node), [])
  t.true(await node.agent.ready())
})

test('between nodes that have IPv4 alone, and between those that have IPv6 alone, pods have both', async t => {
  const four = await startNode(t, {
    nodes: ['a 10.64.1.0/24 fd00:64:1::/64 via 192.168.0.1', B],
    config: VXLAN,
    network: eth0('192.168.0.1/16'),
  })
  const six = await startNode(t, {
    nodes: ['a 10.64.1.0/24 fd00:64:1::/64 via fd00:100::1', B],
    config: VXLAN,
    network: eth0('fd00:100::1/64'),
  })
  await four.holds(OWN_RANGES, on('ng-vx0', OWN_TUNNELS), TO_B_OVER_4)
  await publishes(four, vtep('192.168.0.1/fe:13:d4:48:ff:f4')[VTEP])
  await six.holds(OWN_RANGES, on('ng-vx0-6', OWN_TUNNELS), TO_B_OVER_6)
  await publishes(six, vtep('fd00:100::1/b2:5b:53:89:76:6a')[VTEP])
  t.deepEqual([...troubles(four), ...troubles(six)], [])
  // No family in common.
  six.put('b 10.64.2.0/24 via 10.9.0.2 ends 10.9.0.2/02:00:00:00:04:02')
  await six.says('warn', 'node b', '10.64.2.0/24', 'no tunnel of this node has the family of 10.9.0.2')
  await six.holds(OWN_RANGES, on('ng-vx0-6', OWN_TUNNELS))
})

test('what is published comes back whenever somebody edits it, removes it, or makes the node anew', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN})
  const annotate = (annotations: object) => node.api.patch({resource: 'nodes', name: 'a'}, {metadata: {annotations}})
  annotate({theirs: 'stays'})
  await publishes(node, OWN_VTEP)
  for (const text of [
    null,
    '',
    'nonsense',
    '{}',
    OWN_VTEP.replace('8472', '4789'),
    OWN_VTEP.replace('192.168.0.1', '192.168.0.9'),
    vtep('192.168.0.1/fe:13:d4:48:ff:f4')[VTEP]!,
  ]) {
    annotate({[VTEP]: text})
    await publishes(node, OWN_VTEP)
  }
  t.is(node.api.get({resource: 'nodes', name: 'a'})!.metadata.annotations!.theirs, 'stays')
  // Other networks', which are not this agent's.
  annotate({'netgraft.dev/vtep-other': 'theirs'})
  node.remove('a')
  node.put(SELF)
  await publishes(node, OWN_VTEP)
  await node.holds(OWN_TUNNELS, TO_B)
})

test('somebody who edits it again and again does not have the last word', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN})
  await publishes(node, OWN_VTEP)
  // As soon as the agent has put it right, it is wrong again.
  for (let edits = 0; edits < 30; edits++) {
    node.api.patch({resource: 'nodes', name: 'a'}, {metadata: {annotations: {[VTEP]: `edit ${edits}`}}})
    if (edits % 3 === 2) while (node.published() !== OWN_VTEP) await new Promise(setImmediate)
  }
  await publishes(node, OWN_VTEP)
  t.pass()
})

test('an API server that refuses to let it be published is told once and asked again, and the routes are there', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN})
  await publishes(node, OWN_VTEP)
  for (const status of [403, 409, 500, 429]) {
    node.agent.logs.length = 0
    node.api.faults.fail(2, status)
    node.api.patch({resource: 'nodes', name: 'a'}, {metadata: {annotations: {[VTEP]: null}}})
    await node.says('warn', 'the end of our tunnel cannot be published; trying again', `${status}`)
    node.put(`x${status} 10.65.1.0/24 via 10.9.1.1 ends 10.9.1.1/02:00:00:00:04:99`)
    await node.holds(OWN_TUNNELS, TO_B, [
      'route 10.65.1.0/24 via 10.9.1.1 dev ng-vx0 metric 2048 onlink',
      'neigh 10.9.1.1 dev ng-vx0 lladdr 02:00:00:00:04:99',
      'fdb 02:00:00:00:04:99 dev ng-vx0 dst 10.9.1.1',
    ])
    t.true(await node.agent.ready())
    await publishes(node, OWN_VTEP)
    await node.says('info', 'the end of our tunnel is published')
    node.remove(`x${status}`)
    await node.holds(OWN_TUNNELS, TO_B)
    t.is(node.agent.logs.filter(line => line.msg.includes('cannot be published')).length, 1, `${status}`)
  }
  t.is(await node.agent.metric('netgraft_api_errors_total', {code: '403'}), 2)
})

test('with another backend the devices and the publication go, and come again', async t => {
  const near = 'b 10.64.2.0/24 via 192.168.0.2 ends 192.168.0.2/02:00:00:00:04:02'
  const TUNNELLED = TO_B4.map(line => line.replace('10.9.0.2', '192.168.0.2'))
  const node = await startNode(t, {nodes: [SELF, near], config: VXLAN})
  await node.holds(OWN_TUNNELS, TUNNELLED)
  await publishes(node, OWN_VTEP)
  await node.agent.stop()
  node.configure({networks: [{backend: 'direct'}]})
  node.agent.start()
  await node.holds(OWN_RANGES, ['route 10.64.2.0/24 via 192.168.0.2 dev eth0 metric 2048'])
  await publishes(node, undefined)
  await node.agent.stop()
  node.configure(VXLAN)
  node.agent.start()
  await node.holds(OWN_TUNNELS, TUNNELLED)
  await publishes(node, OWN_VTEP)
  t.deepEqual(troubles(node), [])
})

test('another identifier, port or name in the configuration: the old device makes way for the new one', async t => {
  const node = await startNode(t, {nodes: [SELF], config: VXLAN})
  await node.holds(OWN_TUNNELS)
  for (const vxlan of [{vni: 7}, {vni: 7, port: 4789}, {vni: 7, port: 4789, device: 'pods'}]) {
    const {vni, port, device} = {port: 8472, device: 'ng-vx0', ...vxlan}
    await node.agent.stop()
    node.configure({networks: [{backend: 'vxlan', vxlan}]})
    node.agent.start()
    const changed = (line: string) =>
      line.replaceAll('ng-vx0', device).replace('vni 1', `vni ${vni}`).replace('port 8472', `port ${port}`)
    await node.holds(OWN_TUNNELS.map(changed))
    await publishes(node, OWN_VTEP.replace('"vni":1', `"vni":${vni}`).replace('8472', `${port}`))
    t.deepEqual(troubles(node), [], JSON.stringify(vxlan))
  }
})

test('a peer without an end of a tunnel is told and skipped until it has one', async t => {
  const [b] = B.split(' ends ')
  const node = await startNode(t, {nodes: [SELF, b!], config: VXLAN})
  await node.says('trouble', 'node b', '10.64.2.0/24 has no route', 'published no end of a tunnel yet')
  await node.says('trouble', 'node b', 'fd00:64:2::/64 has no route', 'published no end of a tunnel yet')
  await node.holds(OWN_TUNNELS)
  t.is(await node.agent.metric('netgraft_invalid_inputs', {kind: 'unreachable'}), 2)
  node.put(B)
  await node.holds(OWN_TUNNELS, TO_B)
  await node.says('trouble over', '10.64.2.0/24')
  await node.says('trouble over', 'fd00:64:2::/64')
  // It leaves the tunnels, as one does that is configured for direct routes.
  node.api.patch({resource: 'nodes', name: 'b'}, {metadata: {annotations: {[VTEP]: null}}})
  await node.holds(OWN_TUNNELS)
  t.is(troubles(node).length, 4)
})

/** What stands in the annotation of a peer, why that is of no use, and whether its text could be read at all. */
const USELESS: readonly (readonly [text: string, why: string, unread?: 'unread'])[] = [
  [vtep('10.9.0.2/02:00:00:00:04:02')[VTEP]!.replace('"vni":1', '"vni":2'), 'its tunnel has the vni 2, and ours 1'],
  [vtep('10.9.0.2/02:00:00:00:04:02')[VTEP]!.replace('8472', '4789'), 'its tunnel has the port 4789, and ours 8472'],
  [vtep()[VTEP]!, 'no tunnel of this node has the family of an end'],
  [vtep('192.168.0.1/02:00:00:00:04:02')[VTEP]!, 'the end of its tunnel, 192.168.0.1, is an address of this machine'],
  [vtep('10.65.4.9/02:00:00:00:04:02')[VTEP]!, 'it contains the end of its own tunnel, 10.65.4.9'],
  ['nonsense', 'is not JSON', 'unread'],
  ['[]', 'is not a JSON object', 'unread'],
  ['{"vni":1,"port":8472}', 'has no list \\"ends\\"', 'unread'],
  ['{"vni":"1","port":8472,"ends":[]}', '\\"vni\\" is not a whole number from 1 to 16777215', 'unread'],
  ['{"vni":1,"port":0,"ends":[]}', '\\"port\\" is not a whole number from 1 to 65535', 'unread'],
  ['{"vni":1,"port":8472,"ends":[{"ip":"10.9.0.2"}]}', 'has an end without \\"ip\\" or \\"mac\\"', 'unread'],
  [vtep('10.9.0.2/02:00:00:00:04')[VTEP]!, '\\"02:00:00:00:04\\" is not the MAC of one device', 'unread'],
  [vtep('10.9.0.2/01:00:5e:00:00:01')[VTEP]!, '\\"01:00:5e:00:00:01\\" is not the MAC of one device', 'unread'],
  [vtep('127.0.0.1/02:00:00:00:04:02')[VTEP]!, '127.0.0.1 cannot be the address of a tunnel’s end', 'unread'],
  [vtep('10.9.0.300/02:00:00:00:04:02')[VTEP]!, '10.9.0.300', 'unread'],
  [vtep('10.9.0.2/02:00:00:00:04:02', '10.9.0.3/02:00:00:00:04:03')[VTEP]!, 'has two ends of IPv4', 'unread'],
]

test('an annotation that is of no use is told in one sentence each, and its node is served once it is right', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN})
  for (const [n, [text, why, unread]] of USELESS.entries()) {
    const annotations = {[VTEP]: text}
    node.api.create(nodeObject(`odd${n} 10.65.${n}.0/24 via 10.9.1.${n + 1}`, {metadata: {annotations}}))
    if (unread) await node.says('"malformed"', `node odd${n}: annotation ${VTEP}: `, why.replace('’', "'"))
    else await node.says('"unreachable"', `node odd${n}: pod range 10.65.${n}.0/24 has no route, since ${why}`)
  }
  await node.holds(OWN_TUNNELS, TO_B)
  const unread = USELESS.filter(([, , each]) => each).length
  t.is(await node.agent.metric('netgraft_invalid_inputs', {kind: 'malformed'}), unread)
  t.is(await node.agent.metric('netgraft_invalid_inputs', {kind: 'unreachable'}), USELESS.length)
  // A newer agent may say more.
  const better = {vni: 1, port: 8472, cipher: 'none', ends: [{ip: '10.9.1.1', mac: '02:00:00:00:0A:01', weight: 2}]}
  node.api.patch({resource: 'nodes', name: 'odd0'}, {metadata: {annotations: {[VTEP]: JSON.stringify(better)}}})
  const TO_ODD = [
    'route 10.65.0.0/24 via 10.9.1.1 dev ng-vx0 metric 2048 onlink',
    'neigh 10.9.1.1 dev ng-vx0 lladdr 02:00:00:00:0a:01',
    'fdb 02:00:00:00:0a:01 dev ng-vx0 dst 10.9.1.1',
  ]
  await node.holds(OWN_TUNNELS, TO_B, TO_ODD)
  node.remove(...USELESS.map((_, n) => `odd${n}`))
  await node.holds(OWN_TUNNELS, TO_B)
  await node.until(async () => (await node.agent.metric('netgraft_invalid_inputs')) === 0)
})

test('of two peers with one MAC the second is told, and served once it has its own', async t => {
  const copy = (mac: string) => `c 10.64.3.0/24 via 10.9.0.3 ends 10.9.0.3/${mac}`
  // Of one age the one whose name sorts first has it.
  const node = await startNode(t, {
    nodes: [SELF, B, copy('02:00:00:00:04:02')],
    config: VXLAN,
    api: {now: () => Date.parse('2026-01-01')},
  })
  const toC = (mac: string) => [
    'route 10.64.3.0/24 via 10.9.0.3 dev ng-vx0 metric 2048 onlink',
    `neigh 10.9.0.3 dev ng-vx0 lladdr ${mac}`,
    `fdb ${mac} dev ng-vx0 dst 10.9.0.3`,
  ]
  await node.says('"unreachable"', 'node c', '02:00:00:00:04:02', 'is also another node')
  await node.holds(OWN_TUNNELS, TO_B)
  t.is(troubles(node).length, 1)
  node.put(copy('02:00:00:00:04:03'))
  await node.holds(OWN_TUNNELS, TO_B, toC('02:00:00:00:04:03'))
  await node.says('trouble over', 'node c')
  // Again, and the first one goes.
  node.put(copy('02:00:00:00:04:02'))
  await node.holds(OWN_TUNNELS, TO_B)
  node.remove('b')
  await node.holds(OWN_TUNNELS, toC('02:00:00:00:04:02'))
})

test('a peer with the MAC of this node’s own device is told: the kernel drops what comes from it', async t => {
  const node = await startNode(t, {
    nodes: [SELF, B, 'c 10.64.3.0/24 fd00:64:3::/64 via 10.9.0.3 ends 10.9.0.3/fe:13:d4:48:ff:f4'],
    config: VXLAN,
  })
  await node.holds(OWN_TUNNELS, TO_B)
  await node.says('"unreachable"', 'node c', '10.64.3.0/24', 'fe:13:d4:48:ff:f4')
})

test('ranges that begin alike lead each to its own node', async t => {
  const node = await startNode(t, {
    nodes: [
      SELF,
      'wide 10.66.0.0/16 fd00:66::/48 via 10.9.0.2 ends 10.9.0.2/02:00:00:00:04:02',
      'narrow 10.66.0.0/24 fd00:66::/64 via 10.9.0.3 ends 10.9.0.3/02:00:00:00:04:03',
    ],
    config: VXLAN,
  })
  const toEach = (range: string, range6: string, n: number) => [
    `route ${range} via 10.9.0.${n} dev ng-vx0 metric 2048 onlink`,
    `neigh 10.9.0.${n} dev ng-vx0 lladdr 02:00:00:00:04:0${n}`,
    `route ${range6} via fe80::ff:fe00:40${n} dev ng-vx0 metric 2048`,
    `neigh fe80::ff:fe00:40${n} dev ng-vx0 lladdr 02:00:00:00:04:0${n}`,
    `fdb 02:00:00:00:04:0${n} dev ng-vx0 dst 10.9.0.${n}`,
  ]
  await node.says('"overlap"', 'node narrow', '10.66.0.0/24', 'lies inside 10.66.0.0/16 of node wide')
  await node.holds(OWN_TUNNELS, toEach('10.66.0.0/16', 'fd00:66::/48', 2), toEach('10.66.0.0/24', 'fd00:66::/64', 3))
  node.remove('narrow')
  await node.holds(OWN_TUNNELS, toEach('10.66.0.0/16', 'fd00:66::/48', 2))
  t.is(troubles(node).filter(reason => !`${reason}`.includes('lies inside')).length, 0)
})

test('over IPv6 ranges that begin alike are told, and none leads to another one’s node', async t => {
  const node = await startNode(t, {
    nodes: [
      SELF,
      'wide 10.66.0.0/16 via fd00:9::2 ends fd00:9::2/02:00:00:00:06:02',
      'narrow 10.66.0.0/24 via fd00:9::3 ends fd00:9::3/02:00:00:00:06:03',
      // Around this node's own.
      'around 10.64.0.0/16 via fd00:9::4 ends fd00:9::4/02:00:00:00:06:04',
    ].map(text => text.replace('10.64.1.0/24', '10.64.0.0/24')),
    config: VXLAN,
  })
  const told = ['node around', '10.64.0.0/16'] as const
  await node.until(() => node.agent.logs.find(line => line.msg === 'trouble' && `${line.reason}`.includes('10.66.0.0')))
  await node.says('"unreachable"', ...told)
  const lines = await node.tunnels()
  for (const [range, remote] of Object.entries({'10.66.0.0/16': 'fd00:9::2', '10.66.0.0/24': 'fd00:9::3'})) {
    const gateway = lines.find(line => line.startsWith(`route ${range} `))?.split(' ')[3]
    const mac = lines.find(line => line.startsWith(`neigh ${gateway} `))?.split(' ')[5]
    const end = lines.find(line => line.startsWith(`fdb ${mac} `))?.split(' ')[5]
    t.true(end === undefined || end === remote, `${range} leads to ${end}`)
  }
  t.deepEqual(
    node.agent.logs.filter(({kind}) => kind === 'refused').map(({reason}) => reason),
    [],
  )
})

test('a range with the address of another node, or with the end of its tunnel, takes no traffic from that one', async t => {
  const node = await startNode(t, {
    nodes: [SELF, B, 'greedy 10.9.0.0/24 via 172.31.0.3 ends 172.31.0.3/02:00:00:00:04:03'],
    config: VXLAN,
  })
  await node.says('warn', 'node greedy', '10.9.0.0/24', '10.9.0.2')
  await node.holds(OWN_TUNNELS, TO_B)
})

test('the own ranges are unreachable but for the pods in them; on a bridge they are not ours to say', async t => {
  const node = await startNode(t, {nodes: [SELF.replace(' via', ' 10.64.9.0/24 via'), B], config: VXLAN})
  const second = 'route unreachable 10.64.9.0/24 metric 2048'
  await node.holds(OWN_TUNNELS, [second], TO_B)
  await node.ip('link add pod0 type bridge')
  await node.ip('link set pod0 up')
  await node.ip('route add 10.64.1.5/32 dev pod0')
  await node.holds(OWN_TUNNELS, [second], TO_B)
  t.regex(await node.ip('route get 10.64.1.5'), /dev pod0/)
  await t.throwsAsync(node.ip('route get 10.64.1.6'))
  await node.agent.stop()
  node.configure({networks: [{backend: 'vxlan', pods: {mode: 'bridge'}}]})
  node.agent.start()
  await node.holds(
    OWN_TUNNELS.filter(line => !line.startsWith('route')),
    TO_B,
  )
})

test('a foreign link with the device’s name is told and left alone; the other device carries both families', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN, start: false})
  await node.ip('link add ng-vx0 type bridge')
  const before = await node.ip('link show ng-vx0')
  node.agent.start()
  await node.says('"device"', 'a link named ng-vx0 stands here that is not ours')
  await node.holds(OWN_RANGES, on('ng-vx0-6', OWN_TUNNELS), TO_B_OVER_6)
  await publishes(node, vtep('fd00:100::1/b2:5b:53:89:76:6a')[VTEP])
  t.is(await node.ip('link show ng-vx0'), before)
  t.is(troubles(node).length, 1)
  await node.ip('link set ng-vx0 name theirs')
  await node.holds(OWN_TUNNELS, TO_B)
  await publishes(node, OWN_VTEP)
  await node.says('trouble over', 'ng-vx0')
  t.is((await node.ip('link show theirs')).replace('theirs', 'ng-vx0'), before)
})

test('a foreign link that has the device’s name as another one is told and left alone', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN, start: false})
  await node.ip('link add theirs type bridge')
  await node.ip('link property add dev theirs altname ng-vx0')
  const before = await node.ip('link show theirs')
  node.agent.start()
  await node.says('warn', 'ng-vx0')
  await publishes(node, vtep('fd00:100::1/b2:5b:53:89:76:6a')[VTEP])
  t.is(await node.ip('link show theirs'), before)
  await node.ip('link property del dev theirs altname ng-vx0')
  await node.holds(OWN_TUNNELS, TO_B)
  await node.agent.stop()
  node.agent.start('cleanup')
  await node.agent.ended()
  t.is(await node.ip('link show theirs'), before.replace(/\n *altname.*/, ''))
})

test('a foreign vxlan device with our identifier and port is told, and ours is there once it goes', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN, start: false})
  await node.ip('link add flannel.1 type vxlan id 1 local 192.168.0.1 dstport 8472 nolearning')
  await node.ip('link set flannel.1 up')
  node.agent.start()
  await node.says('"refused"', 'link add ng-vx0', 'EEXIST', 'VXLAN device with the specified VNI already exists')
  const theirs = (await node.tunnels()).filter(line => line.includes('flannel.1'))
  t.is(theirs.length, 1)
  await node.holds(theirs, OWN_RANGES, on('ng-vx0-6', OWN_TUNNELS), TO_B_OVER_6)
  t.is(troubles(node).length, 1)
  await node.ip('link del flannel.1')
  await node.holds(OWN_TUNNELS, TO_B)
  await node.says('trouble over', 'ng-vx0')
  await publishes(node, OWN_VTEP)
})

test('the MTU is the interface’s less what the tunnel adds, and follows it; in the metric, too', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN})
  const withMtu = (four: number, six: number) =>
    OWN_TUNNELS.map(line => line.replace('mtu 1450', `mtu ${four}`).replace('mtu 1430', `mtu ${six}`))
  await node.holds(withMtu(1450, 1430), TO_B)
  for (const mtu of [1400, 9000, 1500]) {
    await node.ip(`link set eth0 mtu ${mtu}`)
    await node.holds(withMtu(mtu - 50, mtu - 70), TO_B)
  }
  t.is(await node.agent.metric('netgraft_mtu_bytes', {family: '4'}), 1450)
  t.is(await node.agent.metric('netgraft_mtu_bytes', {family: '6'}), 1430)
})

test('the MTU of the configuration holds, and is told where it does not fit', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: {networks: [{backend: 'vxlan', mtu: 1400}]}})
  const withMtu = (mtu: number) => OWN_TUNNELS.map(line => line.replace(/mtu \d+/, `mtu ${mtu}`))
  await node.holds(withMtu(1400), TO_B)
  await node.ip('link set eth0 mtu 9000')
  await node.ip('link set ng-vx0 mtu 1300')
  await node.holds(withMtu(1400), TO_B)
  t.deepEqual(troubles(node), [])
  await node.ip('link set eth0 mtu 1500')
  await node.agent.stop()
  node.configure({networks: [{backend: 'vxlan', mtu: 1450}]})
  node.agent.start()
  await node.holds(withMtu(1450), TO_B)
  await node.says('"device"', 'mtu of 1450 does not fit', 'IPv6', '1430')
  t.is(troubles(node).length, 1)
  await node.ip('link set eth0 mtu 1520')
  await node.says('trouble over', 'mtu of 1450')
})

test('an interface too small for IPv6 through a tunnel: told in one sentence each, IPv4 goes on, and IPv6 comes back', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN})
  await node.holds(OWN_TUNNELS, TO_B)
  await node.ip('link set eth0 mtu 1320')
  await node.says('"device"', 'the MTU of ng-vx0 is 1270, and IPv6 needs 1280')
  await node.says('"device"', 'the MTU of ng-vx0-6 is 1250, and IPv6 needs 1280')
  await node.until(async () => (await node.tunnels()).includes(TO_B4[0]!))
  t.deepEqual(
    node.agent.logs.filter(({kind}) => kind === 'refused').map(({reason}) => reason),
    [],
  )
  await node.ip('link set eth0 mtu 1500')
  await node.holds(OWN_TUNNELS, TO_B)
  await node.until(async () => (await node.agent.metric('netgraft_invalid_inputs')) === 0)
})

test('a start that finds nothing counts no repair, and an unchanged restart writes nothing at all', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN})
  await node.holds(OWN_TUNNELS, TO_B)
  await publishes(node, OWN_VTEP)
  t.is(await node.agent.metric('netgraft_drift_repairs_total'), 0)
  for (const end of [() => node.agent.stop(), () => node.agent.kill()]) {
    const heard = await node.monitor('all')
    const requests = node.api.requests.length
    await end()
    await node.holds(OWN_TUNNELS, TO_B)
    node.agent.start()
    await node.until(() => node.agent.ready())
    await node.says('"listed"')
    t.is(await node.agent.metric('netgraft_tunnel_changes_total'), undefined)
    t.is(await node.agent.metric('netgraft_route_changes_total'), 0)
    await node.holds(OWN_TUNNELS, TO_B)
    t.deepEqual(await heard(), [])
    t.deepEqual(
      node.api.requests.slice(requests).filter(({method}) => method !== 'GET'),
      [],
    )
  }
})

test('cleanup removes the devices with all that is on them, and leaves what is foreign', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN})
  await node.holds(OWN_TUNNELS, TO_B)
  await node.agent.stop()
  await node.ip('link add flannel.1 type vxlan id 2 local 192.168.0.1 dstport 8472 nolearning')
  await node.ip('link set flannel.1 up alias theirs')
  await node.bridge('fdb add 02:00:00:00:00:77 dev flannel.1 dst 192.168.0.77 self permanent')
  await node.ip('neigh add 10.77.0.0 dev flannel.1 lladdr 02:00:00:00:00:77 nud permanent')
  const theirs = (await node.tunnels()).filter(line => line.includes('flannel.1'))
  t.is(theirs.length, 3)
  node.agent.start('cleanup')
  t.is(await node.agent.ended(), 0)
  await node.holds(theirs)
  const told = node.agent.logs.map(line => line.msg).join('\n')
  t.true(told.includes('removed link ng-vx0\n') && told.includes('removed link ng-vx0-6\n'), told)
  t.true(told.endsWith(', 0 failed'), told)
})
