/** What the domains know of the cluster: small facts, projected from API objects on arrival. */
import type {Cidr, Ip} from './ip.ts'
import type {Vtep} from './vtep.ts'

export type NodeName = string & {readonly brand: 'NodeName'}

/** What is kept of a Node. A 5,000-node cluster must not keep node objects. */
export interface NodeFacts {
  readonly name: NodeName
  /** `status.nodeInfo.machineID`; empty when not reported yet. */
  readonly machineId: string
  /** `metadata.creationTimestamp` in milliseconds since the epoch: of two nodes that claim one CIDR the newer wins. */
  readonly createdAt: number
  /** `spec.podCIDRs` that parse. Empty while the node has none yet. */
  readonly podCIDRs: readonly Cidr[]
  /** `status.addresses` of type InternalIP that parse, in the object's order. */
  readonly addresses: readonly Ip[]
  /** What it publishes of its tunnels, network by network. */
  readonly vteps: readonly Vtep[]
  /** One sentence per field that cannot be what it says ("node b: spec.podCIDRs[0] …"). The rest of the node is used. */
  readonly problems: readonly string[]
}
