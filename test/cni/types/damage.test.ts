/** What CHECK says after damage, beside upstream's, and what `repair` makes of it. */
import test from 'ava'
import {type Call, type OurWorld, twins, type World} from './world.ts'

const LOCAL = {
  type: 'host-local',
  ranges: [[{subnet: '10.9.0.0/24'}], [{subnet: 'fd09::/64'}]],
  routes: [{dst: '10.20.0.0/16', gw: '10.9.0.1'}],
}
const BRIDGE = {type: 'bridge', bridge: 'br7', isDefaultGateway: true, hairpinMode: true, ipam: LOCAL}
const PTP = {type: 'ptp', ipam: LOCAL}
const MACVLAN = {type: 'macvlan', master: 'm0', ipam: LOCAL}

interface Case {
  readonly config: Call['config']
  /** Done in both worlds. `veth`: the host's end. */
  readonly damage: (world: World, veth: string) => void
  /** Upstream's CHECK does not look at it. */
  readonly unseenByUpstream?: true
  /** How many things `repair` puts right; or what it says of what it cannot. */
  readonly repaired?: number | RegExp
}

const CASES: Readonly<Record<string, Case>> = {
  'bridge: nothing': {config: BRIDGE, damage: () => {}, repaired: 0},
  'bridge: port taken out': {
    config: BRIDGE,
    damage: ({host}, veth) => host.ip('link', 'set', veth, 'nomaster'),
    repaired: 2,
  },
  'bridge: deleted': {config: BRIDGE, damage: ({host}) => host.ip('link', 'del', 'br7'), repaired: 5},
  'bridge: renamed': {
    config: BRIDGE,
    damage: ({host}) => {
      host.ip('link', 'set', 'br7', 'down')
      host.ip('link', 'set', 'br7', 'name', 'br8')
    },
    repaired: 5,
  },
  'bridge: down': {
    config: BRIDGE,
    damage: ({host}) => host.ip('link', 'set', 'br7', 'down'),
    unseenByUpstream: true,
    // With it went its address of IPv6.
    repaired: 2,
  },
  'bridge: address flushed': {
    config: BRIDGE,
    damage: ({host}) => host.ip('addr', 'flush', 'dev', 'br7', 'scope', 'global'),
    unseenByUpstream: true,
    repaired: 2,
  },
  'bridge: hairpin off': {
    config: BRIDGE,
    damage: ({host}, veth) => host.bridge('link', 'set', 'dev', veth, 'hairpin', 'off'),
    unseenByUpstream: true,
    repaired: 1,
  },
  'bridge: port down': {
    config: BRIDGE,
    damage: ({host}, veth) => host.ip('link', 'set', veth, 'down'),
    unseenByUpstream: true,
    repaired: 1,
  },
  'bridge: promiscuous': {
    config: BRIDGE,
    damage: ({host}) => host.ip('link', 'set', 'br7', 'promisc', 'on'),
    repaired: 0,
  },
  'bridge: veth deleted': {
    config: BRIDGE,
    damage: ({host}, veth) => host.ip('link', 'del', veth),
    repaired: /the host's end .* has gone$/,
  },
  'bridge: address of the pod removed': {
    config: BRIDGE,
    damage: ({pod}) => pod.ip('addr', 'del', '10.9.0.2/24', 'dev', 'eth0'),
  },
  'bridge: route of the pod removed': {config: BRIDGE, damage: ({pod}) => pod.ip('route', 'del', 'default')},
  'bridge: MAC of the pod changed': {
    config: BRIDGE,
    damage: ({pod}) => pod.ip('link', 'set', 'eth0', 'address', '02:00:00:00:00:01'),
  },
  'bridge: interface of the pod renamed': {
    config: BRIDGE,
    damage: ({pod}) => {
      pod.ip('link', 'set', 'eth0', 'down')
      pod.ip('link', 'set', 'eth0', 'name', 'eth9')
    },
  },
  'ptp: nothing': {config: PTP, damage: () => {}, repaired: 0},
  'ptp: host routes removed': {
    config: PTP,
    damage: ({host}) => {
      host.ip('route', 'del', '10.9.0.2')
      host.ip('-6', 'route', 'del', 'fd09::2')
    },
    unseenByUpstream: true,
    repaired: 2,
  },
  'ptp: host end down': {
    config: PTP,
    damage: ({host}, veth) => host.ip('link', 'set', veth, 'down'),
    unseenByUpstream: true,
    // With it went what it had of IPv6.
    repaired: 3,
  },
  'ptp: host end deleted': {config: PTP, damage: ({host}, veth) => host.ip('link', 'del', veth), repaired: /has gone/},
  'macvlan: nothing': {config: MACVLAN, damage: () => {}, repaired: 0},
  'macvlan: mode changed': {
    config: MACVLAN,
    damage: ({pod}) => pod.ip('link', 'set', 'eth0', 'type', 'macvlan', 'mode', 'private'),
  },
  'macvlan: parent deleted': {
    config: MACVLAN,
    damage: ({host}) => host.ip('link', 'del', 'm0'),
    repaired: /"eth0" has gone from the pod/,
  },
}

const UNHARMED = new Set(['bridge: nothing', 'ptp: nothing', 'macvlan: nothing'])

for (const [title, {config, damage, unseenByUpstream, repaired}] of Object.entries(CASES)) {
  test(title, async t => {
    const {theirs, ours} = await twins(t)
    const calls: Call[] = []
    for (const world of [theirs, ours]) {
      if (config.type === 'macvlan') world.host.ip('link', 'add', 'm0', 'up', 'type', 'veth', 'peer', 'name', 'm1')
      const {result, error} = await world.run('add', {config})
      t.is(error, undefined)
      const veth = result.interfaces.find((each: {name: string}) => each.name.startsWith('veth'))?.name
      damage(world, veth)
      calls.push({config, prevResult: result})
    }
    const [their, our] = [await theirs.run('check', calls[0]!), await ours.run('check', calls[1]!)]
    const harmed = !UNHARMED.has(title)
    t.is(their.error !== undefined, harmed && !unseenByUpstream, their.error)
    t.is(our.error !== undefined, harmed, our.error)
    if (repaired !== undefined) await repairs(t, ours, calls[1]!, repaired, title.endsWith('promiscuous'))
    t.deepEqual(await ours.run('del', calls[1]!), {})
    t.false(ours.host.json('link', 'show').some(each => each.ifname.startsWith('veth')))
  })
}

async function repairs(
  t: {
    readonly is: (a: unknown, b: unknown, c?: string) => boolean
    readonly deepEqual: (a: unknown, b: unknown) => boolean
    readonly regex: (a: string, b: RegExp) => boolean
  },
  ours: OurWorld,
  call: Call,
  repaired: number | RegExp,
  stays: boolean,
): Promise<void> {
  const done = await ours.repair(call)
  if (repaired instanceof RegExp) {
    t.regex(`${done}`, repaired)
    return
  }
  t.is(typeof done === 'string' ? done : done.length, repaired, `${done}`)
  t.deepEqual(await ours.repair(call), [])
  // Somebody else may want the bridge promiscuous.
  if (!stays) t.deepEqual(await ours.run('check', call), {})
}

test('marks that were lost are set again, and an alias of somebody else is left alone', async t => {
  const {ours} = await twins(t)
  const {result} = await ours.run('add', {config: PTP})
  const call = {config: PTP, prevResult: result}
  const veth: string = result.interfaces[0].name
  ours.host.ip('link', 'set', veth, 'alias', '', 'group', '0')
  t.is((await ours.repair(call)).length, 2)
  const marked = ours.host.json('link', 'show', 'dev', veth)[0]
  t.is(marked.ifalias, 'netgraft:cni:c1:eth0')
  ours.host.ip('link', 'set', veth, 'alias', 'mine')
  t.regex(`${await ours.repair(call)}`, /left alone/)
  t.is(ours.host.json('link', 'show', 'dev', veth)[0].ifalias, 'mine')
})

test('a bridge that is made again has the MAC that the pods know', async t => {
  const {ours} = await twins(t)
  const {result} = await ours.run('add', {config: BRIDGE})
  ours.host.ip('link', 'del', 'br7')
  t.regex(`${await ours.repair({config: BRIDGE, prevResult: result})}`, /made bridge br7 again/)
  t.is(ours.host.json('link', 'show', 'dev', 'br7')[0].address, result.interfaces[0].mac)
})

test('pods get into the right bridge, whatever has become of the one that was known', async t => {
  const {ours} = await twins(t)
  const changes: Readonly<Record<string, () => void>> = {
    none: () => {},
    deleted: () => ours.host.ip('link', 'del', 'br7'),
    down: () => ours.host.ip('link', 'set', 'br7', 'down'),
    flushed: () => ours.host.ip('addr', 'flush', 'dev', 'br7'),
    renamed: () => {
      ours.host.ip('link', 'set', 'br7', 'down')
      ours.host.ip('link', 'set', 'br7', 'name', 'br8')
    },
  }
  for (const [title, change] of Object.entries(changes)) {
    t.deepEqual((await ours.run('add', {config: BRIDGE})).error, undefined, title)
    change()
    const call = {config: BRIDGE, ifname: 'net1'}
    const {result, error} = await ours.run('add', call)
    t.is(error, undefined, title)
    t.deepEqual(await ours.run('check', {...call, prevResult: result}), {}, title)
    t.is(ours.host.json('link', 'show', 'dev', result.interfaces[1].name)[0].master, 'br7', title)
    for (const ifname of ['eth0', 'net1']) t.deepEqual(await ours.run('del', {config: BRIDGE, ifname}), {})
  }
})

test('addresses and routes of a macvlan outlive a flap of its parent', async t => {
  const {ours} = await twins(t)
  ours.host.ip('link', 'add', 'm0', 'up', 'type', 'veth', 'peer', 'name', 'm1')
  ours.host.ip('link', 'set', 'm1', 'up')
  const config = {
    ...MACVLAN,
    ipam: {
      ...LOCAL,
      routes: [
        {dst: '0.0.0.0/0', gw: '10.9.0.1'},
        {dst: '::/0', gw: 'fd09::1'},
      ],
    },
  }
  const {result} = await ours.run('add', {config})
  const call = {config, prevResult: result}
  ours.host.ip('link', 'set', 'm0', 'down')
  t.regex(`${await ours.repair(call)}`, /"m0", which "eth0" is on, is down/)
  ours.host.ip('link', 'set', 'm0', 'up')
  t.deepEqual(await ours.repair(call), [])
  t.deepEqual(await ours.run('check', call), {})
})
