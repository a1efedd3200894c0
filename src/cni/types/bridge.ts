/** The type "bridge": a veth whose host end is a port of a bridge, which may have the pods' gateway address. */
import {quoted} from '../../model/errors.ts'
import {type Cidr, Ip, parseCidr} from '../../model/ip.ts'
import {CniError} from '../error.ts'
import {givesWhatIsAsked} from '../ipam/static.ts'
import type {NativePlugin, PluginCall} from '../plugin.ts'
import {checkVeth} from './check.ts'
import {dnsOf, flag, ipamType, knower, linkName, macArgument, macIn, mtuOf} from './config.ts'
import {type Lease, type LeasedIp, type LeasedRoute, subnetOf} from './lease.ts'
import {aliasOf, hostName, randomHostMac, randomMac} from './marks.ts'
import type {TypePorts} from './ports.ts'
import {rebuildVeth} from './rebuild.ts'
import {repairVeth} from './repair.ts'
import {updateVeth} from './update-veth.ts'
import {addVeth, type VethType} from './veth.ts'
import {delVeth} from './veth-del.ts'
import {type BridgePlan, familiesOf, layer2, type VethPlan, type Wiring} from './wiring.ts'

const KEYS = [
  'bridge',
  'isGateway',
  'isDefaultGateway',
  'forceAddress',
  'ipMasq',
  'mtu',
  'hairpinMode',
  'promiscMode',
] as const

export function bridge(ports: TypePorts): NativePlugin {
  const bridges = new Map()
  return {
    knows: knower({keys: KEYS, off: ['vlan', 'macspoofchk', 'enabledad', 'preserveDefaultVlan']}),
    add: async call => addVeth(ports, TYPE, bridges, call),
    del: call => delVeth(ports, call, false),
    check: async call => checkVeth(ports, TYPE, call),
    repair: async call => repairVeth(ports, TYPE, bridges, call),
    rebuild: async call => rebuildVeth(ports, TYPE, bridges, call),
    update: async (call, before) => updateVeth(ports, TYPE, call, before),
  }
}

function plan(call: PluginCall): VethPlan {
  const {config} = call
  flag(config, 'ipMasq')
  dnsOf(config)
  ipamType(config)
  const mtu = mtuOf(config)
  const mac = macOf(call)
  return {
    name: hostName(call),
    owner: aliasOf(call),
    hostMac: randomHostMac(),
    podMac: mac ?? randomMac(),
    macIsOwn: mac === undefined,
    bridge: bridgeOf(call, mtu),
    ...(mtu !== undefined && {mtu}),
  }
}

function bridgeOf(call: PluginCall, mtu: number | undefined): BridgePlan {
  const {config} = call
  const isGateway = flag(config, 'isGateway')
  const isDefaultGateway = flag(config, 'isDefaultGateway')
  const hairpin = flag(config, 'hairpinMode')
  const promiscuous = flag(config, 'promiscMode')
  if (hairpin && promiscuous)
    throw new CniError(
      'invalidConfig',
      `network ${quoted(config.name)} has both hairpinMode and promiscMode: a bridge can only do one of them`,
    )
  return {
    name: linkName(config, 'bridge') ?? 'cni0',
    promiscuous,
    hairpin,
    isGateway: (isGateway || isDefaultGateway) && ipamType(config) !== undefined,
    // The other types of IPAM give out of ranges that the config names.
    anySubnet: ipamType(config) === 'static' && givesWhatIsAsked(call),
    forceAddress: flag(config, 'forceAddress'),
    ...(mtu !== undefined && {mtu}),
  }
}

/** The runtime's wish goes before that of the config's args, and that before CNI_ARGS. */
const macOf = ({config, args}: PluginCall) => {
  const argument = macArgument(config, args)
  const written = macIn(config, 'args.cni', (config.args as {readonly cni?: unknown} | undefined)?.cni)
  return macIn(config, 'runtimeConfig', config.runtimeConfig) ?? written ?? argument
}

function wire({config}: PluginCall, lease: Lease): Wiring {
  // Unlike ptp, this type has not passed on what IPAM says of DNS up to upstream's release 1.1.
  const dns = dnsOf(config) ?? {}
  if (!ipamType(config)) return layer2(dns)
  const isDefaultGateway = flag(config, 'isDefaultGateway')
  const isGateway = isDefaultGateway || flag(config, 'isGateway')
  const ips = isGateway ? lease.ips.map(withGateway) : lease.ips
  return {
    ips,
    routes: isDefaultGateway ? [...lease.routes, ...defaultRoutes(ips, lease.routes)] : lease.routes,
    routed: false,
    gateways: isGateway ? ips.map(({gateway, length}) => ({ip: gateway!, length})) : [],
    dns,
    sysctls: [
      // Nobody else has a pod's address: IPAM has seen to that.
      ['ipv6', 'accept_dad', '0'],
      ['ipv4', 'arp_notify', '1'],
    ],
  }
}

/** The first address of the subnet, where IPAM names none. */
const withGateway = (leased: LeasedIp): LeasedIp =>
  leased.gateway ? leased : {...leased, gateway: next(subnetOf(leased).address)}

const next = ({bytes}: Ip): Ip => {
  for (let i = bytes.length - 1; i >= 0; i--) if ((bytes[i] = (bytes[i]! + 1) & 0xff) !== 0) break
  return new Ip(bytes)
}

const DEFAULT: Readonly<Record<4 | 6, Cidr>> = {4: parseCidr('0.0.0.0/0'), 6: parseCidr('::/0')}

/** One for each family that has none with a gateway yet. */
const defaultRoutes = (ips: readonly LeasedIp[], routes: readonly LeasedRoute[]): LeasedRoute[] =>
  familiesOf(ips).flatMap(family => {
    const first = ips.find(({ip}) => ip.family === family)
    const there = routes.some(({destination, gateway}) => gateway && `${destination}` === `${DEFAULT[family]}`)
    return first && !there ? [{destination: DEFAULT[family], gateway: first.gateway!}] : []
  })

const TYPE: VethType = {plan, wire}
