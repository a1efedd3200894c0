/** From the nodes to the routes that this node should have. Pure. */
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Ip} from '../model/ip.ts'
import {type NextHop, type Route, TABLE_MAIN} from '../model/net.ts'
import {type Claim, type Problem, settleClaims} from './claims.ts'
import {type Underlay, wayTo} from './underlay.ts'

/** Behind IPv6's default of 1024, so that a user's own route to the same prefix wins and both stand. */
export const METRIC = 2048

export interface DesiredRoutes {
  /** By the destination's text. */
  readonly routes: ReadonlyMap<string, Route>
  /** Other nodes that have a pod range. */
  readonly peers: number
  readonly problems: readonly Problem[]
}

/**
 * Backend `direct`: every other node's pod range via that node's address of the same family. `self` undefined: this
 * node has no object yet; then nothing is known to be its own.
 */
export function desiredRoutes(
  nodes: ReadonlyMap<NodeName, NodeFacts>,
  self: NodeName | undefined,
  underlay: Underlay,
  protocol: number,
): DesiredRoutes {
  const own = self === undefined ? undefined : nodes.get(self)
  const {claims, problems} = settleClaims(
    nodes.values(),
    underlay.subnets.map(subnet => subnet.cidr),
  )
  const routes = new Map<string, Route>()
  const peers = new Set<NodeName>()
  for (const claim of claims.values()) {
    if (claim.node === own) continue
    peers.add(claim.node.name)
    const route = routeOf(claim, own, underlay, protocol)
    if ('destination' in route) routes.set(`${route.destination}`, route)
    else problems.push(route)
  }
  return {routes, peers: peers.size, problems}
}

function routeOf(
  {cidr, node}: Claim,
  own: NodeFacts | undefined,
  underlay: Underlay,
  protocol: number,
): Route | Problem {
  const inside = own?.podCIDRs.find(each => each.contains(cidr))
  if (inside)
    return {
      kind: 'overlap',
      message: `node ${node.name}: pod range ${cidr} lies inside this node's own ${inside}; it gets no route here`,
    }
  const unreachable = (why: string): Problem => ({
    kind: 'unreachable',
    message: `node ${node.name}: pod range ${cidr} has no route, since ${why}`,
  })
  const gateways = node.addresses.filter(address => address.family === cidr.family)
  if (gateways.length === 0) return unreachable(`the node reports no IPv${cidr.family} InternalIP`)
  const inner = gateways.find(gateway => cidr.contains(gateway))
  if (inner) return unreachable(`it contains the node's own address ${inner}`)
  const ours = gateways.find(gateway => underlay.local.has(`${gateway}`))
  if (ours) return unreachable(`${ours} is an address of this machine: is this node's own name configured right?`)
  const hop = firstWay(underlay, gateways)
  if (!hop) return unreachable(`${gateways.join(', ')} is on no connected subnet of an interface that is up`)
  return {
    destination: cidr,
    type: 'unicast',
    table: TABLE_MAIN,
    protocol,
    metric: METRIC,
    scope: 'global',
    nextHops: [hop],
  }
}

/** Of a node's addresses the first that can be reached. */
function firstWay(underlay: Underlay, gateways: readonly Ip[]): NextHop | undefined {
  for (const gateway of gateways) {
    const hop = wayTo(underlay, gateway)
    if (hop) return hop
  }
  return undefined
}

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
