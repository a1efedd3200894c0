/** From the nodes to what this node's kernel should have. Pure. */
import type {ChangeLog} from '../model/change-log.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Cidr, Family, Ip} from '../model/ip.ts'
import {
  type Address,
  type FdbEntry,
  type IfIndex,
  type Mac,
  type Neighbour,
  type NextHop,
  type Route,
  TABLE_MAIN,
} from '../model/net.ts'
import {auto} from './backends/auto.ts'
import {type Backend, METRIC, type Peer, type Reach, type Site} from './backends/backend.ts'
import {direct} from './backends/direct.ts'
import {vxlan} from './backends/vxlan.ts'
import {
  type Claim,
  outranks,
  type Problem,
  reservedRanges,
  type Settlement,
  type Share,
  settleClaims,
} from './claims.ts'
import type {Witness} from './diff.ts'
import {MutableDesired} from './mutable-desired.ts'
import type {RouteNetwork} from './network.ts'

const BACKENDS: Readonly<Record<RouteNetwork['backend'], Backend | undefined>> = {
  auto,
  direct,
  vxlan,
  none: undefined,
}

export interface Desired {
  /** By the destination's text. */
  readonly routes: ReadonlyMap<string, Route>
  /** Of each tunnel device: all that it should have, and nothing else. */
  readonly tunnels: ReadonlyMap<IfIndex, TunnelEntries>
  /** Other nodes that have a pod range. */
  readonly peers: number
  readonly problems: readonly Problem[]
  /** Wanted ways to peers. */
  readonly ways: Readonly<Record<Family, number>>
  readonly witness?: Witness
}

export interface TunnelEntries {
  readonly addresses: readonly Address[]
  /** By the address's text. */
  readonly neighbours: ReadonlyMap<string, Neighbour>
  readonly fdb: ReadonlyMap<Mac, FdbEntry>
}

export interface Cluster {
  readonly nodes: ReadonlyMap<NodeName, NodeFacts>
  /** Of `nodes`. Without it they are planned anew each time. */
  readonly log?: ChangeLog<NodeName>
  /** This node; undefined: it has no object yet, and nothing is known to be its own. */
  readonly own: NodeFacts | undefined
  /** The addresses under which a node is reached, in the order of preference. */
  readonly addressesOf: (node: NodeFacts) => readonly Ip[]
  /** As in {@link Peer}, by a node's addresses. @default none */
  readonly overLinkLocal?: (addresses: readonly Ip[]) => NextHop | undefined
}

/** What one node adds to the whole. */
export interface NodePlan {
  readonly routes: readonly Route[]
  readonly neighbours: readonly Neighbour[]
  readonly fdb: readonly FdbEntry[]
  readonly problems: readonly Problem[]
  /** Another node that has a pod range. */
  readonly isPeer: boolean
}

/** The whole at one go. */
export function desiredState(cluster: Cluster, site: Site): Desired {
  const planning = plan(cluster, site)
  for (;;) {
    const {done, value} = planning.next()
    if (done) return value.desired
  }
}

/** Yields between nodes, so that thousands need not be planned at one go. `planned` hears of each. */
export function* plan(
  cluster: Cluster,
  site: Site,
  planned: (node: NodeFacts) => void = () => {},
): Generator<void, {desired: MutableDesired; settlement: Settlement}, undefined> {
  // Of one moment: the map is live, and there are pauses.
  const settlement = yield* settleClaims([...cluster.nodes.values()], reservedAt(site))
  const shares = [...settlement.shares.values()]
  const desired = yield* planShares(shares, settlement, cluster, site, planned)
  // Who has what two want must not depend on who was asked first.
  if (desired.clashes) shares.sort((a, b) => (outranks(a.node, b.node) ? -1 : 1))
  return {desired: desired.clashes ? yield* planShares(shares, settlement, cluster, site) : desired, settlement}
}

function* planShares(
  shares: readonly Share[],
  settlement: Settlement,
  cluster: Cluster,
  site: Site,
  planned: (node: NodeFacts) => void = () => {},
): Generator<void, MutableDesired, undefined> {
  const desired = new MutableDesired(site, settlement.problems)
  for (const share of shares) {
    yield
    desired.add(share.node.name, planNode(share, cluster, site))
    planned(share.node)
    if (share.node.name === cluster.own?.name) desired.addOwn(share.cidrs.filter(cidr => !isAround(cidr, cluster)))
  }
  return desired
}

export const reservedAt = ({underlay}: Site): readonly Cidr[] =>
  reservedRanges(underlay.subnets.map(subnet => subnet.cidr))

export function planNode(share: Share, cluster: Cluster, site: Site): NodePlan {
  const {node, cidrs, problems} = share
  if (node.name === cluster.own?.name) return planOwn(share, cluster, site)
  const backend = BACKENDS[site.network.backend]
  if (!backend) return {routes: [], neighbours: [], fdb: [], problems: [], isPeer: cidrs.length > 0}
  const result = {routes: [] as Route[], neighbours: [] as Neighbour[], fdb: [] as FdbEntry[], problems: [...problems]}
  const addresses = cidrs.length > 0 ? cluster.addressesOf(node) : []
  const overLinkLocal = () => cluster.overLinkLocal?.(addresses)
  for (const cidr of cidrs) {
    const reach = reachOf({cidr, node, addresses, overLinkLocal}, backend, cluster.own, site)
    if (!('route' in reach)) result.problems.push(reach)
    else {
      result.routes.push(reach.route)
      if (reach.neighbour) result.neighbours.push(reach.neighbour)
      if (reach.fdb && !result.fdb.some(({index}) => index === reach.fdb!.index)) result.fdb.push(reach.fdb)
    }
  }
  return {...result, isPeer: cidrs.length > 0}
}

/**
 * In routed mode, an unreachable route for where no pod's own route is: else such packets would take the default route,
 * and whoever routes the range to this node would send them back. Around the node's own address it would cut it off.
 */
function planOwn({node, cidrs, problems}: Share, cluster: Cluster, {network}: Site): NodePlan {
  const around = cidrs.filter(cidr => isAround(cidr, cluster))
  const refused = around.map(
    (cidr): Problem => ({
      kind: 'refused',
      message: `node ${node.name}: its pod range ${cidr} contains its own address; give its pods a range of their own`,
    }),
  )
  const served = network.pods.mode === 'ptp' ? cidrs.filter(cidr => !around.includes(cidr)) : []
  return {
    routes: served.map(cidr => refusal(cidr, network)),
    neighbours: [],
    fdb: [],
    problems: [...problems, ...refused],
    isPeer: false,
  }
}

/** Whether a range of this node contains one of its addresses. */
const isAround = (cidr: Cidr, {own, addressesOf}: Cluster): boolean =>
  own !== undefined && addressesOf(own).some(address => cidr.contains(address))

function reachOf(peer: Peer, backend: Backend, own: NodeFacts | undefined, site: Site): Reach | Problem {
  const {cidr, node, addresses} = peer
  const inside = (site.ownRanges ?? own?.podCIDRs ?? []).find(each => each.contains(cidr))
  if (inside)
    return {
      kind: 'overlap',
      message: `node ${node.name}: pod range ${cidr} lies inside this node's own ${inside}; it gets no route here`,
    }
  const inner = addresses.find(address => cidr.contains(address))
  if (inner) return unreachable(peer, `it contains the node's own address ${inner}`)
  const ours = addresses.find(address => site.underlay.local.has(`${address}`))
  if (ours) return unreachable(peer, `${ours} is an address of this machine: is this node's own name configured right?`)
  const reach = backend(peer, site)
  return typeof reach === 'string' ? unreachable(peer, reach) : reach
}

const unreachable = ({node, cidr}: Claim, why: string): Problem => ({
  kind: 'unreachable',
  message: `node ${node.name}: pod range ${cidr} has no route, since ${why}`,
})

const refusal = (destination: Cidr, {protocol}: RouteNetwork): Route => ({
  destination,
  type: 'unreachable',
  table: TABLE_MAIN,
  protocol,
  metric: METRIC,
  scope: 'global',
  nextHops: [],
})

/** The name of this node: as configured, else the one node whose object reports this machine's id (cloned machines share theirs). */
export function findSelf(
  nodes: ReadonlyMap<NodeName, NodeFacts>,
  configured: NodeName | undefined,
  machineId: string,
): NodeName | undefined {
  if (configured !== undefined) return configured
  if (machineId === '') return undefined
  const found = [...nodes.values()].filter(node => node.machineId === machineId)
  return found.length === 1 ? found[0]!.name : undefined
}
