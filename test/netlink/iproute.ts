/** What `ip -j` and `bridge -j` print of a namespace, as our own objects: the other opinion on what the kernel has. */
import {Cidr, type Family, Ip, parseCidr, parseIp} from '../../src/model/ip.ts'
import {
  type Address,
  type FdbEntry,
  IFA_F,
  type IfIndex,
  type Link,
  type MacvlanMode,
  type Neighbour,
  type NextHop,
  type Route,
  type RouteType,
  type Rule,
  type Scope,
} from '../../src/model/net.ts'
import {scopeName} from '../../src/netlink/families.ts'
import {NTF, NUD} from '../../src/netlink/neighbour.ts'
import type {Namespace} from './namespace.ts'

// biome-ignore lint/suspicious/noExplicitAny: whatever ip prints
type Json = any

const ROUTE_TYPES: Readonly<Record<string, RouteType>> = {
  1: 'unicast',
  2: 'local',
  3: 'broadcast',
  4: 'anycast',
  5: 'multicast',
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
  9: 'throw',
}

/** Objects as sorted lines of JSON: order and classes do not matter. What {@link Namespace} says beside what we say. */
export const lines = (objects: readonly object[]): string[] => objects.map(line).sort()

const line = (value: unknown): string =>
  JSON.stringify(value, (_, each) => {
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return each
    if (each instanceof Ip || each instanceof Cidr) return String(each)
    const keys = Object.keys(each).filter(key => each[key] !== undefined)
    return Object.fromEntries(keys.sort().map(key => [key, each[key]]))
  })

const scope = (text: string): Scope => scopeName(Number(text))

export function linksOf(namespace: Namespace): Link[] {
  const all = namespace.json('-N', 'link', 'show')
  const indexes = new Map(all.map(each => [each.ifname, each.ifindex]))
  return all.map(each => linkOf(each, indexes))
}

function linkOf(each: Json, indexes: ReadonlyMap<string, IfIndex>): Link {
  const kind = each.linkinfo?.info_kind
  const data = each.linkinfo?.info_data
  return {
    index: each.ifindex,
    name: each.ifname,
    kind,
    up: each.flags.includes('UP'),
    carrier: each.flags.includes('LOWER_UP'),
    loopback: each.flags.includes('LOOPBACK'),
    mtu: each.mtu,
    mac: each.address,
    group: Number(each.group),
    alias: each.ifalias,
    master: indexes.get(each.master),
    parent: each.link_index ?? indexes.get(each.link),
    parentNsid: each.link_netnsid,
    vxlan: kind === 'vxlan' ? vxlanOf(data, indexes) : undefined,
    macvlan: kind === 'macvlan' ? {mode: data.mode as MacvlanMode} : undefined,
  } as Link
}

const vxlanOf = (data: Json, indexes: ReadonlyMap<string, IfIndex>): NonNullable<Link['vxlan']> =>
  ({
    vni: data.id,
    port: data.port,
    local: ip(data.local ?? data.local6),
    remote: ip(data.remote ?? data.group ?? data.remote6 ?? data.group6),
    dev: indexes.get(data.link),
    learning: data.learning,
  }) as NonNullable<Link['vxlan']>

const ip = (text: string | undefined) => (text === undefined ? undefined : parseIp(text))

export function addressesOf(namespace: Namespace): Address[] {
  return namespace.json('-N', 'addr', 'show').flatMap(link =>
    link.addr_info.map((each: Json) => ({
      index: link.ifindex,
      ip: parseIp(each.local),
      length: each.prefixlen,
      peer: ip(each.address),
      scope: scope(each.scope),
      flags:
        (each.dynamic ? 0 : IFA_F.PERMANENT) |
        (each.nodad ? IFA_F.NODAD : 0) |
        (each.tentative ? IFA_F.TENTATIVE : 0) |
        (each.noprefixroute ? IFA_F.NOPREFIXROUTE : 0),
    })),
  )
}

export function routesOf(namespace: Namespace, family: Family, ...filter: string[]): Route[] {
  const where = filter.length > 0 ? filter : ['table', 'all']
  const routes = namespace.json('-N', `-${family}`, 'route', 'show', ...where)
  const indexes = indexesOf(namespace)
  return routes.map(each => routeOf(each, family, where, indexes))
}

function routeOf(each: Json, family: Family, where: string[], indexes: ReadonlyMap<string, IfIndex>): Route {
  const type = ROUTE_TYPES[each.type]!
  const hasHop = type === 'unicast' || type === 'local' || type.endsWith('cast')
  const dead = ['dead', 'linkdown'].some(flag => each.flags.includes(flag))
  const hops: Json[] = each.nexthops ?? (hasHop ? [each] : [])
  // What was asked for is not said again.
  const asked = (word: string) => where[where.indexOf(word) + 1]!
  return {
    destination: destination(each.dst, family),
    type,
    table: Number(each.table ?? asked('table')),
    protocol: Number(each.protocol ?? asked('proto')),
    metric: each.metric ?? 0,
    scope: scope(each.scope ?? '0'),
    nextHops: hops.map(hop => ({...hopOf(hop, indexes), weight: hop.weight}) as NextHop),
    source: ip(each.prefsrc),
    mtu: each.metrics?.[0]?.mtu,
    dead: dead || undefined,
  } as Route
}

function destination(text: string, family: Family) {
  if (text === 'default') return parseCidr(family === 4 ? '0.0.0.0/0' : '::/0')
  return parseCidr(text.includes('/') ? text : `${text}/${family === 4 ? 32 : 128}`)
}

const hopOf = (hop: Json, indexes: ReadonlyMap<string, IfIndex>) => ({
  gateway: ip(hop.gateway ?? hop.via?.host),
  dev: indexes.get(hop.dev),
  onlink: hop.flags.includes('onlink') || undefined,
})

const indexesOf = (namespace: Namespace): ReadonlyMap<string, IfIndex> =>
  new Map(namespace.json('link', 'show').map(each => [each.ifname, each.ifindex]))

const STATES: Readonly<Record<string, number>> = {
  PERMANENT: NUD.PERMANENT,
  NOARP: NUD.NOARP,
  REACHABLE: NUD.REACHABLE,
  STALE: NUD.STALE,
}

/** All of one family, NOARP entries too, which `ip` shows only when asked. */
export function neighboursOf(namespace: Namespace, family: Family): Neighbour[] {
  const indexes = indexesOf(namespace)
  return namespace.json(`-${family}`, 'neigh', 'show', 'nud', 'all').map(each => ({
    index: indexes.get(each.dev)!,
    ip: parseIp(each.dst),
    mac: each.lladdr,
    state: each.state.reduce((sum: number, state: string) => sum | STATES[state]!, 0),
  }))
}

/** Without the state: `bridge` prints words of its own for it. */
export function fdbOf(namespace: Namespace): Omit<FdbEntry, 'state'>[] {
  const indexes = indexesOf(namespace)
  return namespace.bridgeJson('fdb', 'show').map(
    each =>
      ({
        index: indexes.get(each.ifname),
        mac: each.mac,
        remote: ip(each.dst),
        vlan: each.vlan,
        vni: each.vni,
        port: each.port,
        // The kernel sets no flag on a bridge's own entries: it names the bridge in NDA_MASTER instead.
        flags: each.flags.includes('self') ? NTF.SELF : 0,
      }) as Omit<FdbEntry, 'state'>,
  )
}

export function rulesOf(namespace: Namespace, family: Family): Rule[] {
  const width = family === 4 ? 32 : 128
  const selector = (text: string | undefined, length: number | undefined) =>
    text === undefined || text === 'all' ? undefined : parseCidr(`${text}/${length ?? width}`)
  return namespace.json('-N', `-${family}`, 'rule', 'show').map(
    each =>
      ({
        family,
        priority: each.priority,
        table: Number(each.table),
        protocol: Number(each.protocol),
        from: selector(each.src, each.srclen),
        to: selector(each.dst, each.dstlen),
        iif: each.iif,
        oif: each.oif,
        fwmark: each.fwmark === undefined ? undefined : Number(each.fwmark),
        fwmask: each.fwmask === undefined ? undefined : Number(each.fwmask),
      }) as Rule,
  )
}
