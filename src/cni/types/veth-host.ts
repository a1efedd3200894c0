/** The host's side of a pod's veth: the link itself, its bridge, the way to the pod. */
import {quoted} from '../../model/errors.ts'
import {hostLength} from '../../model/ip.ts'
import type {NamespaceKernel, Step} from '../../model/namespace.ts'
import type {Address, IfIndex, Link} from '../../model/net.ts'
import {OWN_GROUP} from '../../model/plans.ts'
import {CniError} from '../error.ts'
import {type BridgeDevice, type Bridges, ensureBridge, isInOrder} from './bridge-device.ts'
import {refused} from './kernel.ts'
import {isMine} from './marks.ts'
import type {TypePorts} from './ports.ts'
import {addAddress, hostRoute, type VethPlan, type Wiring} from './wiring.ts'

/** A veth as it was made: the host's end, and the index of the pod's. */
export interface Veth {
  readonly host: Link
  readonly peer: IfIndex
  readonly bridge?: PortBridge
}

/** The bridge that it is a port of. */
export interface PortBridge {
  /** Without that port; its MAC is the one to keep. */
  readonly before: Link
  /** With it. */
  readonly link: Link
  /** Undefined: the gateways that it is known to have stood there when this process last looked. */
  readonly addresses?: readonly Address[]
}

/** Where the other end goes. `free`: rejects where the pod has an interface of that name already. */
export interface PodEnd {
  readonly netns: number
  readonly ifname: string
  readonly free: Promise<unknown>
}

/** One message: the pod's end is in the pod at once, the host's is up and a port of its bridge. Rejects with CniError. */
export async function makeVeth(ports: TypePorts, plan: VethPlan, bridges: Bridges, end: PodEnd): Promise<Veth> {
  const {host} = ports
  const guess = plan.bridge && bridges.get(plan.bridge.name)
  let bridge = plan.bridge && !guess ? await ensureBridge(host, plan.bridge, bridges) : undefined
  const master = () => bridge?.link.index ?? guess?.index
  const make = () => host.change(vethSteps(plan, end, master()))
  let [outcome, look] = await make()
  if (outcome?.refusal?.code === 'EEXIST') {
    await end.free
    if (await removeLeftover(ports, plan)) [outcome, look] = await make()
  } else if (outcome?.refusal && guess) {
    bridge = await ensureBridge(host, plan.bridge!, bridges)
    ;[outcome, look] = await make()
  }
  if (outcome?.refusal) throw refused(`${quoted(end.ifname)} cannot be made`, outcome.refusal)
  const link = outcome?.link ?? (await host.link(plan.name))
  if (link?.parent === undefined)
    throw new CniError('failed', `${quoted(plan.name)} has gone as soon as it was made: has the pod been taken down?`)
  const joined =
    plan.bridge &&
    (await joinedBridge(host, plan as Bridged, bridges, {port: link, master: master(), bridge, now: look?.link}))
  return {host: link, peer: link.parent, ...(joined && {bridge: joined})}
}

type Bridged = VethPlan & Required<Pick<VethPlan, 'bridge'>>

/** The bridge that was taken for the right one, and how it looks now. */
interface Joined {
  readonly port: Link
  /** What it was made a port of: its echo is sent before that. */
  readonly master: IfIndex | undefined
  readonly bridge: BridgeDevice | undefined
  readonly now: Link | undefined
}

async function joinedBridge(
  host: NamespaceKernel,
  {name, bridge: plan}: Bridged,
  bridges: Bridges,
  {port, master, bridge, now}: Joined,
): Promise<PortBridge> {
  const addressesOf = async ({link, made}: BridgeDevice) =>
    plan.isGateway && !made ? host.addresses({index: link.index}) : []
  if (now && now.index === master && isInOrder(now, plan))
    return {before: bridge?.link ?? now, link: now, ...(bridge && {addresses: await addressesOf(bridge)})}
  // The guess was wrong: somebody has renamed it, set it down, or put another one in its place.
  const device = await ensureBridge(host, plan, bridges)
  const [outcome, look] = await host.change([
    {op: 'set', object: 'link', item: port.index, to: {master: device.link.index}},
    {op: 'read', object: 'link', item: device.link.index},
  ])
  if (outcome?.refusal) throw refused(`${quoted(name)} cannot be put into bridge ${quoted(plan.name)}`, outcome.refusal)
  return {before: device.link, link: look?.link ?? device.link, addresses: await addressesOf(device)}
}

function vethSteps(plan: VethPlan, {netns, ifname}: PodEnd, master: IfIndex | undefined): Step[] {
  const {name, mtu, hostMac, podMac, bridge} = plan
  const both = {group: OWN_GROUP, ...(mtu !== undefined && {mtu})}
  const peer = {...both, name: ifname, mac: podMac, netns}
  const bridged = master !== undefined && {master}
  const item = {...both, name, mac: hostMac, up: true, ...bridged, kind: {type: 'veth', peer}} as const
  return [
    {op: 'add', object: 'link', item},
    ...(bridge ? [{op: 'read', object: 'link', item: bridge.name} as const] : []),
  ]
}

/** What an ADD or a DEL of this attachment has left that was killed half-way. Rejects where the name is another's. */
async function removeLeftover({host, removals}: TypePorts, {name, owner}: VethPlan): Promise<boolean> {
  const link = await host.link(name)
  if (!link) return false
  if (!isMine(link, owner))
    throw new CniError('failed', `the host has a link ${quoted(name)} that is not ours: rename or remove it`)
  await removals.remove(link)
  return true
}

export const hostWhat = ({name}: VethPlan): string => `the host's end ${quoted(name)} cannot be set up`

/** On the host's end. */
export const hostSteps = ({owner, bridge}: VethPlan, wiring: Wiring, index: IfIndex): Step[] => [
  {op: 'set', object: 'link', item: index, to: {alias: owner, ...(bridge?.hairpin && {hairpin: true})}},
  ...(wiring.routed ? wayToPod(wiring, index) : []),
]

/** The host is the gateway of a routed pod, and knows the way to it. */
export const wayToPod = ({ips}: Wiring, index: IfIndex): Step[] =>
  ips.flatMap(({ip, gateway}): Step[] => [
    addAddress(index, {ip: gateway!}, hostLength(gateway!.family)),
    {op: 'add', object: 'route', item: hostRoute(ip, index)},
  ])
