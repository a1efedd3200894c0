/** What the command line shows of a real agent. Needs root. */
import {statSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import type {Check} from '../../src/cli/checks/check.ts'
import {bridgeConf, startNetworks} from '../agent/support/networks.ts'
import {built, SELF, startNode, VXLAN} from '../agent/support/node.ts'
import {startCluster} from '../agent/support/pairs.ts'
import {answerOf, linesOf, netgraft} from './support.ts'

test.before(built)

const B = 'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2 fd00:100::2'

test('status and routes: what is wanted, what stands, and why not', async t => {
  const far = 'c 10.64.3.0/24 via 172.16.0.3'
  const twin = 'd 10.64.2.0/24 via 192.168.0.4'
  const node = await startNode(t, {nodes: [SELF, B, far, 'e via 192.168.0.5']})
  await node.has('10.64.2.0/24 via 192.168.0.2', 'fd00:64:2::/64 via fd00:100::2')
  await node.until(async () => (await answerOf(node, 'status')).ready)
  const status = await answerOf(node, 'status')
  t.deepEqual([status.node, status.pid, status.store.type], ['a', node.agent.process!.pid!, 'kubernetes'])
  const [network] = status.networks
  t.like(network, {
    network: 'default',
    backend: 'direct',
    peers: 2,
    routes: {ipv4: 1, ipv6: 1},
    conflicts: 0,
    refused: 0,
  })
  t.regex(network!.problems.join(), /node c: pod range 10\.64\.3\.0\/24 has no route/)
  t.deepEqual(status.cni, {requests: 0, spooled: 0, journal: {adding: 0, added: 0, deleting: 0}})
  t.truthy(status.api.heardAt)
  const shown = await linesOf(node, 'status')
  t.regex(shown[0]!, /^netgraft \S+ on node a: ready, up for \d+ (s|min), pid \d+$/)
  t.true(
    shown.some(line =>
      /^default direct 2 1 1 1500\/1500 0 0 \d+ (s|min) ago 10\.64\.1\.0\/24 fd00:64:1::\/64$/.test(line),
    ),
    shown.join('\n'),
  )

  const rows = await linesOf(node, 'routes')
  t.deepEqual(rows.slice(1, 7), [
    'NODE RANGE STATE WAY',
    'a (this) 10.64.1.0/24 - pods of this node are on its bridge, whose own route leads there',
    'a (this) fd00:64:1::/64 - pods of this node are on its bridge, whose own route leads there',
    'b 10.64.2.0/24 stands via 192.168.0.2 dev eth0',
    'b fd00:64:2::/64 stands via fd00:100::2 dev eth0',
    'c 10.64.3.0/24 missing node c: pod range 10.64.3.0/24 has no route, since 172.16.0.3 is on no connected subnet of an interface that is up',
  ])
  t.regex(rows[7]!, /^e - - the node has no pod range/)

  // Somebody else's route goes before ours, then takes its place.
  await node.ip('route add 10.64.2.0/24 via 192.168.0.9 metric 10')
  await node.says('ours stands behind it')
  t.like(
    (await answerOf(node, 'routes')).networks[0]!.routes.find(({range}) => range === '10.64.2.0/24'),
    {
      state: 'behind',
      wanted: 'via 192.168.0.2 dev eth0',
      reason: 'a route that is not ours goes before it: via 192.168.0.9 dev eth0 proto 3 metric 10',
    },
  )
  const {networks} = await answerOf(node, 'plan')
  t.deepEqual([networks[0]!.changes, networks[0]!.conflicts.length], [[], 1])

  node.put(twin)
  await node.says('both claim pod range 10.64.2.0/24')
  const claimed = (await answerOf(node, 'routes')).networks[0]!.routes.filter(({range}) => range === '10.64.2.0/24')
  t.deepEqual(
    claimed.map(({node, state}) => `${node} ${state}`),
    ['b none', 'd behind'],
  )
  t.is(claimed[0]!.reason, 'node d claims it, too, and has it')
})

test('an address that is asked for: whose it is, and what leads there', async t => {
  const node = await startNode(t, {nodes: [SELF, B], config: VXLAN})
  await node.says('routes written')
  const says = async (subject: string) => (await answerOf(node, 'explain', subject)).says.join('\n')
  t.regex(await says('192.168.0.1'), /^192\.168\.0\.1 is an address of this node itself, on eth0$/m)
  t.regex(await says('192.168.0.2'), /^192\.168\.0\.2 is an address of node b itself$/m)
  t.regex(await says('10.64.1.7'), /own range 10\.64\.1\.0\/24, but no pod of this node has it/)
  t.regex(
    await says('10.64.2.7'),
    /in the range 10\.64\.2\.0\/24 of node b, to which there is no route: .*published no end of a tunnel/,
  )
  t.regex(await says('ng-vx0'), /^ng-vx0 is a vxlan of this node \(up, mtu 1450, .*: Netgraft's, for network default$/)
  t.regex(await says('eth0'), /none of Netgraft's$/)
  const unknown = await netgraft(node, 'explain', '203.0.113.1')
  t.deepEqual([unknown.status, unknown.stderr], [1, ''])
  t.regex(unknown.stdout, /^nothing is known of 203\.0\.113\.1: /)

  node.put(`${B} ends 192.168.0.2/02:00:00:00:00:02 fd00:100::2/02:00:00:00:06:02`)
  await node.until(async () => (await node.routes()).length > 0)
  await node.until(async () =>
    /to which this node's route leads: via \S+ dev ng-vx0 onlink/.test(await says('10.64.2.7')),
  )
  t.regex(
    (await linesOf(node, 'routes'))[1]!,
    /^tunnel ng-vx0: VNI 1, UDP 8472, from 192\.168\.0\.1, mtu 1450, 1 peer$/,
  )
})

test('a range, a node, and what is beyond the nodes', async t => {
  const config = {
    ...{networks: [{backend: 'direct', pods: {noMasquerade: ['198.51.100.0/24']}}]},
    ...{clusterCIDRs: ['10.64.0.0/16'], serviceCIDRs: ['10.96.0.0/12']},
    ...{attachments: {enabled: false}, pairs: {enabled: false}},
  }
  const far = 'c 10.64.3.0/24 via 172.16.0.3'
  const node = await startNode(t, {nodes: [SELF, B, far], config})
  await node.has('10.64.2.0/24 via 192.168.0.2', 'fd00:64:2::/64 via fd00:100::2')
  await node.ip('route add default via 192.168.0.254')
  const says = async (subject: string) => (await answerOf(node, 'explain', subject)).says
  const stands = "this node's route to 10.64.2.0/24 stands: via 192.168.0.2 dev eth0"
  const missing =
    "this node's route to 10.64.3.0/24 is missing: node c: pod range 10.64.3.0/24 has no route, since 172.16.0.3 is on no connected subnet of an interface that is up"
  t.deepEqual(await says('10.64.2.0/24'), [`10.64.2.0/24 is a pod range of node b; ${stands}`])
  t.deepEqual(await says('10.64.0.0/16'), [
    '10.64.1.0/24 is a pod range of this node',
    `10.64.2.0/24 is a pod range of node b; ${stands}`,
    `10.64.3.0/24 is a pod range of node c; ${missing}`,
  ])
  t.deepEqual(await says('c'), ['c is a node: address 172.16.0.3, pod range 10.64.3.0/24', missing])
  t.regex(
    (await says('a'))[0]!,
    /^a is this node itself: address 192\.168\.0\.1 fd00:100::1, pod range 10\.64\.1\.0\/24/,
  )
  const last = async (subject: string) => (await says(subject)).at(-1)!
  t.regex(await last('10.96.0.10'), /^it is in the services' range 10\.96\.0\.0\/12 \(serviceCIDRs\): .*kube-proxy/)
  t.is(await last('10.64.9.9'), "it is in 10.64.0.0/16 (clusterCIDRs), and in no node's pod range: no pod has it")
  t.regex(await last('203.0.113.1'), /is masqueraded, and leaves with the node's address$/)
  t.regex(await last('198.51.100.7'), /^it sees pods' own addresses: it is in 198\.51\.100\.0\/24 \(noMasquerade\)$/)
  const none = await netgraft(node, 'explain', '172.31.0.0/16')
  t.deepEqual(
    [none.status, none.stdout],
    [1, 'nothing is known of 172.31.0.0/16: no node has a pod range that meets it\n'],
  )
})

test("pods' networks: what they have, what fails, and why", async t => {
  const networks = await startNetworks(t, {config: {networks: [{backend: 'direct'}]}})
  const {node} = networks
  networks.define('green', bridgeConf('green', '10.90.0.0/24', {ipam: {}}))
  // A network that is not there keeps a pod from starting, and a running one from nothing.
  const stuck = await networks.declare({'k8s.v1.cni.cncf.io/networks': 'green, none'})
  await networks.runtime.fails('ADD', stuck, networks.asked(stuck))
  const why = (await linesOf(node, 'explain', `default/${stuck.name}`)).join('\n')
  t.regex(why, /the last ADD of its eth0, at \S+Z, was refused: .*default\/none/)
  const missing = (await answerOf(node, 'attachments')).attachments.filter(each => each.pod === `default/${stuck.name}`)
  t.true(missing.length > 0 && missing.every(({trouble}) => /; its last ADD was refused: /.test(trouble!)))
  const running = await networks.start()
  networks.annotate(running, {'k8s.v1.cni.cncf.io/networks': 'green, none'})
  await networks.told(running, /^attached default\/green/, /^failed default\/none/)
  const key = `default/${running.name}`
  const {attachments} = await answerOf(node, 'attachments')
  const own = attachments.filter(each => each.pod === key)
  t.deepEqual(
    own.map(({interface: ifname, network, state}) => [ifname, network, state].join(' ')),
    ['eth0 netgraft attached', 'net1 default/green attached', 'net2 default/none failed'],
  )
  t.deepEqual(
    own[0]!.addresses,
    running.result.ips.map(({address}) => address),
  )
  t.deepEqual(own[1]!.types, ['bridge'])
  t.regex(own[2]!.trouble!, /none/)
  const plan = await answerOf(node, 'plan')
  t.deepEqual(
    plan.attachments.filter(each => each.pod === key).map(({network}) => network),
    ['default/none'],
  )
  const text = (await linesOf(node, 'attachments')).join('\n')
  t.regex(text, new RegExp(`${key} net1 default/green bridge - attached`))

  const address = own[0]!.addresses[0]!.split('/')[0]!
  const explained = await answerOf(node, 'explain', address)
  t.is(
    explained.says[0],
    `${address} is an address of ${key}:eth0: attached, network netgraft; ${own[0]!.addresses.join(' ')}`,
  )
  const ofPod = await linesOf(node, 'explain', key)
  t.is(ofPod[0], `${key} is a pod of this node`)
  t.true(
    ofPod.some(line => line.startsWith('net2: failed, network default/none; ')),
    ofPod.join('\n'),
  )
  const end = networks.runtime.hostEnd(running.result)
  t.regex((await answerOf(node, 'explain', end)).says[0]!, new RegExp(`the node's end of ${key}:eth0$`))
  t.like((await answerOf(node, 'status')).cni, {journal: {added: 2, adding: 0}})
})

test('pairs: of one node, of two, and what is waited for', async t => {
  const cluster = await startCluster(t)
  const end = (peer: string, ifname: string, ip: string) => ({peer, interface: ifname, ips: [ip]})
  const x = await cluster.start('a', 'x', {pairs: [end('y', 'in1', '10.9.0.1/24'), end('z', 'in2', '10.9.1.1/24')]})
  const y = await cluster.start('b', 'y', {pairs: [end('x', 'in1', '10.9.0.2/24')]})
  await cluster.told(x, 'up in1 vxlan', 'waiting in2 peer')
  const {node} = cluster.at('a')
  const {ends, unknown} = await answerOf(node, 'pairs')
  t.is(unknown, undefined)
  t.like(ends[0], {
    ...{pod: 'default/x', interface: 'in1', peer: 'default/y:in1', peerNode: 'b', kind: 'vxlan', state: 'up'},
    ...{remote: '192.168.0.2', vni: cluster.status(x)[0]!.vni, mtu: 1450, addresses: ['10.9.0.1/24']},
  })
  t.like(ends[1], {interface: 'in2', state: 'waiting', waitsFor: 'peer', reason: 'pod default/z is not there'})
  const status = await answerOf(node, 'status')
  t.deepEqual(status.pairs, {up: 1, building: 0, waiting: 1, failed: 0, contradiction: 0})
  t.deepEqual(status.store, {type: 'kubernetes', ready: true})
  t.deepEqual(
    (await answerOf(node, 'plan')).pairs.map(({interface: ifname}) => ifname),
    ['in2'],
  )
  const shown = await linesOf(node, 'pairs')
  t.is(shown[1], `default/x in1 default/y:in1 b vxlan ${ends[0]!.vni} 1450 10.9.0.1/24 up`)
  t.regex(
    (await answerOf(node, 'explain', 'default/y')).says[0]!,
    /^default\/y is on node b; default\/x of this node has a pair with it: in1, the pair with default\/y:in1 on node b is up by vxlan/,
  )
  t.regex(
    (await answerOf(node, 'explain', '10.9.0.1')).says[0]!,
    /^10\.9\.0\.1 is an address of default\/x:in1 \(up\), a pair with default\/y:in1/,
  )

  // The tunnel is in the pod, and its socket on the node is nobody's but the kernel's.
  const {checks} = JSON.parse((await netgraft(node, 'check', '-o', 'json')).stdout) as {checks: Check[]}
  t.like(
    checks.find(({name}) => name === 'UDP 8473'),
    {state: 'ok', says: 'tunnels have it (pairs.port)'},
  )

  const z = await cluster.start('a', 'z')
  await cluster.told(x, 'up in1 vxlan', 'up in2 veth')
  const kinds = (await answerOf(node, 'pairs')).ends.map(({pod, kind}) => `${pod} ${kind}`)
  t.deepEqual(kinds, ['default/x vxlan', 'default/x veth', 'default/z veth'])
  for (const pod of [x, y, z]) await cluster.stop(pod)
  await cluster.clean()
  t.deepEqual((await answerOf(node, 'pairs')).ends, [])
})

test('the socket is for root alone; without an agent that is said in one sentence', async t => {
  const node = await startNode(t)
  await node.says('serving the admin API')
  const socket = join(`${node.agent.state}.run`, 'admin.sock')
  t.is(statSync(socket).mode & 0o777, 0o600)
  for (const [words, why] of [
    [['status', 'now'], 'expected 0 argument(s), got 1'],
    [['explain'], 'expected 1 argument(s), got 0'],
    [['routes', '--all'], "Unknown option '--all'"],
    [['pairs', '-o', 'yaml'], 'there is no output "yaml"; use json or table'],
    [['statuses'], 'there is no command "statuses"'],
  ] as const) {
    const {status, stdout, stderr} = await netgraft(node, ...words)
    t.deepEqual([status, stdout], [2, ''], words.join(' '))
    t.true(stderr.startsWith(`netgraft: ${why}`), stderr)
  }
  // A second agent takes the name, and the first one's end does not take it away.
  const second = node.secondAgent()
  second.start()
  await node.until(() => second.logs.some(({msg}) => msg === 'serving the admin API'))
  await node.agent.stop()
  t.is((await answerOf(node, 'status')).pid, second.process!.pid!)
  await second.stop()
  for (const verb of ['status', 'routes', 'attachments', 'pairs', 'plan']) {
    const {status, stdout, stderr} = await netgraft(node, verb, '-o', 'json')
    t.deepEqual([status, stdout], [2, ''])
    t.is(
      stderr,
      `netgraft: no agent answers at ${socket}: start it, or name its configuration with --config if its folders.run is another one\n`,
    )
  }
})
