/** Pairs: point-to-point connections of pods. What pods declare, what the nodes tell each other, and what is to be built. */
import type {NodeName} from './facts.ts'
import type {Cidr, Family, Ip, IpWithPrefix} from './ip.ts'
import type {Mac} from './net.ts'

/** "namespace/name". */
export type PodKey = string

/** "<namespace>/<name>" of its Kubernetes object: that of its first end, and what names both. At most 241 bytes. */
export type PairKey = string & {readonly brand: 'PairKey'}

/** Canonical texts. */
export interface DeclaredRoute {
  readonly dst: string
  /** Undefined: whatever is on the link. */
  readonly gw?: string
}

/** What one pod says of one pair. Texts and numbers only: it goes through the store as JSON. */
export interface Declaration {
  readonly by: 'annotation' | 'labels'
  /** "netgraft.dev/pairs[1]", "ratchet.pair_name". For sentences. */
  readonly at: string
  /** Of the pair: the same at both ends, and of no other pair of theirs. */
  readonly name?: string
  /** By labels its name is that of the other pod's label `ratchet.pod_name`. */
  readonly peer: PodKey
  readonly interface: string
  readonly peerInterface?: string
  /** Canonical, each with its prefix length. */
  readonly ips?: readonly string[]
  /** Of the other end: labels tell both. */
  readonly peerIps?: readonly string[]
  readonly mac?: string
  /** Bytes. */
  readonly mtu?: number
  readonly routes?: readonly DeclaredRoute[]
}

/** A node's address for tunnels, and the MTU of the interface that has it. */
export interface Underlay {
  /** Canonical. */
  readonly ip: string
  /** Bytes. */
  readonly mtu: number
}

/** What a node tells of a pod of its own that has to do with a pair: a document of the store, under the pod's key. */
export interface Endpoint {
  readonly namespace: string
  readonly pod: string
  readonly uid: string
  /** `metadata.creationTimestamp` in milliseconds since the epoch. */
  readonly createdAt: number
  readonly node: NodeName
  /** The container id of its sandbox. Undefined: there is none yet. */
  readonly sandbox?: string
  /** Label `ratchet.pod_name`, or else its name, of a pod that has the label `ratchet`: how other pods' labels call it. */
  readonly ratchetName?: string
  readonly underlay: Readonly<Partial<Record<Family, Underlay>>>
  readonly declarations: readonly Declaration[]
}

/** A VNI that has been taken: a document of the store, under its number. */
export interface VniClaim {
  readonly pair: PairKey
  /** Who took it, and gives it back. */
  readonly node: NodeName
}

/**
 * malformed: cannot be what it says. contradiction: not both of what is said can be. refused: not allowed.
 */
export type PairProblemKind = 'malformed' | 'contradiction' | 'refused'

/** What cannot be served, told to one pod. */
export interface PairProblem {
  readonly kind: PairProblemKind
  /** Where this pod says it: "netgraft.dev/pairs[1].mac". Empty: only another pod does. */
  readonly at: string
  /** A sentence that says what is wrong and what to do. */
  readonly message: string
  /** This pod's. Undefined where that cannot be told. */
  readonly interface?: string
}

export interface PairEnd {
  readonly pod: PodKey
  readonly interface: string
  readonly ips: readonly string[]
  readonly mac?: string
  readonly routes: readonly DeclaredRoute[]
  /** Where the pod declares it. Undefined: only the other one does. */
  readonly at?: string
  /** Undefined: there is no such pod, as far as is known. */
  readonly endpoint?: Endpoint
}

export interface Pair {
  readonly key: PairKey
  readonly name?: string
  /** By "namespace/pod:interface". */
  readonly ends: readonly [PairEnd, PairEnd]
  /** Bytes. What is asked for. */
  readonly mtu?: number
}

export interface EndRoute {
  readonly dst: Cidr
  readonly gw?: Ip
  /** The gateway is on none of the end's own subnets. */
  readonly onlink: boolean
}

/** An end on this node. */
export interface LocalEnd {
  readonly pod: PodKey
  readonly uid: string
  readonly sandbox?: string
  readonly interface: string
  /** "namespace/pod:interface" of the other end. */
  readonly peer: string
  readonly ips: readonly IpWithPrefix[]
  /** Where none is declared it follows from the end's name: it stays when the pod is made anew, or moves. */
  readonly mac: Mac
  readonly routes: readonly EndRoute[]
}

export type ReadyEnd = LocalEnd & {readonly sandbox: string}

/**
 * peer: the other pod is not there. node: its node shows no sign of life. sandbox: one of the two has none yet.
 * vni: none has been taken for the pair yet.
 */
export type WaitsFor = 'peer' | 'node' | 'sandbox' | 'vni'

interface PlannedPair {
  readonly pair: Pair
}

interface Buildable {
  /** Bytes. One value for the pair, wherever its pods are. */
  readonly mtu: number
  /** Sentences: why something is not as it is asked for. */
  readonly notes: readonly string[]
}

/** What is to be done on this node for a pair of a pod of its own. */
export type PairPlan = VethPlan | VxlanPlan | WaitingPlan | ImpossiblePlan

export interface VethPlan extends PlannedPair, Buildable {
  readonly kind: 'veth'
  readonly ends: readonly [ReadyEnd, ReadyEnd]
}

export interface VxlanPlan extends PlannedPair, Buildable {
  readonly kind: 'vxlan'
  readonly ends: readonly [ReadyEnd]
  /** 24 bits. */
  readonly vni: number
  /** UDP. */
  readonly port: number
  /** Addresses of one family. */
  readonly local: Ip
  readonly remote: Ip
}

export interface WaitingPlan extends PlannedPair {
  readonly kind: 'waiting'
  readonly ends: readonly LocalEnd[]
  readonly waitsFor: WaitsFor
  /** A sentence. */
  readonly reason: string
}

/** As the nodes are, it cannot be. */
export interface ImpossiblePlan extends PlannedPair {
  readonly kind: 'impossible'
  readonly ends: readonly LocalEnd[]
  /** A sentence that says what to do. */
  readonly reason: string
}

/** What a pod is told of a pair. Some of it is unknown where that has not been understood. */
export interface PairState {
  readonly state: 'waiting' | 'building' | 'up' | 'failed' | 'contradiction'
  readonly name?: string
  readonly interface?: string
  /** "namespace/pod:interface". */
  readonly peer?: string
  readonly kind?: 'veth' | 'vxlan'
  /** Bytes. */
  readonly mtu?: number
  readonly vni?: number
  readonly pair?: PairKey
  /**
   * Of what is waiting. "ratchet": until labels of another pod name this one. "store": until it is known what the store
   * has.
   */
  readonly waitsFor?: WaitsFor | 'ratchet' | 'store'
  /** One sentence, or several. */
  readonly reason?: string
}
