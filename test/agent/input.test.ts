/** What the API server says may be anything: each trouble is one sentence, and the rest goes on. The real agent; needs root. */
import test, {type ExecutionContext} from 'ava'
import {built, nodeObject, SELF, startNode, type TestNode} from './support/node.ts'

const B = 'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2 fd00:100::2'
const TO_B = ['10.64.2.0/24 via 192.168.0.2', 'fd00:64:2::/64 via fd00:100::2']

test.before(built)

/** A node beside b that has something wrong with it. */
interface Case {
  readonly title: string
  readonly node: ReturnType<typeof nodeObject>
  readonly kind: 'malformed' | 'overlap' | 'refused' | 'unreachable'
  readonly sentence: string
  /** What of it is routed nevertheless. */
  readonly routed?: readonly string[]
}

const odd = (spec: object, status: object = {}, metadata: object = {}) => ({
  ...nodeObject('odd'),
  metadata: {name: 'odd', ...metadata},
  spec,
  status: {addresses: [{type: 'InternalIP', address: '192.168.0.66'}], ...status},
})

const CASES: readonly Case[] = [
  {
    title: 'a malformed CIDR',
    node: odd({podCIDRs: ['10.64.300.0/24', '10.64.6.0/24']}),
    kind: 'malformed',
    sentence: 'node odd: spec.podCIDRs[0]: \\"10.64.300.0\\" is not an IP address; that part of it is left out',
    routed: ['10.64.6.0/24 via 192.168.0.66'],
  },
  {
    title: 'a CIDR without a length',
    node: odd({podCIDRs: ['10.64.6.0']}),
    kind: 'malformed',
    sentence: 'node odd: spec.podCIDRs[0]: \\"10.64.6.0\\" is not an address with a prefix length',
  },
  {
    title: 'a CIDR that is no text',
    node: odd({podCIDRs: [42, null, '10.64.6.0/24']}),
    kind: 'malformed',
    sentence: 'node odd: spec.podCIDRs[0]: 42 is not a text',
    routed: ['10.64.6.0/24 via 192.168.0.66'],
  },
  {
    title: 'CIDRs that are no list',
    node: odd({podCIDRs: {first: '10.64.6.0/24'}}),
    kind: 'malformed',
    sentence: 'node odd: spec.podCIDRs: is not a list',
  },
  {
    title: 'an address that is none',
    node: odd({podCIDRs: ['10.64.6.0/24']}, {addresses: [{type: 'InternalIP', address: 'localhost'}]}),
    kind: 'malformed',
    sentence: 'node odd: status.addresses[0]: \\"localhost\\" is not an IP address',
  },
  {
    title: 'addresses of another kind',
    node: odd({podCIDRs: ['10.64.6.0/24']}, {addresses: 'none'}),
    kind: 'malformed',
    sentence: 'node odd: status.addresses: is not a list',
  },
  {
    title: 'no address of the family',
    node: odd({podCIDRs: ['10.64.6.0/24', 'fd00:64:6::/64']}),
    kind: 'unreachable',
    sentence: 'node odd: pod range fd00:64:6::/64 has no route, since the node reports no IPv6 InternalIP',
    routed: ['10.64.6.0/24 via 192.168.0.66'],
  },
  {
    title: 'no address at all',
    node: odd({podCIDRs: ['10.64.6.0/24']}, {addresses: []}),
    kind: 'unreachable',
    sentence: 'node odd: pod range 10.64.6.0/24 has no route, since the node reports no IPv4 InternalIP',
  },
  {
    title: 'an address behind a router',
    node: odd({podCIDRs: ['10.64.6.0/24']}, {addresses: [{type: 'InternalIP', address: '172.31.0.6'}]}),
    kind: 'unreachable',
    sentence: '172.31.0.6 is on no connected subnet',
  },
  {
    title: 'an address inside its own pod range',
    node: odd({podCIDRs: ['192.0.2.0/24']}, {addresses: [{type: 'InternalIP', address: '192.0.2.9'}]}),
    kind: 'unreachable',
    sentence: "pod range 192.0.2.0/24 has no route, since it contains the node's own address 192.0.2.9",
  },
  {
    title: "this machine's own address",
    node: odd({podCIDRs: ['10.64.6.0/24']}, {addresses: [{type: 'InternalIP', address: '192.168.0.1'}]}),
    kind: 'unreachable',
    sentence: '192.168.0.1 is an address of this machine',
  },
  ...['0.0.0.0/0', '10.0.0.0/7', '::/0', 'fc00::/15'].map(
    (cidr): Case => ({
      title: `the range ${cidr}`,
      node: odd({podCIDRs: [cidr]}, {addresses: addresses('192.168.0.66', 'fd00:100::66')}),
      kind: 'refused',
      sentence: `node odd: pod range ${cidr} is wider than`,
    }),
  ),
  ...[
    '127.0.0.0/8',
    '127.1.0.0/16',
    '169.254.0.0/24',
    '224.0.0.0/24',
    '239.1.0.0/16',
    'fe80::/64',
    'ff02::/16',
    '::1/128',
  ].map(
    (cidr): Case => ({
      title: `the range ${cidr}`,
      node: odd({podCIDRs: [cidr]}, {addresses: addresses('192.168.0.66', 'fd00:100::66')}),
      kind: 'refused',
      sentence: `node odd: pod range ${cidr} lies inside`,
    }),
  ),
  {
    title: "a range inside the node's own network",
    node: odd({podCIDRs: ['192.168.9.0/24']}),
    kind: 'refused',
    sentence: 'node odd: pod range 192.168.9.0/24 lies inside 192.168.0.0/16, which is not for pods',
  },
  {
    title: "a range inside the own node's",
    node: odd({podCIDRs: ['10.64.1.128/25']}),
    kind: 'overlap',
    sentence: "node odd: pod range 10.64.1.128/25 lies inside this node's own 10.64.1.0/24",
  },
  {
    title: "a range inside another node's",
    node: odd({podCIDRs: ['10.64.2.128/25']}),
    kind: 'overlap',
    sentence: 'node odd: pod range 10.64.2.128/25 lies inside 10.64.2.0/24 of node b',
    routed: ['10.64.2.128/25 via 192.168.0.66'],
  },
  {
    title: 'a wider range around others',
    node: odd({podCIDRs: ['10.64.0.0/16']}),
    kind: 'overlap',
    sentence: 'node b: pod range 10.64.2.0/24 lies inside 10.64.0.0/16 of node odd',
    routed: ['10.64.0.0/16 via 192.168.0.66'],
  },
]

function addresses(...texts: string[]): object[] {
  return texts.map(address => ({type: 'InternalIP', address}))
}

test('every trouble with a node is one sentence and a number; the other nodes are routed all the same', async t => {
  const node = await startNode(t, {nodes: [SELF, B]})
  await node.has(...TO_B)
  for (const {title, node: object, kind, sentence, routed = []} of CASES) {
    t.log(title)
    await during(t, node, object, async () => {
      await node.has(...TO_B, ...routed)
      await node.until(
        () => node.agent.logs.some(line => line.kind === kind && JSON.stringify(line).includes(sentence)),
        sentence,
      )
      await node.until(async () => (await node.agent.metric('netgraft_invalid_inputs', {kind}))! >= 1, 'a number')
    })
    await node.has(...TO_B)
    await node.until(async () => (await node.agent.metric('netgraft_invalid_inputs', {kind})) === 0, 'the number 0')
  }
  t.is(node.agent.process!.exitCode, null)
})

/** As long as there is such an object. */
async function during(
  t: ExecutionContext,
  node: TestNode,
  object: ReturnType<typeof nodeObject>,
  look: () => Promise<void>,
) {
  node.api.create(object)
  await look()
  node.remove('odd')
  t.is(node.api.get({resource: 'nodes', name: 'odd'}), undefined)
}

test('objects without anything in them, and with garbage everywhere, harm nobody', async t => {
  const bare = (name: string, fields: object) => ({apiVersion: 'v1', kind: 'Node', metadata: {name}, ...fields})
  const node = await startNode(t, {nodes: [SELF]})
  const garbage: readonly unknown[] = [null, 42, 'text', [], [[]], {}, {address: null}, [null], true]
  let n = 0
  for (const value of garbage) {
    node.api.create(bare(`g${n++}`, {}) as never)
    node.api.create(bare(`g${n++}`, {spec: value, status: value}) as never)
    node.api.create(bare(`g${n++}`, {spec: {podCIDRs: value}, status: {addresses: value, nodeInfo: value}}) as never)
    node.api.create(
      bare(`g${n++}`, {spec: {podCIDR: value}, status: {addresses: [{type: value, address: value}]}}) as never,
    )
    node.api.create(bare(`g${n++}`, {status: {nodeInfo: {machineID: value}}}) as never)
  }
  node.put(B)
  await node.has(...TO_B)
  t.is(node.agent.logs.filter(line => line.level === 'error' || line.level === 'fatal').length, 0)
  for (let i = 0; i < n; i++) node.remove(`g${i}`)
  await node.until(async () => (await node.agent.metric('netgraft_invalid_inputs', {kind: 'malformed'})) === 0)
})

test('of two nodes with one CIDR the newer one has it; both are named, and the older one takes it back', async t => {
  const created = (time: string) => ({metadata: {creationTimestamp: time}})
  let clock = Date.parse('2026-01-01T00:00:00Z')
  const node = await startNode(t, {nodes: [SELF, B], api: {now: () => (clock += 1000)}})
  await node.has(...TO_B)
  node.api.create(nodeObject('young 10.64.2.0/24 via 192.168.0.77', created('2026-06-01T00:00:00Z')))
  await node.has('10.64.2.0/24 via 192.168.0.77', TO_B[1]!)
  await node.says('overlap', 'nodes b and young both claim pod range 10.64.2.0/24; young has it')
  t.is(await node.agent.metric('netgraft_conflicts'), 1)
  node.remove('young')
  await node.has(...TO_B)
  await node.says('trouble over', 'both claim pod range 10.64.2.0/24')
})

test('a flood of troubles is told in a few lines', async t => {
  const many = Array.from({length: 300}, (_, i) => `m${i} 10.${100 + (i >> 8)}.${i & 255}.0/24 via 172.31.0.9`)
  const node = await startNode(t, {nodes: [SELF, B, ...many]})
  await node.has(...TO_B)
  await node.says('more troubles', '280')
  t.is(await node.agent.metric('netgraft_invalid_inputs', {kind: 'unreachable'}), 300)
  t.is(node.agent.logs.filter(line => line.msg === 'trouble').length, 20)
})
