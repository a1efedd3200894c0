/** The cables: nodes to their subnet's bridge, pods to their node. Everything is inside the run's namespaces. */
import {type FileHandle, open} from 'node:fs/promises'
import {type Ip, type IpWithPrefix, parseCidr} from '../model/ip.ts'
import {IFA_F, type IfIndex, type LinkSpec, type Mac, type Route, TABLE_MAIN} from '../model/net.ts'
import {addAddress} from '../netlink/address.ts'
import {Kernel} from '../netlink/kernel.ts'
import {addLink, decodeLink, dumpLinks, RTM_NEWLINK, setLink} from '../netlink/link.ts'
import {addNeighbour} from '../netlink/neighbour.ts'
import type {Request} from '../netlink/request.ts'
import {addRoute} from '../netlink/route.ts'
import type {LabPlan, NodePlan, SubnetPlan} from './plan.ts'

export const netnsPath = (name: string): string => `/run/netns/${name}`

const ANYWHERE = {4: parseCidr('0.0.0.0/0'), 6: parseCidr('::/0')}
/** `rtm_protocol` static, as a person's own routes have. */
const STATIC = 4

/** Of each subnet's bridge, which otherwise takes the lowest of its ports: another one whenever a cable is added. */
const BRIDGE_MAC = '02:00:00:00:01:fe' as Mac
const FORWARDING = ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'] as const
/**
 * The kernel keeps at most 1,024 neighbours per family that were learnt, counted over all namespaces together, the
 * machine's own included (net.ipv4.neigh.default.gc_thresh3). Nodes that would use them up are told theirs instead.
 */
const NODES_THAT_LEARN = 20

/** A bridge for each subnet, a cable to each node, and a router if there are several: it knows the subnets alone. */
export async function wireNodes({wire, subnets}: LabPlan): Promise<void> {
  const routed = subnets.length > 1
  await quickIpv6(wire)
  await within(wire, async kernel => {
    if (routed) for (const name of FORWARDING) await writeIfThere(kernel, name, '1')
    await kernel.do(setLink('lo', {up: true}))
    for (const subnet of subnets) await wireSubnet(kernel, subnet, routed)
  })
}

async function wireSubnet(wire: Kernel, subnet: SubnetPlan, routed: boolean): Promise<void> {
  const {bridge: name, addresses, nodes} = subnet
  const told = nodes.length > NODES_THAT_LEARN
  const bridge = await make(wire, {name, mac: BRIDGE_MAC, up: true, kind: {type: 'bridge'}})
  await all(
    wire,
    addresses.map(address => assign(bridge, address)),
  )
  for (const node of nodes) {
    await quickIpv6(node.netns)
    await using target = await namespace(node.netns)
    const kind = {type: 'veth', peer: {name: 'eth0', netns: target.fd, mac: node.mac}} as const
    await make(wire, {name: node.name, master: bridge, up: true, kind})
    await within(node.netns, async inside => {
      const eth0 = await indexOf(inside, 'eth0')
      await all(inside, [
        setLink('lo', {up: true}),
        setLink(eth0, {up: true}),
        ...node.addresses.map(address => assign(eth0, address)),
        ...neighbours(told ? nodes.filter(other => other !== node) : [], eth0),
        ...(routed ? addresses.map(({ip}) => addRoute(defaultRoute(ip, eth0))) : []),
      ])
    })
  }
}

const neighbours = (others: readonly NodePlan[], index: IfIndex): Request[] =>
  others.flatMap(({addresses, mac}) => addresses.map(({ip}) => addNeighbour({index, ip, mac})))

/** As runtimes do: a pod's loopback is up before it gets its network. */
export const openPod = (netns: string): Promise<void> => within(netns, kernel => kernel.do(setLink('lo', {up: true})))

export const openPods = async ({pods}: NodePlan): Promise<void> => {
  for (const {netns} of pods) await openPod(netns)
}

const assign = (index: IfIndex, {ip, length}: IpWithPrefix): Request =>
  addAddress({
    index,
    ip,
    length,
    flags: ip.family === 6 ? IFA_F.NODAD : 0,
  })

const ROUTE = {type: 'unicast', table: TABLE_MAIN, protocol: STATIC} as const

const defaultRoute = (gateway: Ip, dev: IfIndex): Route => ({
  ...ROUTE,
  destination: ANYWHERE[gateway.family],
  metric: 1024,
  scope: 'global',
  nextHops: [{gateway, dev, onlink: true}],
})

/** Without duplicate address detection: an address serves at once, not a second later. */
const quickIpv6 = (netns: string): Promise<void> =>
  within(netns, kernel => writeIfThere(kernel, 'ipv6/conf/default/accept_dad', '0'))

async function writeIfThere(kernel: Kernel, sysctl: string, value: string): Promise<void> {
  await kernel.writeSysctl(sysctl, value).catch(error => {
    // A kernel without IPv6.
    if (error.code !== 'ENOENT') throw error
  })
}

/** The socket is closed at the end: an open one would keep a deleted namespace alive. */
async function within<T>(netns: string, work: (kernel: Kernel) => Promise<T>): Promise<T> {
  const kernel = await Kernel.open({netns: netnsPath(netns)})
  try {
    return await work(kernel)
  } finally {
    kernel.close()
  }
}

const namespace = (name: string): Promise<FileHandle> => open(netnsPath(name), 'r')

async function make(kernel: Kernel, spec: LinkSpec): Promise<IfIndex> {
  const link = await kernel.echo(addLink(spec), RTM_NEWLINK, decodeLink)
  return link?.index ?? indexOf(kernel, spec.name)
}

async function indexOf(kernel: Kernel, name: string): Promise<IfIndex> {
  const link = (await kernel.dump(dumpLinks())).find(each => each.name === name)
  if (!link) throw new Error(`there is no interface ${name}`)
  return link.index
}

async function all(kernel: Kernel, requests: readonly Request[]): Promise<void> {
  const refusal = (await kernel.batch(requests)).find(each => each !== undefined)
  if (refusal) throw refusal
}
