/** Backend `vxlan`: through a tunnel to the end that the node publishes. */
import type {Cidr, Family, Ip} from '../../model/ip.ts'
import type {FdbEntry, Neighbour} from '../../model/net.ts'
import {VTEP_ANNOTATION, type Vtep, type VtepEnd} from '../../model/vtep.ts'
import {eui64} from '../node-addresses.ts'
import {type Backend, type Peer, routeVia, type Site} from './backend.ts'

/** NUD_PERMANENT and NTF_SELF, linux/neighbour.h. */
const PERMANENT = 0x80
const SELF = 0x02

/**
 * Over the family of the range where both nodes have an end of it, else over the other one: so pods have IPv6 between
 * nodes that have only IPv4.
 */
export const vxlan: Backend = (peer, site) => {
  const {network, underlay} = site
  const vtep = peer.node.vteps.find(each => each.network === network.name)
  if (!vtep) return `the node has published no end of a tunnel yet (annotation ${VTEP_ANNOTATION}${network.name})`
  const differs = (['vni', 'port'] as const).find(key => vtep[key] !== network.vxlan[key])
  if (differs) return `its tunnel has the ${differs} ${vtep[differs]}, and ours ${network.vxlan[differs]}`
  const end = commonEnd(peer.cidr.family, vtep, site)
  if (!end) return whyNoEnd(peer.cidr.family, vtep, site)
  if (underlay.local.has(`${end.ip}`)) return `the end of its tunnel, ${end.ip}, is an address of this machine`
  if (site.macs?.has(end.mac)) return `the MAC of its tunnel, ${end.mac}, is also that of this node's`
  const gateway = gatewayTo(peer.cidr, end)
  if (underlay.local.has(`${gateway}`) || site.ownRanges?.some(({address}) => `${address}` === `${gateway}`))
    return `the gateway to it, ${gateway}, is an address of this machine`
  if (peer.cidr.contains(end.ip)) return `it contains the end of its own tunnel, ${end.ip}`
  return reach(peer, site, end, gateway)
}

function commonEnd(family: Family, {ends}: Vtep, {devices, withoutIpv6}: Site): VtepEnd | undefined {
  const usable = ends.filter(({ip}) => {
    const dev = devices[ip.family]
    return dev !== undefined && (family === 4 || !withoutIpv6?.has(dev))
  })
  return usable.find(end => end.ip.family === family) ?? usable[0]
}

/**
 * One that no other peer has. IPv6 refuses an onlink gateway that a route of another device leads to, as is the case for
 * the end's own address: none leads to a link-local one.
 */
function gatewayTo(cidr: Cidr, {ip, mac}: VtepEnd): Ip {
  if (cidr.family === 6) return eui64(mac)
  return ip.family === 4 ? ip : cidr.address
}

function reach(peer: Peer, site: Site, {ip, mac}: VtepEnd, gateway: Ip) {
  const {cidr} = peer
  const dev = site.devices[ip.family]!
  const hop = cidr.family === 4 ? {gateway, dev, onlink: true} : {gateway, dev}
  const neighbour: Neighbour = {index: dev, ip: gateway, mac, state: PERMANENT}
  const fdb: FdbEntry = {index: dev, mac, remote: ip, state: PERMANENT, flags: SELF}
  return {route: routeVia(peer, site, hop), neighbour, fdb}
}

const whyNoEnd = (family: Family, vtep: Vtep, {withoutIpv6}: Site): string =>
  family === 6 && withoutIpv6?.size
    ? "the MTU of this node's tunnel is too small for IPv6"
    : `no tunnel of this node has the family of ${ends(vtep)}`

const ends = (vtep: Vtep): string => vtep.ends.map(({ip}) => `${ip}`).join(', ') || 'an end, since it has none'
