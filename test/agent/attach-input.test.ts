/** Definitions and annotations as people write them: what cannot be served is told, and nothing that works is taken down. Needs root. */
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {conf, folder, GOOD, startGood} from './support/good.ts'
import type {Declared, Networks} from './support/networks.ts'
import {built} from './support/node.ts'
import {leasesIn} from './support/recorder.ts'

test.before(built)

const NPWG = 'k8s.v1.cni.cncf.io/networks'

const linkOf = ({namespace}: Declared, ifname: string) =>
  namespace.json('link', 'show').find(link => link.ifname === ifname)

/** Events that warn. */
const warnings = (networks: Networks, pod: Declared): string[] =>
  networks
    .events(pod)
    .filter(event => event.startsWith('Warning'))
    .sort()

const UPSTREAM = {ipam: {}}

/** What its author has written, and what is said of it. */
const BROKEN: readonly (readonly [name: string, config: object | string, says: RegExp])[] = [
  ['half', '{"type": "bridge"', /NetworkAttachmentDefinition "default\/half".*JSON/],
  ['list', [{type: 'bridge'}], /"default\/list" has a config that is no JSON object/],
  ['text', '"bridge"', /no JSON object/],
  ['typeless', {cniVersion: '1.0.0', ...UPSTREAM}, /"default\/typeless": type is missing/],
  ['unknown', {type: 'ng-no-such', ...UPSTREAM}, /"?ng-no-such"?/],
  ['path', {type: '../../bin/true'}, /"default\/path": type is .* not a path/],
  ['addresses', {type: 'bridge', ipam: {type: '/bin/true'}}, /ipam\.type is .* not a path/],
  ['own', {type: 'netgraft'}, /"default\/own": type "netgraft" would ask us again/],
  ['owned', {type: 'bridge', ipam: {type: 'netgraft'}}, /"default\/owned": type "netgraft" would ask us again/],
  ['chained', {plugins: [{type: 'bridge'}, {type: 'netgraft'}]}, /would ask us again/],
  ['future', {cniVersion: '9.9.9', type: 'bridge'}, /cniVersion is "9\.9\.9"; supported are/],
  ['none', {cniVersions: ['9.9.9', '0.0.1'], plugins: [{type: 'bridge'}]}, /cniVersions are .*supported are/],
  ['named', {name: '../x', type: 'bridge'}, /name is "\.\.\/x"/],
  ['empty', '', /"default\/empty" has no config, and .*net\.d" no file of a network of that name/],
  ['nothing', {plugins: []}, /plugins is empty/],
]

test('definitions that cannot be used: pods do not start with them, and running ones are told', async t => {
  const {networks, dir} = await startGood(t)
  const {node, runtime} = networks
  for (const [name, config] of BROKEN)
    networks.define(name, typeof config === 'string' ? config : JSON.stringify(config))
  networks.define('undone', {
    cniVersion: '1.0.0',
    plugins: [conf(dir, 'undone', '10.8.0.0/24'), {type: 'tuning', sysctl: {'net.ipv4.conf.IFNAME.nonsense': '1'}}],
  })
  const broken = [...BROKEN, ['undone', '', /plugins\[1\] \("tuning"\)/] as const]
  const starts = broken.map(async ([name, , says]) => {
    const pod = await networks.declare({[NPWG]: `good,${name}`})
    const {msg, code} = await runtime.fails('ADD', pod, networks.asked(pod))
    t.regex(msg, says, name)
    t.true(code > 0 && msg.includes(`default/${name}`) && !msg.includes('\n'), msg)
    t.deepEqual(networks.interfaces(pod), [], name)
    node.api.delete({resource: 'pods', namespace: 'default', name: pod.name})
  })
  await Promise.all(starts)
  await runtime.clean()
  t.deepEqual(leasesIn(dir), [])

  const pod = await networks.start({[NPWG]: 'good@g'})
  const {address, ifindex} = linkOf(pod, 'g')!
  networks.annotate(pod, {[NPWG]: ['good@g', ...broken.map(([name], i) => `${name}@b${i}`)].join()})
  const states = broken.map(([name, , says], i) => new RegExp(`^failed default/${name} b${i} .*${says.source}`))
  await networks.told(pod, GOOD, ...states)
  await node.until(() => warnings(networks, pod).length >= broken.length)
  const since = networks.status(pod, 'netgraft.dev/attachments-status').map(each => each.since)
  // Tried again for a while.
  const failed = () =>
    node.agent.metric('netgraft_attachment_operations_total', {outcome: 'failed', definition: 'default/undone'})
  const before = (await failed())!
  await node.until(async () => (await failed())! > before + 1)
  t.is(warnings(networks, pod).length, broken.length, warnings(networks, pod).join('\n'))
  t.deepEqual(
    networks.status(pod, 'netgraft.dev/attachments-status').map(each => each.since),
    since,
  )
  t.like(linkOf(pod, 'g'), {address, ifindex})
  // A try that is under way holds one for a moment.
  await node.until(() => leasesIn(dir).length === 1)
  // And one after the other is mended.
  networks.define('half', conf(dir, 'half', '10.7.0.0/24'))
  await networks.told(pod, GOOD, 'attached default/half b0', ...states.slice(1))
  t.is(networks.interfaces(pod)[0], 'b0 10.7.0.2/24')
  networks.annotate(pod, {[NPWG]: null})
  await networks.has(pod)
  await runtime.succeeds('DEL', pod, networks.asked(pod))
  await runtime.clean()
})

test('definitions that need something filled in', async t => {
  const {networks, dir} = await startGood(t)
  const {type, ...typeless} = conf(dir, 'typeless', '10.1.0.0/24') as {type: string}
  networks.defineNetwork('typeless', 'bridge', {...typeless, bridge: 'ng-typeless'})
  networks.defineNetwork('typed', 'no-such', conf(dir, 'typed', '10.2.0.0/24'))
  networks.define('filed', '')
  networks.define('old', {...conf(dir, 'old', '10.4.0.0/24'), cniVersion: '0.3.1'})
  networks.define('offered', {
    cniVersions: ['0.4.0', '1.1.0', '7.0.0'],
    plugins: [conf(dir, 'offered', '10.5.0.0/24'), {type: 'tuning'}],
  })
  networks.define('unsaid', {...conf(dir, 'unsaid', '10.6.0.0/24'), cniVersion: undefined})
  networks.define('blank', {...conf(dir, 'blank', '10.7.0.0/24'), cniVersion: ''})
  const elements = 'typed,typeless,filed,old,offered,unsaid,blank'
  const pod = await networks.declare({[NPWG]: elements})
  const early = await networks.runtime.fails('ADD', pod, networks.asked(pod))
  t.is(early.code, 11)
  writeFileSync(join(dir, 'net.d', '10-broken.conf'), '{')
  writeFileSync(join(dir, 'net.d', '20-other.txt'), JSON.stringify({name: 'filed'}))
  writeFileSync(
    join(dir, 'net.d', '30-any.conflist'),
    JSON.stringify({cniVersion: '1.0.0', name: 'filed', plugins: [conf(dir, 'filed', '10.3.0.0/24')]}),
  )
  const started = await networks.wire(pod)
  await networks.has(started, ...[2, 1, 3, 4, 5, 6, 7].map((net, i) => `net${i + 1} 10.${net}.0.2/24`))
  t.is(type, 'bridge')
  await networks.runtime.succeeds('DEL', started, networks.asked(started))
  await networks.runtime.clean()
})

const json = (...elements: unknown[]) => JSON.stringify(elements)
const KALOOM = 'networks'
const AND = 'good@g'
const good = {name: 'good', interface: 'g'}

/** With "good" as g where that can be read: what pods have, and what is said of it. */
const ANNOTATIONS: readonly (readonly [why: string, annotations: Record<string, string>, says: RegExp])[] = [
  ['half JSON', {[NPWG]: '[{"name":"good"'}, /networks is not JSON/],
  ['no list', {[NPWG]: '{"name":"good"}'}, /networks is an object; write a list/],
  ['half JSON of the other', {[NPWG]: AND, [KALOOM]: '[{"name":"go'}, /networks is not JSON/],
  ['words', {[NPWG]: AND, [KALOOM]: 'good'}, /networks is not JSON/],
  ['unknown', {[NPWG]: `${AND},none`}, /there is no network definition "default\/none"/],
  ['no name', {[NPWG]: json(good, {interface: 'x'})}, /networks\[1\]\.name is missing/],
  ['bad MAC', {[NPWG]: json(good, {name: 'other', mac: '01:00:00:00:00:00'})}, /networks\[1\]\.mac .*group address/],
  ['bad ifMac', {[NPWG]: AND, [KALOOM]: json({name: 'other', ifMac: 'x'})}, /networks\[0\]\.ifMac is "x"/],
  ['bad IP', {[NPWG]: json(good, {name: 'other', ips: ['10.0.0.256']})}, /networks\[1\]\.ips\[0\] is "10\.0\.0\.256"/],
  ['one name twice', {[NPWG]: `${AND},other@x,other@x`}, /networks\[2\]\.interface is "x", which is the interface of/],
  ['the name of it', {[NPWG]: `${AND},other@g`}, /networks\[1\]\.interface is "g", which is the interface of/],
  ['the first', {[NPWG]: `${AND},other@eth0`}, /networks\[1\]\.interface is "eth0"/],
  ['too long', {[NPWG]: `${AND},other@sixteen-letters-`}, /longer than 15 bytes/],
  ["the kernel's own", {[NPWG]: `${AND},other@all`}, /networks\[1\]\.interface .*"all"/],
  [
    'colliding',
    {[NPWG]: AND, [KALOOM]: json({name: 'other'}, {name: 'other', namespace: 'else'})},
    /networks\[1\]\.name .* and both would be the interface/,
  ],
  ['not theirs', {[NPWG]: `${AND},kube-system/secret`}, /may not use "kube-system\/secret"/],
]

test('annotations that cannot be served at the start: one clear error', async t => {
  const {networks} = await startGood(t)
  networks.define('other', conf(folder(t), 'other', '10.8.0.0/24'))
  const [one, two] = ['good', 'other'].map(name => json({name, isPrimary: true})) as [string, string]
  const more = [
    ...ANNOTATIONS,
    ['two primaries', {[NPWG]: one, [KALOOM]: two}, /isPrimary is true, and so is that of/] as const,
    ['many', {[NPWG]: `${AND}${',good'.repeat(10_000)}`}, /names 10001 networks; at most 1024/] as const,
    ['deep', {[NPWG]: `${'['.repeat(50_000)}${']'.repeat(50_000)}`}, /more than 64 deep/] as const,
  ]
  for (const [why, annotations, says] of more) {
    const pod = await networks.declare(annotations)
    const {msg} = await networks.runtime.fails('ADD', pod, networks.asked(pod))
    t.regex(msg, says, why)
    t.true(msg.length < 600 && !msg.includes('\n'), msg)
    t.deepEqual(networks.interfaces(pod), [], why)
    networks.node.api.delete({resource: 'pods', namespace: 'default', name: pod.name})
  }
  await networks.runtime.clean()
})

test('annotations that cannot be served, of a pod that runs: what is valid is served, the rest is told once', async t => {
  const {networks} = await startGood(t)
  const {node, runtime} = networks
  networks.define('other', conf(folder(t), 'other', '10.8.0.0/24'))
  const status = 'k8s.v1.cni.cncf.io/network-status'
  const serve = async ([why, annotations, says]: (typeof ANNOTATIONS)[number]) => {
    const pod = await networks.start({[NPWG]: AND})
    const {address, ifindex} = linkOf(pod, 'g')!
    await networks.told(pod, GOOD)
    networks.annotate(pod, annotations)
    await node.until(
      () => networks.states(pod).some(state => state.startsWith('failed') && says.test(state)),
      () => `${why}: ${networks.states(pod).join('; ')}`,
    )
    await node.until(() => warnings(networks, pod).length > 0)
    t.like(linkOf(pod, 'g'), {address, ifindex}, why)
    t.is(networks.states(pod).filter(state => state.startsWith(GOOD)).length, 1, why)
    const told = warnings(networks, pod)
    // Something else of the pod is changed: the pass has everything before it again.
    networks.annotate(pod, {[status]: 'nonsense'})
    await node.until(() => networks.object(pod)!.metadata.annotations![status] !== 'nonsense')
    t.deepEqual(warnings(networks, pod), told, why)
    networks.annotate(pod, {[NPWG]: AND, [KALOOM]: null})
    await networks.told(pod, GOOD)
    t.like(linkOf(pod, 'g'), {address, ifindex}, why)
    await runtime.succeeds('DEL', pod, networks.asked(pod))
  }
  await Promise.all(ANNOTATIONS.map(serve))
  await runtime.clean()
})

test('as many as an annotation has room for', async t => {
  const {networks} = await startGood(t)
  const {node, runtime} = networks
  const pod = await networks.start({[NPWG]: AND})
  const {ifindex} = linkOf(pod, 'g')!
  const names = Array.from({length: 1023}, (_, i) => `${'none-'.repeat(44)}${i}`)
  networks.annotate(pod, {[NPWG]: [AND, ...names].join()})
  await node.until(() => /^pending \d+ more are not listed/.test(networks.states(pod).at(-1) ?? ''))
  t.is(networks.states(pod)[0], GOOD)
  t.true(networks.object(pod)!.metadata.annotations!['netgraft.dev/attachments-status']!.length <= 66_000)
  // Each of the watches has said that there is none of these: nobody needs to be asked again.
  const asked = () => node.api.requests.filter(({method, path}) => method === 'GET' && path.includes('/none-')).length
  t.is(asked(), 0)
  networks.annotate(pod, {[NPWG]: `[${JSON.stringify(good)},${' '.repeat(200_000)}{"name":"good","interface":"h"}]`})
  await networks.told(pod, GOOD, 'attached default/good h')
  t.is(linkOf(pod, 'g')!.ifindex, ifindex)
  networks.annotate(pod, {[NPWG]: [AND, ...names].join('').repeat(2)})
  await node.until(() => networks.states(pod).some(state => state.startsWith('failed')))
  t.is(linkOf(pod, 'g')!.ifindex, ifindex)
  await runtime.succeeds('DEL', pod, networks.asked(pod))
  await runtime.clean()
})
