/** From the nodes to what this node's kernel should have. Pure. */
import type {NodeFacts, NodeName} from '../model/facts.ts'
import {type Cidr, hostLength, type Ip} from '../model/ip.ts'
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
import {type Claim, type Problem, settleClaims} from './claims.ts'
import type {RouteNetwork} from './network.ts'

const BACKENDS: Readonly<Record<RouteNetwork['backend'], Backend>> = {auto, direct, vxlan}

export interface Desired {
  /** By the destination's text. */
  readonly routes: ReadonlyMap<string, Route>
  /** Of each tunnel device: all that it should have, and nothing else. */
  readonly tunnels: ReadonlyMap<IfIndex, TunnelEntries>
  /** Other nodes that have a pod range. */
  readonly peers: number
  readonly problems: readonly Problem[]
}

export interface TunnelEntries {
  readonly addresses: readonly Address[]
  /** By the address's text. */
  readonly neighbours: ReadonlyMap<string, Neighbour>
  readonly fdb: ReadonlyMap<Mac, FdbEntry>
}

export interface Cluster {
  readonly nodes: ReadonlyMap<NodeName, NodeFacts>
  /** This node; undefined: it has no object yet, and nothing is known to be its own. */
  readonly own: NodeFacts | undefined
  /** The addresses under which a node is reached, in the order of preference. */
  readonly addressesOf: (node: NodeFacts) => readonly Ip[]
  /** As in {@link Peer}, by a node's addresses. @default none */
  readonly overLinkLocal?: (addresses: readonly Ip[]) => NextHop | undefined
}

export function desiredState({nodes, own, addressesOf, overLinkLocal}: Cluster, site: Site): Desired {
  const {claims, problems} = settleClaims(
    nodes.values(),
    site.underlay.subnets.map(subnet => subnet.cidr),
  )
  const result = new Collector(site)
  const peers = new Set<NodeName>()
  for (const claim of claims.values()) {
    if (claim.node === own) {
      result.addOwn(claim.cidr)
      continue
    }
    peers.add(claim.node.name)
    const addresses = addressesOf(claim.node)
    const reach = reachOf({...claim, addresses, overLinkLocal: () => overLinkLocal?.(addresses)}, own, site)
    const problem = 'route' in reach ? result.add(claim, reach) : reach
    if (problem) problems.push(problem)
  }
  return {routes: result.routes, tunnels: result.tunnels, peers: peers.size, problems}
}

function reachOf(peer: Peer, own: NodeFacts | undefined, site: Site): Reach | Problem {
  const {cidr, node, addresses} = peer
  const inside = own?.podCIDRs.find(each => each.contains(cidr))
  if (inside)
    return {
      kind: 'overlap',
      message: `node ${node.name}: pod range ${cidr} lies inside this node's own ${inside}; it gets no route here`,
    }
  const inner = addresses.find(address => cidr.contains(address))
  if (inner) return unreachable(peer, `it contains the node's own address ${inner}`)
  const ours = addresses.find(address => site.underlay.local.has(`${address}`))
  if (ours) return unreachable(peer, `${ours} is an address of this machine: is this node's own name configured right?`)
  const reach = BACKENDS[site.network.backend](peer, site)
  return typeof reach === 'string' ? unreachable(peer, reach) : reach
}

const unreachable = ({node, cidr}: Claim, why: string): Problem => ({
  kind: 'unreachable',
  message: `node ${node.name}: pod range ${cidr} has no route, since ${why}`,
})

class Collector {
  readonly routes = new Map<string, Route>()
  readonly tunnels = new Map<
    IfIndex,
    {addresses: Address[]; neighbours: Map<string, Neighbour>; fdb: Map<Mac, FdbEntry>}
  >()
  readonly #site: Site

  constructor(site: Site) {
    this.#site = site
    for (const index of Object.values(site.devices))
      this.tunnels.set(index, {addresses: [], neighbours: new Map(), fdb: new Map()})
  }

  /**
   * In routed mode, an unreachable route for where no pod's own route is: else such packets would take the default route,
   * and whoever routes the range to this node would send them back. And the address from which this node itself speaks
   * through its tunnels: the first of the range, which no pod has.
   */
  addOwn(cidr: Cidr): void {
    const {network} = this.#site
    if (network.pods.mode === 'ptp') this.routes.set(`${cidr}`, refusal(cidr, network))
    const {address: ip, family} = cidr
    for (const [index, {addresses}] of this.tunnels)
      if (!addresses.some(other => other.ip.family === family))
        addresses.push({
          index,
          ip,
          length: hostLength(family),
          scope: 'global',
          flags: family === 6 ? NODAD | NOPREFIXROUTE : 0,
        })
  }

  /** A problem: the entries contradict those of another node. */
  add(claim: Claim, {route, neighbour, fdb}: Reach): Problem | undefined {
    if (fdb && neighbour) {
      const tunnel = this.tunnels.get(fdb.index)!
      const other = tunnel.fdb.get(fdb.mac)
      if (other && `${other.remote}` !== `${fdb.remote}`)
        return unreachable(claim, `the MAC of its tunnel, ${fdb.mac}, is also that of the node at ${other.remote}`)
      tunnel.fdb.set(fdb.mac, other ?? fdb)
      tunnel.neighbours.set(`${neighbour.ip}`, neighbour)
    }
    this.routes.set(`${route.destination}`, route)
    return undefined
  }
}

/** IFA_F_*, linux/if_addr.h: usable at once, since nobody else can have it; and without a route to itself. */
const NODAD = 0x02
const NOPREFIXROUTE = 0x200

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
