/** The admin API's view of one network's routes: what is wanted for each node's range, what stands, and why not. */
import type {AdminNetworkRoutes, AdminRoute, AdminTunnel} from '../model/admin.ts'
import type {NodeFacts} from '../model/facts.ts'
import type {Cidr} from '../model/ip.ts'
import type {KernelState} from '../model/kernel.ts'
import type {Route} from '../model/net.ts'
import {type Settlement, settleClaims, shareOf} from '../routes/claims.ts'
import {planNode, reservedAt} from '../routes/desired.ts'
import {Diff, diffRoutes, equalRoutes} from '../routes/diff.ts'
import type {PassBasis, RouteReport} from '../routes/pass.ts'

export interface RoutesAsked {
  readonly basis: PassBasis
  readonly report: RouteReport
  readonly kernel: KernelState
  /** Of these alone. @default all */
  readonly only?: (node: NodeFacts, range: Cidr | undefined) => boolean
}

export const settle = ({cluster, site}: PassBasis): ReturnType<typeof settleClaims> =>
  // Of one moment: the map is live, and there are pauses.
  settleClaims([...cluster.nodes.values()], reservedAt(site))

/** Yields between nodes. */
export function* listRoutes(asked: RoutesAsked): Generator<void, AdminNetworkRoutes, undefined> {
  const {basis, kernel, only = () => true} = asked
  const {name, protocol} = basis.site.network
  const settlement = yield* settle(basis)
  const refused = refusals(asked.report)
  const routes: AdminRoute[] = []
  for (const {node} of settlement.shares.values()) {
    yield
    const whose = {node: node.name, own: node.name === basis.cluster.own?.name}
    if (node.podCIDRs.length === 0 && only(node, undefined))
      routes.push({...whose, state: 'none', reason: node.problems[0] ?? 'the node has no pod range (spec.podCIDRs)'})
    for (const range of node.podCIDRs)
      if (only(node, range))
        routes.push({...whose, range: `${range}`, ...rowOf(node, range, asked, settlement, refused)})
  }
  routes.sort((a, b) => Number(b.own) - Number(a.own) || compare(a.node, b.node))
  return {network: name, protocol, tunnels: tunnelsOf(basis, kernel), routes}
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** By destination, in the kernel's words. */
const refusals = ({refused}: RouteReport): ReadonlyMap<string, string> =>
  new Map(
    refused.flatMap(({change, refusal}) =>
      change.object === 'route' ? [[`${change.item.destination}`, refusal.message] as const] : [],
    ),
  )

function rowOf(
  node: NodeFacts,
  range: Cidr,
  {basis, kernel}: RoutesAsked,
  {shares, claims}: Settlement,
  refused: ReadonlyMap<string, string>,
): Pick<AdminRoute, 'state' | 'wanted' | 'standing' | 'reason'> {
  const {cluster, site, desired} = basis
  const text = `${range}`
  if (!shares.get(node.name)!.cidrs.some(cidr => `${cidr}` === text)) {
    const holder = claims.get(text)?.node
    if (holder && holder.name !== node.name)
      return {state: 'none', reason: `node ${holder.name} claims it, too, and has it`}
    const {problems} = shareOf({...node, podCIDRs: [range], problems: []}, reservedAt(site))
    return {state: 'none', reason: problems[0]?.message ?? 'it contains an address of another node'}
  }
  const alone = planNode({node, cidrs: [range], problems: []}, cluster, site)
  const standing = kernel.routes.get(text) ?? []
  const own = standing.find(({protocol}) => protocol === site.network.protocol)
  const has = own && {standing: words(own, kernel)}
  const wanted = desired.routes.get(text)
  if (!wanted || alone.routes.length === 0) {
    const [problem] = alone.problems
    if (problem) return {state: 'missing', ...has, reason: problem.message}
    return alone.routes.length === 0
      ? {state: 'none', ...has, reason: 'pods of this node are on its bridge, whose own route leads there'}
      : {state: 'missing', ...has, reason: 'it is new, or its tunnel is in the way of another node\'s: see "status"'}
  }
  const diff = new Diff()
  diffRoutes(text, wanted, standing, site.network.protocol, diff)
  const [conflict] = diff.conflicts.get(text) ?? []
  const stands = standing.find(route => equalRoutes(route, wanted))
  const row = {wanted: words(wanted, kernel)}
  if (stands && !conflict)
    return {...row, state: 'stands', ...(stands.dead && {reason: 'its device is down, or has no carrier'})}
  if (conflict) {
    const foreign = `${words(conflict.foreign, kernel)} proto ${conflict.foreign.protocol} metric ${conflict.foreign.metric}`
    return stands
      ? {...row, state: 'behind', reason: `a route that is not ours goes before it: ${foreign}`}
      : {...row, ...has, state: 'missing', reason: `a route that is not ours has its place: ${foreign}`}
  }
  return {...row, ...has, state: 'missing', reason: refused.get(text) ?? 'it is about to be written'}
}

function tunnelsOf({site, desired}: PassBasis, kernel: KernelState): readonly AdminTunnel[] {
  return Object.values(site.devices).flatMap((index): AdminTunnel[] => {
    const link = kernel.links.get(index)
    if (!link?.vxlan) return []
    const {vni, port, local} = link.vxlan
    const ends = desired.tunnels.get(index)?.fdb.size ?? 0
    return [{device: link.name, vni, port, ...(local && {local: `${local}`}), mtu: link.mtu, ends}]
  })
}

/** "via 192.168.0.2 dev eth0", "unreachable". */
export function words({type, nextHops}: Route, {links}: Pick<KernelState, 'links'>): string {
  const hops = nextHops.map(({gateway, dev, onlink}) =>
    [gateway && `via ${gateway}`, dev !== undefined && `dev ${links.get(dev)?.name ?? dev}`, onlink && 'onlink']
      .filter(Boolean)
      .join(' '),
  )
  return [...(type === 'unicast' ? [] : [type]), hops.join(', ')].filter(Boolean).join(' ')
}
