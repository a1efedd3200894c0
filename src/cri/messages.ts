/**
 * What we say on the two sockets: those messages and fields of the interfaces that are used here, with their names and
 * numbers, as protobufjs keeps descriptors. Protocol buffers let a client leave out the rest.
 *
 * Sources, both Apache-2.0: k8s.io/cri-api, pkg/apis/runtime/v1/api.proto;
 * k8s.io/kubelet, pkg/apis/podresources/v1/api.proto.
 */

const field = (type: string, id: number) => ({type, id})
const list = (type: string, id: number) => ({rule: 'repeated', type, id})
const texts = (id: number) => ({keyType: 'string', type: 'string', id})
/** Enums are read as numbers: on the wire they are the same. */
const ENUM = 'int32'

const runtime = {
  ListPodSandboxRequest: {fields: {filter: field('PodSandboxFilter', 1)}},
  PodSandboxFilter: {fields: {label_selector: texts(3)}},
  ListPodSandboxResponse: {fields: {items: list('PodSandbox', 1)}},
  PodSandbox: {
    fields: {
      id: field('string', 1),
      metadata: field('PodSandboxMetadata', 2),
      state: field(ENUM, 3),
      created_at: field('int64', 4),
    },
  },
  PodSandboxMetadata: {
    fields: {name: field('string', 1), uid: field('string', 2), namespace: field('string', 3)},
  },
  PodSandboxStatusRequest: {fields: {pod_sandbox_id: field('string', 1), verbose: field('bool', 2)}},
  PodSandboxStatusResponse: {fields: {status: field('PodSandboxStatus', 1), info: texts(2)}},
  PodSandboxStatus: {fields: {state: field(ENUM, 3), linux: field('LinuxPodSandboxStatus', 6)}},
  LinuxPodSandboxStatus: {fields: {namespaces: field('Namespace', 1)}},
  Namespace: {fields: {options: field('NamespaceOption', 2)}},
  NamespaceOption: {fields: {network: field(ENUM, 1)}},
  RuntimeService: {
    methods: {
      ListPodSandbox: {requestType: 'ListPodSandboxRequest', responseType: 'ListPodSandboxResponse'},
      PodSandboxStatus: {requestType: 'PodSandboxStatusRequest', responseType: 'PodSandboxStatusResponse'},
    },
  },
}

const podResources = {
  ListPodResourcesRequest: {fields: {}},
  ListPodResourcesResponse: {fields: {pod_resources: list('PodResources', 1)}},
  PodResources: {
    fields: {name: field('string', 1), namespace: field('string', 2), containers: list('ContainerResources', 3)},
  },
  ContainerResources: {fields: {name: field('string', 1), devices: list('ContainerDevices', 2)}},
  ContainerDevices: {fields: {resource_name: field('string', 1), device_ids: list('string', 2)}},
  PodResourcesLister: {
    methods: {List: {requestType: 'ListPodResourcesRequest', responseType: 'ListPodResourcesResponse'}},
  },
}

/** Packages runtime.v1 and v1. */
export const descriptors = {nested: {runtime: {nested: {v1: {nested: runtime}}}, v1: {nested: podResources}}}

/** PodSandboxState. Further values mean that it is not ready, too. */
export const SANDBOX_READY = 0
/** NamespaceMode: the node's own. */
export const MODE_NODE = 2

export interface Calls {
  readonly '/runtime.v1.RuntimeService/ListPodSandbox': {
    readonly request: {readonly filter?: {readonly label_selector: Readonly<Record<string, string>>}}
    readonly answer: {readonly items: readonly SandboxItem[]}
  }
  readonly '/runtime.v1.RuntimeService/PodSandboxStatus': {
    readonly request: {readonly pod_sandbox_id: string; readonly verbose: true}
    readonly answer: SandboxStatus
  }
  readonly '/v1.PodResourcesLister/List': {
    readonly request: Readonly<Record<string, never>>
    readonly answer: {readonly pod_resources: readonly PodResources[]}
  }
}

/** As `/<service>/<method>`, which is gRPC's path. */
export type Method = keyof Calls

/** Texts and numbers that are not told are empty and 0, messages that are not told null. */
export interface SandboxItem {
  readonly id: string
  readonly metadata: {readonly name: string; readonly uid: string; readonly namespace: string} | null
  readonly state: number
  /** Nanoseconds since the epoch, in decimal digits. */
  readonly created_at: string
}

export interface SandboxStatus {
  readonly status: {
    readonly state: number
    readonly linux: {readonly namespaces: {readonly options: {readonly network: number} | null} | null} | null
  } | null
  /** When verbose: what the runtime likes to tell. */
  readonly info: Readonly<Record<string, string>>
}

export interface PodResources {
  readonly name: string
  readonly namespace: string
  readonly containers: readonly {
    readonly devices: readonly {readonly resource_name: string; readonly device_ids: readonly string[]}[]
  }[]
}
