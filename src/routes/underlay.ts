/** What of the kernel's state tells how other nodes can be reached: the connected subnets, and ours among them. */

import {Cidr, hostLength, type Ip} from '../model/ip.ts'
import type {KernelState} from '../model/kernel.ts'
import type {IfIndex, Link, NextHop} from '../model/net.ts'
import {isOwnLink} from '../model/plans.ts'

/** A subnet that an interface of the node is directly on. */
export interface Subnet {
  readonly cidr: Cidr
  readonly dev: IfIndex
  /** Through the address that the node's object names. */
  readonly own: boolean
  /** Of the kernel's own route to it; Infinity without one. */
  readonly metric: number
}

export interface Underlay {
  /** Longest prefix first. */
  readonly subnets: readonly Subnet[]
  /**
   * Where the node's own address has no subnet (a /32 or /128, as some clouds give): the device that carries it. What
   * is behind it is reached onlink.
   */
  readonly onlink: {readonly 4?: IfIndex; readonly 6?: IfIndex}
  /** Every address of this machine. */
  readonly local: ReadonlySet<string>
}

/** `ownAddresses`: what the node's object says of itself. `ownCIDRs`: its pod ranges, whose bridge is no way to a peer. */
export function readUnderlay(state: KernelState, ownAddresses: readonly Ip[], ownCIDRs: readonly Cidr[]): Underlay {
  const own = new Set(ownAddresses.map(String))
  const subnets: Subnet[] = []
  const onlink: {4?: IfIndex; 6?: IfIndex} = {}
  const local = new Set<string>()
  for (const [dev, addresses] of state.addresses) {
    const link = state.links.get(dev)
    // A pod's: its gateway is in a range of ours, and link-local addresses come and go with pods.
    if (link?.kind === 'veth' && isOwnLink(link)) continue
    for (const {ip} of addresses) local.add(`${ip}`)
    if (!link?.up || link.loopback || isOwnLink(link)) continue
    for (const {ip, length, peer, scope} of addresses) {
      if (scope !== 'global' || ownCIDRs.some(cidr => cidr.contains(ip))) continue
      if (peer || length < hostLength(ip.family)) {
        const cidr = new Cidr(peer ?? ip, length)
        subnets.push({cidr, dev, own: own.has(`${ip}`), metric: connectedMetric(state, cidr, dev)})
      } else if (own.has(`${ip}`)) onlink[ip.family] ??= dev
    }
  }
  // Several interfaces in one subnet: the one with the node's own address, then the one that the kernel prefers.
  subnets.sort(
    (a, b) => b.cidr.length - a.cidr.length || Number(b.own) - Number(a.own) || a.metric - b.metric || a.dev - b.dev,
  )
  return {subnets, onlink, local}
}

function connectedMetric(state: KernelState, cidr: Cidr, dev: IfIndex): number {
  const routes = state.routes.get(`${cidr}`) ?? []
  return Math.min(...routes.filter(({nextHops: [hop]}) => hop?.dev === dev && !hop.gateway).map(({metric}) => metric))
}

/** Equal texts: the same underlay. */
export const formatUnderlay = ({subnets, onlink, local}: Underlay): string =>
  [...subnets.map(({cidr, dev}) => `${cidr} dev ${dev}`), `onlink ${onlink[4]} ${onlink[6]}`, ...local].join('\n')

/** The way to an address on a connected subnet; undefined: there is none without a router. */
export function wayTo(underlay: Underlay, gateway: Ip): NextHop | undefined {
  const subnet = underlay.subnets.find(each => each.cidr.contains(gateway))
  return subnet && {gateway, dev: subnet.dev}
}

/** The way to an address where the node's own has no subnet. */
export function onlinkTo({onlink}: Underlay, gateway: Ip): NextHop | undefined {
  const dev = onlink[gateway.family]
  return dev === undefined ? undefined : {gateway, dev, onlink: true}
}

/**
 * Bytes that a packet from one of the node's addresses may have; undefined: no interface has the address. An address
 * on loopback is reached by whatever the default routes lead to.
 */
export function underlayMtu(state: KernelState, own: Ip): number | undefined {
  const link = carrierOf(state, own)
  if (!link?.loopback) return link?.mtu
  const ways = (state.routes.get(own.family === 4 ? '0.0.0.0/0' : '::/0') ?? []).flatMap(({nextHops}) => nextHops)
  const mtus = ways.flatMap(({dev}) => state.links.get(dev!)?.mtu ?? [])
  return mtus.length > 0 ? Math.min(...mtus) : undefined
}

function carrierOf({addresses, links}: KernelState, own: Ip): Link | undefined {
  for (const [index, list] of addresses) if (list.some(({ip}) => `${ip}` === `${own}`)) return links.get(index)
  return undefined
}
