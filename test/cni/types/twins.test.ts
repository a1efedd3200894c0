/** The native types beside upstream's programs of the same name: the same config, the same world afterwards. */
import test from 'ava'
import type {Namespace} from '../../netlink/namespace.ts'
import {differences, missingOf, resultState} from './state.ts'
import {type Call, leasesOf, twins} from './world.ts'

const V4 = [{subnet: '10.9.0.0/24'}]
const V6 = [{subnet: 'fd09::/64'}]
const local = (ranges: object[][], more: object = {}) => ({type: 'host-local', ranges, ...more})
const bridge = (more: object, ipam: object = local([V4])) => ({type: 'bridge', bridge: 'br7', ...more, ipam})
const ptp = (more: object, ipam: object = local([V4])) => ({type: 'ptp', ...more, ipam})
const macvlan = (more: object, ipam: object = local([V4])) => ({type: 'macvlan', master: 'm0', ...more, ipam})

interface Case extends Omit<Call, 'prevResult'> {
  /** What is there before. */
  readonly before?: (host: Namespace, pod: Namespace) => void
  readonly fails?: true
  /** Upstream's CHECK fails where nothing is wrong: without IPAM, of routes that name no gateway, of single addresses. */
  readonly theirCheckFails?: true
}

const master = (host: Namespace) => {
  host.ip('link', 'add', 'm0', 'mtu', '1450', 'type', 'veth', 'peer', 'name', 'm1')
  for (const dev of ['m0', 'm1']) host.ip('link', 'set', dev, 'up')
}
const madeBridge =
  (...addresses: string[]) =>
  (host: Namespace) => {
    host.ip('link', 'add', 'br7', 'type', 'bridge')
    for (const address of addresses) host.ip('addr', 'add', address, 'dev', 'br7', 'nodad')
  }
const noIpv6 = (_: Namespace, pod: Namespace) => {
  for (const dev of ['all', 'default', 'lo']) pod.exec('sysctl', '-qw', `net.ipv6.conf.${dev}.disable_ipv6=1`)
}

const ROUTES = {routes: [{dst: '10.20.0.0/16'}, {dst: '10.30.0.0/16', gw: '10.9.0.77'}, {dst: '0.0.0.0/0'}]}
const STATIC = (addresses: object[], more: object = {}) => ({type: 'static', addresses, ...more})

const CASES: Readonly<Record<string, Case>> = {
  'bridge without a gateway': {config: bridge({})},
  'bridge of the default name': {config: {...bridge({isGateway: true}), bridge: undefined}},
  'bridge as gateway': {config: bridge({isGateway: true})},
  'bridge as default gateway': {config: bridge({isDefaultGateway: true})},
  'bridge as default gateway beside a default route': {
    config: bridge({isDefaultGateway: true}, local([V4], {routes: [{dst: '0.0.0.0/0'}]})),
    fails: true,
  },
  'bridge as default gateway that IPAM names, too': {
    config: bridge({isDefaultGateway: true}, local([V4], {routes: [{dst: '0.0.0.0/0', gw: '10.9.0.1'}]})),
  },
  'bridge with routes': {config: bridge({isGateway: true}, local([V4], ROUTES)), theirCheckFails: true},
  'bridge with an MTU': {config: bridge({isGateway: true, mtu: 1400})},
  'bridge with an MTU of zero': {config: bridge({mtu: 0})},
  'bridge with an MTU that is too large': {config: bridge({mtu: 70000}), fails: true},
  'bridge with hairpin': {config: bridge({isGateway: true, hairpinMode: true})},
  'bridge in promiscuous mode': {config: bridge({isGateway: true, promiscMode: true})},
  'bridge with both': {config: bridge({hairpinMode: true, promiscMode: true}), fails: true},
  'bridge of IPv6': {config: bridge({isDefaultGateway: true}, local([V6]))},
  'bridge of both families': {config: bridge({isDefaultGateway: true, hairpinMode: true}, local([V4, V6]))},
  'bridge of several ranges': {
    config: bridge({}, local([V4, [{subnet: '10.8.0.0/24'}], V6], {routes: [{dst: '::/0'}, {dst: '0.0.0.0/0'}]})),
  },
  'bridge as gateway of several ranges': {
    config: bridge({isGateway: true}, local([V4, [{subnet: '10.8.0.0/24'}]])),
    fails: true,
  },
  'bridge as forced gateway of several ranges': {
    config: bridge({isGateway: true, forceAddress: true}, local([V4, [{subnet: '10.8.0.0/24'}]])),
  },
  'bridge without IPAM': {config: bridge({hairpinMode: true}, {}), theirCheckFails: true},
  'bridge as gateway without IPAM': {config: bridge({isGateway: true}, {}), theirCheckFails: true},
  'bridge with DNS': {config: bridge({dns: {nameservers: ['10.0.0.1'], search: ['x.y']}})},
  'bridge with DNS of IPAM': {
    config: bridge({}, STATIC([{address: '10.9.0.5/24'}], {dns: {nameservers: ['10.0.0.9'], domain: 'a.b'}})),
  },
  'bridge with DNS of both': {
    config: bridge({dns: {domain: 'c.d'}}, STATIC([{address: '10.9.0.5/24'}], {dns: {nameservers: ['10.0.0.9']}})),
  },
  'bridge with addresses without gateways': {
    config: bridge({isDefaultGateway: true}, STATIC([{address: '10.9.0.5/24'}, {address: 'fd09::5/64'}])),
  },
  'bridge with an address of all bits': {
    config: bridge({}, STATIC([{address: '10.9.0.5/32'}])),
    theirCheckFails: true,
  },
  'bridge with an address of all bits but one': {
    config: bridge({}, STATIC([{address: '10.9.0.4/31'}, {address: '10.9.1.5/30'}])),
  },
  'bridge with a MAC of the runtime': {
    config: {...bridge({}), runtimeConfig: {mac: '02:11:22:33:44:55'}, capabilities: {mac: true}},
  },
  'bridge with a MAC of args': {config: {...bridge({}), args: {cni: {mac: '02-11-22-33-44-56'}}}},
  'bridge with a MAC of CNI_ARGS': {config: bridge({}), args: 'IgnoreUnknown=1;K8S_POD_NAME=x;MAC=0211.2233.4457'},
  'bridge with unknown CNI_ARGS': {config: bridge({}), args: 'X=1', fails: true},
  'bridge with a MAC that is none': {config: {...bridge({}), runtimeConfig: {mac: 'x'}}, fails: true},
  'bridge with a MAC of a group': {config: {...bridge({}), runtimeConfig: {mac: '01:11:22:33:44:55'}}, fails: true},
  'bridge with masquerading': {config: bridge({isGateway: true, ipMasq: true})},
  'bridge that somebody made': {config: bridge({isGateway: true}), before: madeBridge()},
  'bridge with its address': {config: bridge({isGateway: true}), before: madeBridge('10.9.0.1/24')},
  'bridge with another address': {config: bridge({isGateway: true}), before: madeBridge('10.1.0.1/24'), fails: true},
  'bridge with another address, forced': {
    config: bridge({isGateway: true, forceAddress: true}),
    before: madeBridge('10.1.0.1/24'),
  },
  'bridge with another address of IPv6': {
    config: bridge({isGateway: true}, local([V6])),
    before: madeBridge('fd01::1/64'),
  },
  'bridge with an overlapping address of IPv6': {
    config: bridge({isGateway: true}, local([V6])),
    before: madeBridge('fd09::9/64'),
    fails: true,
  },
  'bridge whose name something else has': {
    config: bridge({}),
    before: host => host.ip('link', 'add', 'br7', 'type', 'veth', 'peer', 'name', 'x7'),
    fails: true,
  },
  'bridge of an exhausted range': {
    config: bridge({isGateway: true}, local([[{subnet: '10.9.0.0/30', rangeStart: '10.9.0.2', rangeEnd: '10.9.0.2'}]])),
  },
  'bridge of an interface with another name': {config: bridge({isGateway: true}), ifname: 'net1'},
  'bridge of a pod whose name is taken': {
    config: bridge({isGateway: true}),
    before: (_, pod) => pod.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'x7'),
    fails: true,
  },
  'bridge of a pod without IPv6': {config: bridge({isGateway: true}, local([V4, V6])), before: noIpv6},
  'ptp of IPv4': {config: ptp({})},
  'ptp with routes': {config: ptp({}, local([V4], ROUTES)), theirCheckFails: true},
  'ptp with an MTU': {config: ptp({mtu: 1380}, local([V4], {routes: [{dst: '0.0.0.0/0'}]}))},
  'ptp of IPv6': {config: ptp({}, local([V6], {routes: [{dst: '::/0'}]}))},
  'ptp of both families': {
    config: ptp({}, local([V4, V6], {routes: [{dst: '0.0.0.0/0'}, {dst: '::/0'}, {dst: 'fd20::/48'}]})),
    theirCheckFails: true,
  },
  'ptp of several ranges': {config: ptp({}, local([V4, [{subnet: '10.8.0.0/24'}]], {routes: [{dst: '0.0.0.0/0'}]}))},
  'ptp with DNS': {config: ptp({dns: {nameservers: ['10.0.0.1'], options: ['ndots:5']}})},
  'ptp with DNS of IPAM': {
    config: ptp({}, STATIC([{address: '10.9.0.5/24', gateway: '10.9.0.1'}], {dns: {nameservers: ['10.0.0.9']}})),
  },
  'ptp with masquerading': {config: ptp({ipMasq: true})},
  'ptp without IPAM': {config: ptp({}, {}), fails: true},
  'ptp without a gateway': {config: ptp({}, STATIC([{address: '10.9.0.5/24'}])), fails: true},
  'ptp of a pod without IPv6': {config: ptp({}, local([V6])), before: noIpv6},
  'ptp of a pod whose name is taken': {
    config: ptp({}),
    before: (_, pod) => pod.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'x7'),
    fails: true,
  },
  'macvlan of IPv4': {config: macvlan({}, local([V4], ROUTES)), before: master, theirCheckFails: true},
  'macvlan of both families': {config: macvlan({}, local([V4, V6], {routes: [{dst: '::/0'}]})), before: master},
  'macvlan of mode private': {config: macvlan({mode: 'private'}), before: master},
  'macvlan of mode vepa': {config: macvlan({mode: 'vepa'}), before: master},
  'macvlan of mode passthru': {config: macvlan({mode: 'passthru'}), before: master},
  'macvlan of no mode': {config: macvlan({mode: 'x'}), before: master, fails: true},
  'macvlan with an MTU': {config: macvlan({mtu: 1400}), before: master},
  'macvlan with an MTU that is too large': {config: macvlan({mtu: 1451}), before: master, fails: true},
  'macvlan with an MTU that is too small': {config: macvlan({mtu: -1}), before: master, fails: true},
  'macvlan with a MAC': {config: macvlan({mac: '02:11:22:33:44:55'}), before: master},
  'macvlan with a MAC of the runtime': {
    config: {...macvlan({mac: '02:11:22:33:44:55'}), runtimeConfig: {mac: '02:11:22:33:44:56'}},
    before: master,
  },
  'macvlan with a MAC of CNI_ARGS': {
    config: macvlan({}),
    args: 'MAC=02:11:22:33:44:57;IgnoreUnknown=true',
    before: master,
  },
  'macvlan without IPAM': {config: macvlan({dns: {domain: 'a.b'}}, {}), before: master},
  'macvlan with DNS of IPAM': {
    config: macvlan({}, STATIC([{address: '10.9.0.5/24'}], {dns: {nameservers: ['10.0.0.9']}})),
    before: master,
  },
  'macvlan without its master': {config: macvlan({}), fails: true},
  'macvlan on the interface of the default route': {
    config: {...macvlan({}), master: undefined},
    before: host => {
      master(host)
      host.ip('addr', 'add', '192.168.7.1/24', 'dev', 'm0')
      host.ip('route', 'add', 'default', 'via', '192.168.7.2')
    },
  },
  'macvlan without any default route': {config: {...macvlan({}), master: undefined}, before: master, fails: true},
  'macvlan of a pod whose name is taken': {
    config: macvlan({}),
    before: (host, pod) => {
      master(host)
      pod.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'x7')
    },
    fails: true,
  },
}

for (const [title, {before, fails, theirCheckFails, ...call}] of Object.entries(CASES)) {
  test(title, async t => {
    const {theirs, ours} = await twins(t)
    const same = async (when: string) => {
      t.deepEqual(await differences(ours, theirs), [], when)
      t.deepEqual(leasesOf(ours), leasesOf(theirs), `leases ${when}`)
    }
    const both = async (verb: 'add' | 'check' | 'del', more: object = {}, ourMore: object = more) => {
      const [their, our] = [await theirs.run(verb, {...call, ...more}), await ours.run(verb, {...call, ...ourMore})]
      t.deepEqual(resultState(our), resultState(their), `${verb}: ${our.error} | ${their.error}`)
      return [their, our] as const
    }
    before?.(theirs.host, theirs.pod)
    before?.(ours.host, ours.pod)
    const taken = linksOf(ours.pod).includes('eth0')
    const made = await ours.callOf(call)
    await made.sandbox?.close()
    t.true(ours.plugin(call.config.type).knows(made.config))
    const [their, our] = await both('add')
    t.is(our.error !== undefined, fails ?? false, our.error)
    if (fails) {
      // Theirs leaves behind what it had made by then: ours takes it back, all but the bridge.
      t.deepEqual(linksOf(ours.pod), ['lo', ...(taken ? ['eth0', 'x7'] : [])])
      t.deepEqual(
        leasesOf(ours).filter(lease => !lease.startsWith('last_')),
        [],
      )
      t.is(ours.masked.size, 0)
      return
    }
    await same('after ADD')
    t.deepEqual(missingOf(ours, our.result), [])
    const checks = [
      await theirs.run('check', {...call, prevResult: their.result}),
      await ours.run('check', {...call, prevResult: our.result}),
    ]
    t.deepEqual(
      checks.map(({error}) => error !== undefined),
      [theirCheckFails ?? false, false],
      checks.map(({error}) => error).join(' | '),
    )
    const [, again] = await both('add')
    t.regex(again.error ?? '', /already|duplicate/)
    t.deepEqual(missingOf(ours, our.result), [])
    await both('del', {prevResult: their.result}, {prevResult: our.result})
    await same('after DEL')
    await both('del')
    await same('after the second DEL')
    t.is(ours.masked.size, 0)
  })
}

const linksOf = (at: Namespace): string[] =>
  at
    .json('link', 'show')
    .map(each => each.ifname)
    .sort((a, b) => (a === 'lo' ? -1 : b === 'lo' ? 1 : a.localeCompare(b)))
