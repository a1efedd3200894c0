/** Who the outside sees: real packets of a pod through a node. Needs root. */
import {execFileSync} from 'node:child_process'
import test from 'ava'
import {createMasquerade} from '../../src/masquerade/masquerade.ts'
import {type Namespace, namespaces} from '../netlink/namespace.ts'
import {address, facts, NODE, pod, programIn, type Road, road, watch} from './support.ts'

const POD = {4: '10.1.0.5', 6: 'fd00:1::5'} as const

test('pods of the node are seen as the node outside, and as themselves in the cluster', async t => {
  const way = await road(t)
  way.connect()
  const {seenBy} = way
  for (const [target, family] of [
    ['198.51.100.1', 4],
    ['2001:db8::1', 6],
  ] as const)
    t.is(seenBy(target), POD[family], 'without a rule')

  const masquerade = createMasquerade(programIn(way.node))
  masquerade.restore(new Map())
  const own = ['10.1.0.0/24', 'fd00:1::/64']
  const skip = ['10.1.0.0/16', 'fd00:1:0:7::/64']
  const first = await masquerade.reconcile(facts(own, skip))
  t.is(first.refused, undefined)
  t.is(seenBy('198.51.100.1'), NODE[4])
  t.is(seenBy('2001:db8::1'), NODE[6])
  t.is(seenBy('10.1.7.7'), POD[4], "another node's pod")
  t.is(seenBy('fd00:1:0:7::7'), POD[6], "another node's pod")
  t.is(seenBy('10.2.0.1'), NODE[4], 'not in the cluster, yet')
  t.is(seenBy('192.168.9.2'), NODE[4], "the node's neighbour")
  watch(way.node)
  t.is(seenBy(NODE[4], way.node), POD[4], 'the node itself')
  t.is(seenBy('fd00:1::1', way.node), POD[6], 'the node itself')

  await masquerade.reconcile(facts(own, [...skip, '10.2.0.0/16', 'fd00:2::/32']))
  t.is(seenBy('10.2.0.1'), POD[4], 'has joined the cluster')
  t.is(seenBy('fd00:2::1'), POD[6], 'has joined the cluster')
  t.is(seenBy('198.51.100.1'), NODE[4])

  await masquerade.reconcile(facts([]))
  t.is(seenBy('198.51.100.1'), POD[4], 'masquerade is switched off')
})

test('pods of one node see each other as they are', async t => {
  const way = await road(t)
  way.connect()
  const [other] = await namespaces(t, 1)
  way.node.ip('link', 'add', 'pod2', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', other.name)
  address(way.node, 'pod2', '10.1.1.1/24')
  address(other, 'eth0', '10.1.1.5/24')
  other.ip('route', 'add', 'default', 'via', '10.1.1.1')
  watch(other)
  const masquerade = createMasquerade(programIn(way.node))
  await masquerade.reconcile(facts(['10.1.0.0/24', '10.1.1.0/24']))
  t.is(way.seenBy('10.1.1.5', other), POD[4])
  t.is(way.seenBy('198.51.100.1'), NODE[4])
})

const TARGETS = ['198.51.100.1', '10.1.7.7', '10.2.0.1', '10.1.0.200', '2001:db8::1', 'fd00:1:0:7::7', 'fd00:2::1']
const SINGLE = {
  '198.51.100.1': NODE[4],
  '10.1.7.7': NODE[4],
  '10.2.0.1': NODE[4],
  // In the pod's own subnet, though the way there leads through the node.
  '10.1.0.200': POD[4],
  '2001:db8::1': NODE[6],
  'fd00:1:0:7::7': NODE[6],
  'fd00:2::1': NODE[6],
}

const everywhere = ({seenBy}: Road) => Object.fromEntries(TARGETS.map(target => [target, seenBy(target)]))

test('a single pod is seen as with ipMasq of the bridge plugin', async t => {
  const way = await road(t)
  plugin(way, 'ADD', true)
  const theirs = everywhere(way)
  t.deepEqual(theirs, SINGLE)
  plugin(way, 'DEL', true)

  plugin(way, 'ADD', false)
  const masquerade = createMasquerade(programIn(way.node))
  masquerade.restore(new Map())
  await masquerade.reconcile(facts([]))
  t.is(way.seenBy('198.51.100.1'), POD[4], 'without ipMasq')
  await masquerade.add('pod', [pod(POD[4], '10.1.0.0/24'), pod(POD[6], 'fd00:1::/64')])
  t.deepEqual(everywhere(way), theirs)
  await masquerade.remove('pod')
  t.is(way.seenBy('198.51.100.1'), POD[4], 'removed')
  t.is(way.seenBy('2001:db8::1'), POD[6], 'removed')
})

/** Debian's bridge, run on the node. */
function plugin({node, pod}: Road, command: 'ADD' | 'DEL', ipMasq: boolean): void {
  const config = {
    cniVersion: '1.0.0',
    name: 'net',
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    ipMasq,
    ipam: {
      type: 'static',
      addresses: [
        {address: '10.1.0.5/24', gateway: '10.1.0.1'},
        {address: 'fd00:1::5/64', gateway: 'fd00:1::1'},
      ],
      // The last one: else the pod would look for it on its own cable.
      routes: [{dst: '0.0.0.0/0'}, {dst: '::/0'}, {dst: '10.1.0.200/32', gw: '10.1.0.1'}],
    },
  }
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: command,
    CNI_CONTAINERID: pod.name,
    CNI_NETNS: pod.path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/usr/lib/cni',
  }
  inside(node, config, env)
  if (command === 'ADD') settle(pod)
}

const inside = (at: Namespace, config: object, env: NodeJS.ProcessEnv): void =>
  void execFileSync('ip', ['netns', 'exec', at.name, '/usr/lib/cni/bridge'], {input: JSON.stringify(config), env})

/** Until no address is tentative any more. */
function settle(at: Namespace): void {
  while (at.ip('-6', 'addr', 'show', 'tentative').trim() !== '') at.exec('sleep', '0.05')
}
