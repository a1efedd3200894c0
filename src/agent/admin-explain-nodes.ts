/** The admin API's answer to "what is that?", of what the cluster has: a node, a pod range, and what is beyond the nodes. Pure. */
import type {AdminRoute} from '../model/admin.ts'
import type {Config} from '../model/config.ts'
import type {NodeFacts} from '../model/facts.ts'
import type {Cidr, Ip} from '../model/ip.ts'

export function explainNode(text: string, node: NodeFacts | undefined, routes: readonly AdminRoute[]): string[] {
  if (!node) return []
  const own = routes.some(each => each.own)
  const has = (items: readonly unknown[], none: string): string => (items.length === 0 ? none : items.join(' '))
  return [
    `${text} is ${own ? 'this node itself' : 'a node'}: address ${has(node.addresses, 'none')}, pod range ${has(node.podCIDRs, 'none')}`,
    ...node.problems,
    ...(own ? [] : routes.map(rowSentence)),
  ]
}

/** Rows of one range that has many within. */
const MANY = 20

export function explainRange(range: Cidr, routes: readonly AdminRoute[]): string[] {
  const text = `${range}`
  const more = routes.length - MANY
  return [
    ...routes.slice(0, MANY).map(each => {
      const whose = each.own ? 'this node' : `node ${each.node}`
      const what =
        each.range === text ? `${text} is a pod range of ${whose}` : `${each.range} is a pod range of ${whose}`
      return each.own ? what : `${what}; ${rowSentence(each)}`
    }),
    ...(more > 0 ? [`${more} more pod ranges meet it`] : []),
  ]
}

const rowSentence = ({range = 'it', state, wanted, standing, reason}: AdminRoute): string => {
  const now = standing === undefined ? '' : `; now it leads ${standing || 'somewhere else'}`
  const why = reason === undefined ? '' : `: ${reason}`
  if (state === 'stands')
    return `this node's route to ${range} stands: ${wanted}${reason === undefined ? '' : `; ${reason}`}`
  if (state === 'behind') return `this node's route to ${range} (${wanted}) stands, and does not lead there${why}`
  if (state === 'missing') return `this node's route to ${range} is missing${now}${why}`
  return `there is to be no route to ${range}${now}${why}`
}

export interface BeyondFacts {
  readonly config: Pick<Config, 'clusterCIDRs' | 'serviceCIDRs' | 'networks'>
  /** All pod ranges of all nodes. */
  readonly ranges: Iterable<Cidr>
  /** Somebody has been found who has it: a node, a pod of this node. */
  readonly isKnown: boolean
  /** There is something to be said of it: a way that leads there, for one. */
  readonly isReached: boolean
}

/** Of an address: what the configuration says of it, and whether it sees pods' own addresses. */
export function explainBeyond(ip: Ip, {config, ranges, isKnown, isReached}: BeyondFacts): string[] {
  const within = (list: readonly Cidr[]): Cidr | undefined => list.find(cidr => cidr.contains(ip))
  const service = within(config.serviceCIDRs)
  if (service)
    return [
      `it is in the services' range ${service} (serviceCIDRs): who leads that to pods is kube-proxy, or what stands in its place, and no route of ours`,
    ]
  for (const range of ranges) if (range.contains(ip)) return []
  const cluster = within(config.clusterCIDRs)
  if (cluster && !isKnown) return [`it is in ${cluster} (clusterCIDRs), and in no node's pod range: no pod has it`]
  if (cluster || !isReached) return []
  const masked = config.networks.filter(({pods}) => pods.masquerade)
  const spared = config.networks.flatMap(({pods}) => within(pods.noMasquerade) ?? [])
  if (spared.length > 0) return [`it sees pods' own addresses: it is in ${spared[0]} (noMasquerade)`]
  if (masked.length === 0) return ["it sees pods' own addresses: nothing is masqueraded"]
  return [
    "it is outside the pod ranges: what pods of this node send there is masqueraded, and leaves with the node's address",
  ]
}
