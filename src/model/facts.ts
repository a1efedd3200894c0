/** What the domains know of the cluster: small facts, projected from API objects on arrival. */
import type {Cidr, Ip} from './ip.ts'
import type {Mac} from './net.ts'

export type NodeName = string & {readonly brand: 'NodeName'}

/** One end of a tunnel: where packets for the node are to be sent, and the MAC that they are to bear. */
export interface Vtep {
  readonly ip: Ip
  readonly mac: Mac
}

/** What a node publishes of its tunnel devices in the annotation `netgraft.dev/vtep-<network>`. */
export interface VtepFacts {
  readonly network: string
  readonly vni: number
  /** UDP. */
  readonly port: number
  /** At most one per family. */
  readonly ends: readonly Vtep[]
}

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
  /** Of every network that it publishes one for. */
  readonly vteps: readonly VtepFacts[]
  /** One sentence per field that cannot be what it says ("node b: spec.podCIDRs[0] …"). The rest of the node is used. */
  readonly problems: readonly string[]
}
