/** An interface that has gone from its pod is made anew: with the name, MAC, addresses and routes that it had. Needs root. */
import {readdirSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import {hostName} from '../../../src/cni/types/marks.ts'
import {namespaces} from '../../netlink/namespace.ts'
import {refuser} from './refuser.ts'
import {stateOf} from './state.ts'
import {type Call, leasesOf, type OurWorld, ourWorld} from './world.ts'

const LOCAL = {
  type: 'host-local',
  ranges: [[{subnet: '10.9.0.0/24'}], [{subnet: 'fd09::/64'}]],
  routes: [{dst: '10.20.0.0/16', gw: '10.9.0.1'}, {dst: '0.0.0.0/0'}],
}
const STATIC = {
  type: 'static',
  addresses: [{address: '10.9.0.7/24', gateway: '10.9.0.1'}, {address: 'fd09::7/64'}],
  routes: [{dst: '10.30.0.0/16', gw: '10.9.0.1'}],
}
const BRIDGE = {
  type: 'bridge',
  bridge: 'br7',
  isDefaultGateway: true,
  hairpinMode: true,
  ipMasq: true,
  ipam: {...LOCAL, routes: LOCAL.routes.slice(0, 1)},
}
const MACVLAN = {type: 'macvlan', master: 'm0', ipam: LOCAL}
const CONFIGS: Readonly<Record<string, Call['config']>> = {
  bridge: BRIDGE,
  'bridge, layer 2': {type: 'bridge', bridge: 'br7', mtu: 1400},
  'bridge, static': {type: 'bridge', bridge: 'br7', ipam: STATIC},
  ptp: {type: 'ptp', ipMasq: true, mtu: 1420, ipam: LOCAL},
  macvlan: MACVLAN,
  'macvlan, layer 2': {type: 'macvlan', master: 'm0', mtu: 1400},
  'macvlan, passthru': {type: 'macvlan', master: 'm0', mode: 'passthru', ipam: STATIC},
}
const NAME = hostName({containerId: 'c1', ifname: 'eth0'})

type World = OurWorld & {readonly makeParent: () => void}

async function worldOf(t: ExecutionContext, options: Parameters<typeof ourWorld>[3] = {}): Promise<World> {
  const [host, pod] = await namespaces(t, 2)
  const makeParent = () => host.ip('link', 'add', 'm0', 'up', 'type', 'veth', 'peer', 'name', 'm1')
  makeParent()
  return {...(await ourWorld(t, host, pod, options)), makeParent}
}

const added = async (t: ExecutionContext, world: OurWorld, call: Call): Promise<Call> => {
  const {result, error} = await world.run('add', call)
  t.is(error, undefined)
  return {...call, prevResult: result}
}

/** MACs and alias, too, which `stateOf` leaves out. */
const identityOf = ({pod, host}: OurWorld) =>
  [pod, host].map(at =>
    at
      .json('link', 'show')
      .map(({ifname, address, ifalias}) => `${ifname} ${address} ${ifalias}`)
      .sort(),
  )

for (const [title, config] of Object.entries(CONFIGS))
  test(`${title}: is as it was`, async t => {
    const world = await worldOf(t)
    const call = await added(t, world, {config})
    const [before, identity, leases, masked] = [stateOf(world), identityOf(world), leasesOf(world), [...world.masked]]
    const damages: (() => void)[] = [() => world.pod.ip('link', 'del', 'eth0')]
    if (config.type === 'macvlan')
      damages.push(() => {
        world.host.ip('link', 'del', 'm0')
        world.makeParent()
      })
    else damages.push(() => world.host.ip('link', 'del', NAME))
    if (config.type === 'bridge')
      damages.push(() => {
        world.host.ip('link', 'del', 'br7')
        world.pod.ip('link', 'del', 'eth0')
      })
    for (const [i, damage] of damages.entries()) {
      damage()
      t.regex(`${await world.repair(call)}`, /has gone/)
      const {result, error} = await world.rebuild(call)
      t.is(error, undefined)
      // A parent that was made anew has another MAC, which in mode passthru is the pod's.
      const other = i > 0 && title.endsWith('passthru')
      if (!other) t.deepEqual(result, call.prevResult)
      if (i === 0) t.deepEqual(identityOf(world), identity)
      t.deepEqual(await settledAs(world, before.toSorted()), before.toSorted())
      t.deepEqual(await world.run('check', {...call, prevResult: result}), {})
      t.deepEqual(await world.repair({...call, prevResult: result}), [])
      t.deepEqual(leasesOf(world), leases)
      t.deepEqual([...world.masked], masked)
    }
    t.deepEqual(await world.run('del', call), {})
  })

for (const [title, config] of Object.entries({bridge: BRIDGE, ptp: CONFIGS.ptp!, macvlan: MACVLAN}))
  test(`${title}: a step that is refused leaves the lease and nothing else, and the next try has it all`, async t => {
    const {wrap, begin, counted} = refuser(({op}) => op !== 'read' && op !== 'delete')
    const world = await worldOf(t, {wrap})
    const call = await added(t, world, {config})
    const [before, leases] = [stateOf(world).sort(), leasesOf(world)]
    for (let nth = 1; ; nth++) {
      world.pod.ip('link', 'del', 'eth0')
      begin(nth)
      const {result, error} = await world.rebuild(call)
      if (counted() < nth) {
        t.true(nth > 5)
        t.deepEqual(result, call.prevResult)
        break
      }
      // What is only guessed of a bridge is looked at when it is refused.
      if (error === undefined && config === BRIDGE) {
        t.deepEqual(result, call.prevResult)
        continue
      }
      t.regex(`${error}`, /is refused/, `step ${nth}`)
      t.deepEqual(
        world.pod.json('link', 'show').map(({ifname}) => ifname),
        ['lo'],
        `step ${nth}`,
      )
      t.false(world.host.json('link', 'show').some(({ifname}) => ifname === NAME))
      t.deepEqual(leasesOf(world), leases)
      begin(0)
      t.deepEqual((await world.rebuild(call)).result, call.prevResult, `after step ${nth}`)
    }
    t.deepEqual(await settledAs(world, before), before)
  })

test('what was cut short is found, and made whole', async t => {
  const world = await worldOf(t)
  for (const config of [BRIDGE, CONFIGS.ptp!]) {
    const call = await added(t, world, {config})
    const before = stateOf(world).sort()
    world.pod.ip('link', 'del', 'eth0')
    world.host.ip(
      'link',
      'add',
      NAME,
      'group',
      '28263',
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      world.pod.name,
    )
    t.regex(`${await world.repair(call)}`, /leads to no interface of the pod that is up/)
    t.deepEqual((await world.rebuild(call)).result, call.prevResult)
    t.deepEqual(await settledAs(world, before), before)
    // Up inside, and only the mark is missing: it was whole.
    world.host.ip('link', 'set', NAME, 'alias', '')
    t.deepEqual(await world.repair(call), [`set the alias of ${NAME}`])
    t.deepEqual(await world.run('del', call), {})
  }
})

test('what stands, what the pod has renamed, and what is of somebody else is left alone', async t => {
  const world = await worldOf(t)
  const call = await added(t, world, {config: CONFIGS.ptp!})
  t.regex(`${(await world.rebuild(call)).error}`, /"eth0" of the pod stands/)
  world.pod.ip('link', 'del', 'eth0')
  world.host.ip('link', 'add', NAME, 'type', 'bridge')
  t.regex(`${await world.repair(call)}`, /is no veth/)
  t.regex(`${(await world.rebuild(call)).error}`, /not ours/)
  world.host.ip('link', 'del', NAME)

  const lan = await added(t, world, {config: {...MACVLAN, ipam: STATIC}, ifname: 'net1'})
  world.pod.ip('link', 'set', 'net1', 'down')
  world.pod.ip('link', 'set', 'net1', 'name', 'mine')
  t.deepEqual(await world.repair(lan), [])
  t.regex(`${(await world.rebuild(lan)).error}`, /the pod has "mine" with its MAC/)
})

test('a macvlan waits for its parent', async t => {
  const world = await worldOf(t)
  const call = await added(t, world, {config: MACVLAN})
  world.host.ip('link', 'del', 'm0')
  t.regex(`${(await world.rebuild(call)).error}`, /no interface "m0", the master/)
  world.makeParent()
  t.deepEqual((await world.rebuild(call)).result, call.prevResult)
})

test('a lease that was lost is taken again, unless it is another pod’s by now', async t => {
  const world = await worldOf(t)
  const call = await added(t, world, {config: BRIDGE})
  const folder = join(world.dataDir, 'net')
  const files = readdirSync(folder).filter(name => /^(10\.|fd09)/.test(name))
  t.is(files.length, 2)
  const forget = () => {
    for (const name of files) rmSync(join(folder, name))
    world.pod.ip('link', 'del', 'eth0')
  }
  const leases = leasesOf(world)
  forget()
  t.deepEqual((await world.rebuild(call)).result, call.prevResult)
  t.deepEqual(leasesOf(world), leases)
  forget()
  writeFileSync(join(folder, files[0]!), 'c2\r\neth0')
  t.regex(`${(await world.rebuild(call)).error}`, /IPAM has lost the addresses of "eth0" .* does not give them again/)
  t.deepEqual(
    leasesOf(world).filter(line => line.includes('c1')),
    [],
  )
})

/**
 * The kernel looks after 100 links' carriers a second at most (MAX_DO_DEV_PER_LOOP), of all namespaces together: waits for
 * that, but not for ever.
 */
async function settledAs(world: OurWorld, wanted: readonly string[]): Promise<string[]> {
  for (let n = 0; n < 500 && stateOf(world).sort().join() !== wanted.join(); n++) await sleep(100)
  return stateOf(world).sort()
}
