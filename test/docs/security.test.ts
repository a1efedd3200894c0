/** What docs/security.md shows and says, tried. Needs root. */
import test from 'ava'
import {parse} from 'yaml'
import {parseConfigText} from '../../src/agent/config.ts'
import {startNetworks} from '../agent/support/networks.ts'
import {built} from '../agent/support/node.ts'
import {type Cluster, type PairedPod, startCluster} from '../agent/support/pairs.ts'
import {send} from '../agent/support/vxlan-packets.ts'
import {problemsOf} from '../deploy/support/schemas.ts'
import {script} from '../masquerade/support.ts'
import {type Namespace, namespaces} from '../netlink/namespace.ts'
import {readPage} from './support/page.ts'

test.before(built)

const shown = (language: string): string[] =>
  readPage('docs/security.md').flatMap(block => (block.language === language ? block.text : []))
const NPWG = 'k8s.v1.cni.cncf.io/networks'

test('what is shown as YAML is right', async t => {
  const snippets = shown('yaml').map(text => ({text, value: parse(text)}))
  t.is(snippets.length, 2)
  for (const {text, value} of snippets) {
    if (value.kind) t.deepEqual(await problemsOf(value), [])
    else t.notThrows(() => parseConfigText(text))
  }
})

const spaceOf = (cluster: Cluster, node: string): Namespace => cluster.at(node).node.namespace
const ipsOf = ({result}: PairedPod): [string, string] =>
  result.ips.map(({address}) => address.split('/')[0]!) as [string, string]

test("the nodes' packet filter: tunnels for nodes, and pods under their own addresses", async t => {
  const cluster = await startCluster(t, {config: {networks: [{backend: 'vxlan'}]}})
  const [a, b] = [spaceOf(cluster, 'a'), spaceOf(cluster, 'b')]
  const x = await cluster.start('a', 'x')
  const y = await cluster.start('b', 'y')
  const z = await cluster.start('a', 'z')
  const [outside] = await namespaces(t, 1)
  a.ip('link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside.name)
  for (const [at, dev, n] of [
    [a, 'out0', 1],
    [outside, 'eth0', 9],
  ] as const) {
    at.ip('addr', 'add', `192.0.2.${n}/24`, 'dev', dev)
    at.ip('addr', 'add', `2001:db8::${n}/64`, 'dev', dev, 'nodad')
    at.ip('link', 'set', dev, 'up')
  }
  const strangers = async () => [
    await send({from: outside, address: '192.0.2.1', port: 8472, vni: 1, to: a, dev: 'ng-vx0'}),
    await send({from: outside, address: '2001:db8::1', port: 8472, vni: 1, to: a, dev: 'ng-vx0-6'}),
  ]
  const own = ipsOf(x)
  const forged = ['10.64.1.200', 'fd00:64:1::200']
  for (const address of forged)
    x.namespace.ip('addr', 'add', address, 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : []))
  // Whether an echo request arrives, which its answer cannot.
  script(
    z.namespace,
    `table inet seen { chain in { type filter hook input priority 0;
      ip saddr ${forged[0]} counter comment "4"
      ip6 saddr ${forged[1]} counter comment "6"
    }
    }`,
  )
  /** So many, so far. */
  const arrived = (): number[] => {
    ipsOf(z).forEach((address, i) => {
      try {
        x.namespace.exec('ping', '-c2', '-i0.2', '-W1', '-I', forged[i]!, address)
      } catch {}
    })
    const {nftables} = JSON.parse(z.namespace.exec('/usr/sbin/nft', '-j', 'list', 'table', 'inet', 'seen'))
    return nftables.flatMap(({rule}: {rule?: {expr: {counter?: {packets: number}}[]}}) =>
      rule ? rule.expr.flatMap(({counter}) => counter?.packets ?? []) : [],
    )
  }
  t.true(
    (await strangers()).every(count => count > 0),
    'without',
  )
  const before = arrived()
  t.true(
    before.every(count => count > 0),
    'without',
  )

  const [filter, more] = shown('nft')
  t.is(more, undefined)
  for (const at of [a, b]) script(at, filter!)
  t.deepEqual(await strangers(), [0, 0])
  t.deepEqual(arrived(), before)
  for (const address of forged) x.namespace.ip('addr', 'del', address, 'dev', 'eth0')
  for (const [from, to] of [
    [x, y],
    [y, z],
    [x, z],
  ] as const)
    for (const address of ipsOf(to)) await cluster.reaches(from, address)
  // The node itself.
  for (const address of own) a.exec('ping', '-c1', '-W5', address)
})

test('addresses that pods ask for make no host routes', async t => {
  const networks = await startNetworks(t)
  networks.define('p', {cniVersion: '1.0.0', type: 'ptp', capabilities: {ips: true}, ipam: {type: 'static'}})
  const pod = await networks.start()
  const routes = await networks.node.ip('route')
  for (const element of [{ips: ['192.168.0.99/32']}, {'cni-args': {ips: ['192.168.0.99/32']}}]) {
    networks.annotate(pod, {[NPWG]: JSON.stringify([{name: 'p', ...element}])})
    await networks.told(pod, /^failed default\/p net1 .*gave no gateway for 192\.168\.0\.99\/32/)
    networks.annotate(pod, {[NPWG]: null})
    await networks.told(pod)
  }
  t.is(await networks.node.ip('route'), routes)
})

test("addresses that pods ask for take no subnet of the node's from it", async t => {
  const networks = await startNetworks(t)
  const {namespace} = networks.node
  networks.define('s', {
    cniVersion: '1.0.0',
    type: 'bridge',
    bridge: 'ng-s',
    isGateway: true,
    capabilities: {ips: true},
    ipam: {type: 'static'},
  })
  const pod = await networks.start()
  const routes = await networks.node.ip('route')
  for (const ip of ['192.168.0.77/24', '193.0.0.1/1', 'fd00:100::77/48']) {
    networks.annotate(pod, {[NPWG]: JSON.stringify([{name: 's', ips: [ip]}])})
    await networks.told(pod, /^failed default\/s net1 .*the node has \S+ on "eth0"; give the network another subnet/)
    networks.annotate(pod, {[NPWG]: null})
    await networks.told(pod)
    t.deepEqual(namespace.json('addr', 'show', 'dev', 'ng-s', 'scope', 'global'), [], ip)
  }
  t.is(await networks.node.ip('route'), routes)
  networks.annotate(pod, {[NPWG]: JSON.stringify([{name: 's', ips: ['10.9.0.7/24']}])})
  await networks.told(pod, 'attached default/s net1')
})

test("nodes take no router advertisements from pods' links", async t => {
  const networks = await startNetworks(t)
  networks.define('b', {
    cniVersion: '1.0.0',
    type: 'bridge',
    bridge: 'ng-b',
    isGateway: true,
    ipam: {type: 'static', addresses: [{address: '10.9.0.2/24'}]},
  })
  await networks.start({[NPWG]: 'b'})
  const {namespace} = networks.node
  const links = namespace.json('link', 'show').map(({ifname}) => ifname as string)
  const ours = links.filter(name => /^(veth|ng-b)/.test(name))
  t.is(ours.length, 3, links.join())
  for (const name of ours) t.is(namespace.exec('cat', `/proc/sys/net/ipv6/conf/${name}/accept_ra`).trim(), '0', name)
})
