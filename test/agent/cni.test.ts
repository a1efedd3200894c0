/** Pods get their network through shim and agent, and lose it again. The real agent and the real shim; needs root. */
import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {namespaces} from '../netlink/namespace.ts'
import {addressesOf, type Pod, type Result, Runtime, reaches} from './support/cni.ts'
import {built, SELF, startNode} from './support/node.ts'

test.before(built)

const PODS = {
  IPv4: {self: 'a 10.64.1.0/24 via 192.168.0.1 fd00:100::1', outside: ['192.168.0.9']},
  IPv6: {self: 'a fd00:64:1::/64 via 192.168.0.1 fd00:100::1', outside: ['fd00:100::9']},
  'dual-stack': {self: SELF, outside: ['192.168.0.9', 'fd00:100::9']},
}
const MTU = 1420

for (const mode of ['ptp', 'bridge'] as const)
  for (const [families, {self, outside}] of Object.entries(PODS))
    test(`${mode}, ${families}: pods reach each other, the node and what is outside; then nothing is left`, async t => {
      const [beside] = await namespaces(t, 1)
      const node = await startNode(t, {
        nodes: [self],
        config: {networks: [{backend: 'direct', pods: {mode}}]},
        network: [
          `link add eth0 mtu ${MTU} type veth peer name eth0 netns ${beside.name}`,
          'link set eth0 up',
          'addr add 192.168.0.1/16 dev eth0',
          'addr add fd00:100::1/64 dev eth0 nodad',
        ],
      })
      // It knows no way to pods: what reaches it has to come from the node's own address.
      for (const words of [
        'link set eth0 up',
        'addr add 192.168.0.9/16 dev eth0',
        'addr add fd00:100::9/64 dev eth0 nodad',
      ])
        beside.ip(...words.split(' '))
      const runtime = new Runtime(t, node)
      await runtime.serving()
      await node.says('masquerade written')
      const before = [...(await node.allRoutes(4)), ...(await node.allRoutes(6))]
      const [a, b] = (await runtime.pods(2)) as [Pod, Pod]
      const [first, second] = await Promise.all([runtime.add(a), runtime.add(b)])

      const subnets = self.split(' via ')[0]!.split(' ').slice(1)
      for (const {ips} of [first, second])
        for (const [i, subnet] of subnets.entries()) {
          t.true(ips[i]!.address.startsWith(subnet.split('0/')[0]!.replace(/::\/64$/, '::')), ips[i]!.address)
          t.is(ips[i]!.address.split('/')[1], subnet.split('/')[1])
        }
      t.is(new Set([first, second].flatMap(addressesOf)).size, 2 * subnets.length)
      for (const link of [
        a.namespace.json('link', 'show', 'dev', 'eth0')[0],
        node.namespace.json('link', 'show', 'dev', runtime.hostEnd(first))[0],
      ])
        t.is(link.mtu, MTU, link.ifname)
      if (mode === 'bridge')
        t.regex(node.namespace.bridge('-d', 'link', 'show', 'dev', runtime.hostEnd(first)), /hairpin on/)

      for (const address of addressesOf(second)) t.true(await reaches(a.namespace, address), `the other pod ${address}`)
      for (const address of addressesOf(first)) t.true(await reaches(node.namespace, address), `the pod ${address}`)
      for (const address of outside) {
        t.true(await reaches(a.namespace, address.replace(/9$/, '1')), 'the node')
        t.true(await reaches(a.namespace, address), `the outside ${address}`)
        t.false(await reaches(beside, addressesOf(first).find(own => own.includes(':') === address.includes(':'))!))
      }
      for (const pod of [a, b]) await runtime.succeeds('CHECK', pod)
      await Promise.all([a, b].map(pod => runtime.succeeds('DEL', pod)))
      await runtime.clean()
      t.deepEqual(
        a.namespace.json('link', 'show').map(({ifname}) => ifname),
        ['lo'],
      )
      t.deepEqual(
        [...(await node.allRoutes(4)), ...(await node.allRoutes(6))].filter(line => !line.includes('dev ng-br0')),
        before,
      )
      t.deepEqual(runtime.troubles(), [])
    })

test('through tunnels, pods have the MTU that fits into them', async t => {
  for (const [self, mtu] of [
    [PODS.IPv4.self, 1450],
    [SELF, 1430],
  ] as const) {
    const node = await startNode(t, {nodes: [self], config: {networks: [{backend: 'vxlan'}]}})
    const runtime = new Runtime(t, node)
    await runtime.serving()
    const [pod] = (await runtime.pods(1)) as [Pod]
    await runtime.add(pod)
    t.is(pod.namespace.json('link', 'show', 'dev', 'eth0')[0].mtu, mtu)
    await node.agent.stop()
  }
})

test('every version of the specification, and what is asked of no container', async t => {
  const node = await startNode(t, {config: {networks: [{backend: 'direct'}]}})
  const runtime = new Runtime(t, node)
  await runtime.serving()
  const [pod] = (await runtime.pods(1)) as [Pod]
  for (const version of ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
    const result = await runtime.add(pod, {version})
    t.is(result.cniVersion, version)
    const old = version < '1.0.0'
    t.deepEqual(
      result.ips.map(ip => ip.version),
      old ? ['4', '6'] : [undefined, undefined],
    )
    t.deepEqual(
      result.routes.map(({dst}) => dst),
      ['0.0.0.0/0', '::/0'],
    )
    t.deepEqual(
      result.interfaces.map(({sandbox}) => sandbox),
      [undefined, pod.namespace.path],
    )
    t.is(result.interfaces[1]!.mac, pod.namespace.json('link', 'show', 'dev', 'eth0')[0].address)
    if (version >= '0.4.0') await runtime.succeeds('CHECK', pod, {version, config: {prevResult: result}})
    await runtime.succeeds('DEL', pod, {version, config: {prevResult: result}})
  }
  t.is((await runtime.fails('ADD', pod, {version: '0.2.0'})).code, 1)
  t.is((await runtime.fails('ADD', pod, {version: '2.0.0'})).code, 1)
  const {stdout} = await runtime.call('VERSION', undefined, {version: '0.4.0'})
  t.deepEqual(JSON.parse(stdout).supportedVersions, ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'])
  await runtime.succeeds('STATUS', undefined, {version: '1.1.0'})
  await runtime.clean()
})

test('what is not as it should be: twice, unknown, gone, damaged', async t => {
  const node = await startNode(t, {config: {networks: [{backend: 'direct'}]}})
  const runtime = new Runtime(t, node)
  await runtime.serving()
  const [a, b, never] = (await runtime.pods(3)) as [Pod, Pod, Pod]
  const [result] = await Promise.all([runtime.add(a), runtime.add(b)])
  const twice = await runtime.fails('ADD', a)
  t.is(twice.code, 100)
  t.regex(twice.msg, /has eth0 already/)
  await runtime.succeeds('CHECK', a)

  t.is((await runtime.fails('CHECK', never)).code, 3)
  await runtime.succeeds('DEL', never)
  await runtime.succeeds('DEL', never, {env: {CNI_NETNS: undefined}})

  a.namespace.ip('addr', 'flush', 'dev', 'eth0')
  t.regex((await runtime.fails('CHECK', a)).msg, /does not have the address/)
  a.namespace.ip('link', 'del', 'eth0')
  // Or it has been made anew already.
  const gone = await runtime.call('CHECK', a)
  t.true(gone.status === 0 || /no interface/.test(gone.stdout), gone.stdout)
  await runtime.succeeds('DEL', a)
  await runtime.succeeds('DEL', a)
  // What another pod has is not touched, whatever becomes of the first one's.
  t.true(await reaches(b.namespace, '10.64.1.1'))

  b.namespace.remove()
  await runtime.succeeds('DEL', b)
  await runtime.clean()
  const again = await runtime.add(a)
  t.notDeepEqual(addressesOf(again), addressesOf(result))
  await runtime.succeeds('DEL', a)
  await runtime.clean()
})

for (const key of ['cni.dev/valid-attachments', 'cni.dev/attachments'])
  test(`GC by ${key}: what lives or is being made stays`, async t => {
    const node = await startNode(t, {config: {networks: [{backend: 'direct'}]}})
    const runtime = new Runtime(t, node)
    await runtime.serving()
    const [living, stale, gone] = (await runtime.pods(3)) as [Pod, Pod, Pod]
    const [kept] = await Promise.all([living, stale, gone].map(pod => runtime.add(pod)))
    gone.namespace.remove()
    const gc = (...ids: string[]) => ({
      version: '1.1.0',
      config: {[key]: ids.map(containerID => ({containerID, ifname: 'eth0'}))},
    })
    t.is((await runtime.fails('GC', undefined, {version: '1.1.0'})).code, 7)
    t.is((await runtime.fails('GC', undefined, {version: '1.1.0', config: {[key]: [{ifname: 'eth0'}]}})).code, 7)
    // Of another network.
    await runtime.succeeds('GC', undefined, {version: '1.1.0', config: {...gc().config, name: 'other'}})
    await runtime.succeeds('CHECK', stale)

    await runtime.succeeds('GC', undefined, gc(living.id))
    await node.until(async () =>
      (await runtime.traces()).every(
        line =>
          line.includes(living.id) ||
          line.includes(runtime.hostEnd(kept as Result)) ||
          addressesOf(kept as Result).some(own => line.startsWith(own)),
      ),
    )
    await runtime.succeeds('CHECK', living)
    t.is((await runtime.fails('CHECK', stale)).code, 3)
    t.deepEqual(
      stale.namespace.json('link', 'show').map(({ifname}) => ifname),
      ['lo'],
    )
    t.true(await reaches(living.namespace, '10.64.1.1'))
    await runtime.succeeds('GC', undefined, gc())
    await runtime.clean()
  })

test('without a pod range an ADD waits, and goes on when there is one; a range that changes is that of new pods', async t => {
  const node = await startNode(t, {nodes: ['a via 192.168.0.1'], config: {networks: [{backend: 'direct'}]}})
  const runtime = new Runtime(t, node)
  await node.says('serving CNI requests')
  const [a, b] = (await runtime.pods(2)) as [Pod, Pod]
  t.is((await runtime.fails('STATUS', undefined, {version: '1.1.0'})).code, 50)
  const waiting = runtime.add(a)
  await runtime.succeeds('DEL', b)
  node.put('a 10.64.1.0/24 via 192.168.0.1')
  const first = await waiting
  t.deepEqual(addressesOf(first), ['10.64.1.2'])
  await runtime.succeeds('STATUS', undefined, {version: '1.1.0'})

  node.put('a 10.64.7.0/24 via 192.168.0.1')
  await node.until(async () => (await node.ip('route show proto 107')).includes('10.64.7.0/24'))
  t.deepEqual(addressesOf(await runtime.add(b)), ['10.64.7.2'])
  t.true(await reaches(a.namespace, '10.64.7.2'))
  t.true(await reaches(b.namespace, '10.64.1.2'))
  await runtime.succeeds('CHECK', a)
  await Promise.all([a, b].map(pod => runtime.succeeds('DEL', pod)))
  await runtime.clean()
})

test('a pod range that stays unknown: error 11, and nothing is left', async t => {
  const node = await startNode(t, {nodes: ['a via 192.168.0.1'], config: {networks: [{backend: 'direct'}]}})
  const runtime = new Runtime(t, node)
  await node.says('serving CNI requests')
  const [pod] = (await runtime.pods(1)) as [Pod]
  const {code, msg} = await runtime.fails('ADD', pod)
  t.is(code, 11)
  t.regex(msg, /no pod range yet.*spec\.podCIDRs/)
  await runtime.clean()
})

test('the runtime may want to read of a request in a file of its own', async t => {
  const node = await startNode(t, {config: {networks: [{backend: 'direct'}]}})
  const runtime = new Runtime(t, node)
  await runtime.serving()
  const [pod] = (await runtime.pods(1)) as [Pod]
  const file = join(node.agent.state, 'cni.log')
  const env = {_CNI_LOGGING_FILE: file, _CNI_LOGGING_LEVEL: '3', _CNI_LOGGING_PREFIX: 'pod: '}
  await runtime.add(pod, {env})
  await runtime.fails('ADD', pod, {env})
  await node.until(() => existsSync(file) && readFileSync(file, 'utf8').split('\n').length === 3)
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  t.regex(lines[0]!, new RegExp(`^pod: {"time":.*"command":"ADD","container":"${pod.id}"`))
  t.regex(lines[1]!, /"code":100,"reason":".*DEL comes first"/)
  await runtime.succeeds('DEL', pod)
  await runtime.clean()
})
