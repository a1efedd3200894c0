/** `netgraft check`: whether packets of full size get to the other nodes, over a router that takes less. Needs root. */
import test, {type ExecutionContext} from 'ava'
import type {Check} from '../../src/cli/checks/check.ts'
import {judgePath, judgePaths} from '../../src/cli/checks/path.ts'
import type {Peer} from '../../src/cli/checks/peers.ts'
import {parseIp} from '../../src/model/ip.ts'
import {built, SELF, startNode, type TestNode, VXLAN} from '../agent/support/node.ts'
import {type Namespace, namespaces} from '../netlink/namespace.ts'
import {netgraft} from './support.ts'

test.before(built)

/** A leg of the router: its addresses are the subnets' last ones. */
const leg = (router: Namespace, name: string, ip4: string, ip6: string) => [
  `link add eth0 type veth peer name ${name} netns ${router.name}`,
  'link set eth0 up',
  `addr add ${ip4}1/24 dev eth0`,
  `addr add ${ip6}1/64 dev eth0 nodad`,
  `route add default via ${ip4}254 dev eth0`,
  `-6 route add default via ${ip6}fe dev eth0`,
]

interface Routed {
  readonly a: TestNode
  readonly b: TestNode
  readonly router: Namespace
}

/** Nodes a and b, each on a subnet of its own, and what is between them. */
async function routed(t: ExecutionContext): Promise<Routed> {
  const [inA, inB, router] = await namespaces(t, 3)
  const common = {config: VXLAN, start: false}
  const nodes = [
    'a 10.64.1.0/24 fd00:64:1::/64 via 192.168.1.1 fd00:1::1',
    'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.2.1 fd00:2::1',
  ]
  const a = await startNode(t, {
    ...common,
    nodes,
    namespace: inA,
    network: leg(router, 'to-a', '192.168.1.', 'fd00:1::'),
  })
  const b = await startNode(t, {
    ...{...common, nodes: [], namespace: inB, beside: a, env: {NODE_NAME: 'b'}},
    network: leg(router, 'to-b', '192.168.2.', 'fd00:2::'),
  })
  for (const [name, ip4, ip6] of [
    ['to-a', '192.168.1.254/24', 'fd00:1::fe/64'],
    ['to-b', '192.168.2.254/24', 'fd00:2::fe/64'],
  ] as const) {
    router.ip('addr', 'add', ip4, 'dev', name)
    router.ip('addr', 'add', ip6, 'dev', name, 'nodad')
    router.ip('link', 'set', name, 'up')
  }
  router.exec('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  for (const node of [a, b]) {
    node.agent.start()
    await node.until(() => node.agent.ready())
  }
  for (const node of [a, b])
    await node.until(async () => (await node.routes()).length === 1 && (await node.routes(6)).length === 1)
  return {a, b, router}
}

async function paths(node: TestNode, ...words: string[]): Promise<string[]> {
  const {stdout, stderr} = await netgraft(node, 'check', '-o', 'json', ...words)
  if (stdout === '') throw new Error(stderr)
  const {checks} = JSON.parse(stdout) as {checks: Check[]}
  return checks
    .filter(({name}) => name.startsWith('path'))
    .map(({state, name, says}) => `${state} ${name}: ${says}`)
    .sort()
}

const drop = (router: Namespace, ...what: string[]) => {
  router.exec('/usr/sbin/nft', 'add', 'table', 'inet', 'wall')
  router.exec('/usr/sbin/nft', 'add', 'chain', 'inet', 'wall', 'pass', '{ type filter hook forward priority 0; }')
  router.exec('/usr/sbin/nft', 'flush', 'chain', 'inet', 'wall', 'pass')
  for (const rule of what)
    router.exec('/usr/sbin/nft', 'add', 'rule', 'inet', 'wall', 'pass', ...rule.split(' '), 'drop')
}

test('the size that gets through is found, by whatever the rest is lost', async t => {
  const {a, b, router} = await routed(t)
  t.deepEqual(await paths(a), ['ok path MTU: packets of full size (1500 bytes) get to 2 of 2 addresses of other nodes'])
  // Without a word.
  drop(router, 'meta length > 1437')
  t.deepEqual(await paths(a), [
    'failed path to b: node b (192.168.2.1) takes 1437 bytes at most, and tunnels need 1500: what is larger is lost; set networks[0].mtu to 1387 on all nodes, or raise the MTU on the way',
    'failed path to b: node b (fd00:2::1) takes 1437 bytes at most, and tunnels need 1500: what is larger is lost; set networks[0].mtu to 1367 on all nodes, or raise the MTU on the way',
  ])
  // Without the agent the peer has no name.
  await a.agent.stop()
  t.regex((await paths(a))[0]!, /^failed path to 192\.168\.2\.1: 192\.168\.2\.1 takes 1437 bytes at most/)
  // What is advised is right.
  drop(router)
  a.configure({...VXLAN, networks: [{backend: 'vxlan', mtu: 1367}]})
  b.configure({...VXLAN, networks: [{backend: 'vxlan', mtu: 1367}]})
  await b.agent.restart()
  a.agent.start()
  for (const node of [a, b])
    await node.until(async () => /mtu 1367.*mtu 1367/s.test(await node.ip('-d link show type vxlan')))
  drop(router, 'meta length > 1437')
  await a.until(async () =>
    /packets of full size \(1437 and 1417 bytes\) get to 2 of 2/.test((await paths(a)).join('\n')),
  )
  t.pass()
})

test('a router that says so, a firewall, a node that is down', async t => {
  const {a, b, router} = await routed(t)
  drop(router, 'udp dport 8472')
  t.deepEqual(
    await paths(a),
    ['192.168.2.1', 'fd00:2::1'].map(
      (address, i) =>
        `failed path to b: node b (${address}) answers, and nothing comes back through tunnel ng-vx0${i === 0 ? '' : '-6'}: let UDP 8472 through between the nodes, and look whether its agent runs`,
    ),
  )
  // The tunnels tell what nobody else does.
  drop(router, 'icmp type echo-request', 'icmpv6 type echo-request')
  t.deepEqual(await paths(a), ['ok path MTU: packets of full size (1500 bytes) get to 2 of 2 addresses of other nodes'])
  drop(router)
  router.ip('route', 'change', '192.168.2.0/24', 'dev', 'to-b', 'mtu', 'lock', '1400')
  router.ip('-6', 'route', 'add', 'fd00:2::/64', 'dev', 'to-b', 'metric', '10', 'mtu', 'lock', '1400')
  const said = await paths(a)
  t.regex(
    said.join('\n'),
    /^warning path to b: node b \(192\.168\.2\.1\) takes 1400 bytes at most, and tunnels need 1500: what is larger arrives in fragments, slowly; set networks\[0\]\.mtu to 1350 on all nodes, /m,
  )
  t.regex(
    said.join('\n'),
    /^failed path to b: node b \(fd00:2::1\) takes 1400 bytes at most, .* is larger is lost; .* to 1330 on all nodes/m,
  )

  await b.ip('link set eth0 down')
  t.deepEqual(
    (await paths(a)).map(line => line.replace(/ng-vx0(-6)?/, 'ng-vx0')),
    ['192.168.2.1', 'fd00:2::1'].map(
      address =>
        `warning path to b: node b (${address}) answers no echo request, nor does its end of ng-vx0: it is down, or a firewall drops them, and whether large packets get there cannot be told`,
    ),
  )
})

test('direct routes: pods send what the interface takes', async t => {
  const [inA, inB] = await namespaces(t, 2)
  const config = {networks: [{backend: 'direct'}], attachments: {enabled: false}, pairs: {enabled: false}}
  const a = await startNode(t, {
    config,
    nodes: [SELF, 'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2 fd00:100::2'],
    namespace: inA,
    network: [
      `link add eth0 type veth peer name eth0 netns ${inB.name}`,
      'link set eth0 up',
      'addr add 192.168.0.1/16 dev eth0',
      'addr add fd00:100::1/64 dev eth0 nodad',
    ],
  })
  for (const words of [
    'addr add 192.168.0.2/16 dev eth0',
    'addr add fd00:100::2/64 dev eth0 nodad',
    'link set eth0 up',
  ])
    inB.ip(...words.split(' '))
  await a.has('10.64.2.0/24 via 192.168.0.2', 'fd00:64:2::/64 via fd00:100::2')
  await a.until(async () => (await paths(a))[0]?.includes('(1500 bytes) get to 2 of 2'))
  inB.ip('link', 'set', 'eth0', 'mtu', '1300')
  inA.ip('link', 'set', 'eth0', 'mtu', '9000')
  await a.until(async () => (await paths(a)).length === 2)
  // The other end takes somewhat more than its MTU, and no more.
  for (const line of await paths(a))
    t.regex(
      line,
      /^failed path to b: node b \((192\.168\.0\.2|fd00:100::2)\) takes 13\d\d bytes at most, and pods need 9000: .*; set networks\[0\]\.mtu to 13\d\d on all nodes/,
    )
})

const PEER: Peer = {address: parseIp('10.0.0.7'), node: 'n', needs: 1500, key: 'networks[0].mtu', overhead: 50}

test('what is told of a path', t => {
  const tunnel = {device: 'ng-vx0', port: 8472, mtu: 1450, inside: parseIp('10.1.7.0')}
  const says = (facts: Omit<Parameters<typeof judgePath>[0], 'peer'>, peer = {...PEER, tunnel}) =>
    judgePath({peer, ...facts}).map(({state, says}) => `${state} ${says}`)
  t.deepEqual(says({takes: 1500, inside: 'full'}), [])
  t.deepEqual(says({takes: undefined, inside: 'full'}), [])
  t.regex(
    says({takes: 1450, inside: 'full'})[0]!,
    /^warning .*arrives in fragments, slowly; set networks\[0\]\.mtu to 1400/,
  )
  t.regex(says({takes: 1450, inside: 'small'})[0]!, /^failed .* is lost/)
  t.regex(says({takes: 1500, inside: 'small'})[0]!, /^warning .*1450 bytes do not come back through tunnel ng-vx0/)
  t.regex(says({takes: 1500, inside: 'none'})[0]!, /^failed .*let UDP 8472 through/)
  t.regex(says({takes: undefined, inside: 'small'})[0]!, /^failed packets of 1450 bytes do not come back/)
  t.regex(says({takes: undefined, inside: 'none'})[0]!, /^warning .*it is down, or a firewall/)
  // Of a pair: nothing is known of its inside.
  const {tunnel: _, ...pair} = {...PEER, tunnel, key: 'the mtu of the pair'}
  t.regex(
    judgePath({peer: pair, takes: 1450})[0]!.says,
    /and tunnels need 1500: what is larger is lost unless a router .*; set the mtu of the pair to 1400/,
  )
  t.deepEqual(judgePath({peer: pair, takes: 1500}), [])
})

test('many paths: what is well in one line, what is not up to a number', t => {
  const facts = (takes: number | undefined) => Array.from({length: 40}, () => ({peer: PEER, takes}))
  t.deepEqual(judgePaths([], 0), [])
  t.deepEqual(
    judgePaths(facts(1500), 100).map(({says}) => says),
    [
      "packets of full size (1500 bytes) get to 40 of 40 addresses of other nodes; there are 100, of which these are the oldest nodes': --all-peers tries all",
    ],
  )
  const bad = judgePaths([...facts(1400), ...facts(undefined)], 80)
  t.deepEqual([bad.length, bad[16]!.says], [34, '24 more nodes have such a trouble'])
})
