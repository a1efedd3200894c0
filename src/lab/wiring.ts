/** The cables: nodes to the wire's bridge, pods to their node. Everything is inside the run's namespaces. */
import {type FileHandle, open} from 'node:fs/promises'
import {type Family, hostLength, type Ip, type IpWithPrefix, parseCidr, parseIp} from '../model/ip.ts'
import {type IfIndex, type LinkSpec, type Mac, type Route, TABLE_MAIN} from '../model/net.ts'
import {addAddress, IFA_F} from '../netlink/address.ts'
import {Kernel} from '../netlink/kernel.ts'
import {addLink, decodeLink, dumpLinks, RTM_NEWLINK, setLink} from '../netlink/link.ts'
import {addNeighbour} from '../netlink/neighbour.ts'
import type {Request} from '../netlink/request.ts'
import {addRoute} from '../netlink/route.ts'
import {alone, type LabPlan, type NodePlan, type PodPlan} from './plan.ts'

export const netnsPath = (name: string): string => `/run/netns/${name}`

/** The same on every pod's cable: the node answers for it there, and needs no address of the pod range. */
const GATEWAY: Readonly<Record<Family, Ip>> = {4: parseIp('169.254.1.1'), 6: parseIp('fe80::1')}
const ANYWHERE = {4: parseCidr('0.0.0.0/0'), 6: parseCidr('::/0')}
/** `rtm_protocol` static, as a person's own routes have. */
const STATIC = 4

/** Of a pod's cable, whose two ends are alone with each other. */
const MAC = {port: '02:00:00:00:00:01' as Mac, pod: '02:00:00:00:00:02' as Mac}
/**
 * The kernel keeps at most 1,024 neighbours per family that were learnt, counted over all namespaces together, the
 * machine's own included (net.ipv4.neigh.default.gc_thresh3). Nodes that would use them up are told theirs instead.
 */
const NODES_THAT_LEARN = 20

/** A bridge with the relay's addresses, and a cable to each node. */
export async function wireNodes(plan: LabPlan): Promise<void> {
  await within(plan.wire, async kernel => {
    const bridge = await make(kernel, {name: 'br0', up: true, kind: {type: 'bridge'}})
    await all(kernel, [setLink('lo', {up: true}), ...plan.relay.map(address => assign(bridge, address))])
    for (const node of plan.nodes) {
      await quickIpv6(node.netns)
      await using target = await namespace(node.netns)
      const kind = {type: 'veth', peer: {name: 'eth0', netns: target.fd, mac: macOf(plan, node)}} as const
      await make(kernel, {name: node.name, master: bridge, up: true, kind})
      await within(node.netns, async inside => {
        const eth0 = await indexOf(inside, 'eth0')
        const up = [setLink('lo', {up: true}), setLink(eth0, {up: true})]
        await all(inside, [
          ...up,
          ...node.addresses.map(address => assign(eth0, address)),
          ...(plan.nodes.length > NODES_THAT_LEARN ? neighbours(plan, node, eth0) : []),
        ])
      })
    }
  })
}

const macOf = (plan: LabPlan, node: NodePlan): Mac =>
  `02:00:00:00:01:${plan.nodes.indexOf(node).toString(16).padStart(2, '0')}` as Mac

const neighbours = (plan: LabPlan, node: NodePlan, index: IfIndex): Request[] =>
  plan.nodes
    .filter(other => other !== node)
    .flatMap(other => other.addresses.map(({ip}) => addNeighbour({index, ip, mac: macOf(plan, other)})))

/** As the ptp plugin does: a cable each, routed, so that a pod sees nobody else's frames. */
export async function wirePods(node: NodePlan): Promise<void> {
  await within(node.netns, async kernel => {
    for (const pod of node.pods) await wirePod(kernel, pod)
  })
}

async function wirePod(kernel: Kernel, pod: PodPlan): Promise<void> {
  await quickIpv6(pod.netns)
  await using target = await namespace(pod.netns)
  const kind = {type: 'veth', peer: {name: 'eth0', netns: target.fd, mac: MAC.pod}} as const
  const port = await make(kernel, {name: pod.port, mac: MAC.port, up: true, kind})
  await within(pod.netns, async inside => {
    const eth0 = await indexOf(inside, 'eth0')
    await all(inside, [
      setLink('lo', {up: true}),
      setLink(eth0, {up: true}),
      ...pod.addresses.map(ip => assign(eth0, alone(ip))),
      ...pod.addresses.map(({family}) => addNeighbour({index: eth0, ip: GATEWAY[family], mac: MAC.port})),
      ...pod.addresses.map(({family}) => addRoute(defaultRoute(family, eth0))),
    ])
  })
  await all(kernel, [
    ...pod.addresses.map(({family}) => assign(port, alone(GATEWAY[family]))),
    ...pod.addresses.map(ip => addNeighbour({index: port, ip, mac: MAC.pod})),
    ...pod.addresses.map(ip => addRoute(routeTo(ip, port))),
  ])
}

const assign = (index: IfIndex, {ip, length}: IpWithPrefix): Request =>
  addAddress({
    index,
    ip,
    length,
    scope: ip === GATEWAY[ip.family] ? 'link' : 'global',
    flags: ip.family === 6 ? IFA_F.NODAD : 0,
  })

const ROUTE = {type: 'unicast', table: TABLE_MAIN, protocol: STATIC} as const

const defaultRoute = (family: Family, dev: IfIndex): Route => ({
  ...ROUTE,
  destination: ANYWHERE[family],
  metric: 1024,
  scope: 'global',
  nextHops: [{gateway: GATEWAY[family], dev, onlink: true}],
})

const routeTo = (ip: Ip, dev: IfIndex): Route => ({
  ...ROUTE,
  destination: parseCidr(`${ip}/${hostLength(ip.family)}`),
  metric: 1024,
  scope: ip.family === 4 ? 'link' : 'global',
  nextHops: [{dev}],
})

/** Without duplicate address detection: an address serves at once, not a second later. */
const quickIpv6 = (netns: string): Promise<void> =>
  within(netns, kernel =>
    kernel.writeSysctl('ipv6/conf/default/accept_dad', '0').catch(error => {
      // A kernel without IPv6.
      if (error.code !== 'ENOENT') throw error
    }),
  )

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
