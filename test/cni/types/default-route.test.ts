/** A further interface takes the pod's default route, and gives it back; the ways into the cluster stay. Needs root. */
import test, {type ExecutionContext} from 'ava'
import {type DefaultRoute, restoreDefaultRoute, setDefaultRoute} from '../../../src/cni/types/default-route.ts'
import {parseResult} from '../../../src/cni/versions.ts'
import {parseCidr, parseIp} from '../../../src/model/ip.ts'
import type {NamespaceKernel} from '../../../src/model/namespace.ts'
import {namespaceKernel} from '../../../src/netlink/namespace.ts'
import {namespaces} from '../../netlink/namespace.ts'
import {type Call, type OurWorld, ourWorld} from './world.ts'

const FIRST = {
  type: 'host-local',
  ranges: [[{subnet: '10.64.1.0/24'}], [{subnet: 'fd64:1::/64'}]],
  routes: [{dst: '0.0.0.0/0'}, {dst: '::/0'}],
}
const FIRSTS: Readonly<Record<string, Call['config']>> = {
  ptp: {type: 'ptp', ipam: FIRST},
  bridge: {type: 'bridge', bridge: 'br7', isGateway: true, ipam: FIRST},
}
const LAN = {
  type: 'static',
  addresses: [{address: '192.168.7.5/24'}, {address: 'fd07::5/64'}],
}
const KEEP = ['10.64.0.0/16', '10.96.0.0/12', 'fd64::/16', 'fd96::/112'].map(parseCidr)

interface Scene {
  readonly world: OurWorld
  readonly pod: NamespaceKernel
  readonly wish: DefaultRoute
}

async function sceneOf(t: ExecutionContext, config: Call['config']): Promise<Scene> {
  const [host, space] = await namespaces(t, 2)
  const world = await ourWorld(t, host, space)
  host.ip('link', 'add', 'm0', 'up', 'type', 'veth', 'peer', 'name', 'm1')
  const {result, error} = await world.run('add', {config})
  t.is(error, undefined)
  for (const ifname of ['net1', 'net2'])
    t.is((await world.run('add', {config: {type: 'macvlan', master: 'm0', ipam: LAN}, ifname})).error, undefined)
  return {
    world,
    pod: namespaceKernel(await space.kernel()),
    wish: {
      ifname: 'net1',
      gateways: ['192.168.7.1', 'fd07::1'].map(parseIp),
      firstIfname: 'eth0',
      first: parseResult(result, '1.0.0'),
      keep: KEEP,
    },
  }
}

const routes = ({world: {pod}}: Scene): string[] =>
  ['-4', '-6']
    .flatMap(family =>
      pod
        .ip(family, 'route', 'show')
        .split('\n')
        .map(line => line.trim())
        .filter(line => line !== '' && !line.startsWith('fe80')),
    )
    .sort()

const wayTo = ({world: {pod}}: Scene, address: string): string => /dev (\S+)/.exec(pod.ip('route', 'get', address))![1]!

for (const [title, config] of Object.entries(FIRSTS))
  test(`behind a ${title}: taken and given back`, async t => {
    const scene = await sceneOf(t, config)
    const {pod, wish, world} = scene
    const before = routes(scene)
    await setDefaultRoute(pod, wish)
    const after = routes(scene)
    for (const [address, dev] of [
      ['1.1.1.1', 'net1'],
      ['2001:db8::1', 'net1'],
      ['10.64.9.9', 'eth0'],
      ['10.96.0.1', 'eth0'],
      ['fd64:9::9', 'eth0'],
      ['fd96::1', 'eth0'],
    ])
      t.is(wayTo(scene, address!), dev!, address)
    t.is(after.filter(line => line.startsWith('default')).length, 2, after.join('\n'))
    await setDefaultRoute(pod, wish)
    t.deepEqual(routes(scene), after)

    // The first interface was made anew, and has its default route again.
    for (const line of before.filter(each => each.startsWith('default')))
      world.pod.ip(
        ...(line.includes('fd64') ? ['-6'] : []),
        'route',
        'prepend',
        ...line.replace(' pref medium', '').split(' '),
      )
    await setDefaultRoute(pod, wish)
    t.deepEqual(routes(scene), after)

    // The first one has it.
    await t.throwsAsync(setDefaultRoute(pod, {...wish, ifname: 'net2'}), {
      code: 'failed',
      message: /"net2" cannot have the default route of IPv4, which "net1" has: only one attachment/,
    })
    t.deepEqual(routes(scene), after)

    await restoreDefaultRoute(pod, wish)
    t.deepEqual(routes(scene), before)
    await restoreDefaultRoute(pod, wish)
    t.deepEqual(routes(scene), before)

    // Of one family only; and the interface goes before it is given back.
    const single = {...wish, gateways: wish.gateways.slice(0, 1)}
    await setDefaultRoute(pod, single)
    t.is(wayTo(scene, '1.1.1.1'), 'net1')
    t.is(wayTo(scene, '2001:db8::1'), 'eth0')
    world.pod.ip('link', 'del', 'net1')
    await restoreDefaultRoute(pod, single)
    t.deepEqual(
      routes(scene),
      before.filter(line => !line.includes('net1')),
    )
    await setDefaultRoute(pod, {...wish, ifname: 'net2'})
    t.is(wayTo(scene, '1.1.1.1'), 'net2')
    await restoreDefaultRoute(pod, {...wish, ifname: 'net2'})
  })

test('what cannot be is refused before anything is changed', async t => {
  const scene = await sceneOf(t, FIRSTS.ptp!)
  const {pod, wish} = scene
  const before = routes(scene)
  for (const [gateways, message] of [
    [['192.168.8.1'], /cannot go through 192.168.8.1: it is in none of the subnets of "net1"/],
    [['192.168.7.1', 'fd08::1'], /cannot go through fd08::1/],
    [['192.168.7.1', '192.168.7.2'], /several gateways of IPv4/],
  ] as const)
    await t.throwsAsync(setDefaultRoute(pod, {...wish, gateways: gateways.map(parseIp)}), {message})
  await t.throwsAsync(setDefaultRoute(pod, {...wish, ifname: 'net9'}), {message: /no interface "net9"/})
  t.deepEqual(routes(scene), before)
})

test('a step that the kernel refuses leaves the default route where it was', async t => {
  const scene = await sceneOf(t, FIRSTS.ptp!)
  const before = routes(scene)
  for (let nth = 1; ; nth++) {
    let count = 0
    const pod: NamespaceKernel = {
      ...scene.pod,
      change: async steps => {
        const at = count >= nth ? -1 : steps.findIndex(() => ++count === nth)
        if (at < 0) return scene.pod.change(steps)
        const refusal = {code: 'EPERM', message: 'refused'}
        const [some, others] = [await scene.pod.change(steps.slice(0, at)), await scene.pod.change(steps.slice(at + 1))]
        return [...some, {refusal}, ...others]
      },
    }
    const error = await setDefaultRoute(pod, scene.wish).catch(thrown => thrown as Error)
    if (!error) break
    t.regex(error.message, /refused/)
    t.deepEqual(
      routes(scene).filter(line => line.startsWith('default')),
      before.filter(line => line.startsWith('default')),
      `step ${nth}`,
    )
  }
  await restoreDefaultRoute(scene.pod, scene.wish)
  t.deepEqual(routes(scene), before)
})

test('a first interface whose result says nothing of routes', async t => {
  const scene = await sceneOf(t, FIRSTS.ptp!)
  const before = routes(scene)
  const wish = {...scene.wish, first: {...scene.wish.first, routes: []}}
  await setDefaultRoute(scene.pod, wish)
  const after = routes(scene)
  t.is(wayTo(scene, '10.96.0.1'), 'eth0')
  t.is(wayTo(scene, 'fd96::1'), 'eth0')
  await setDefaultRoute(scene.pod, wish)
  t.deepEqual(routes(scene), after)
  await restoreDefaultRoute(scene.pod, wish)
  t.deepEqual(routes(scene), before)
})

test('a first interface without a default route has nothing to keep', async t => {
  const scene = await sceneOf(t, {
    type: 'bridge',
    bridge: 'br7',
    ipam: {...LAN, addresses: [{address: '10.64.1.5/24'}]},
  })
  const before = routes(scene)
  await setDefaultRoute(scene.pod, scene.wish)
  t.is(wayTo(scene, '10.64.1.9'), 'eth0')
  t.is(wayTo(scene, '10.96.0.1'), 'net1')
  await restoreDefaultRoute(scene.pod, scene.wish)
  t.deepEqual(routes(scene), before)
})
