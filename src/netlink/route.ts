/** Routes: RTM_*ROUTE, struct rtmsg, RTA_*, struct rtnexthop. linux/rtnetlink.h. */
import {Cidr, type Family, hostLength, Ip} from '../model/ip.ts'
import {type IfIndex, type NextHop, type Route, type RouteType, TABLE_MAIN} from '../model/net.ts'
import {AF, familyOf, scopeName, scopeNumber} from './families.ts'
import {attributes, NLM_F, present, read, type Writer} from './message.ts'
import type {Dump, Request} from './request.ts'

export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
const RTM_GETROUTE = 26

const RTA = {
  DST: 1,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFSRC: 7,
  METRICS: 8,
  MULTIPATH: 9,
  TABLE: 15,
  VIA: 18,
} as const
const RTAX_MTU = 2
const RTNH_F = {DEAD: 1, ONLINK: 4, LINKDOWN: 16} as const
const RTM_F_CLONED = 0x200
const TYPES: readonly (RouteType | undefined)[] = [
  undefined,
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
]
/** Routes that lead nowhere. IPv6's are on lo in the kernel's answers, which is no next hop. */
const REFUSES: ReadonlySet<RouteType> = new Set<RouteType>(['blackhole', 'unreachable', 'prohibit', 'throw'])
const BODY_BYTES = 12
const NEXTHOP_BYTES = 8

/** Like `ip route add`: fails with EEXIST where a route of the same destination and metric stands, whoever made it. */
export const addRoute = (route: Route): Request => change('add', RTM_NEWROUTE, NLM_F.CREATE | NLM_F.EXCL, route)

/** Like `ip route replace`: overwrites the route of the same destination and metric. Only over a route known as ours. */
export const replaceRoute = (route: Route): Request =>
  change('replace', RTM_NEWROUTE, NLM_F.CREATE | NLM_F.REPLACE, route)

/** Like `ip route prepend`: beside a route of the same destination and metric, and before it. */
export const prependRoute = (route: Route): Request => change('prepend', RTM_NEWROUTE, NLM_F.CREATE, route)

/** Like `ip route append`. */
export const appendRoute = (route: Route): Request => change('append', RTM_NEWROUTE, NLM_F.CREATE | NLM_F.APPEND, route)

/** Like `ip route del`, of exactly this route: protocol, next hop and metric must match. */
export const deleteRoute = (route: Route): Request => change('del', RTM_DELROUTE, 0, route)

function change(verb: string, type: number, flags: number, route: Route): Request {
  return {type, flags, describe: () => `route ${verb} ${formatRoute(route)}`, encode: to => encodeRoute(to, route)}
}

export interface RouteFilter {
  readonly family: Family
  readonly table?: number
  readonly protocol?: number
  readonly type?: RouteType
  readonly dev?: IfIndex
}

/** Like `ip route show [table T] [proto P] [type T] [dev D]`, filtered by the kernel. */
export function dumpRoutes(filter: RouteFilter): Dump<Route> {
  return {
    type: RTM_GETROUTE,
    flags: NLM_F.DUMP,
    describe: () => `route show family ${filter.family}`,
    encode: to => {
      to.u8(AF[filter.family])
        .u8(0)
        .u8(0)
        .u8(0)
        .u8(0)
        .u8(filter.protocol ?? 0)
        .u8(0)
      to.u8(filter.type ? TYPES.indexOf(filter.type) : 0).u32(0)
      if (filter.table !== undefined) to.attribute(RTA.TABLE, 4, filter.table)
      if (filter.dev !== undefined) to.attribute(RTA.OIF, 4, filter.dev)
    },
    answer: RTM_NEWROUTE,
    decode: decodeRoute,
  }
}

function encodeRoute(to: Writer, route: Route): void {
  const {destination, nextHops} = route
  const [only, second] = nextHops
  to.u8(AF[destination.family])
    .u8(destination.length)
    .u8(0)
    .u8(route.tos ?? 0)
  // Tables above 255 only fit the attribute; 252 (RT_TABLE_COMPAT) says to look there.
  to.u8(route.table > 255 ? 252 : route.table)
    .u8(route.protocol)
    .u8(scopeNumber(route.scope))
    .u8(TYPES.indexOf(route.type))
  to.u32(only?.onlink && !second ? RTNH_F.ONLINK : 0)
  to.attribute(RTA.TABLE, 4, route.table)
  if (destination.length > 0) to.ipAttribute(RTA.DST, destination.address)
  to.attribute(RTA.PRIORITY, 4, route.metric)
  if (route.source) to.ipAttribute(RTA.PREFSRC, route.source)
  if (route.mtu !== undefined) to.nest(RTA.METRICS, () => to.attribute(RTAX_MTU, 4, route.mtu!))
  if (second)
    to.nest(RTA.MULTIPATH, () => {
      for (const hop of nextHops) encodeNextHop(to, destination.family, hop)
    })
  else if (only) {
    gateway(to, destination.family, only)
    if (only.dev !== undefined) to.attribute(RTA.OIF, 4, only.dev)
  }
}

function encodeNextHop(to: Writer, family: Family, hop: NextHop): void {
  to.u16(NEXTHOP_BYTES + gatewayBytes(family, hop))
    .u8(hop.onlink ? RTNH_F.ONLINK : 0)
    .u8((hop.weight ?? 1) - 1)
    .u32(hop.dev ?? 0)
  gateway(to, family, hop)
}

/** What {@link gateway} writes, with its padding. */
function gatewayBytes(family: Family, hop: NextHop): number {
  if (!hop.gateway) return 0
  const via = hop.gateway.family === family ? 0 : 2
  return (4 + via + hop.gateway.raw.length + 3) & ~3
}

/** An IPv4 destination through an IPv6 gateway goes as RTA_VIA (RFC 5549). */
function gateway(to: Writer, family: Family, hop: NextHop): void {
  if (!hop.gateway) return
  if (hop.gateway.family === family) to.ipAttribute(RTA.GATEWAY, hop.gateway)
  else to.bytesAttribute(RTA.VIA, Buffer.concat([Uint8Array.of(AF[hop.gateway.family], 0), hop.gateway.bytes]))
}

export function decodeRoute(body: Buffer): Route | undefined {
  if (body.length < BODY_BYTES) return undefined
  const family = familyOf(body[0]!)
  const type = TYPES[body[7]!]
  const flags = body.readUInt32LE(8)
  const length = body[1]!
  // Cloned routes are the IPv6 cache's exceptions, not routes that somebody made.
  if (!family || !type || flags & RTM_F_CLONED || length > hostLength(family)) return undefined
  let destination: Ip | undefined
  let table = body[4]!
  let metric = 0
  let source: Ip | undefined
  let mtu: number | undefined
  let gateway: Ip | undefined
  let dev: IfIndex | undefined
  let paths: NextHop[] | undefined
  attributes(body, BODY_BYTES, (attribute, payload) => {
    if (attribute === RTA.DST) destination = read.ip(payload)
    else if (attribute === RTA.TABLE) table = read.u32(payload) ?? table
    else if (attribute === RTA.PRIORITY) metric = read.u32(payload) ?? 0
    else if (attribute === RTA.PREFSRC) source = read.ip(payload)
    else if (attribute === RTA.GATEWAY) gateway = read.ip(payload)
    else if (attribute === RTA.VIA) gateway = read.ip(payload.subarray(2))
    else if (attribute === RTA.OIF) dev = read.u32(payload) as IfIndex | undefined
    else if (attribute === RTA.MULTIPATH) paths = decodePaths(payload)
    else if (attribute === RTA.METRICS)
      attributes(payload, 0, (name, value) => {
        if (name === RTAX_MTU) mtu = read.u32(value)
      })
  })
  const address = destination ?? new Ip(new Uint8Array(family === 4 ? 4 : 16))
  if (address.family !== family) return undefined
  const single = (gateway || dev !== undefined) && !REFUSES.has(type) ? [nextHop(gateway, dev, flags)] : []
  return present<Route>({
    destination: new Cidr(address, length),
    type,
    table,
    protocol: body[5]!,
    metric,
    scope: scopeName(body[6]!),
    tos: body[3] || undefined,
    nextHops: paths ?? single,
    source,
    mtu,
    dead: (flags & (RTNH_F.DEAD | RTNH_F.LINKDOWN)) !== 0 || undefined,
  } as Route)
}

function decodePaths(payload: Buffer): NextHop[] {
  const paths: NextHop[] = []
  for (let at = 0; at + NEXTHOP_BYTES <= payload.length; ) {
    const length = payload.readUInt16LE(at)
    if (length < NEXTHOP_BYTES || at + length > payload.length) break
    let address: Ip | undefined
    attributes(payload.subarray(at, at + length), NEXTHOP_BYTES, (type, value) => {
      if (type === RTA.GATEWAY) address = read.ip(value)
      else if (type === RTA.VIA) address = read.ip(value.subarray(2))
    })
    const dev = (payload.readUInt32LE(at + 4) || undefined) as IfIndex | undefined
    paths.push(nextHop(address, dev, payload[at + 2]!, payload[at + 3]! + 1))
    at += (length + 3) & ~3
  }
  return paths
}

function nextHop(gateway: Ip | undefined, dev: IfIndex | undefined, flags: number, weight?: number): NextHop {
  return present<NextHop>({gateway, dev, onlink: (flags & RTNH_F.ONLINK) !== 0 || undefined, weight} as NextHop)
}

/** As `ip route` says it: "10.1.2.0/24 via 192.168.0.12 dev 2 proto 107 metric 2048". */
export function formatRoute(route: Route): string {
  const words = [route.type === 'unicast' ? '' : `${route.type} `, `${route.destination}`]
  const [only, second] = route.nextHops
  if (only && !second) words.push(hopWords(only))
  words.push(` proto ${route.protocol} metric ${route.metric}`)
  if (route.tos) words.push(` tos ${route.tos}`)
  if (route.table !== TABLE_MAIN) words.push(` table ${route.table}`)
  if (route.source) words.push(` src ${route.source}`)
  if (route.mtu) words.push(` mtu ${route.mtu}`)
  if (second) for (const hop of route.nextHops) words.push(` nexthop${hopWords(hop)} weight ${hop.weight ?? 1}`)
  return words.join('')
}

function hopWords(hop: NextHop): string {
  return [hop.gateway && ` via ${hop.gateway}`, hop.dev && ` dev ${hop.dev}`, hop.onlink && ' onlink']
    .filter(Boolean)
    .join('')
}
