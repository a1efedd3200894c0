/** Backend `direct`: via an address of the node, on a subnet that this node is connected to. */
import type {Ip} from '../../model/ip.ts'
import {onlinkTo, wayTo} from '../underlay.ts'
import {type Backend, type Peer, type Reach, routeVia, type Site} from './backend.ts'

/** Where this node's address has no subnet (a /32, as some clouds give), everything is taken to be behind its device. */
export const direct: Backend = (peer, site) => {
  const gateways = gatewaysOf(peer)
  if (gateways.length === 0) return `the node reports no IPv${peer.cidr.family} InternalIP`
  return (
    connected(peer, site) ??
    reach(peer, site, gateway => onlinkTo(site.underlay, gateway)) ??
    `${gateways.join(', ')} is on no connected subnet of an interface that is up`
  )
}

/** The way over a subnet, if there is one. */
export const connected = (peer: Peer, site: Site): Reach | undefined =>
  reach(peer, site, gateway => wayTo(site.underlay, gateway))

/** Of the node's addresses the first that can be reached. */
function reach(peer: Peer, site: Site, way: (gateway: Ip) => ReturnType<typeof wayTo>): Reach | undefined {
  for (const gateway of gatewaysOf(peer)) {
    const hop = way(gateway)
    if (hop) return {route: routeVia(peer, site, hop)}
  }
  return undefined
}

const gatewaysOf = ({cidr, addresses}: Peer): readonly Ip[] =>
  addresses.filter(address => address.family === cidr.family)
