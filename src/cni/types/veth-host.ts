/** The host's side of a pod's veth: the link itself, its bridge, the way to the pod. */
import {quoted} from '../../model/errors.ts'
import {hostLength} from '../../model/ip.ts'
import type {NamespaceKernel, Step} from '../../model/namespace.ts'
import type {Address, IfIndex, Link} from '../../model/net.ts'
import {OWN_GROUP} from '../../model/plans.ts'
import {CniError} from '../error.ts'
import {type BridgeDevice, ensureBridge, isInOrder} from './bridge-device.ts'
import {refused, trySysctl} from './kernel.ts'
import {isMine} from './marks.ts'
import type {TypePorts} from './ports.ts'
import {addAddress, hostRoute, type VethPlan, type Wiring} from './wiring.ts'

/** A veth as it was made: the host's end, the index of the pod's, and the bridge that was taken for the right one. */
export interface Veth {
  readonly host: Link
  readonly peer: IfIndex
  readonly bridge?: BridgeDevice | undefined
  readonly master?: IfIndex | undefined
}

/** Where the other end goes. `free`: rejects where the pod has an interface of that name already. */
export interface PodEnd {
  readonly netns: number
  readonly ifname: string
  readonly free: Promise<unknown>
}

/** Indexes of bridges that this process has seen in order, by name: a guess, which the kernel is asked to confirm. */
export type Prepared = Map<string, IfIndex>

/** One message: the pod's end is in the pod at once, the host's is up and a port of its bridge. Rejects with CniError. */
export async function makeVeth(ports: TypePorts, plan: VethPlan, prepared: Prepared, end: PodEnd): Promise<Veth> {
  const {host} = ports
  const guess = plan.bridge && prepared.get(plan.bridge.name)
  let bridge = plan.bridge && guess === undefined ? await ensureBridge(host, plan.bridge, prepared) : undefined
  let master = bridge?.link.index ?? guess
  const make = () => host.change([vethStep(plan, end, master)])
  let [outcome] = await make()
  if (outcome?.refusal?.code === 'EEXIST') {
    await end.free
    if (await removeLeftover(ports, plan)) [outcome] = await make()
  } else if (outcome?.refusal && guess !== undefined) {
    bridge = await ensureBridge(host, plan.bridge!, prepared)
    master = bridge.link.index
    ;[outcome] = await make()
  }
  if (outcome?.refusal) throw refused(`${quoted(end.ifname)} cannot be made`, outcome.refusal)
  const link = outcome?.link ?? (await host.link(plan.name))
  if (link?.parent === undefined)
    throw new CniError('failed', `${quoted(plan.name)} has gone as soon as it was made: has the pod been taken down?`)
  return {host: link, peer: link.parent, bridge, master}
}

function vethStep(plan: VethPlan, {netns, ifname}: PodEnd, master: IfIndex | undefined): Step {
  const {name, mtu, hostMac, podMac} = plan
  const both = {group: OWN_GROUP, ...(mtu !== undefined && {mtu})}
  const peer = {...both, name: ifname, mac: podMac, netns}
  const bridged = master !== undefined && {master}
  return {
    op: 'add',
    object: 'link',
    item: {...both, name, mac: hostMac, up: true, ...bridged, kind: {type: 'veth', peer}},
  }
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

export interface HostState {
  /** With the MAC that it had before the port joined. */
  readonly before?: Link | undefined
  /** After the port has joined it. */
  readonly bridge?: Link | undefined
  readonly addresses: readonly Address[]
}

/** What has to be known and set on the host, while the pod's side and IPAM are at work. Rejects with CniError. */
export async function settleHost(
  host: NamespaceKernel,
  plan: VethPlan,
  prepared: Prepared,
  veth: Veth,
): Promise<HostState> {
  const [state] = await Promise.all([
    plan.bridge ? settleBridge(host, plan as Bridged, prepared, veth) : {addresses: []},
    // Its routes are ours to make.
    trySysctl(host, `ipv6/conf/${plan.name}/accept_ra`, '0'),
  ])
  return state
}

type Bridged = VethPlan & Required<Pick<VethPlan, 'bridge'>>

async function settleBridge(
  host: NamespaceKernel,
  {name, bridge: plan}: Bridged,
  prepared: Prepared,
  {host: port, bridge: known, master}: Veth,
): Promise<HostState> {
  const read = async (index: IfIndex, made: boolean) =>
    Promise.all([host.link(index), plan.isGateway && !made ? host.addresses({index}) : []])
  const [now, addresses] = await read(master!, known?.made ?? false)
  if (now && isInOrder(now, plan)) return {before: known?.link ?? now, bridge: now, addresses}
  // The guess was wrong: somebody has renamed it, set it down, or put another one in its place.
  const {link, made} = await ensureBridge(host, plan, prepared)
  const [outcome] = await host.change([{op: 'set', object: 'link', item: port.index, to: {master: link.index}}])
  if (outcome?.refusal) throw refused(`${quoted(name)} cannot be put into bridge ${quoted(plan.name)}`, outcome.refusal)
  const [again, others] = await read(link.index, made)
  return {before: link, bridge: again, addresses: others}
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
