/** What is to be built on this node of the pairs that have an end here. Pure. */
import type {NodeName} from '../model/facts.ts'
import {Cidr, type Family, parseCidr, parseIp, parseIpWithPrefix} from '../model/ip.ts'
import {IPV6_LEAST, VXLAN_OVERHEAD} from '../model/mtu.ts'
import type {Mac} from '../model/net.ts'
import type {
  Endpoint,
  EndRoute,
  LocalEnd,
  Pair,
  PairEnd,
  PairKey,
  PairPlan,
  ReadyEnd,
  Underlay,
  WaitsFor,
} from '../model/pair.ts'
import {defaultMac, endText} from './key.ts'
import {type Claims, vnisByPair} from './vnis.ts'

export interface PlanOptions {
  readonly self: NodeName
  /** Nodes that show a sign of life. */
  readonly alive: ReadonlySet<NodeName>
  /** UDP, of the tunnels. */
  readonly port: number
  /** Why none of those that wait for a VNI gets one. */
  readonly shortage?: string | undefined
}

/** By key, in the order of `pairs`. All views must be synced. */
export function planEnds(
  pairs: ReadonlyMap<PairKey, Pair>,
  claims: Claims,
  options: PlanOptions,
): ReadonlyMap<PairKey, PairPlan> {
  const vnis = vnisByPair(claims)
  const plans = new Map<PairKey, PairPlan>()
  for (const pair of pairs.values()) {
    const plan = planPair(pair, vnis.get(pair.key), options)
    if (plan) plans.set(pair.key, plan)
  }
  return plans
}

const isHere = ({endpoint}: PairEnd, {self}: PlanOptions): boolean => endpoint?.node === self

/** Of one. Undefined: none of its ends is here. `vni`: the lowest that has been taken for it. */
export function planPair(pair: Pair, vni: number | undefined, options: PlanOptions): PairPlan | undefined {
  if (!pair.ends.some(end => isHere(end, options))) return undefined
  const ends = localEnds(pair, options)
  const waiting = (waitsFor: WaitsFor, reason: string): PairPlan => ({pair, ends, kind: 'waiting', waitsFor, reason})
  const impossible = (reason: string): PairPlan => ({pair, ends, kind: 'impossible', reason})
  const [a, b] = pair.ends
  const here = isHere(a, options) ? a : b
  const there = here === a ? b : a
  const [mine, theirs] = [here.endpoint!, there.endpoint]
  if (!theirs) return waiting('peer', `pod ${there.pod} is not there`)
  if (theirs.node !== options.self && !options.alive.has(theirs.node))
    return waiting('node', `node ${theirs.node}, where ${there.pod} is, shows no sign of life`)
  for (const {pod, endpoint} of pair.ends)
    if (endpoint!.sandbox === undefined) return waiting('sandbox', `pod ${pod} has no sandbox yet`)

  const way = wayBetween(mine, theirs)
  const mtu = mtuOf(pair, way)
  const refusal = refusalOf(pair, mtu.bytes)
  if (refusal) return impossible(refusal)
  const ready = ends as readonly LocalEnd[] as readonly ReadyEnd[]
  const built = {pair, mtu: mtu.bytes, notes: mtu.notes}
  if (theirs.node === mine.node) return {...built, kind: 'veth', ends: ready as readonly [ReadyEnd, ReadyEnd]}
  const bare = [mine, theirs].find(({underlay}) => Object.keys(underlay).length === 0)
  if (bare)
    return impossible(
      `node ${bare.node} has no address for the tunnel of pod ${bare.namespace}/${bare.pod}: it needs an InternalIP, or another parent (pairs.parent; parent_interface and parent_address of its CNI config)`,
    )
  if (!way)
    return impossible(
      `nodes ${[mine.node, theirs.node].sort().join(' and ')} have no addresses of one family for tunnels; give both an IPv4 or both an IPv6 address`,
    )
  const [local, remote] = [parseIp(way.mine.ip), parseIp(way.theirs.ip)]
  if (`${local}` === `${remote}`)
    return impossible(
      `nodes ${[mine.node, theirs.node].sort().join(' and ')} both have the address ${local}; give each its own`,
    )
  if (vni === undefined) return waiting('vni', options.shortage ?? 'no VNI has been taken for the tunnel yet')
  return {...built, kind: 'vxlan', ends: ready as readonly [ReadyEnd], vni, port: options.port, local, remote}
}

interface Way {
  readonly family: Family
  readonly mine: Underlay
  readonly theirs: Underlay
}

/** IPv4 where both nodes have it. */
function wayBetween(one: Endpoint, other: Endpoint): Way | undefined {
  for (const family of [4, 6] as const) {
    const [mine, theirs] = [one.underlay[family], other.underlay[family]]
    if (mine && theirs) return {family, mine, theirs}
  }
  return undefined
}

/** Bytes. Of an interface whose node does not tell. */
const ETHERNET = 1500

/** One value for both ends, wherever the pods are: what a tunnel between their nodes carries, or less if less is asked for. */
function mtuOf({mtu}: Pair, way: Way | undefined): {readonly bytes: number; readonly notes: readonly string[]} {
  const room = way ? Math.min(way.mine.mtu, way.theirs.mtu) - VXLAN_OVERHEAD[way.family] : ETHERNET - VXLAN_OVERHEAD[4]
  const most = Math.min(room, 65535)
  if (mtu === undefined || mtu <= most) return {bytes: mtu ?? most, notes: []}
  const note = `the mtu is ${most} instead of ${mtu}: a tunnel between the nodes carries no more; ask for ${most} or less, or raise the MTU of the nodes' interfaces`
  return {bytes: most, notes: [note]}
}

/** Bytes. linux/inetdevice.h. */
const IPV4_LEAST = 68

function refusalOf({ends}: Pair, mtu: number): string | undefined {
  const ipv6 = ends.flatMap(({ips, routes}) => [...ips, ...routes.map(({dst}) => dst)]).find(text => text.includes(':'))
  const least = ipv6 === undefined ? IPV4_LEAST : IPV6_LEAST
  return mtu < least
    ? `a tunnel between the nodes carries ${mtu} bytes, and ${ipv6 ?? 'IPv4'} needs ${least}; raise the MTU of the nodes' interfaces`
    : undefined
}

function localEnds(pair: Pair, options: PlanOptions): readonly LocalEnd[] {
  const [a, b] = pair.ends
  return [
    [a, b],
    [b, a],
  ].flatMap(([end, peer]) => (isHere(end!, options) ? localEnd(end!, peer!) : []))
}

function localEnd(end: PairEnd, peer: PairEnd): LocalEnd {
  const {uid, sandbox} = end.endpoint!
  const ips = end.ips.map(parseIpWithPrefix)
  const subnets = ips.map(({ip, length}) => new Cidr(ip, length))
  return {
    pod: end.pod,
    uid,
    ...(sandbox !== undefined && {sandbox}),
    interface: end.interface,
    peer: endText(peer),
    ips,
    mac: (end.mac as Mac | undefined) ?? defaultMac(end),
    routes: end.routes.map(({dst, gw}): EndRoute => {
      const gateway = gw === undefined ? undefined : parseIp(gw)
      const onlink = gateway !== undefined && !subnets.some(subnet => subnet.contains(gateway))
      return {dst: parseCidr(dst), ...(gateway && {gw: gateway}), onlink}
    }),
  }
}
