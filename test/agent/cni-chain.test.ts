/** Other plugins before, behind and in the place of the pod network. Needs root. */
import {readdirSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {TABLE} from '../../src/masquerade/table.ts'
import {calls, plugins, script, UPSTREAM} from '../cni/exec-support.ts'
import {type Asked, addressesOf, type Pod, type Result, Runtime, reaches} from './support/cni.ts'
import {built, startNode, type TestNode} from './support/node.ts'

test.before(built)

async function serving(t: ExecutionContext): Promise<{node: TestNode; runtime: Runtime; pod: Pod}> {
  const node = await startNode(t, {config: {networks: [{backend: 'direct'}]}})
  const runtime = new Runtime(t, node)
  await runtime.serving()
  const [pod] = (await runtime.pods(1)) as [Pod]
  return {node, runtime, pod}
}

/** Of a plugin's standard input: what it was given by those before it. */
const PREVIOUS = String.raw`sed 's/.*"prevResult":\(.*\)}$/\1/; s/,"runtimeConfig".*//'`

/** Answers ADD with that. Where "<name>.fail" is, with an error. */
const PASS = `#!/bin/sh
input=$(cat)
dir=\${0%/*}
printf '%s %s %s\\n' "$CNI_COMMAND" "\${0##*/}" "$input" >> "$dir/calls"
[ "$CNI_COMMAND" = ADD ] || exit 0
[ ! -e "$0.fail" ] || { echo '{"cniVersion":"1.0.0","code":123,"msg":"no"}'; exit 1; }
printf '%s' "$input" | ${PREVIOUS}
`

const CHAIN = [
  {type: 'portmap', snat: true, capabilities: {portMappings: true}},
  {type: 'bandwidth', capabilities: {bandwidth: true}},
]

async function folder(t: ExecutionContext): Promise<string> {
  const path = await plugins(t, {})
  for (const name of ['portmap', 'bandwidth']) await script(path, name, PASS)
  return path
}

test('behind other plugins: their result is passed through, and what they have made is left to them', async t => {
  const {node, runtime, pod} = await serving(t)
  pod.namespace.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'other0')
  pod.namespace.ip('addr', 'add', '10.9.0.5/24', 'dev', 'eth0')
  const interfaces = [{name: 'other0'}, {name: 'eth0', mac: '02:00:00:00:00:05', sandbox: pod.namespace.path}]
  const ips = [{address: '10.9.0.5/24', gateway: '10.9.0.1', interface: 1}]
  for (const [version, ip] of [
    ['0.4.0', {version: '4', ...ips[0]}],
    ['1.0.0', ips[0]],
    ['1.1.0', ips[0]],
  ] as const) {
    const prevResult = {cniVersion: version, interfaces, ips: [ip], dns: {nameservers: ['10.9.0.1']}}
    const asked = {version, config: {prevResult}}
    t.deepEqual({...(await runtime.add(pod, asked))} as object, prevResult)
    await runtime.succeeds('CHECK', pod, asked)
    await runtime.succeeds('DEL', pod, asked)
  }
  t.true(JSON.stringify(pod.namespace.json('addr', 'show', 'dev', 'eth0')).includes('10.9.0.5'))
  for (const prevResult of [7, 'x', [], {cniVersion: '9.0.0'}, {ips: [{address: 'x'}]}, {interfaces: {}}])
    t.true([1, 7].includes((await runtime.fails('ADD', pod, {config: {prevResult}})).code), JSON.stringify(prevResult))
  await runtime.clean()
  t.deepEqual(
    node.namespace.json('link', 'show').filter(({ifname}) => ifname.startsWith('veth')),
    [],
  )
})

test('the chain runs where the runtime asks for it, and is undone backwards with what it was begun with', async t => {
  const {runtime, pod} = await serving(t)
  const path = await folder(t)
  const env = {CNI_PATH: path}
  // containerd gives all of them.
  const nothing = {portMappings: [], bandwidth: {ingressRate: 0, egressRate: 0}, dns: {}}
  await runtime.add(pod, {env, config: {chain: CHAIN, runtimeConfig: nothing}})
  await runtime.succeeds('DEL', pod, {env, config: {chain: CHAIN, runtimeConfig: nothing}})
  t.deepEqual(await calls(path), [])

  const portMappings = [{hostPort: 8080, containerPort: 80, protocol: 'tcp'}]
  const runtimeConfig = {...nothing, portMappings, bandwidth: {ingressRate: 1000, ingressBurst: 1000}}
  await runtime.add(pod, {env, config: {chain: CHAIN, runtimeConfig: {...nothing, portMappings}}})
  // Of today's config a DEL needs nothing.
  await runtime.succeeds('DEL', pod, {env: {CNI_PATH: '/nowhere'}})
  const result = await runtime.add(pod, {env, config: {chain: CHAIN, runtimeConfig}})
  await runtime.succeeds('CHECK', pod, {env})
  await runtime.succeeds('DEL', pod)
  const told = await calls(path)
  t.deepEqual(
    told.map(({verb, plugin}) => `${verb} ${plugin}`),
    [
      ...['ADD portmap', 'DEL portmap'],
      ...['ADD portmap', 'ADD bandwidth', 'CHECK portmap', 'CHECK bandwidth', 'DEL bandwidth', 'DEL portmap'],
    ],
  )
  for (const {plugin, config} of told) {
    t.deepEqual(config.runtimeConfig, plugin === 'portmap' ? {portMappings} : {bandwidth: runtimeConfig.bandwidth})
    t.is(config.name, 'netgraft')
    t.truthy(config.prevResult)
  }
  t.deepEqual((told.at(-1)!.config.prevResult as Result).ips, result.ips)
  await runtime.clean()

  // One that fails: what was before it goes, too.
  writeFileSync(join(path, 'bandwidth.fail'), '')
  const {code, msg} = await runtime.fails('ADD', pod, {env, config: {chain: CHAIN, runtimeConfig}})
  t.is(code, 123)
  t.regex(msg, /plugins\[2\] \("bandwidth"\) failed: .*: no$/)
  t.deepEqual(
    (await calls(path))
      .slice(told.length)
      .map(({verb, plugin}) => `${verb} ${plugin}`)
      .slice(0, 4),
    ['ADD portmap', 'ADD bandwidth', 'DEL bandwidth', 'DEL portmap'],
  )
  await runtime.clean()
  t.deepEqual(
    pod.namespace.json('link', 'show').map(({ifname}) => ifname),
    ['lo'],
  )
  // One that is not there is not to be begun with.
  const missing = await runtime.fails('ADD', pod, {env, config: {chain: [{type: 'firewall'}]}})
  t.regex(missing.msg, /firewall/)
  await runtime.clean()
})

test('delegates take the place of the pod network', async t => {
  const {node, runtime, pod} = await serving(t)
  const dataDir = join(node.agent.state, '..', 'leases')
  const hostLocal = (subnet: string) => ({type: 'host-local', dataDir, ranges: [[{subnet}]]})
  const path = await folder(t)
  const env = {CNI_PATH: `${path}:${UPSTREAM}`}
  const conf = {type: 'bridge', bridge: 'ng-one', isGateway: true, ipam: hostLocal('10.80.0.0/24')}
  // The last key is nothing that the agent's own type knows: the program has to do it.
  const program = {...conf, name: 'two', bridge: 'ng-two', ipam: hostLocal('10.81.0.0/24'), vlan: 0, netgraftTest: true}
  const list = {
    name: 'three',
    plugins: [
      {type: 'ptp', ipam: {type: 'static', addresses: [{address: '10.82.0.2/24', gateway: '10.82.0.1'}]}},
      CHAIN[0],
    ],
  }
  const portMappings = [{hostPort: 8080, containerPort: 80, protocol: 'tcp'}]
  const cases: readonly [delegates: object[], address: string, more?: object][] = [
    [[conf], '10.80.0.2'],
    [[program], '10.81.0.2'],
    [[list], '10.82.0.2', {runtimeConfig: {portMappings}}],
    [[program, {...conf, masterPlugin: true}], '10.80.0.3'],
    [[{...list, masterplugin: true}, conf], '10.82.0.2', {runtimeConfig: {portMappings}}],
  ]
  for (const [delegates, address, more] of cases) {
    const asked: Asked = {env, config: {delegates, ...more}}
    const result = await runtime.add(pod, asked)
    t.deepEqual(addressesOf(result), [address])
    t.true(await reaches(pod.namespace, address.replace(/\d+$/, '1')), address)
    await runtime.succeeds('CHECK', pod, {...asked, config: {...asked.config, prevResult: result}})
    await runtime.succeeds('DEL', pod)
    await runtime.clean()
  }
  t.is((await calls(path)).filter(({verb}) => verb === 'ADD').length, 2)
  const leases = readdirSync(dataDir, {recursive: true, encoding: 'utf8'}).filter(name => /\/\d+\./.test(name))
  t.deepEqual(leases, [])

  for (const delegates of [
    [conf, program],
    [
      {...conf, masterPlugin: true},
      {...program, masterPlugin: true},
    ],
    [{}],
    [{plugins: []}],
    [{type: '../bridge'}],
    ['bridge'],
    'bridge',
    {},
  ])
    t.is((await runtime.fails('ADD', pod, {env, config: {delegates}})).code, 7, JSON.stringify(delegates))
  await runtime.clean()
})

test('GC leaves alone what is being made', async t => {
  const {node, runtime, pod} = await serving(t)
  const path = await plugins(t, {})
  writeFileSync(join(path, 'slow.gate'), '')
  await script(path, 'slow', `#!/bin/sh\n> $0.begun\nwhile [ -e $0.gate ]; do sleep 0.02; done\n${PREVIOUS}\n`)
  const adding = runtime.add(pod, {env: {CNI_PATH: path}, config: {chain: [{type: 'slow'}]}})
  await node.until(() => readdirSync(path).includes('slow.begun'))
  await runtime.succeeds('GC', undefined, {version: '1.1.0', config: {'cni.dev/valid-attachments': []}})
  rmSync(join(path, 'slow.gate'))
  await adding
  t.true(await reaches(pod.namespace, '10.64.1.1'))
  await runtime.succeeds('DEL', pod)
  await runtime.clean()
})

test('what a delegate masquerades is so until its DEL, whatever becomes of the agent', async t => {
  const {node, runtime, pod} = await serving(t)
  const dataDir = join(node.agent.state, '..', 'leases')
  const ipam = {type: 'host-local', dataDir, ranges: [[{subnet: '10.80.0.0/24'}]]}
  const masked = () => node.namespace.exec('/usr/sbin/nft', 'list', 'ruleset').includes('10.80.0.2')
  await runtime.add(pod, {
    config: {delegates: [{type: 'bridge', bridge: 'ng-one', isGateway: true, ipMasq: true, ipam}]},
  })
  t.true(masked())
  await node.agent.kill()
  node.namespace.exec('/usr/sbin/nft', 'delete', 'table', 'inet', TABLE)
  node.agent.start()
  await runtime.serving()
  await node.until(masked)
  await runtime.succeeds('DEL', pod)
  await node.until(() => !masked())
  await runtime.clean()
})
