/** Which nodes and pods a lab has, and their names and addresses. Pure. */
import {type Cidr, type Family, hostLength, type Ip, type IpWithPrefix, parseCidr, parseIp} from '../model/ip.ts'

export type LabFamily = '4' | '6' | 'dual'

export interface LabPlan {
  readonly families: readonly Family[]
  /** The namespace of the wire: a bridge that every node has a cable to. */
  readonly wire: string
  /** The wire's own addresses, where the nodes find the API server. */
  readonly relay: readonly IpWithPrefix[]
  readonly nodes: readonly NodePlan[]
}

export interface NodePlan {
  readonly name: string
  /** The namespace's name, as `ip netns` shows it. */
  readonly netns: string
  /** On eth0. */
  readonly addresses: readonly IpWithPrefix[]
  readonly podCIDRs: readonly Cidr[]
  readonly pods: readonly PodPlan[]
}

export interface PodPlan {
  readonly name: string
  readonly node: string
  readonly netns: string
  /** The node's end of the pod's cable. */
  readonly port: string
  readonly addresses: readonly Ip[]
}

export interface LabSize {
  readonly nodes: number
  readonly podsPerNode: number
  readonly family: LabFamily
}

/** The numbers are read as decimal in both families: node 12 is 192.168.100.12 and fd00:100::12. */
const ADDRESSES = {
  4: {
    node: (n: number) => ({ip: parseIp(`192.168.100.${n}`), length: 24}),
    podCIDR: (n: number) => parseCidr(`10.244.${n}.0/24`),
    pod: (n: number, host: number) => parseIp(`10.244.${n}.${host}`),
  },
  6: {
    node: (n: number) => ({ip: parseIp(`fd00:100::${n}`), length: 64}),
    podCIDR: (n: number) => parseCidr(`fd00:244:${n}::/64`),
    pod: (n: number, host: number) => parseIp(`fd00:244:${n}::${host}`),
  },
} as const

const RELAY = 254
const FIRST_POD = 2

/** What every namespace of a run begins with. */
export const namespacePrefix = (id: string): string => `ng-${id}-`

export function planLab(id: string, {nodes, podsPerNode, family}: LabSize): LabPlan {
  const families: readonly Family[] = family === 'dual' ? [4, 6] : family === '4' ? [4] : [6]
  const prefix = namespacePrefix(id)
  return {
    families,
    wire: `${prefix}net`,
    relay: families.map(each => ADDRESSES[each].node(RELAY)),
    nodes: range(nodes).map(n => {
      const node = `n${n}`
      return {
        name: node,
        netns: prefix + node,
        addresses: families.map(each => ADDRESSES[each].node(n)),
        podCIDRs: families.map(each => ADDRESSES[each].podCIDR(n)),
        pods: range(podsPerNode).map(p => ({
          name: `${node}-p${p}`,
          node,
          netns: `${prefix}${node}-p${p}`,
          port: `p${p}`,
          addresses: families.map(each => ADDRESSES[each].pod(n, FIRST_POD + p - 1)),
        })),
      }
    }),
  }
}

export const allNamespaces = (plan: LabPlan): string[] => [
  plan.wire,
  ...plan.nodes.flatMap(node => [node.netns, ...node.pods.map(pod => pod.netns)]),
]

/** "http://192.168.100.1:9464", "http://[fd00:100::1]:9464". @param protocol with its colon */
export const urlAt = (protocol: string, ip: Ip, port: number): string =>
  `${protocol}//${ip.family === 6 ? `[${ip}]` : ip}:${port}`

/** An address alone, as a prefix. */
export const alone = (ip: Ip): IpWithPrefix => ({ip, length: hostLength(ip.family)})

/** From 1. */
const range = (count: number): number[] => Array.from({length: count}, (_, i) => i + 1)
