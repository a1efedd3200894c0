/** The agent's configuration: its schema, from which the types and docs/config.md follow, and the check of a whole value. */
import * as v from 'valibot'
import {absolutePath, choice, key, section, wholeNumber} from './config-keys.ts'
import {
  addressMap,
  cidrList,
  definitionNames,
  ipv6Prefix,
  isNodeName,
  labelSelector,
  namespace,
  namespaceList,
  notNodeName,
  requiredNamespace,
} from './config-nodes.ts'
import {pairs} from './config-pairs.ts'
import {describeValue, type Locate, Problems} from './config-problems.ts'
import {type Row, rowsOf} from './config-reference.ts'
import {store} from './config-store.ts'
import type {NodeName} from './facts.ts'
import {type Cidr, type Ip, parseIp} from './ip.ts'
import {LOG_LEVELS} from './logger.ts'
import {holderOf} from './protocols.ts'

export type NetworkName = string & {readonly brand: 'NetworkName'}

/** `rtm_protocol`: the mark of a network's routes. */
export type RouteProtocol = number & {readonly brand: 'RouteProtocol'}

/** Where a server listens. */
export interface ListenAddress {
  /** Undefined: on every address. */
  readonly host?: Ip | 'localhost'
  /** TCP. */
  readonly port: number
}

export type Config = DeepReadonly<v.InferOutput<typeof keys>>

type DeepReadonly<T> = T extends string | number | boolean | undefined | Ip | Cidr | ReadonlyMap<string, readonly Ip[]>
  ? T
  : T extends readonly (infer Item)[]
    ? readonly DeepReadonly<Item>[]
    : {readonly [K in keyof T]: DeepReadonly<T[K]>}

/** The network's name ends up in the annotation `netgraft.dev/vtep-<name>`, whose part behind the slash has 63 characters. */
const NETWORK_NAME_MAX = 58

const networkName = v.pipe(
  v.string(),
  v.check(
    text => text.length <= NETWORK_NAME_MAX && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text),
    issue =>
      `${describeValue(issue.input)} cannot be a network's name; use at most ${NETWORK_NAME_MAX} lower-case letters, digits and inner hyphens`,
  ),
  v.transform(text => text as NetworkName),
)

const nodeName = v.pipe(
  v.string(),
  v.check(
    text => text === '' || isNodeName(text),
    issue => notNodeName(issue.input),
  ),
  v.transform(text => (text === '' ? undefined : (text as NodeName))),
)

const routeProtocol = v.pipe(
  wholeNumber(5, 255, n => {
    const holder = holderOf(n)
    return holder && `${n} marks the routes of ${holder}; choose a number that nobody on the node uses`
  }),
  v.transform(n => n as RouteProtocol),
)

const listenAddress = v.pipe(
  v.string(),
  v.rawTransform(({dataset, addIssue, NEVER}): ListenAddress | undefined => {
    if (dataset.value === '') return undefined
    const parsed = parseListen(dataset.value)
    if (typeof parsed !== 'string') return parsed
    addIssue({message: `${describeValue(dataset.value)} ${parsed}`})
    return NEVER
  }),
)

/** A sentence part says what is wrong. */
function parseListen(text: string): ListenAddress | string {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  if (!match) return 'is not an address with a port; write it as ":9464", "127.0.0.1:9464" or "[::1]:9464"'
  const [, v6, other, digits] = match
  const port = Number(digits)
  if (port < 1 || port > 65535) return 'has a port outside 1 to 65535; choose a free TCP port'
  if (other === '') return {port}
  if (other === 'localhost') return {host: 'localhost', port}
  try {
    const host = parseIp(v6 ?? other!)
    if (host.family === (v6 === undefined ? 4 : 6)) return {host, port}
  } catch {}
  return 'does not name an IP address before its port; leave the address away to listen on all of them'
}

/** Bytes. RFC 791: what every IPv4 host must accept. */
const MTU_MIN = 576
/** How pods of other nodes can be reached. */
const BACKENDS = ['auto', 'direct', 'vxlan', 'none'] as const
export type BackendName = (typeof BACKENDS)[number]

/** Whether a network may have a tunnel device. */
export const usesTunnels = ({backend}: {readonly backend?: BackendName | undefined}): boolean =>
  backend === 'auto' || backend === 'vxlan'

/** Ends the name of a network's tunnel device over IPv6. */
export const OVER_IPV6 = '-6'
/** IFNAMSIZ less the final zero, linux/if.h, and the ending. */
const DEVICE_NAME_MAX = 15 - OVER_IPV6.length

const deviceName = v.pipe(
  v.string(),
  v.check(
    text => text.length <= DEVICE_NAME_MAX && /^[^\s/:%]+$/.test(text) && !/^(\.{1,2}|all|default|lo)$/.test(text),
    issue =>
      `${describeValue(issue.input)} cannot be a device's name; use at most ${DEVICE_NAME_MAX} letters, digits and hyphens`,
  ),
)

const network = v.object({
  name: key(networkName, 'default', 'The name of the pod network, in logs and metrics; unique in the list.', {
    form: `1 to ${NETWORK_NAME_MAX} lower-case letters, digits, inner hyphens`,
  }),
  cidrs: section({
    from: key(
      choice(['podCIDRs']),
      'podCIDRs',
      "Where a node's pod ranges come from: `spec.podCIDRs` of the Node object.",
    ),
  }),
  nodeAddresses: section({
    from: key(
      choice(['InternalIP']),
      'InternalIP',
      'Which of the addresses in `status.addresses` of the Node object its pods are reached through. Where they lack a family, the keys below are asked for it in their order.',
    ),
    map: key(
      addressMap,
      {},
      'Addresses of nodes by name. Of each family that the Node object does not report an address of.',
      {form: "a mapping of a node's name to an address or a list of addresses"},
    ),
    ipv6Prefix: key(
      ipv6Prefix,
      '',
      "An IPv6 prefix that every node has an address of, with the node's IPv4 address as the last 32 bits: `1000:1::/96` and 192.168.1.2 make 1000:1::c0a8:102. Empty: none.",
      {form: 'an IPv6 prefix of 96 bits'},
    ),
    hostPods: section({
      namespace: key(namespace, '', 'The namespace of these pods. Empty: all.', {form: "a namespace's name"}),
      selector: key(
        labelSelector,
        '',
        "Pods with `hostNetwork: true`, one on each node, whose IPv6 address in `status.podIPs` is the node's. Empty: none. Needs `list` and `watch` of pods.",
        {form: 'a label selector, as for `kubectl get -l`'},
      ),
    }),
    linkLocal: key(
      v.boolean(),
      true,
      'Whether a node is, as a last resort, reached by the IPv6 link-local address that follows from the MAC of its IPv4 address (EUI-64). Right only for nodes on the same link that form theirs so (`addr_gen_mode` 0).',
    ),
  }),
  backend: key(
    choice(BACKENDS),
    'auto',
    "How pods of other nodes are reached. `direct`: a route via the node's address, which must be on a connected subnet. `vxlan`: a tunnel to every node. `auto`: direct where the node is on a connected subnet, else through the tunnel; decided per node and family. `none`: not our business, as beside another CNI plugin, or where the network itself knows the pod ranges (BGP, a cloud's route table): no route to other nodes, no tunnel.",
  ),
  mtu: key(
    wholeNumber(0, 65535, n => (n > 0 && n < MTU_MIN ? `${n} is less than the ${MTU_MIN} bytes of IPv4` : undefined)),
    0,
    "What pods and tunnel devices may send at once. 0: the MTU of the interface with the node's address, less what the tunnel adds (50 over IPv4, 70 over IPv6), followed while it changes.",
    {unit: 'bytes'},
  ),
  vxlan: section({
    vni: key(wholeNumber(1, 2 ** 24 - 1), 1, 'The network identifier of the tunnels: the same on all nodes.'),
    port: key(wholeNumber(1, 65535), 8472, 'The UDP port of the tunnels: the same on all nodes.'),
    device: key(
      deviceName,
      'ng-vx0',
      `The tunnel device over IPv4; the one over IPv6 has \`${OVER_IPV6}\` added. Unique in the list.`,
      {form: `1 to ${DEVICE_NAME_MAX} characters, no space, slash or colon`},
    ),
  }),
  pods: section({
    mode: key(
      choice(['ptp', 'bridge']),
      'ptp',
      "How this node's pods are attached. `ptp`: each one has a route of its own, and an unreachable route keeps packets to addresses that nobody has from going in circles. `bridge`: they share a bridge.",
    ),
    bridge: key(deviceName, 'ng-br0', 'The bridge of mode `bridge`. Made when the first pod needs it.', {
      form: `1 to ${DEVICE_NAME_MAX} characters, no space, slash or colon`,
    }),
    masquerade: key(
      v.boolean(),
      true,
      "Whether what pods send outside the cluster leaves with the node's address. Never what goes to a node's pod range, to `clusterCIDRs`, or to `noMasquerade`.",
    ),
    noMasquerade: key(cidrList, [], 'Further destinations that see the address of the pod itself.', {
      form: 'a list of prefixes',
    }),
  }),
  protocol: key(
    routeProtocol,
    107,
    "The `rtm_protocol` that marks this network's routes: every route with this mark in the main table is the agent's, and removed when nothing asks for it. Unique in the list; numbers of the kernel and of known routing daemons are refused.",
  ),
})

const grant = v.object({
  from: key(requiredNamespace, 'default', 'The namespace of the definitions.', {form: "a namespace's name"}),
  names: key(definitionNames, [], 'Their names. Empty: all of that namespace.', {form: 'a list of names'}),
  to: key(namespaceList, [], 'The namespaces whose pods may use them. Empty: all.', {form: 'a list of namespaces'}),
})

/** Two networks with one name or one mark would remove each other's routes. */
const distinct = (of: 'name' | 'protocol') =>
  v.rawCheck<v.InferOutput<typeof network>[]>(({dataset, addIssue}) => {
    const first = new Map<unknown, number>()
    const entries: unknown = dataset.value
    for (const [index, entry] of (Array.isArray(entries) ? entries : []).entries()) {
      const value: unknown = entry?.[of]
      if (typeof value !== 'string' && typeof value !== 'number') continue
      if (!first.has(value)) first.set(value, index)
      else
        addIssue({
          message: `${describeValue(value)} is already the ${of} of networks[${first.get(value)}]; give each network its own`,
          path: [
            {type: 'array', origin: 'value', input: entries as unknown[], key: index, value: entry},
            {type: 'object', origin: 'value', input: entry, key: of, value},
          ],
        })
    }
  })

/** The kernel refuses a second device of one name, and a second one of one identifier and port. */
const distinctTunnels = v.rawCheck<v.InferOutput<typeof network>[]>(({dataset, addIssue}) => {
  const first = new Map<string, number>()
  const entries: unknown = dataset.value
  for (const [index, entry] of (Array.isArray(entries) ? entries : []).entries()) {
    const {backend, vxlan} = (entry ?? {}) as Partial<v.InferOutput<typeof network>>
    if (!vxlan || !usesTunnels({backend})) continue
    for (const [name, value] of [
      ['device', vxlan.device],
      ['vni', `${vxlan.vni} with port ${vxlan.port}`],
    ] as const) {
      const known = first.get(`${name} ${value}`)
      if (known === undefined) first.set(`${name} ${value}`, index)
      else
        addIssue({
          message: `${value} is already the ${name} of networks[${known}]; give each network its own`,
          path: [
            {type: 'array', origin: 'value', input: entries as unknown[], key: index, value: entry},
            {type: 'object', origin: 'value', input: entry, key: 'vxlan', value: vxlan},
            {type: 'object', origin: 'value', input: vxlan, key: name, value: vxlan[name]},
          ],
        })
    }
  }
})

const keys = v.object({
  node: key(
    nodeName,
    '',
    "The name of this node's Node object. Empty: `NODE_NAME` of the environment; without that, the node that reports this machine's machine-id.",
    {form: "a node's name"},
  ),
  kubernetes: section({
    kubeconfig: key(
      v.pipe(
        v.string(),
        v.transform(text => (text === '' ? undefined : text)),
      ),
      '',
      'The kubeconfig file to use. Empty: the service account of the pod the agent runs in; outside a pod, the file that `KUBECONFIG` of the environment names.',
      {form: 'a path'},
    ),
  }),
  clusterCIDRs: key(
    cidrList,
    [],
    'The ranges that all nodes have their pod ranges from. What goes there is never masqueraded, also while a node is unknown. Never guessed.',
    {form: 'a list of prefixes'},
  ),
  serviceCIDRs: key(
    cidrList,
    [],
    "The ranges of the cluster's services. A pod whose default route leads through another network still reaches these, and `clusterCIDRs`, through its first interface. Never guessed.",
    {form: 'a list of prefixes'},
  ),
  store,
  networks: v.nullish(
    v.pipe(
      v.array(network),
      v.check(list => list.length > 0, 'is empty; leave the key away for the default network'),
      distinct('name'),
      distinct('protocol'),
      distinctTunnels,
      v.description('The pod networks, the default one first.'),
    ),
    [{}],
  ),
  folders: section({
    state: key(
      absolutePath,
      '/var/lib/netgraft',
      'Where the agent keeps what must outlive it: the last known nodes, so that a node which boots without its API server has its routes. Made if it is not there.',
      {form: 'an absolute path'},
    ),
    run: key(
      absolutePath,
      '/run/netgraft',
      "Where the agent's sockets are: `cni.sock`, which the CNI plugin on the host asks, and `admin.sock`, which the command line asks. Made if it is not there, for root alone.",
      {form: 'an absolute path'},
    ),
  }),
  cni: section({
    deadlineSeconds: key(
      wholeNumber(5, 110),
      60,
      'How long a CNI request may take before it is given up and undone. Less than the runtime waits (the kubelet: 120).',
      {unit: 'seconds'},
    ),
    concurrency: key(
      wholeNumber(1, 256),
      32,
      'How many CNI requests are worked on at once. Further ones wait; those of one container always wait for each other.',
    ),
  }),
  attachments: section({
    enabled: key(
      v.boolean(),
      true,
      'Whether pods get the further networks that their annotations name. Needs `list` and `watch` of pods and of network definitions.',
    ),
    namespaces: key(
      namespaceList,
      [],
      'The namespaces whose network definitions are watched. Empty: all. Definitions of other namespaces do not exist for this node.',
      {form: 'a list of namespaces'},
    ),
    isolation: key(
      v.boolean(),
      true,
      'Whether a pod may use only definitions of its own namespace and those that `grants` names.',
    ),
    grants: v.nullish(
      v.pipe(v.array(grant), v.description('Definitions that pods of other namespaces may use, too.')),
      [],
    ),
    criSockets: key(
      v.array(absolutePath),
      ['/run/containerd/containerd.sock', '/run/crio/crio.sock'],
      "Where the container runtime is asked for a running pod's namespace that the journal does not know. The first one that is there is used.",
      {form: 'a list of absolute paths'},
    ),
    podResources: key(
      absolutePath,
      '/var/lib/kubelet/pod-resources/kubelet.sock',
      'Where the kubelet is asked which devices a pod has been given.',
      {form: 'an absolute path'},
    ),
    definitionsFolder: key(
      absolutePath,
      '/etc/cni/net.d',
      'Where the config of a definition without one is looked for, in the file that has its name.',
      {form: 'an absolute path'},
    ),
  }),
  pairs,
  kernel: section({
    resyncSeconds: key(
      wholeNumber(10, 86400),
      300,
      "How often what is known of the kernel's routes is read anew, in case a change was never announced.",
      {unit: 'seconds'},
    ),
  }),
  metrics: section({
    listen: key(listenAddress, ':9464', 'Where `/metrics`, `/healthz` and `/readyz` are served. Empty: nowhere.', {
      form: '`:port`, `address:port` or `[IPv6 address]:port`',
    }),
  }),
  log: section({
    level: key(choice(LOG_LEVELS), 'info', 'The least important lines that are still written.'),
  }),
})

/** The kernel refuses a second device of one network identifier and port. */
const schema = v.pipe(
  keys,
  v.rawCheck(({dataset, addIssue}) => {
    if (!dataset.typed) return
    const {networks, pairs} = dataset.value
    const rival = networks.find(each => usesTunnels(each) && each.vxlan.port === pairs.port)
    if (!pairs.enabled || !rival) return
    const input = dataset.value
    addIssue({
      message: `${pairs.port} is the port of the tunnels of network ${rival.name}, too; choose another one`,
      path: [
        {type: 'object', origin: 'value', input, key: 'pairs', value: pairs},
        {type: 'object', origin: 'value', input: pairs, key: 'port', value: pairs.port},
      ],
    })
  }),
)

/** Every key, in the schema's order. */
export const reference = (): readonly Row[] => rowsOf(keys)

/** Checks a whole value as read from YAML. Throws {@link ConfigError} with every problem it has. */
export function parseConfig(value: unknown, locate: Locate = () => undefined): Config {
  const input = value ?? {}
  const problems = new Problems(keys, locate)
  problems.findStrays(input)
  const result = v.safeParse(schema, input)
  for (const issue of result.issues ?? []) problems.addIssue(issue)
  problems.throwIfAny()
  return result.output as Config
}
