/** Somebody has been at what pods hang on: it is put right, or told. Needs root. */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test from 'ava'
import {UPSTREAM} from '../cni/exec-support.ts'
import {addressesOf, type Pod, type Result, Runtime, reaches} from './support/cni.ts'
import {built, startNode, type TestNode} from './support/node.ts'

test.before(built)

const kernel = {resyncSeconds: 10}
const PTP = {networks: [{backend: 'direct'}], kernel}
const BRIDGE = {networks: [{backend: 'direct', pods: {mode: 'bridge'}}], kernel}

/** Commands of `ip` and `bridge`; $ is the host's end, % the pod's first address, _ an empty word. */
const DAMAGES: readonly {name: string; config: object; commands: readonly string[]}[] = [
  {
    name: 'ptp',
    config: PTP,
    commands: [
      'ip link set $ down',
      'ip addr flush dev $',
      'ip addr del 10.64.1.1/32 dev $',
      'ip route del %',
      'ip link set $ alias _',
      'ip link set $ group default',
    ],
  },
  {
    name: 'bridge',
    config: BRIDGE,
    commands: [
      'ip link set $ nomaster',
      'ip link set $ down',
      'bridge link set dev $ hairpin off',
      'ip link set ng-br0 down',
      'ip addr flush dev ng-br0',
      'ip addr del 10.64.1.1/24 dev ng-br0',
      'ip link del ng-br0',
      'ip link set $ group default',
    ],
  },
]

function damage({namespace}: TestNode, text: string, end: string, address: string): void {
  const given: Readonly<Record<string, string>> = {$: end, '%': address, _: ''}
  const [program, ...words] = text.split(' ').map(word => given[word] ?? word)
  if (program === 'ip') namespace.ip(...(words as string[]))
  else namespace.bridge(...(words as string[]))
}

const macsOf = ({namespace}: Pod): string[] =>
  namespace.json('link', 'show').map(({ifname, address}) => `${ifname} ${address}`)

const marksOf = (node: TestNode, end: string) => {
  const [{ifalias, group}] = node.namespace.json('link', 'show', 'dev', end)
  return {ifalias, group}
}

for (const {name, config, commands} of DAMAGES)
  test(`${name}: what is damaged on the host is put right`, async t => {
    const node = await startNode(t, {config})
    const runtime = new Runtime(t, node)
    await runtime.serving()
    const [a, b] = (await runtime.pods(2)) as [Pod, Pod]
    const [first, second] = (await Promise.all([a, b].map(pod => runtime.add(pod)))) as [Result, Result]
    const end = runtime.hostEnd(first)
    const marks = marksOf(node, end)
    t.deepEqual(marks, {ifalias: `netgraft:cni:${a.id}:eth0`, group: '28263'})
    for (const command of commands) {
      const began = performance.now()
      damage(node, command, end, addressesOf(first)[0]!)
      await node.until(
        async () =>
          (await runtime.call('CHECK', a)).status === 0 && JSON.stringify(marksOf(node, end)) === JSON.stringify(marks),
        () => `${command} is put right`,
        50,
      )
      t.log(`${command}: ${Math.round(performance.now() - began)} ms`)
      for (const address of addressesOf(second)) t.true(await reaches(a.namespace, address), `${command}: ${address}`)
      await runtime.succeeds('CHECK', b)
    }
    t.true((await node.agent.metric('netgraft_attachment_repairs_total'))! >= commands.length)
    t.false(runtime.troubles().some(line => line.includes('cannot be put right')))
    for (const pod of [a, b]) await runtime.succeeds('DEL', pod)
    await runtime.clean()
  })

test('what cannot be put right is told once; the pod can be taken down', async t => {
  const node = await startNode(t, {config: PTP})
  const runtime = new Runtime(t, node)
  await runtime.serving()
  const [a, b, c] = (await runtime.pods(3)) as [Pod, Pod, Pod]
  const [first, second] = (await Promise.all([a, b].map(pod => runtime.add(pod)))) as [Result, Result]
  await runtime.add(c)
  const macs = macsOf(a)
  // The pod's end stands, and leads to one that nobody knows.
  await node.ip(`link set ${runtime.hostEnd(first)} down`)
  await node.ip(`link set ${runtime.hostEnd(first)} name stolen0`)
  await node.says('error', 'cannot be put right', a.id, 'with its MAC')
  // Given to somebody else: it is theirs.
  await node.ip(`link set ${runtime.hostEnd(second)} alias theirs`)
  await node.says('error', 'cannot be put right', b.id, 'theirs')
  // Taken down without a word: found when it is looked for the next time.
  c.namespace.remove()
  await node.says('info', 'an attachment whose namespace has gone is removed', c.id)
  const told = runtime.troubles().filter(line => line.includes('cannot be put right'))
  t.is(told.length, 2, told.join('\n'))
  await node.ip('link del stolen0')
  await node.says('info', 'an attachment is right again', a.id)
  t.deepEqual(macsOf(a), macs)
  await node.ip(`link set ${runtime.hostEnd(second)} alias netgraft:cni:${b.id}:eth0`)
  await node.says('info', 'an attachment is right again', b.id)
  for (const pod of [a, b]) await runtime.succeeds('DEL', pod)
  await runtime.clean()
})

const LAN = {type: 'host-local', ranges: [[{subnet: '10.9.0.0/24'}]]}

/** Networks that pods have on net1 beside their eth0, by their title. $: a folder of the test. */
const FURTHER: Readonly<Record<string, (dataDir: string) => object>> = {
  bridge: dataDir => ({type: 'bridge', bridge: 'br7', isGateway: true, ipam: {...LAN, dataDir}}),
  macvlan: dataDir => ({type: 'macvlan', master: 'm0', ipam: {...LAN, dataDir}}),
  'macvlan by its program': dataDir => ({type: 'macvlan', master: 'm0', foreign: true, ipam: {...LAN, dataDir}}),
  'macvlan by its program, static': () => ({
    type: 'macvlan',
    master: 'm0',
    foreign: true,
    capabilities: {mac: true},
    ipam: {type: 'static', addresses: [{address: '10.9.0.7/24'}], routes: [{dst: '10.30.0.0/16', gw: '10.9.0.1'}]},
  }),
  'bridge by its program, with tuning behind it': dataDir => ({
    cniVersion: '1.0.0',
    plugins: [
      {type: 'bridge', bridge: 'br8', foreign: true, ipam: {...LAN, dataDir}},
      {type: 'tuning', sysctl: {'net.ipv4.conf.net1.arp_filter': '1'}},
    ],
  }),
  'macvlan with tuning behind it': dataDir => ({
    cniVersion: '1.0.0',
    plugins: [
      {type: 'macvlan', master: 'm0', ipam: {...LAN, dataDir}},
      {type: 'tuning', sysctl: {'net.ipv4.conf.net1.arp_filter': '1'}},
    ],
  }),
}

const stateIn = (pod: Pod): string[] =>
  [
    ...macsOf(pod),
    ...pod.namespace
      .json('addr', 'show')
      .flatMap(({ifname, addr_info}) =>
        addr_info
          .filter(({scope}: {scope: string}) => scope === 'global')
          .map(({local, prefixlen}: {local: string; prefixlen: number}) => `${ifname} ${local}/${prefixlen}`),
      ),
    ...pod.namespace.ip('route', 'show').split('\n'),
    pod.namespace.exec('sh', '-c', 'cat /proc/sys/net/ipv4/conf/net1/arp_filter || true'),
  ]
    .map(line => line.trim())
    .sort()

test('interfaces that go from a living pod are made anew', async t => {
  const node = await startNode(t, {config: {...PTP, kernel: {resyncSeconds: 3600}}})
  const runtime = new Runtime(t, node)
  await runtime.serving()
  const parent = async () => {
    await node.ip('link add m0 address 02:00:00:00:07:07 type veth peer name m1')
    await node.ip('link set m0 up')
    await node.ip('link set m1 up')
  }
  await parent()
  const pods = await runtime.pods(Object.keys(FURTHER).length)
  const asked = await Promise.all(
    Object.values(FURTHER).map(async config => {
      const dataDir = await mkdtemp(join(tmpdir(), 'ng-heal-'))
      t.teardown(() => rm(dataDir, {recursive: true, force: true, maxRetries: 5}))
      return {env: {CNI_IFNAME: 'net1', CNI_PATH: UPSTREAM}, config: {name: 'lan', delegates: [config(dataDir)]}}
    }),
  )
  const scenes = pods.map((pod, i) => ({pod, asked: asked[i]!, title: Object.keys(FURTHER)[i]!}))
  for (const {pod, asked} of scenes) {
    await runtime.add(pod)
    await runtime.add(pod, asked)
  }
  const repairs = async () => (await node.agent.metric('netgraft_attachment_repairs_total')) ?? 0
  for (const {pod, asked, title} of scenes)
    for (const ifname of ['eth0', 'net1']) {
      const before = stateIn(pod)
      const count = await repairs()
      const began = performance.now()
      pod.namespace.ip('link', 'del', ifname)
      await node.until(
        async () => (await repairs()) > count && JSON.stringify(stateIn(pod)) === JSON.stringify(before),
        () => `${title}: ${ifname} is made anew\n${before.join('\n')}\nnot\n${stateIn(pod).join('\n')}`,
        50,
      )
      t.log(`${title}, ${ifname}: ${Math.round(performance.now() - began)} ms`)
      await runtime.succeeds('CHECK', pod)
      await runtime.succeeds('CHECK', pod, asked)
    }

  // With the parent all of its macvlans go, and with the parent they come back.
  const before = scenes.map(({pod}) => stateIn(pod))
  await node.ip('link del m0')
  await node.says('error', 'cannot be put right', pods[1]!.id, 'no interface \\"m0\\"')
  await parent()
  await node.until(
    async () => JSON.stringify(scenes.map(({pod}) => stateIn(pod))) === JSON.stringify(before),
    () => `all are back\n${before.flat().join('\n')}\nnot\n${scenes.flatMap(({pod}) => stateIn(pod)).join('\n')}`,
    50,
  )
  for (const {pod, asked} of scenes) {
    await runtime.succeeds('CHECK', pod, asked)
    await runtime.succeeds('DEL', pod, asked)
    await runtime.succeeds('DEL', pod)
  }
  await runtime.clean()
})

test('what goes while no agent runs is made anew by the next one', async t => {
  const node = await startNode(t, {config: BRIDGE})
  const runtime = new Runtime(t, node)
  await runtime.serving()
  const [a, b] = (await runtime.pods(2)) as [Pod, Pod]
  const [, second] = (await Promise.all([a, b].map(pod => runtime.add(pod)))) as [Result, Result]
  const before = stateIn(a)
  await node.agent.kill()
  a.namespace.ip('link', 'del', 'eth0')
  await node.agent.start()
  await node.says('warn', 'an attachment was put right', a.id, 'made eth0 anew')
  t.deepEqual(stateIn(a), before)
  t.true(await reaches(a.namespace, addressesOf(second)[0]!))
  for (const pod of [a, b]) await runtime.succeeds('DEL', pod)
  await runtime.clean()
})
