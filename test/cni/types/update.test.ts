/** What of a standing attachment is changed in place, and what is not. Needs root. */
import test, {type ExecutionContext} from 'ava'
import {hostName} from '../../../src/cni/types/marks.ts'
import {namespaces} from '../../netlink/namespace.ts'
import {refuser} from './refuser.ts'
import {stateOf} from './state.ts'
import {type Answer, type Call, leasesOf, type OurWorld, ourWorld} from './world.ts'

const LOCAL = {type: 'host-local', ranges: [[{subnet: '10.9.0.0/24'}], [{subnet: 'fd09::/64'}]]}
const fixed = (addresses: readonly string[], routes: readonly object[] = []) => ({
  type: 'static',
  addresses: addresses.map(address => ({address})),
  routes,
})
const BRIDGE = {type: 'bridge', bridge: 'br7'}
const MACVLAN = {type: 'macvlan', master: 'm0'}
const NAME = hostName({containerId: 'c1', ifname: 'eth0'})
const MAC = ['02:00:00:00:00:01', '02:00:00:00:00:02'] as const

async function worldOf(t: ExecutionContext, options: Parameters<typeof ourWorld>[3] = {}): Promise<OurWorld> {
  const [host, pod] = await namespaces(t, 2)
  host.ip('link', 'add', 'm0', 'up', 'type', 'veth', 'peer', 'name', 'm1')
  return ourWorld(t, host, pod, options)
}

const add = async (t: ExecutionContext, world: OurWorld, call: Call): Promise<Answer['result']> => {
  const {result, error} = await world.run('add', call)
  t.is(error, undefined)
  return result
}

/** Everything but what is random: also the MACs, and no order of addresses. */
const seen = (world: OurWorld, mac = true): string[] => [
  ...stateOf(world)
    // Set before a MAC is changed, for neighbours to hear of it.
    .filter(line => !line.includes('ndisc_notify'))
    .sort(),
  ...(mac ? world.pod.json('link', 'show').map(({ifname, address}) => `${ifname} ${address}`) : []),
]

interface Case {
  readonly from: Omit<Call, 'prevResult'>
  readonly to: Omit<Call, 'prevResult'>
  /** In place; the MAC stays where nothing else is said. 'replace': not at all. */
  readonly becomes?: 'replace' | RegExp
  /** Asked for. */
  readonly mac?: string
}

const LAN = fixed(['10.9.0.5/24', 'fd09::5/64'], [{dst: '10.20.0.0/16', gw: '10.9.0.1'}])

const CASES: Readonly<Record<string, Case>> = {
  'ptp: MTU': {from: {config: {type: 'ptp', ipam: LOCAL}}, to: {config: {type: 'ptp', mtu: 1400, ipam: LOCAL}}},
  'ptp: MTU no longer said': {
    from: {config: {type: 'ptp', mtu: 1400, ipam: LOCAL}},
    to: {config: {type: 'ptp', ipam: LOCAL}},
  },
  'ptp: MTU too small for IPv6': {
    from: {config: {type: 'ptp', ipam: LOCAL}},
    to: {config: {type: 'ptp', mtu: 1200, ipam: LOCAL}},
    becomes: /an mtu of 1200 would take the addresses of IPv6/,
  },
  'ptp: MTU that the kernel refuses': {
    from: {config: {type: 'ptp', ipam: LOCAL}},
    to: {config: {type: 'ptp', mtu: 70_000, ipam: LOCAL}},
    becomes: /the MTU of "eth0" cannot be changed/,
  },
  'ptp: static addresses': {
    from: {config: {type: 'ptp', ipam: {...fixed([]), addresses: [{address: '10.9.0.5/24', gateway: '10.9.0.1'}]}}},
    to: {config: {type: 'ptp', ipam: {...fixed([]), addresses: [{address: '10.9.0.6/24', gateway: '10.9.0.1'}]}}},
    becomes: 'replace',
  },
  'bridge: MTU': {from: {config: {...BRIDGE, mtu: 1400}}, to: {config: {...BRIDGE, mtu: 1300}}},
  'bridge: small MTU without IPv6': {
    from: {config: {...BRIDGE, ipam: fixed(['10.9.0.5/24'])}},
    to: {config: {...BRIDGE, mtu: 1000, ipam: fixed(['10.9.0.5/24'])}},
  },
  'bridge: MAC by CNI_ARGS': {
    from: {config: {...BRIDGE, ipam: LOCAL}},
    to: {config: {...BRIDGE, ipam: LOCAL}, args: `IgnoreUnknown=1;CNI_IFMAC=${MAC[0]};MAC=${MAC[0]}`},
    mac: MAC[0],
  },
  'bridge: MAC by runtimeConfig': {
    from: {config: {...BRIDGE, ipam: LAN, runtimeConfig: {mac: MAC[0]}}},
    to: {config: {...BRIDGE, ipam: LAN, runtimeConfig: {mac: MAC[1]}}},
    mac: MAC[1],
  },
  'bridge: MAC by args.cni': {
    from: {config: {...BRIDGE, ipam: LAN, args: {cni: {mac: MAC[0]}}}},
    to: {config: {...BRIDGE, ipam: LAN, args: {cni: {mac: MAC[1]}}}},
    mac: MAC[1],
  },
  'bridge: MAC for many stations': {
    from: {config: {...BRIDGE, ipam: LAN}},
    to: {config: {...BRIDGE, ipam: LAN, runtimeConfig: {mac: '01:00:5e:00:00:01'}}},
    becomes: /the MAC of "eth0" cannot be changed/,
  },
  'bridge: addresses': {
    from: {config: {...BRIDGE, ipam: fixed(['10.9.0.5/24', '10.9.0.6/24', 'fd09::5/64', '10.8.0.1/24'])}},
    to: {config: {...BRIDGE, ipam: fixed(['10.9.0.6/24', '10.9.0.7/24', 'fd09::6/64', '10.8.0.1/24'])}},
    mac: '0a:58:0a:09:00:06',
  },
  'bridge: addresses by runtimeConfig': {
    from: {config: {...BRIDGE, ipam: fixed([]), runtimeConfig: {ips: ['10.9.0.5/24'], mac: MAC[0]}}},
    to: {config: {...BRIDGE, ipam: fixed([]), runtimeConfig: {ips: ['10.9.0.9/16', 'fd09::9/64'], mac: MAC[0]}}},
    mac: MAC[0],
  },
  'bridge: addresses by CNI_ARGS': {
    from: {config: {...BRIDGE, ipam: fixed([])}, args: 'IgnoreUnknown=1;IP=10.9.0.5/24'},
    to: {config: {...BRIDGE, ipam: fixed([])}, args: 'IgnoreUnknown=1;IP=10.9.0.5/24,10.9.0.4/24'},
    mac: '0a:58:0a:09:00:05',
  },
  'bridge: none of the addresses is left': {
    from: {config: {...BRIDGE, ipam: LAN}},
    to: {config: {...BRIDGE, ipam: fixed(['192.168.7.7/24'], [{dst: '0.0.0.0/0', gw: '192.168.7.1'}])}},
    mac: '0a:58:c0:a8:07:07',
  },
  'bridge: routes': {
    from: {
      config: {
        ...BRIDGE,
        ipam: fixed(
          ['10.9.0.5/24'],
          [
            {dst: '10.20.0.0/16', gw: '10.9.0.1'},
            {dst: '10.30.0.0/16', gw: '10.9.0.1'},
          ],
        ),
      },
    },
    to: {
      config: {
        ...BRIDGE,
        ipam: fixed(
          ['10.9.0.5/24'],
          [
            {dst: '10.20.0.0/16', gw: '10.9.0.2'},
            {dst: '0.0.0.0/0', gw: '10.9.0.1'},
          ],
        ),
      },
    },
  },
  'bridge: everything at once': {
    from: {config: {...BRIDGE, mtu: 1400, ipam: LAN}},
    to: {
      config: {...BRIDGE, mtu: 1300, ipam: fixed(['10.9.0.9/24']), runtimeConfig: {mac: MAC[1]}, dns: {domain: 'x.y'}},
    },
    mac: MAC[1],
  },
  'bridge: a gateway that stays': {
    from: {config: {...BRIDGE, isGateway: true, ipam: fixed(['10.9.0.5/24'])}},
    to: {config: {...BRIDGE, isGateway: true, ipam: fixed(['10.9.0.6/24'])}},
    mac: '0a:58:0a:09:00:06',
  },
  'bridge: another gateway': {
    from: {config: {...BRIDGE, isGateway: true, ipam: fixed(['10.9.0.5/24'])}},
    to: {config: {...BRIDGE, isGateway: true, ipam: fixed(['10.8.0.6/24'])}},
    becomes: 'replace',
  },
  'bridge: addresses behind a masquerade': {
    from: {config: {...BRIDGE, ipMasq: true, ipam: fixed(['10.9.0.5/24'])}},
    to: {config: {...BRIDGE, ipMasq: true, ipam: fixed(['10.9.0.6/24'])}},
    becomes: 'replace',
  },
  'bridge: another bridge': {
    from: {config: {...BRIDGE, ipam: LAN}},
    to: {config: {...BRIDGE, bridge: 'br8', ipam: LAN}},
    becomes: 'replace',
  },
  'bridge: another IPAM': {
    from: {config: {...BRIDGE, ipam: LAN}},
    to: {config: {...BRIDGE, ipam: LOCAL}},
    becomes: 'replace',
  },
  'bridge: another range': {
    from: {config: {...BRIDGE, ipam: LOCAL}},
    to: {config: {...BRIDGE, ipam: {...LOCAL, ranges: LOCAL.ranges.slice(0, 1)}}},
    becomes: 'replace',
  },
  'bridge: an address of IPAM by CNI_ARGS': {
    from: {config: {...BRIDGE, ipam: LOCAL}},
    to: {config: {...BRIDGE, ipam: LOCAL}, args: 'IgnoreUnknown=1;IP=10.9.0.77'},
    becomes: 'replace',
  },
  'macvlan: MTU': {from: {config: {...MACVLAN, ipam: LOCAL}}, to: {config: {...MACVLAN, mtu: 1400, ipam: LOCAL}}},
  'macvlan: MTU no longer said': {from: {config: {...MACVLAN, mtu: 1400}}, to: {config: MACVLAN}},
  'macvlan: MTU above its parent’s': {
    from: {config: {...MACVLAN, mtu: 1400}},
    to: {config: {...MACVLAN, mtu: 1501}},
    becomes: /must be at most 1500, that of its master "m0", not 1501/,
  },
  'macvlan: MAC': {from: {config: MACVLAN}, to: {config: {...MACVLAN, mac: MAC[0]}}, mac: MAC[0]},
  'macvlan: MAC that another one has': {
    from: {config: {...MACVLAN, ipam: LAN}},
    to: {config: {...MACVLAN, mac: '02:00:00:00:00:99', ipam: LAN, mtu: 1400}},
    becomes: /the MAC of "eth0" cannot be changed: .*EADDRINUSE/,
  },
  'macvlan: addresses and routes': {
    from: {config: {...MACVLAN, ipam: LAN}},
    to: {config: {...MACVLAN, ipam: fixed(['10.9.0.6/24', 'fd09::7/64'], [{dst: '0.0.0.0/0', gw: '10.9.0.1'}])}},
  },
  'macvlan: mode': {from: {config: MACVLAN}, to: {config: {...MACVLAN, mode: 'private'}}, becomes: 'replace'},
  'macvlan: master': {from: {config: MACVLAN}, to: {config: {...MACVLAN, master: 'm1'}}, becomes: 'replace'},
  'macvlan: MAC of a passthru': {
    from: {config: {...MACVLAN, mode: 'passthru'}},
    to: {config: {...MACVLAN, mode: 'passthru', mac: MAC[0]}},
    becomes: 'replace',
  },
  nothing: {from: {config: {...MACVLAN, ipam: LOCAL}}, to: {config: {...MACVLAN, ipam: LOCAL, disableCheck: true}}},
}

for (const [title, {from, to, becomes, mac}] of Object.entries(CASES))
  test(title, async t => {
    const world = await worldOf(t)
    world.host.ip(
      'link',
      'add',
      'other',
      'address',
      '02:00:00:00:00:99',
      'link',
      'm0',
      'up',
      'type',
      'macvlan',
      'mode',
      'bridge',
    )
    if (title.includes('passthru')) world.host.ip('link', 'del', 'other')
    const had = await add(t, world, from)
    const [before, leases] = [seen(world), leasesOf(world)]
    const {result, error} = await world.update({...to, prevResult: had}, from)
    t.deepEqual(leasesOf(world), leases)
    if (becomes !== undefined) {
      if (becomes === 'replace') t.deepEqual({result, error}, {result: undefined, error: undefined})
      else t.regex(`${error}`, becomes)
      t.deepEqual(seen(world), before)
      return
    }
    t.is(error, undefined)
    const own = result.interfaces.find(({name}: {name: string}) => name === 'eth0')
    const was = had.interfaces.find(({name}: {name: string}) => name === 'eth0')
    t.is(own.mac, mac ?? was.mac)
    const after = seen(world)
    t.deepEqual(await world.run('check', {...to, prevResult: result}), {})
    // As often as it is done: cut short before the journal had it, it is done again with what the journal has.
    for (const prevResult of [had, result]) {
      const again = await world.update({...to, prevResult}, prevResult === had ? from : to)
      t.deepEqual(again, {result})
      t.deepEqual(seen(world), after)
    }
    // Nothing tells it from one that was made so.
    t.deepEqual(await world.run('del', {...to, prevResult: result}), {})
    const fresh = await add(t, world, to)
    if (to.config.ipam !== LOCAL) {
      t.deepEqual(
        seen(world, false),
        after.filter(line => !/^\w+ ([\da-f]{2}:){5}/.test(line)),
      )
      t.deepEqual(
        {ips: fresh.ips, routes: fresh.routes, dns: fresh.dns},
        {ips: result.ips, routes: result.routes, dns: result.dns},
      )
    }
  })

for (const type of [BRIDGE, MACVLAN])
  test(`${type.type}: a step that is refused is not seen`, async t => {
    const {wrap, begin, counted} = refuser(({op}) => op !== 'read')
    const world = await worldOf(t, {wrap})
    const from = {config: {...type, ipam: LAN}}
    const routes = [{dst: '10.30.0.0/16', gw: '10.9.0.1'}]
    const ipam = fixed(['10.9.0.6/24', '10.9.0.5/24', 'fd09::6/64'], routes)
    const to = {config: {...type, mtu: 1400, runtimeConfig: {mac: MAC[0]}, ipam}}
    const had = await add(t, world, from)
    const before = seen(world)
    for (let nth = 1; ; nth++) {
      begin(nth)
      const {error} = await world.update({...to, prevResult: had}, from)
      if (counted() < nth) {
        t.true(nth > 8)
        t.is(error, undefined)
        return
      }
      t.regex(`${error}`, /is refused/, `step ${nth}`)
      t.deepEqual(seen(world), before, `step ${nth}`)
    }
  })

test('what does not stand is not changed', async t => {
  const world = await worldOf(t)
  for (const config of [BRIDGE, MACVLAN]) {
    const had = await add(t, world, {config})
    world.pod.ip('link', 'del', 'eth0')
    t.deepEqual(await world.update({config: {...config, mtu: 1400}, prevResult: had}, {config}), {})
    if (config === BRIDGE) t.false(world.host.json('link', 'show').some(({ifname}) => ifname === NAME))
  }
})
