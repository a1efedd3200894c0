/**
 * What the agent tells over its admin socket: HTTP, GET only, JSON. The command line shows it, and whoever else reads the
 * socket. Keys are added, never changed.
 */
import type {WaitsFor} from './pair.ts'

/** Of each path below {@link ADMIN_ROOT} the answer. */
export interface AdminAnswers {
  readonly status: AdminStatus
  readonly routes: AdminRoutes
  readonly attachments: AdminAttachments
  readonly pairs: AdminPairs
  readonly plan: AdminPlan
  /** Query `subject`: an address, a range, "namespace/pod", the name of a node or of an interface. */
  readonly explain: AdminExplanation
  readonly nodes: AdminNodes
  /** As /metrics has it. */
  readonly metrics: AdminText
  /** The configuration in force, without passwords. */
  readonly config: AdminConfig
  /** What the agent has last said, with the warnings that are older. */
  readonly log: AdminLog
}

export const ADMIN_ROOT = '/v1/'

/** Of an answer that is not 200. */
export interface AdminError {
  /** A sentence. */
  readonly error: string
}

export interface AdminStatus {
  readonly version: string
  /** Undefined: it is not known yet which node this is. */
  readonly node?: string
  readonly pid: number
  /** ISO 8601. */
  readonly startedAt: string
  /** As /readyz says it. */
  readonly ready: boolean
  readonly conditions: readonly AdminCondition[]
  readonly api: AdminApi
  readonly networks: readonly AdminNetworkStatus[]
  /** Undefined: it is not open yet. */
  readonly cni?: AdminCni
  /** Undefined: pairs are switched off, or not served yet. */
  readonly pairs?: AdminPairCounts
  readonly store: AdminStore
}

export interface AdminCondition {
  readonly name: string
  readonly ready: boolean
  /** Of one that is not ready: a sentence. */
  readonly reason?: string
}

/** What is heard of the API server, by the watch of nodes. */
export interface AdminApi {
  /** ISO 8601. When it was heard of last: a quiet cluster is heard of about once a minute. */
  readonly heardAt?: string
  /** What the last try met, where nothing has been heard since: a sentence. */
  readonly trouble?: string
  /** ISO 8601. The agent works with nodes that were written to disk then. */
  readonly savedAt?: string
}

export interface AdminNetworkStatus {
  readonly network: string
  readonly backend: string
  readonly peers: number
  /** Routes to peers in the kernel. */
  readonly routes: {readonly ipv4: number; readonly ipv6: number}
  /** This node's own. */
  readonly ranges: readonly string[]
  /** Bytes that a packet of a pod may have. */
  readonly mtu: {readonly ipv4?: number; readonly ipv6?: number}
  readonly conflicts: number
  /** Changes that the kernel refused. */
  readonly refused: number
  /** Sentences. */
  readonly problems: readonly string[]
  /** ISO 8601. When the last pass ended; undefined: there was none. */
  readonly passedAt?: string
  /** Of a last pass that broke. */
  readonly broken?: string
}

export interface AdminCni {
  /** Requests that are worked on, or wait. */
  readonly requests: number
  /** DELs that were answered while no agent was there, and are to be carried out. */
  readonly spooled: number
  readonly journal: {readonly adding: number; readonly added: number; readonly deleting: number}
}

/** Ends in pods of this node. */
export interface AdminPairCounts {
  readonly up: number
  readonly building: number
  readonly waiting: number
  readonly failed: number
  readonly contradiction: number
}

export interface AdminStore {
  readonly type: string
  /** Undefined: nothing asks for it. Whether all is known that pairs follow from. */
  readonly ready?: boolean
  /** Of one that is not ready, or has failed since: a sentence. */
  readonly reason?: string
}

export interface AdminRoutes {
  readonly networks: readonly AdminNetworkRoutes[]
}

export interface AdminNetworkRoutes {
  readonly network: string
  /** `rtm_protocol`. */
  readonly protocol: number
  readonly tunnels: readonly AdminTunnel[]
  readonly routes: readonly AdminRoute[]
  /** Undefined: what is wanted is known. Else why not. */
  readonly unknown?: string
}

/** A tunnel's device that stands. */
export interface AdminTunnel {
  readonly device: string
  readonly vni: number
  /** UDP. */
  readonly port: number
  readonly local?: string
  /** Bytes. */
  readonly mtu: number
  /** Peers that it leads to. */
  readonly ends: number
}

/**
 * stands: as it is wanted. behind: it stands, and somebody else's route goes before it. missing: it is wanted and does not
 * stand (so). none: there is to be none.
 */
export type AdminRouteState = 'stands' | 'behind' | 'missing' | 'none'

/** Of one pod range of a node. */
export interface AdminRoute {
  readonly node: string
  /** Undefined: the node has none. */
  readonly range?: string
  /** It is this node. */
  readonly own: boolean
  readonly state: AdminRouteState
  /** "via 192.168.0.2 dev eth0", "unreachable". */
  readonly wanted?: string
  /** What of ours stands there, where that differs. */
  readonly standing?: string
  /** Why it is not `stands`, or why nothing gets there all the same: a sentence. */
  readonly reason?: string
}

export interface AdminAttachments {
  readonly attachments: readonly AdminAttachment[]
  /** Undefined: the journal is open. Else why not. */
  readonly unknown?: string
}

/** attached, adding, deleting: as the journal has it. pending, failed: asked for, and not there. */
export type AdminAttachmentState = 'attached' | 'adding' | 'deleting' | 'pending' | 'failed'

export interface AdminAttachment {
  /** "namespace/name". Undefined: the runtime named none. */
  readonly pod?: string
  readonly container?: string
  readonly interface?: string
  /** Of the definition "namespace/name"; of the first interface that of the runtime's network. */
  readonly network: string
  /** CNI types of its plugins, in order. */
  readonly types: readonly string[]
  /** With prefix lengths. */
  readonly addresses: readonly string[]
  readonly mac?: string
  readonly state: AdminAttachmentState
  /** ISO 8601. When it was begun. */
  readonly since?: string
  /** A sentence. */
  readonly trouble?: string
}

export interface AdminPairs {
  readonly ends: readonly AdminPairEnd[]
  /** Undefined: all is known that pairs follow from. Else why not: then states may be older. */
  readonly unknown?: string
}

/** An end in a pod of this node, or a problem that a pod is told. */
export interface AdminPairEnd {
  readonly pod: string
  readonly interface?: string
  /** With prefix lengths. */
  readonly addresses: readonly string[]
  /** "namespace/pod:interface". */
  readonly peer?: string
  readonly peerNode?: string
  readonly kind?: 'veth' | 'vxlan'
  readonly vni?: number
  /** Of a tunnel: the other node's address. */
  readonly remote?: string
  /** Bytes. */
  readonly mtu?: number
  readonly state: keyof AdminPairCounts
  readonly waitsFor?: WaitsFor | 'ratchet' | 'store'
  readonly reason?: string
}

export interface AdminPlan {
  readonly networks: readonly AdminNetworkPlan[]
  /** Not as they are asked for, or on their way. */
  readonly attachments: readonly AdminAttachment[]
  /** Not up. */
  readonly pairs: readonly AdminPairEnd[]
}

export interface AdminNetworkPlan {
  readonly network: string
  /** What a pass would write now, in its order. */
  readonly changes: readonly AdminChange[]
  /** What stands so, and is left alone. */
  readonly conflicts: readonly string[]
  /** Why nothing is known, or why nothing is taken away. */
  readonly heldBack?: string
}

export interface AdminChange {
  /** In the words of `ip` and `bridge`. */
  readonly change: string
  readonly why: string
}

export interface AdminExplanation {
  readonly subject: string
  readonly kind: 'address' | 'range' | 'pod' | 'node' | 'interface'
  /** False: nothing is known of it. */
  readonly known: boolean
  /** Sentences, what matters most first. */
  readonly says: readonly string[]
  /** What they speak of. */
  readonly routes: readonly (AdminRoute & {readonly network: string})[]
  readonly attachments: readonly AdminAttachment[]
  readonly pairs: readonly AdminPairEnd[]
}

export interface AdminNodes {
  /** Oldest first. */
  readonly nodes: readonly AdminNode[]
  /** Undefined: they are known. Else why not. */
  readonly unknown?: string
}

export interface AdminNode {
  readonly node: string
  /** It is this node. */
  readonly own: boolean
  /** ISO 8601. */
  readonly createdAt: string
  readonly ranges: readonly string[]
  readonly addresses: readonly string[]
}

export interface AdminText {
  readonly text: string
}

export interface AdminConfig {
  /** Keys as in docs/config.md, all of them. */
  readonly config: object
}

export interface AdminLog {
  /** Of the log, as they were written: JSON, oldest first. A bounded number. */
  readonly lines: readonly string[]
}
