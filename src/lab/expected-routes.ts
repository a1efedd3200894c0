/** Which routes to other nodes' pods a node should have: what the agents are measured by. Pure. */
import type {BackendName} from '../model/config-network.ts'
import type {NodeFacts} from '../model/facts.ts'
import {Cidr, type Family} from '../model/ip.ts'
import type {NodePlan} from './plan.ts'
import type {Way} from './ways.ts'

/** By the pod range's text. Nodes that cannot be reached yet, having no tunnel's end published, are left out. */
export function expectedRoutes(
  own: NodePlan,
  objects: Iterable<NodeFacts>,
  backend: BackendName,
): ReadonlyMap<string, Way> {
  const routes = new Map<string, Way>()
  for (const node of objects) {
    if (node.name === own.name) continue
    for (const cidr of node.podCIDRs) {
      const way = wayTo(own, node, cidr.family, backend)
      if (way) routes.set(`${cidr}`, way)
    }
  }
  return routes
}

function wayTo(own: NodePlan, {addresses, vteps}: NodeFacts, family: Family, backend: BackendName): Way | undefined {
  const near = own.addresses.some(({ip, length}) =>
    addresses.some(address => address.family === family && new Cidr(ip, length).contains(address)),
  )
  if (near && backend !== 'vxlan') return 'direct'
  // Over the one family where the other one's end is missing.
  const families = own.addresses.map(({ip}) => ip.family)
  const common = vteps.some(
    ({network, ends}) => network === 'default' && ends.some(({ip}) => families.includes(ip.family)),
  )
  return common && backend !== 'direct' ? 'vxlan' : undefined
}
