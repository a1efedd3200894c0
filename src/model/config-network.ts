/** The configuration's pod networks: `networks`. */
import * as v from 'valibot'
import {choice, key, section, wholeNumber} from './config-keys.ts'
import {addressMap, cidrList, ipv6Prefix, labelSelector, namespace} from './config-nodes.ts'
import {describeValue} from './config-problems.ts'
import {holderOf} from './protocols.ts'

export type NetworkName = string & {readonly brand: 'NetworkName'}

/** `rtm_protocol`: the mark of a network's routes. */
export type RouteProtocol = number & {readonly brand: 'RouteProtocol'}

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

const routeProtocol = v.pipe(
  wholeNumber(5, 255, n => {
    const holder = holderOf(n)
    return holder && `${n} marks the routes of ${holder}; choose a number that nobody on the node uses`
  }),
  v.transform(n => n as RouteProtocol),
)

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

/** Something that no two networks may both have. */
interface Claim {
  /** "name". */
  readonly what: string
  readonly value: unknown
  /** As it is told. */
  readonly text: string
  /** The keys that lead to it within the network. */
  readonly keys: readonly string[]
}

const distinct = (claimsOf: (entry: Partial<v.InferOutput<typeof network>>) => readonly Claim[]) =>
  v.rawCheck<v.InferOutput<typeof network>[]>(({dataset, addIssue}) => {
    const first = new Map<string, number>()
    // Also of a list in which something else is wrong.
    const entries: unknown = dataset.value
    for (const [index, entry] of (Array.isArray(entries) ? entries : []).entries()) {
      for (const {what, value, text, keys} of claimsOf(entry ?? {})) {
        if (typeof value !== 'string' && typeof value !== 'number') continue
        const known = first.get(`${what} ${value}`)
        if (known === undefined) first.set(`${what} ${value}`, index)
        else
          addIssue({
            message: `${text} is already the ${what} of networks[${known}]; give each network its own`,
            path: [
              {type: 'array', origin: 'value', input: entries as unknown[], key: index, value: entry},
              ...pathInto(entry, keys),
            ],
          })
      }
    }
  })

function pathInto(entry: Record<string, unknown>, keys: readonly string[]): v.ObjectPathItem[] {
  let input = entry
  return keys.map(key => {
    const item = {type: 'object', origin: 'value', input, key, value: input[key]} as const
    input = input[key] as Record<string, unknown>
    return item
  })
}

/** Two networks with one name or one mark would remove each other's routes. */
const distinctKey = (of: 'name' | 'protocol') =>
  distinct(({[of]: value}) => [{what: of, value, text: describeValue(value), keys: [of]}])

/** The kernel refuses a second device of one name, and a second one of one identifier and port. */
const distinctTunnels = distinct(({backend, vxlan}) => {
  if (!vxlan || !usesTunnels({backend})) return []
  const identity = `${vxlan.vni} with port ${vxlan.port}`
  return [
    {what: 'device', value: vxlan.device, text: vxlan.device, keys: ['vxlan', 'device']},
    {what: 'vni', value: identity, text: identity, keys: ['vxlan', 'vni']},
  ]
})

/** The pod networks, the default one first. */
export const networks = v.nullish(
  v.pipe(
    v.array(network),
    v.check(list => list.length > 0, 'is empty; leave the key away for the default network'),
    distinctKey('name'),
    distinctKey('protocol'),
    distinctTunnels,
    v.description('The pod networks, the default one first.'),
  ),
  [{}],
)
