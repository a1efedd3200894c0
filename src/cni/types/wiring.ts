/** How a pod is to be wired: what an attachment's config and IPAM's lease come to, as a value. */
import {type Family, hostLength, Ip, type IpWithPrefix} from '../../model/ip.ts'
import type {Step} from '../../model/namespace.ts'
import type {AddressSpec, IfIndex, Mac, MacvlanMode, Route, Scope} from '../../model/net.ts'
import {IFA_F, TABLE_MAIN} from '../../model/net.ts'
import type {CniDns} from '../result.ts'
import {type Lease, type LeasedIp, type LeasedRoute, subnetOf} from './lease.ts'

/** What can be known before IPAM has been asked. */
export interface VethPlan {
  /** The host's end. */
  readonly name: string
  readonly owner: string
  /** Bytes, of both ends. Undefined: the kernel's own choice. */
  readonly mtu?: number
  readonly hostMac: Mac
  readonly podMac: Mac
  /** Nobody asked for the pod's MAC: no other interface has it. */
  readonly macIsOwn: boolean
  /** Undefined: the host routes to it. */
  readonly bridge?: BridgePlan
}

export interface BridgePlan {
  readonly name: string
  /** Bytes, when it has to be made. */
  readonly mtu?: number
  /** When it has to be made. */
  readonly mac?: Mac
  readonly promiscuous: boolean
  readonly hairpin: boolean
  /** It has the pods' gateway addresses. */
  readonly isGateway: boolean
  /** The gateways' subnets follow from what the pod has asked for. */
  readonly anySubnet: boolean
  /** Addresses that stand in the way of a gateway's are removed. */
  readonly forceAddress: boolean
}

export interface MacvlanPlan {
  readonly owner: string
  readonly birthName: string
  /** Undefined: the interface of the default route. */
  readonly master?: string
  readonly mode: MacvlanMode
  readonly mtu?: number
  /** Undefined: the kernel's choice, which is the parent's in mode passthru. */
  readonly mac?: Mac
}

/** What IPAM's lease adds to a plan. */
export interface Wiring {
  /** Of the pod's interface. */
  readonly ips: readonly LeasedIp[]
  /** Of the pod's interface, where it is to be another one than it was made with. */
  readonly mac?: Mac
  /** In the pod. */
  readonly routes: readonly LeasedRoute[]
  /** Also the pod's own subnet is reached through its gateway, which is the other end of the veth: nothing is on-link. */
  readonly routed: boolean
  /** Addresses of the bridge, with the length of the subnet. */
  readonly gateways: readonly IpWithPrefix[]
  readonly dns: CniDns
  /** Sysctls of the pod's interface, under net, by family ("ipv4/conf/<interface>/<name>"). Kernels may lack them. */
  readonly sysctls: readonly (readonly [family: 'ipv4' | 'ipv6', name: string, value: string])[]
}

export const layer2 = (dns: CniDns): Wiring => ({ips: [], routes: [], routed: false, gateways: [], dns, sysctls: []})

/** What IPAM says, as it is. */
export const plain = ({ips, routes, dns}: Lease): Pick<Wiring, 'ips' | 'routes' | 'dns'> => ({ips, routes, dns})

/** RTPROT_BOOT, linux/rtnetlink.h: what `ip route add` and upstream's plugins put into `rtm_protocol`. */
const BOOT = 3
const KERNEL = 2

/** Metrics that the kernel gives where none is said (IP6_RT_PRIO_USER), and to the subnet of an address. */
const METRIC = {4: 0, 6: 1024} as const
const SUBNET_METRIC = {4: 0, 6: 256} as const

/** In the pod: link up, addresses, routes. `name`: the link's, when it has to be renamed; `alias` of a macvlan. */
export function podSteps(
  wiring: Wiring,
  index: IfIndex,
  named: {readonly name?: string; readonly alias?: string} = {},
): Step[] {
  const {ips, routes, routed} = wiring
  return [
    ...(named.name === undefined ? [] : [{op: 'set', object: 'link', item: index, to: named} as const]),
    {op: 'set', object: 'link', item: index, to: {up: true, ...(wiring.mac && {mac: wiring.mac})}},
    ...ips.map(ip => addAddress(index, ip, ip.length)),
    ...routes.map(
      route => ({op: 'prepend', object: 'route', item: podRoute(route, gatewayFor(wiring, route), index)}) as const,
    ),
    ...(routed ? ips.flatMap(ip => throughGateway(ip, index)) : []),
  ]
}

export const addAddress = (index: IfIndex, {ip}: {readonly ip: Ip}, length: number): Step => ({
  op: 'add',
  object: 'address',
  item: address(index, ip, length),
})

/** With the broadcast address that `ip addr add … brd +` gives, and without IPv6's second of waiting for duplicates. */
function address(index: IfIndex, ip: Ip, length: number): AddressSpec {
  if (ip.family === 6) return {index, ip, length, flags: IFA_F.NODAD}
  return {index, ip, length, ...(length < 31 && {broadcast: broadcastOf({ip, length})})}
}

const broadcastOf = ({ip, length}: IpWithPrefix): Ip => {
  const view = Buffer.from(ip.bytes)
  view.writeUInt32BE((view.readUInt32BE() | (0xffffffff >>> length)) >>> 0)
  return new Ip(view)
}

/** A route without a gateway goes through the first that IPAM named for its family. */
export const gatewayFor = ({ips}: Pick<Wiring, 'ips'>, {gateway, destination}: LeasedRoute): Ip | undefined =>
  gateway ?? ips.find(ip => ip.gateway?.family === destination.family)?.gateway

export function podRoute(leased: LeasedRoute, gateway: Ip | undefined, dev: IfIndex): Route {
  const {destination, mtu, priority, table, scope} = leased
  return {
    destination,
    type: 'unicast',
    table: table ?? TABLE_MAIN,
    protocol: BOOT,
    metric: priority ?? METRIC[destination.family],
    scope: SCOPES.get(scope ?? 0) ?? 'global',
    nextHops: [{dev, ...(gateway && {gateway})}],
    ...(mtu !== undefined && {mtu}),
  }
}

/** RT_SCOPE_*, linux/rtnetlink.h: routes of spec 1.1.0 have the number. */
const SCOPES: ReadonlyMap<number, Scope> = new Map([
  [0, 'global'],
  [200, 'site'],
  [253, 'link'],
  [254, 'host'],
  [255, 'nowhere'],
])

/** The kernel has put the subnet on-link: the pod must ask the gateway instead, and only that is on-link. */
function throughGateway(leased: LeasedIp, dev: IfIndex): Step[] {
  const {ip, gateway} = leased
  const {family} = ip
  const subnet = subnetOf(leased)
  const common = {type: 'unicast', table: TABLE_MAIN, source: ip} as const
  const metric = METRIC[family]
  const onLink: Route = {
    ...common,
    destination: subnet,
    protocol: KERNEL,
    metric: SUBNET_METRIC[family],
    scope: family === 4 ? 'link' : 'global',
    nextHops: [{dev}],
  }
  const {source: _, ...onLinkOfIpv6} = onLink
  const toGateway: Route = {
    ...common,
    destination: host(gateway!),
    protocol: BOOT,
    metric,
    scope: 'link',
    nextHops: [{dev}],
  }
  const rest: Route = {
    ...common,
    destination: subnet,
    protocol: BOOT,
    metric,
    scope: 'global',
    nextHops: [{dev, gateway: gateway!}],
  }
  return [
    {op: 'delete', object: 'route', item: family === 4 ? onLink : onLinkOfIpv6},
    {op: 'add', object: 'route', item: toGateway},
    {op: 'add', object: 'route', item: rest},
  ]
}

const host = (ip: Ip) => subnetOf({ip, length: hostLength(ip.family)})

/** The host's way to a routed pod. */
export const hostRoute = (ip: Ip, dev: IfIndex): Route => ({
  destination: host(ip),
  type: 'unicast',
  table: TABLE_MAIN,
  protocol: BOOT,
  metric: METRIC[ip.family],
  scope: ip.family === 4 ? 'host' : 'global',
  nextHops: [{dev}],
})

export const familiesOf = (ips: readonly {readonly ip: Ip}[]): Family[] => [...new Set(ips.map(({ip}) => ip.family))]
