/** A backend turns a peer's pod range into what leads there; nothing else knows how. */
import type {NodeFacts} from '../../model/facts.ts'
import type {Cidr, Ip} from '../../model/ip.ts'
import {type FdbEntry, type IfIndex, type Neighbour, type NextHop, type Route, TABLE_MAIN} from '../../model/net.ts'
import type {Devices} from '../../model/plans.ts'
import type {RouteNetwork} from '../network.ts'
import type {Underlay} from '../underlay.ts'

/** Behind IPv6's default of 1024, so that a user's own route to the same prefix wins and both stand. */
export const METRIC = 2048

/** A pod range of another node. */
export interface Peer {
  readonly cidr: Cidr
  readonly node: NodeFacts
  /** The node's addresses, the preferred one of each family first. */
  readonly addresses: readonly Ip[]
  /** The last resort of IPv6: over the link-local address that the node's MAC makes, if that is known. */
  readonly overLinkLocal: () => NextHop | undefined
}

/** From where the peer is to be reached. */
export interface Site {
  readonly network: RouteNetwork
  readonly underlay: Underlay
  /** The network's tunnel devices that stand. */
  readonly devices: Devices
  /** The MACs of these. */
  readonly macs?: ReadonlySet<string>
  /** Those of the devices that cannot have IPv6: their MTU is too small. */
  readonly withoutIpv6?: ReadonlySet<IfIndex>
  /** This node's pod ranges that are served. @default all that its object names */
  readonly ownRanges?: readonly Cidr[]
}

/** What leads to a range. The entries are of a tunnel device. */
export interface Reach {
  readonly route: Route
  readonly neighbour?: Neighbour
  readonly fdb?: FdbEntry
}

/** A text says why there is no way: the part of a sentence behind "since". */
export type Backend = (peer: Peer, site: Site) => Reach | string

export const routeVia = ({cidr}: Pick<Peer, 'cidr'>, {network}: Pick<Site, 'network'>, hop: NextHop): Route => ({
  destination: cidr,
  type: 'unicast',
  table: TABLE_MAIN,
  protocol: network.protocol,
  metric: METRIC,
  scope: 'global',
  nextHops: [hop],
})
