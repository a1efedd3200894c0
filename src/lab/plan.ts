/** Which nodes and pods a lab has, and their names and addresses. Pure. */
import {type Cidr, type Family, hostLength, type Ip, type IpWithPrefix, parseCidr, parseIp} from '../model/ip.ts'
import type {Mac} from '../model/net.ts'

export type LabFamily = '4' | '6' | 'dual'

/** l2: all nodes on one subnet. l3: each on one of its own. mixed: two thirds of them on one, the others on another. */
export type Topology = 'l2' | 'l3' | 'mixed'

export interface LabPlan {
  readonly families: readonly Family[]
  /** The namespace of the subnets' bridges, and the router between them where there are several. */
  readonly wire: string
  readonly subnets: readonly SubnetPlan[]
  /** Addresses of the wire, where all nodes find the API server. */
  readonly relay: readonly IpWithPrefix[]
  readonly nodes: readonly NodePlan[]
}

export interface SubnetPlan {
  /** It has a cable to each of the nodes. */
  readonly bridge: string
  /** The wire's own, on the bridge: the router's. */
  readonly addresses: readonly IpWithPrefix[]
  readonly nodes: readonly NodePlan[]
}

export interface NodePlan {
  readonly name: string
  /** The namespace's name, as `ip netns` shows it. */
  readonly netns: string
  /** Of eth0. */
  readonly mac: Mac
  /** On eth0. */
  readonly addresses: readonly IpWithPrefix[]
  readonly podCIDRs: readonly Cidr[]
  readonly pods: readonly PodPlan[]
}

export interface PodPlan {
  readonly name: string
  readonly node: string
  readonly netns: string
}

export interface LabSize {
  readonly nodes: number
  readonly podsPerNode: number
  readonly family: LabFamily
  /** @default 'l2' */
  readonly topology?: Topology
}

/** The number of node `n` of `count`'s subnet. */
const SUBNET: Readonly<Record<Topology, (n: number, count: number) => number>> = {
  l2: () => 100,
  l3: n => 100 + n,
  mixed: (n, count) => (n <= Math.ceil((count * 2) / 3) ? 101 : 102),
}

/** The numbers are read as decimal in both families: node 12 on subnet 100 is 192.168.100.12 and fd00:100::12. */
const ADDRESSES = {
  4: {
    node: (subnet: number, n: number) => ({ip: parseIp(`192.168.${subnet}.${n}`), length: 24}),
    podCIDR: (n: number) => parseCidr(`10.244.${n}.0/24`),
  },
  6: {
    node: (subnet: number, n: number) => ({ip: parseIp(`fd00:${subnet}::${n}`), length: 64}),
    podCIDR: (n: number) => parseCidr(`fd00:244:${n}::/64`),
  },
} as const

const ROUTER = 254

/** What every namespace of a run begins with. */
export const namespacePrefix = (id: string): string => `ng-${id}-`

export function planLab(id: string, {nodes: count, podsPerNode, family, topology = 'l2'}: LabSize): LabPlan {
  const families: readonly Family[] = family === 'dual' ? [4, 6] : family === '4' ? [4] : [6]
  const prefix = namespacePrefix(id)
  const planNode = (subnet: number, n: number): NodePlan => {
    const node = `n${n}`
    return {
      name: node,
      netns: prefix + node,
      mac: `02:00:00:00:01:${n.toString(16).padStart(2, '0')}` as Mac,
      addresses: families.map(each => ADDRESSES[each].node(subnet, n)),
      podCIDRs: families.map(each => ADDRESSES[each].podCIDR(n)),
      pods: range(podsPerNode).map(p => ({
        name: `${node}-p${p}`,
        node,
        netns: `${prefix}${node}-p${p}`,
      })),
    }
  }
  const members = Map.groupBy(range(count), n => SUBNET[topology](n, count))
  const subnets = [...members].map(([subnet, numbers]) => ({
    bridge: `br${subnet}`,
    addresses: families.map(each => ADDRESSES[each].node(subnet, ROUTER)),
    nodes: numbers.map(n => planNode(subnet, n)),
  }))
  return {
    families,
    wire: `${prefix}net`,
    subnets,
    relay: subnets[0]!.addresses,
    nodes: subnets.flatMap(({nodes}) => nodes),
  }
}

export const podPlans = (plan: LabPlan): PodPlan[] => plan.nodes.flatMap(({pods}) => pods)

export const allNamespaces = (plan: LabPlan): string[] => [
  plan.wire,
  ...[...plan.nodes, ...podPlans(plan)].map(({netns}) => netns),
]

/** "http://192.168.100.1:9464", "http://[fd00:100::1]:9464". @param protocol with its colon */
export const urlAt = (protocol: string, ip: Ip, port: number): string =>
  `${protocol}//${ip.family === 6 ? `[${ip}]` : ip}:${port}`

/** An address alone, as a prefix. */
export const alone = (ip: Ip): IpWithPrefix => ({ip, length: hostLength(ip.family)})

/** From 1. */
const range = (count: number): number[] => Array.from({length: count}, (_, i) => i + 1)
