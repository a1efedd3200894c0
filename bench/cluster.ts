/** A cluster of any size, by number: node 0 is the one that is measured. Names, addresses, pod ranges, API objects. */
import type {NewObject} from '../src/lab/apiserver/direct.ts'
import type {NodeFacts, NodeName} from '../src/model/facts.ts'
import {projectNode} from '../src/streams/nodes.ts'

export const BACKENDS = ['direct', 'vxlan'] as const
/** How nodes reach each other's pods. */
export type Backend = (typeof BACKENDS)[number]

export const SELF = 'node-0'

export const nodeName = (n: number): string => `node-${n}`

/** IPv4, then IPv6. All nodes are in one subnet, each with an address of its own, as gateways are. */
export const addressesOf = (n: number): [string, string] => [
  `172.${16 + ((n + 1) >> 16)}.${((n + 1) >> 8) & 255}.${(n + 1) & 255}`,
  `fd00:100::${(n + 1).toString(16)}`,
]
/** Bits. */
export const SUBNET_LENGTHS = [12, 64] as const

export const podCIDRsOf = (n: number): [string, string] => [
  `10.${64 + (n >> 8)}.${n & 255}.0/24`,
  `fd00:64:${n.toString(16)}::/64`,
]

/** Of the tunnel device. */
const macOf = (n: number): string => ['02', '4e', ...n.toString(16).padStart(8, '0').match(/../g)!].join(':')

/** As an agent with tunnels publishes it. */
const vtepOf = (n: number): string =>
  JSON.stringify({vni: 1, port: 8472, ends: addressesOf(n).map(ip => ({ip, mac: macOf(n)}))})

/** A Node of the size that real ones have: about 6 KB as JSON, most of it labels, conditions and images. */
export function nodeObject(n: number, backend: Backend): NewObject {
  const name = nodeName(n)
  const podCIDRs = podCIDRsOf(n)
  const time = '2026-01-01T00:00:00Z'
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: Object.fromEntries(LABELS.map(label => [label, name])),
      annotations: {
        'node.alpha.kubernetes.io/ttl': '0',
        'volumes.kubernetes.io/controller-managed-attach-detach': 'true',
        ...(backend === 'vxlan' && {'netgraft.dev/vtep-default': vtepOf(n)}),
      },
    },
    spec: {podCIDR: podCIDRs[0], podCIDRs},
    status: {
      addresses: [...addressesOf(n).map(address => ({type: 'InternalIP', address})), {type: 'Hostname', address: name}],
      capacity: RESOURCES,
      allocatable: RESOURCES,
      conditions: CONDITIONS.map(type => ({
        type,
        status: type === 'Ready' ? 'True' : 'False',
        reason: `Kubelet${type}`,
        message: `kubelet reports the condition ${type} as expected`,
        lastHeartbeatTime: time,
        lastTransitionTime: time,
      })),
      daemonEndpoints: {kubeletEndpoint: {Port: 10250}},
      nodeInfo: {
        machineID: n.toString(16).padStart(32, '0'),
        systemUUID: n.toString(16).padStart(32, '0'),
        bootID: n.toString(16).padStart(32, '0'),
        kernelVersion: '6.12.0',
        osImage: 'Debian GNU/Linux 12 (bookworm)',
        containerRuntimeVersion: 'containerd://2.1.0',
        kubeletVersion: 'v1.34.0',
        kubeProxyVersion: '',
        operatingSystem: 'linux',
        architecture: 'amd64',
      },
      images: IMAGES,
    },
  }
}

/** What the agent knows of the first so many nodes. */
export function factsOf(count: number, backend: Backend): Map<NodeName, NodeFacts> {
  const created = '2026-01-01T00:00:00Z'
  return new Map(
    Array.from({length: count}, (_, n) => {
      const object = nodeObject(n, backend)
      const facts = projectNode({...object, metadata: {...object.metadata, creationTimestamp: created}})
      return [facts.name, facts]
    }),
  )
}

const LABELS = [
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'node.kubernetes.io/instance-type',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'failure-domain.example.com/rack',
  'pool.example.com/name',
]
const RESOURCES = {
  cpu: '16',
  'ephemeral-storage': '103079844Ki',
  'hugepages-1Gi': '0',
  'hugepages-2Mi': '0',
  memory: '65807128Ki',
  pods: '500',
}
const CONDITIONS = ['NetworkUnavailable', 'MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready']
/** The kubelet reports up to 50; the names, by tag and by digest, are most of an object. */
const IMAGES = Array.from({length: 12}, (_, i) => ({
  names: [
    `registry.example.com/team/image-${i}@sha256:${`${i}`.padStart(64, 'ab')}`,
    `registry.example.com/team/image-${i}:v1.${i}`,
  ],
  sizeBytes: 100_000_000 + i,
}))
