/** What an element of a pod's annotation may say, as it reaches the plugins: a recording one, and upstream's. Needs root. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {hashName} from '../../src/attach/names.ts'
import {type Networks, type Started, startNetworks} from './support/networks.ts'
import {built, run} from './support/node.ts'
import {Recorder} from './support/recorder.ts'

test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'
const CAPABLE = {ips: true, mac: true, portMappings: true, bandwidth: true, infinibandGUID: true}

const inPod = async ({namespace}: Started, ...words: string[]): Promise<string> =>
  (await run('ip', ['netns', 'exec', namespace.name, ...words])).stdout

const linkOf = ({namespace}: Started, ifname: string) =>
  namespace.json('link', 'show').find(link => link.ifname === ifname)!

const ask = (...elements: object[]) => ({[NPWG]: JSON.stringify(elements)})

async function ends(networks: Networks, pod: Started): Promise<void> {
  await networks.runtime.succeeds('DEL', pod, networks.asked(pod))
  await networks.runtime.clean()
}

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(join(tmpdir(), 'ng-leases-'))
  t.teardown(() => rmSync(made, {recursive: true, force: true, maxRetries: 5}))
  return made
}

const EVERYTHING = {
  ips: ['10.9.0.5/24', 'fd00:9::5/64'],
  mac: '02:00:00:00:AA:01',
  interface: 'data',
  'infiniband-guid': '02:00:00:00:00:00:00:01',
  portMappings: [{hostPort: 8080, containerPort: 80, protocol: 'TCP', hostIP: '10.0.0.1'}],
  bandwidth: {ingressRate: 1000, ingressBurst: 2000},
  'cni-args': {foo: {bar: [1]}, own: 'pod'},
}
const SAID = {
  ips: EVERYTHING.ips,
  mac: '02:00:00:00:aa:01',
  infinibandGUID: '02:00:00:00:00:00:00:01',
  portMappings: [{hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '10.0.0.1'}],
  bandwidth: EVERYTHING.bandwidth,
}

test('everything reaches a plugin, at the start and hot; what it is not capable of does not', async t => {
  const networks = await startNetworks(t)
  const recorder = new Recorder(t)
  networks.path = [recorder.folder, '/usr/lib/cni']
  const ipam = {type: 'static', addresses: []}
  const args = {cni: {own: 'author', more: 1}}
  const some = {capabilities: {mac: true}}
  networks.define('all', recorder.conf('all', '10.9.0.0/24', {ipam, args, capabilities: CAPABLE}))
  networks.define('some', recorder.conf('some', '10.8.0.0/24', {ipam, ...some}))
  networks.define('none', recorder.conf('none', '10.7.0.0/24', {ipam}))
  const elements = ['all', 'some', 'none'].map((name, i) => ({
    ...EVERYTHING,
    name,
    interface: `d${i}`,
    mac: `02:00:00:00:AA:0${i + 1}`,
  }))
  const pod = await networks.start(ask(...elements))
  const atStart = recorder.calls('ADD')
  const uid = `K8S_POD_UID=${pod.uid}`
  for (const [i, name] of ['all', 'some', 'none'].entries()) {
    const {env, stdin} = atStart.find(call => call.env.CNI_IFNAME === `d${i}`)!
    const mac = `02:00:00:00:aa:0${i + 1}`
    t.is(
      env.CNI_ARGS,
      `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name};K8S_POD_INFRA_CONTAINER_ID=${pod.id};${uid};CNI_IFMAC=${mac};MAC=${mac};IP=10.9.0.5/24,fd00:9::5/64`,
    )
    t.is(env.CNI_CONTAINERID, pod.id)
    t.is(env.CNI_NETNS, pod.namespace.path)
    const config = JSON.parse(stdin)
    t.is(config.name, name)
    t.deepEqual(config.runtimeConfig, [{...SAID, mac}, {mac}, undefined][i])
    t.deepEqual(config.args?.cni, {foo: {bar: [1]}, own: 'pod', ...(i === 0 && args.cni)})
    t.is(linkOf(pod, `d${i}`).address, mac)
  }
  await networks.told(pod, ...['all', 'some', 'none'].map((name, i) => `attached default/${name} d${i}`))
  networks.annotate(pod, {[NPWG]: null})
  await networks.has(pod)
  await networks.told(pod)
  networks.annotate(pod, ask(...elements))
  await networks.told(pod, ...['all', 'some', 'none'].map((name, i) => `attached default/${name} d${i}`))
  const hot = recorder.calls('ADD').slice(atStart.length)
  const said = (calls: typeof hot) =>
    calls.map(({env, stdin}) => ({env, stdin})).sort((a, b) => (a.stdin < b.stdin ? -1 : 1))
  t.deepEqual(said(hot), said(atStart))
  await ends(networks, pod)
  for (const {env, stdin} of recorder.calls('DEL')) {
    const added = atStart.find(each => each.env.CNI_IFNAME === env.CNI_IFNAME)!
    t.is(env.CNI_ARGS, added.env.CNI_ARGS)
    const {prevResult, ...config} = JSON.parse(stdin)
    t.deepEqual(config, JSON.parse(added.stdin))
    t.truthy(prevResult)
  }
})

test("upstream's plugins: macvlan, host-device, tuning, portmap, bandwidth; addresses by capability and by CNI_ARGS", async t => {
  const networks = await startNetworks(t)
  const {node} = networks
  const dataDir = folder(t)
  await node.ip('link add ngd0 type veth peer name ngd1')
  for (const name of ['ngd0', 'ngd1']) await node.ip(`link set ${name} up`)
  const list = (...plugins: object[]) => ({cniVersion: '1.0.0', plugins})
  const bridge = (name: string, subnet: string) => ({
    type: 'bridge',
    bridge: `ng-${name}`,
    isGateway: true,
    ipam: {type: 'host-local', dataDir, ranges: [[{subnet}]]},
  })
  networks.define('lan', {
    cniVersion: '1.0.0',
    type: 'macvlan',
    master: 'eth0',
    mode: 'bridge',
    capabilities: {ips: true},
    ipam: {type: 'static'},
  })
  networks.define('fixed', {cniVersion: '0.4.0', type: 'bridge', bridge: 'ng-fixed', ipam: {type: 'static'}})
  networks.define('device', {cniVersion: '0.3.1', type: 'host-device', device: 'ngd1'})
  networks.define(
    'tuned',
    list(bridge('tuned', '10.11.0.0/24'), {
      type: 'tuning',
      sysctl: {'net.ipv4.conf.IFNAME.arp_filter': '1'},
      capabilities: {mac: true},
      mtu: 1400,
    }),
  )
  networks.define(
    'mapped',
    list(bridge('mapped', '10.12.0.0/24'), {type: 'portmap', capabilities: {portMappings: true}, snat: true}),
  )
  networks.define(
    'limited',
    list(bridge('limited', '10.13.0.0/24'), {type: 'bandwidth', capabilities: {bandwidth: true}}),
  )
  const elements = [
    {name: 'lan', interface: 'lan', ips: ['192.168.7.7/24'], mac: '02:00:00:00:00:07'},
    {name: 'fixed', interface: 'fixed', ips: ['10.10.0.9/24']},
    {name: 'device', interface: 'dev'},
    {name: 'tuned', interface: 'tuned', mac: '02:00:00:00:00:08'},
    {name: 'mapped', interface: 'mapped', portMappings: [{hostPort: 8080, containerPort: 80}]},
    {name: 'limited', interface: 'limited', bandwidth: {ingressRate: 1_000_000, ingressBurst: 80_000}},
  ]
  const all = [
    'dev',
    'fixed 10.10.0.9/24',
    'lan 192.168.7.7/24',
    'limited 10.13.0.2/24',
    'mapped 10.12.0.2/24',
    'tuned 10.11.0.2/24',
  ]
  const rules = async () =>
    (await run('nsenter', [`--net=${node.namespace.path}`, 'iptables', '-t', 'nat', '-S'])).stdout
  const shaped = async () => (await run('tc', ['-n', node.namespace.name, 'qdisc', 'show'])).stdout
  const stands = async (pod: Started) => {
    t.is(linkOf(pod, 'lan').address, '02:00:00:00:00:07')
    t.is(linkOf(pod, 'tuned').address, '02:00:00:00:00:08')
    t.is(linkOf(pod, 'tuned').mtu, 1400)
    t.is((await inPod(pod, 'sysctl', '-n', 'net.ipv4.conf.tuned.arp_filter')).trim(), '1')
    t.regex(await rules(), /--dport 8080 .*10\.12\.0\.\d+:80/)
    t.regex(await shaped(), /tbf .*rate 1Mbit/)
  }
  const leftNothing = async () => {
    t.notRegex(await rules(), /8080/)
    t.notRegex(await shaped(), /tbf/)
    t.truthy(node.namespace.json('link', 'show').find(({ifname}) => ifname === 'ngd1'))
  }
  const pod = await networks.start(ask(...elements))
  await networks.has(pod, ...all)
  await networks.told(pod, ...elements.map(({name, interface: ifname}) => `attached default/${name} ${ifname}`))
  t.deepEqual(
    networks.status(pod).map(({interface: ifname}) => ifname),
    ['eth0', ...elements.map(({interface: ifname}) => ifname)],
  )
  t.deepEqual(
    pod.result.interfaces.filter(({sandbox}) => sandbox).map(({name}) => name),
    ['eth0', ...elements.map(({interface: ifname}) => ifname)],
  )
  await stands(pod)
  networks.annotate(pod, {[NPWG]: null})
  await networks.has(pod)
  await networks.told(pod)
  await leftNothing()
  networks.annotate(pod, ask(...elements))
  await networks.has(pod, ...all.map(each => each.replace('.0.2/', '.0.3/')))
  await networks.told(pod, ...elements.map(({name, interface: ifname}) => `attached default/${name} ${ifname}`))
  await stands(pod)
  await ends(networks, pod)
  await leftNothing()
})

test("kaloom's elements: ifMac, upperLayers; podagentSkip is for the start alone", async t => {
  const networks = await startNetworks(t)
  const recorder = new Recorder(t)
  networks.path = [recorder.folder, '/usr/lib/cni']
  networks.defineNetwork('green', 'recorder', recorder.conf('green', '10.9.0.0/24', {type: undefined}))
  networks.defineNetwork('blue', 'bridge', recorder.conf('blue', '10.8.0.0/24'))
  const green = hashName('green')
  const blue = hashName('blue')
  const element = {Name: 'green', ifMac: '02-00-00-00-00-05', upperLayers: ['x'], podagentSkip: true}
  const pod = await networks.start({networks: JSON.stringify([element])})
  t.is(linkOf(pod, green).address, '02:00:00:00:00:05')
  t.regex(recorder.calls('ADD')[0]!.env.CNI_ARGS!, /;CNI_IFMAC=02:00:00:00:00:05;MAC=02:00:00:00:00:05$/)
  await networks.told(pod, `attached default/green ${green}`)
  networks.annotate(pod, {networks: JSON.stringify([element, {name: 'blue', podagentSkip: true}])})
  await networks.told(
    pod,
    `attached default/green ${green}`,
    `pending default/blue ${blue} podagentSkip: it is left to another controller`,
  )
  networks.annotate(pod, {networks: JSON.stringify([element, {name: 'blue'}])})
  // Its author's own type goes before that of the object.
  await networks.told(pod, `attached default/green ${green}`, `attached default/blue ${blue}`)
  t.is(recorder.calls('ADD', blue).length, 1)
  await ends(networks, pod)
})
