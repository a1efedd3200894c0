/** Backend `direct`: via an address of the node, on a subnet that this node is connected to. */
import type {Ip} from '../../model/ip.ts'
import type {NextHop} from '../../model/net.ts'
import {onlinkTo, wayTo} from '../underlay.ts'
import {type Backend, type Peer, type Reach, routeVia, type Site} from './backend.ts'

/** Where this node's address has no subnet (a /32, as some clouds give), everything is taken to be behind its device. */
export const direct: Backend = (peer, site) =>
  connected(peer, site) ??
  reach(peer, site, gateway => onlinkTo(site.underlay, gateway)) ??
  neighbouring(peer, site) ??
  whyNot(peer)

/** Over a subnet, if the node has an address on one. */
export const connected = (peer: Peer, site: Site): Reach | undefined =>
  reach(peer, site, gateway => wayTo(site.underlay, gateway))

/** IPv6 to a node that has no address of it, over the subnet of its IPv4 address. */
export function neighbouring(peer: Peer, site: Site): Reach | undefined {
  if (peer.cidr.family === 4 || gatewaysOf(peer).length > 0) return undefined
  const hop = peer.overLinkLocal()
  return hop && {route: routeVia(peer, site, hop)}
}

/** Of the node's addresses the first that can be reached. */
function reach(peer: Peer, site: Site, way: (gateway: Ip) => NextHop | undefined): Reach | undefined {
  for (const gateway of gatewaysOf(peer)) {
    const hop = way(gateway)
    if (hop) return {route: routeVia(peer, site, hop)}
  }
  return undefined
}

function whyNot(peer: Peer): string {
  const gateways = gatewaysOf(peer)
  if (gateways.length === 0) return `the node reports no IPv${peer.cidr.family} InternalIP`
  return `${gateways.join(', ')} is on no connected subnet of an interface that is up`
}

const gatewaysOf = ({cidr, addresses}: Peer): readonly Ip[] =>
  addresses.filter(address => address.family === cidr.family)
