/** IPv6 between nodes whose objects report only IPv4. */
import test from 'ava'
import {namespaces} from '../netlink/namespace.ts'
import {built, DIRECT, run, SELF, startNode} from './support/node.ts'

test.before(built)

const B = 'b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2'
const OVER_IPV4 = '10.64.2.0/24 via 192.168.0.2'

const withAddresses = (nodeAddresses: object) => ({networks: [{...DIRECT.networks[0], nodeAddresses}]})

for (const [name, sources, gateway] of [
  ['of the map', {map: {b: 'fd00:100::b'}, ipv6Prefix: 'fd00:100::/96'}, 'fd00:100::b'],
  ['by the prefix', {ipv6Prefix: 'fd00:100::/96'}, 'fd00:100::c0a8:2'],
] as const)
  test(`an address ${name}`, async t => {
    const node = await startNode(t, {nodes: [SELF, B], config: withAddresses(sources)})
    await node.has(OVER_IPV4, `fd00:64:2::/64 via ${gateway}`)
  })

test('an address that a hostNetwork pod on the node tells', async t => {
  const config = withAddresses({hostPods: {namespace: 'kube-system', selector: 'app=netgraft'}, linkLocal: false})
  const node = await startNode(t, {nodes: [SELF, B], config})
  await node.has(OVER_IPV4)
  const pod = {resource: 'pods', namespace: 'kube-system', name: 'netgraft-b'}
  node.api.create({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {name: pod.name, namespace: pod.namespace, labels: {app: 'netgraft'}},
    spec: {nodeName: 'b', hostNetwork: true, containers: []},
  })
  for (const ip of ['fd00:100::2', 'fd00:100::3']) {
    const status = {phase: 'Running', podIPs: [{ip: '192.168.0.2'}, {ip}]}
    node.api.patch({...pod, status: true}, {status})
    await node.has(OVER_IPV4, `fd00:64:2::/64 via ${ip}`)
  }
  // An update of the DaemonSet leaves a node without its pod for a while, not without its address.
  node.api.delete(pod)
  node.put('c 10.64.3.0/24 via 192.168.0.3')
  await node.has(OVER_IPV4, 'fd00:64:2::/64 via fd00:100::3', '10.64.3.0/24 via 192.168.0.3')
})

test('at last the link-local address of its MAC, which the kernel is made to ask for', async t => {
  const [peer] = await namespaces(t, 1)
  const node = await startNode(t, {nodes: [SELF], start: false})
  await node.ip(`link set sw0 netns ${peer.name}`)
  const mac = '02:00:00:00:0b:01'
  for (const words of [`link set sw0 address ${mac}`, 'addr add 192.168.0.2/16 dev sw0', 'link set sw0 up'])
    await run('ip', ['-n', peer.name, ...words.split(' ')])
  node.put(B)
  node.agent.start()
  await node.has(OVER_IPV4, 'fd00:64:2::/64 via fe80::ff:fe00:b01')
  const {stdout} = await run('ip', [
    'netns',
    'exec',
    node.namespace.name,
    'ping',
    '-c1',
    '-W5',
    'fe80::ff:fe00:b01%eth0',
  ])
  t.regex(stdout, /1 received/)

  // The kernel forgets, the route stays.
  await node.ip('neigh flush all')
  node.put('c 10.64.3.0/24 via 192.168.0.3')
  await node.has(OVER_IPV4, 'fd00:64:2::/64 via fe80::ff:fe00:b01', '10.64.3.0/24 via 192.168.0.3')

  // Another machine has taken the address over.
  await run('ip', ['-n', peer.name, 'link', 'set', 'sw0', 'address', '02:00:00:00:0b:02'])
  await node.ip('neigh replace 192.168.0.2 lladdr 02:00:00:00:0b:02 dev eth0 nud reachable')
  await node.has(OVER_IPV4, 'fd00:64:2::/64 via fe80::ff:fe00:b02', '10.64.3.0/24 via 192.168.0.3')
})
