/** Networks that a pod asks for beside its first one: what its annotations say, and the definitions that they name. */

export type DefinitionKind = 'NetworkAttachmentDefinition' | 'Network'

export interface DefinitionRef {
  /** NetworkAttachmentDefinition: k8s.cni.cncf.io/v1. Network: kaloom.com/v1. */
  readonly kind: DefinitionKind
  readonly namespace: string
  readonly name: string
}

/** A network definition object. */
export interface Definition extends DefinitionRef {
  /** JSON: a CNI conf or conflist. Empty: that of the file of this name on the node. */
  readonly config: string
  /** Annotation `k8s.v1.cni.cncf.io/resourceName`: the kubelet's device resource. */
  readonly resourceName?: string
}

/** Which of the two annotations: `k8s.v1.cni.cncf.io/networks`, or `networks`. */
export type Dialect = 'npwg' | 'kaloom'

export interface PortMapping {
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly hostIP?: string
}

/** Bits a second, and bits. */
export interface Bandwidth {
  readonly ingressRate?: number
  readonly ingressBurst?: number
  readonly egressRate?: number
  readonly egressBurst?: number
}

/** One element of an annotation. It is kept in the journal as JSON: texts and numbers only. */
export interface Selection {
  readonly dialect: Dialect
  /** Of the definition. The pod's own, where the element names none. */
  readonly namespace: string
  readonly name: string
  /** The name of the interface in the pod, where the element says one. */
  readonly interface?: string
  /** Six pairs of lower-case hexadecimal digits with colons. `mac`, or `ifMac`. */
  readonly mac?: string
  /** Canonical; with a prefix length where one is written. */
  readonly ips?: readonly string[]
  readonly infinibandGuid?: string
  readonly portMappings?: readonly PortMapping[]
  readonly bandwidth?: Bandwidth
  /** `cni-args`. */
  readonly cniArgs?: {readonly [key: string]: unknown}
  /** `default-route`: gateways, canonical. */
  readonly defaultRoute?: readonly string[]
  /** `deviceID`. */
  readonly deviceId?: string
  /** `ipam-claim-reference`: the name of an IPAMClaim. */
  readonly ipamClaim?: string
  /** `isPrimary`: takes the place of the pod's first network. */
  readonly primary?: true
  /** `required: false`: the pod starts without it. */
  readonly optional?: true
  /** `podagentSkip`: attached when the pod starts, and left alone while it runs. */
  readonly startOnly?: true
}

/** An element, and where it stands: 'networks[1]' of which annotation, for sentences. */
export interface Selected {
  readonly at: string
  readonly selection: Selection
}

/** What cannot be served as it is written. */
export interface SelectionProblem {
  /** "k8s.v1.cni.cncf.io/networks[1].mac". */
  readonly at: string
  /** A sentence that says what is wrong and what to do, `at` included. */
  readonly message: string
  /** What the element means: undefined where that cannot be told, so that it may mean anything that stands. */
  readonly means?: {readonly namespace: string; readonly name: string}
}
