/** The CNI config of ratchet, as it is: whose first network is which, and where tunnels start from. Needs root. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {Kernel} from '../../src/netlink/kernel.ts'
import {namespaceKernel} from '../../src/netlink/namespace.ts'
import {CRI_ANNOTATIONS} from './support/networks.ts'
import {built} from './support/node.ts'
import {type Cluster, PAIRS, type PairedPod, type PodWish, startCluster} from './support/pairs.ts'
import {leasesIn} from './support/recorder.ts'

test.before(built)

/** As ratchet's documentation has it: `delegate` gives 10.21.0.0/24, `boot_network` 10.22.0.0/24. */
function ratchet(t: ExecutionContext): {config: object; delegate: object; boot: object; leases: () => string[]} {
  const folder = mkdtempSync(join(tmpdir(), 'ng-ratchet-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  const network = (name: string, subnet: string) => ({
    name,
    type: 'bridge',
    bridge: `ng-${name}`,
    ipam: {type: 'host-local', dataDir: join(folder, name), subnet},
  })
  const [delegate, boot] = [network('delegate', '10.21.0.0/24'), network('boot', '10.22.0.0/24')]
  const config = {
    name: 'ratchet-net',
    etcd_host: '192.0.2.1',
    etcd_port: '2379',
    child_path: '/opt/cni/bin/ratchet-child',
    cniDir: '/var/lib/cni',
    use_labels: true,
    parent_interface: 'eth0',
    parent_address: '',
    delegate,
    boot_network: boot,
  }
  return {config, delegate, boot, leases: () => leasesIn(folder)}
}

/** With these keys in the plugin's config. */
async function start(
  cluster: Cluster,
  node: string,
  name: string,
  config: object,
  {labels = {}, pairs}: Pick<PodWish, 'labels' | 'pairs'> = {},
): Promise<PairedPod> {
  const networks = cluster.at(node)
  const annotations = pairs === undefined ? {} : {[PAIRS]: JSON.stringify(pairs)}
  const declared = await networks.declare(annotations, name, 'default', {labels})
  return {...(await networks.wire(declared, true, {config: configWith(networks, declared, config)})), node}
}

const configWith = (
  networks: ReturnType<Cluster['at']>,
  pod: Parameters<typeof networks.asked>[0],
  config: object,
) => ({
  ...networks.asked(pod).config,
  ...config,
})

const first = (cluster: Cluster, pod: PairedPod): string =>
  cluster
    .at(pod.node)
    .interfaces(pod)
    .find(each => each.startsWith('eth0'))!

const PRIMARY = {
  ratchet: 'true',
  'ratchet.pod_name': 'primary-pod',
  'ratchet.local_ip': '192.168.2.100',
  'ratchet.local_ifname': 'in1',
  'ratchet.pair_name': 'pair-pod',
  'ratchet.pair_ip': '192.168.2.101',
  'ratchet.pair_ifname': 'in2',
  'ratchet.primary': 'true',
}
const SECOND = {ratchet: 'true', 'ratchet.pod_name': 'pair-pod', 'ratchet.primary': 'false'}

test('boot_network for pods with the label, delegate for those without, and pairs beside either', async t => {
  const {config, leases} = ratchet(t)
  const cluster = await startCluster(t)
  const x = await start(cluster, 'a', 'x', config, {labels: PRIMARY})
  const y = await start(cluster, 'b', 'y', config, {labels: SECOND})
  const off = await start(cluster, 'a', 'off', config, {
    labels: {...PRIMARY, ratchet: 'false'},
    pairs: [{peer: 'y', interface: 'in9', ips: ['10.9.0.1/24']}],
  })
  const odd = await start(cluster, 'a', 'odd', config, {labels: {ratchet: 'yes', 'ratchet.primary': 'false'}})
  t.regex(first(cluster, x), /^eth0 10\.22\.0\.\d+\/24$/)
  t.regex(first(cluster, y), /^eth0 10\.22\.0\.\d+\/24$/)
  t.regex(first(cluster, off), /^eth0 10\.21\.0\.\d+\/24$/)
  t.regex(first(cluster, odd), /^eth0 10\.22\.0\.\d+\/24$/)
  await cluster.told(x, 'up in1 vxlan')
  await cluster.told(y, 'up in2 vxlan', 'up in9 vxlan')
  await cluster.told(off, 'up in9 vxlan')
  await cluster.reaches(x, '192.168.2.101')
  // What the label says later is no matter: the journal has what was done.
  cluster.label(x, {ratchet: null})
  cluster.label(off, {ratchet: 'true'})
  for (const pod of [x, off]) {
    const more = {config: configWith(cluster.at('a'), pod, {...config, prevResult: pod.result})}
    await cluster.at('a').runtime.succeeds('CHECK', pod, {...cluster.at('a').asked(pod), ...more})
  }
  t.is(leases().length, 4)
  for (const pod of [x, y, off, odd]) await cluster.stop(pod)
  t.deepEqual(leases(), [])
  await cluster.clean()
})

test('one of the two alone: the others have the pod network', async t => {
  const {delegate, boot} = ratchet(t)
  const cluster = await startCluster(t, {nodes: ['a']})
  const labels = {ratchet: 'true'}
  const pods = await Promise.all([
    start(cluster, 'a', 'p0', {delegate}),
    start(cluster, 'a', 'p1', {delegate}, {labels}),
    start(cluster, 'a', 'p2', {boot_network: boot}),
    start(cluster, 'a', 'p3', {boot_network: boot}, {labels}),
  ])
  const networks = ['10\\.21\\.0', '10\\.64\\.1', '10\\.64\\.1', '10\\.22\\.0']
  for (const [i, pod] of pods.entries()) t.regex(first(cluster, pod), new RegExp(`^eth0 ${networks[i]}\\.`))
})

test('a label that cannot be known is not guessed', async t => {
  const {config, leases} = ratchet(t)
  const cluster = await startCluster(t, {nodes: ['a']})
  const {runtime} = cluster.at('a')
  const pod = await cluster.at('a').declare({}, 'x', 'default', {labels: {ratchet: 'true'}})
  const asked = cluster.at('a').asked(pod)
  cluster.api.delete({resource: 'pods', namespace: 'default', name: 'x'})
  const failure = await runtime.fails('ADD', pod, {
    ...asked,
    config: {...config, runtimeConfig: {[CRI_ANNOTATIONS]: {}}},
  })
  t.is(failure.code, 11)
  t.regex(failure.msg, /which network pod "default\/x" asks for is not known: the API server has no such pod/)
  t.deepEqual(leases(), [])
  await runtime.clean()
})

/** An interface of each node beside eth0: with its own address, and less room. */
function addParents(cluster: Cluster): void {
  for (const [i, {node}] of [...cluster.nodes.values()].entries()) {
    const {namespace} = node
    namespace.ip('link', 'add', 'link', 'eth0', 'name', 'par0', 'mtu', '1400', 'type', 'macvlan', 'mode', 'bridge')
    namespace.ip('addr', 'add', `172.20.0.${i + 1}/24`, 'dev', 'par0')
    namespace.ip('addr', 'add', `172.21.0.${i + 1}/24`, 'dev', 'par0')
    namespace.ip('link', 'set', 'par0', 'up')
    namespace.ip('addr', 'add', `172.22.0.${i + 1}/24`, 'dev', 'eth0')
  }
}

/** "172.20.0.1 172.20.0.2 par0 1350": of a tunnel's end. */
async function tunnel(cluster: Cluster, pod: PairedPod, ifname = 'in1'): Promise<string> {
  const kernel = namespaceKernel(await Kernel.open({netns: pod.namespace.path}))
  try {
    const link = (await kernel.links()).find(({name}) => name === ifname)
    if (!link?.vxlan) return 'none'
    const {local, remote, dev} = link.vxlan
    const device = cluster
      .at(pod.node)
      .node.namespace.json('link', 'show')
      .find(({ifindex}) => ifindex === dev)
    return [local, remote, device?.ifname, link.mtu].join(' ')
  } finally {
    kernel.close()
  }
}

/** Waits until they are these. */
async function tunnels(cluster: Cluster, pods: readonly PairedPod[], ...wanted: readonly string[]): Promise<void> {
  let have: string[] = []
  await cluster.until(
    async () => {
      have = await Promise.all(pods.map(pod => tunnel(cluster, pod)))
      return have.join() === wanted.join()
    },
    () => `${wanted.join(', ')}: there are ${have.join(', ')}`,
  )
}

for (const [keys, want] of [
  [{parent_interface: 'par0'}, ['172.20.0.1 172.20.0.2 par0 1350', '172.20.0.2 172.20.0.1 par0 1350']],
  [
    {parent_interface: 'par0', parent_address: '172.21.0.@'},
    ['172.21.0.1 172.21.0.2 par0 1350', '172.21.0.2 172.21.0.1 par0 1350'],
  ],
  [{parent_address: '172.22.0.@'}, ['172.22.0.1 172.22.0.2 eth0 1450', '172.22.0.2 172.22.0.1 eth0 1450']],
  [{parent_interface: 'eth0'}, ['192.168.0.1 192.168.0.2 eth0 1450', '192.168.0.2 192.168.0.1 eth0 1450']],
] as const)
  test(`tunnels start from ${JSON.stringify(keys)}, after the agents' restart, too`, async t => {
    const cluster = await startCluster(t)
    addParents(cluster)
    const of = (n: number) => JSON.parse(JSON.stringify(keys).replace('@', `${n}`))
    const x = await start(cluster, 'a', 'x', of(1), {pairs: [{peer: 'y', interface: 'in1', ips: ['10.1.0.1/24']}]})
    const y = await start(cluster, 'b', 'y', of(2), {pairs: [{peer: 'x', interface: 'in1', ips: ['10.1.0.2/24']}]})
    const z = await start(cluster, 'b', 'z', {})
    await cluster.told(x, 'up in1 vxlan')
    await cluster.told(y, 'up in1 vxlan')
    await tunnels(cluster, [x, y], ...want)
    await cluster.reaches(x, '10.1.0.2')
    const before = cluster.link(x).ifindex
    for (const {node, runtime} of cluster.nodes.values()) {
      await node.agent.kill()
      node.agent.start()
      await runtime.serving()
    }
    cluster.declare(x, [
      {peer: 'y', interface: 'in1', ips: ['10.1.0.1/24']},
      {peer: 'y', interface: 'in2', ips: ['10.2.0.1/24']},
      {peer: 'z', interface: 'in3', ips: ['10.3.0.1/24']},
    ])
    await cluster.told(x, 'up in1 vxlan', 'up in2 vxlan', 'up in3 vxlan')
    await cluster.told(z, 'up in3 vxlan')
    t.is(await tunnel(cluster, x, 'in2'), want[0])
    // One that says nothing of it has its node's own address.
    t.regex(await tunnel(cluster, z, 'in3'), /^192\.168\.0\.2 \S+ eth0/)
    t.is(cluster.link(x).ifindex, before)
    t.true(cluster.pings(x, '10.1.0.2'))
  })

test('a parent that is not there, or comes and goes', async t => {
  const cluster = await startCluster(t)
  const pairs = [{peer: 'y', interface: 'in1', ips: ['10.1.0.1/24']}]
  const x = await start(cluster, 'a', 'x', {parent_interface: 'par0'}, {pairs})
  const y = await start(cluster, 'b', 'y', {})
  await cluster.says(x, /^failed in1: node a has no address for the tunnel of pod default\/x: .*parent_interface/)
  addParents(cluster)
  await cluster.told(x, 'up in1 vxlan')
  await cluster.told(y, 'up in1 vxlan')
  await tunnels(cluster, [x], '172.20.0.1 192.168.0.2 par0 1350')
  cluster.at('a').node.namespace.ip('addr', 'del', '172.20.0.1/24', 'dev', 'par0')
  await tunnels(cluster, [x], '172.21.0.1 192.168.0.2 par0 1350')
  t.pass()
})

const WRONG: readonly (readonly [config: object, says: RegExp])[] = [
  [{parent_interface: 7}, /^parent_interface must be a text$/],
  [
    {parent_interface: 'an interface'},
    /^parent_interface is "an interface"; write the name of an interface of the node$/,
  ],
  [{parent_interface: 'longer-than-15-b'}, /^parent_interface is "longer-than-15-b"/],
  [{parent_address: '192.168.0.1/24'}, /^parent_address is "192\.168\.0\.1\/24"; write an IP address of the node$/],
  [{parent_address: ['192.168.0.1']}, /^parent_address must be a text$/],
  [{delegate: 'bridge'}, /^delegate must be a plugin config$/],
  [{boot_network: [{type: 'bridge'}]}, /^boot_network must be a plugin config$/],
  [{delegate: {ipam: {}}}, /type/],
  [{boot_network: {type: '../bridge'}, delegate: {type: '../bridge'}}, /type is "\.\.\/bridge"/],
  [{delegate: {type: 'netgraft'}}, /netgraft/],
]

test('wrong values are one error of CNI each, and nothing is left of the ADD', async t => {
  const cluster = await startCluster(t, {nodes: ['a']})
  const {runtime} = cluster.at('a')
  const pod = await cluster.at('a').declare({}, 'x')
  for (const [config, says] of WRONG) {
    const failure = await runtime.fails('ADD', pod, {
      ...cluster.at('a').asked(pod),
      config: configWith(cluster.at('a'), pod, config),
    })
    t.regex(failure.msg, says)
    t.is(failure.code, 7, failure.msg)
    t.false(/\n/.test(failure.msg))
  }
  await runtime.clean()
  // What is for us is only accepted, whatever its value: where the store is says the agent's own configuration.
  const x = await start(cluster, 'a', 'y', {
    etcd_host: 7,
    etcd_port: {},
    child_path: null,
    cniDir: [],
    use_labels: 'no',
  })
  await cluster.stop(x)
  await runtime.clean()
})

test('a DEL, when the journal is lost, undoes whichever of the two it was', async t => {
  const {config, leases} = ratchet(t)
  const cluster = await startCluster(t, {nodes: ['a']})
  const {node, runtime} = cluster.at('a')
  const x = await start(cluster, 'a', 'x', config, {labels: {ratchet: 'true'}})
  const y = await start(cluster, 'a', 'y', config)
  t.is(leases().length, 2)
  await node.agent.kill()
  rmSync(join(node.agent.state, 'journal'), {recursive: true, maxRetries: 5})
  node.agent.start()
  await runtime.serving()
  for (const pod of [x, y]) {
    cluster.api.delete({resource: 'pods', namespace: 'default', name: pod.name})
    await runtime.succeeds('DEL', pod, {...cluster.at('a').asked({...pod}, false), config})
    await cluster.until(() => cluster.at('a').interfaces(pod).length === 0, 'eth0 has gone')
  }
  t.deepEqual(leases(), [])
  await runtime.clean()
})

test('STATUS and GC ask both networks', async t => {
  const {config, delegate, leases} = ratchet(t)
  const cluster = await startCluster(t, {nodes: ['a']})
  const {runtime} = cluster.at('a')
  const env = {CNI_PATH: '/usr/lib/cni'}
  const asked = (more: object) => ({version: '1.1.0', env, config: {...config, ...more}})
  await runtime.succeeds('STATUS', undefined, asked({}))
  for (const key of ['delegate', 'boot_network']) {
    const failure = await runtime.fails('STATUS', undefined, asked({[key]: {...delegate, type: 'ng-no-such'}}))
    t.regex(failure.msg, /ng-no-such/)
  }
  const x = await start(cluster, 'a', 'x', config, {labels: {ratchet: 'true'}})
  const y = await start(cluster, 'a', 'y', config)
  t.is(leases().length, 2)
  await runtime.succeeds('GC', undefined, asked({'cni.dev/valid-attachments': [{containerID: x.id, ifname: 'eth0'}]}))
  await cluster.until(
    () => leases().length === 1,
    () => leases().join(),
  )
  t.deepEqual(leases(), [/10\.22\.0\.\d+/.exec(first(cluster, x))![0]])
  t.deepEqual(cluster.at('a').interfaces(y), [])
})
