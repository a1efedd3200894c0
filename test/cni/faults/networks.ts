import type {PlannedInterface} from '../../../src/cni/networks.ts'

/** The pod networks that faults are put into, each with what it leaves where. */

export interface Network {
  readonly title: string
  /** The delegate; undefined: the default pod network. */
  readonly delegate?: (folder: string) => object
  /** What pods get beside it. */
  readonly further?: (folder: string) => readonly PlannedInterface[]
  /** The host needs an interface `eth0`. */
  readonly master?: true
  /** Looks after the packet filter. */
  readonly masquerade?: true
  /** CNI_ARGS of the nth pod. */
  readonly args?: (nth: number) => string
  /** No other pod is there, nor anything that the first one makes for all. */
  readonly first?: true
}

const SUBNETS = ['10.77.0.0/24', 'fd00:77::/64']
const HOST_LOCAL = (folder: string) => ({
  type: 'host-local',
  dataDir: `${folder}/ipam`,
  ranges: SUBNETS.map(subnet => [{subnet}]),
  routes: [{dst: '0.0.0.0/0'}, {dst: '::/0'}],
})
const bridge = (folder: string, more: object = {}) => ({
  type: 'bridge',
  bridge: 'br0',
  isGateway: true,
  hairpinMode: true,
  ipam: HOST_LOCAL(folder),
  ...more,
})

/** A layer-2 network that a pod's annotation names. */
const layer2 = (folder: string, n: number): PlannedInterface => {
  const name = `lan${n}`
  const definition = {kind: 'NetworkAttachmentDefinition', namespace: 'default', name} as const
  const ipam = {type: 'host-local', dataDir: `${folder}/ipam`, ranges: [[{subnet: `10.8${n}.0.0/24`}]]}
  const plugins = [{type: 'bridge', bridge: `br${n}`, ipam}]
  return {
    ifname: `net${n}`,
    list: {cniVersion: '1.0.0', name, plugins},
    args: 'IgnoreUnknown=1',
    attachment: {
      origin: 'pod',
      selection: {dialect: 'npwg', namespace: 'default', name},
      definition,
      config: JSON.stringify(plugins),
    },
  }
}

export const NETWORKS: readonly Network[] = [
  {title: 'ptp, node-local'},
  {
    title: 'ptp, node-local, and two further bridges',
    further: folder => [1, 2].map(n => layer2(folder, n)),
  },
  {title: 'bridge, host-local', delegate: folder => bridge(folder)},
  {title: 'bridge, host-local, the first pod', delegate: folder => bridge(folder), first: true},
  {title: 'bridge, host-local, ipMasq', delegate: folder => bridge(folder, {ipMasq: true}), masquerade: true},
  {
    title: 'macvlan, static',
    delegate: () => ({type: 'macvlan', master: 'eth0', ipam: {type: 'static', routes: [{dst: '0.0.0.0/0'}]}}),
    master: true,
    args: nth => `IgnoreUnknown=1;IP=10.77.0.${nth}/24;GATEWAY=10.77.0.1`,
  },
  {
    title: 'ptp, node-local, behind it a program',
    delegate: folder => ({
      plugins: [
        {type: 'ptp', ipam: {type: 'node-local', routes: [{dst: '0.0.0.0/0'}]}},
        {type: 'tuning', dataDir: `${folder}/tuning`, sysctl: {'net.ipv4.conf.eth0.arp_filter': '1'}},
      ],
    }),
  },
]

/** Of the node: five pods, no more. */
export const RANGES = ['10.64.1.0/29', 'fd00:64:1::/64']
