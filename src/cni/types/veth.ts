/** ADD of a pod that hangs on a veth, whichever the type: a plan, IPAM's lease, then the wiring. */
import type {IfIndex, Link} from '../../model/net.ts'
import type {PluginCall} from '../plugin.ts'
import type {CniResult} from '../result.ts'
import {gatewaySteps, stands} from './bridge-device.ts'
import {changeAll, enableForwarding, settled} from './kernel.ts'
import {ipOf, LAYER_2, type Lease, lease, release, routeOf, subnetOf} from './lease.ts'
import {enterFree, type Pod, wirePod} from './pod.ts'
import type {TypePorts} from './ports.ts'
import {checkDeadline, sandboxOf, undone} from './undo.ts'
import {type HostState, hostSteps, hostWhat, makeVeth, type Prepared, settleHost, type Veth} from './veth-host.ts'
import {familiesOf, type VethPlan, type Wiring} from './wiring.ts'

/** What one type is, beside what all have in common. */
export interface VethType {
  /** Throws CniError where the config cannot be served. */
  readonly plan: (call: PluginCall) => VethPlan
  /** Throws CniError where the lease cannot. */
  readonly wire: (call: PluginCall, lease: Lease) => Wiring
}

/**
 * Whatever does not depend on each other runs at once: the kernel is busy with the link for half a millisecond, in
 * which the pod's namespace is opened and IPAM has its files. Only IPAM waits until the pod is known to have no such
 * interface: what it holds may be that interface's. Rejects with CniError, once all has been undone.
 */
export async function addVeth(
  ports: TypePorts,
  {plan: planOf, wire}: VethType,
  prepared: Prepared,
  call: PluginCall,
): Promise<CniResult> {
  const plan = planOf(call)
  const netns = sandboxOf(call).fd
  await ports.removals.pending(plan.name)?.catch(() => {})
  const undo: (() => Promise<void>)[] = []
  const free = enterFree(call, plan.macIsOwn ? plan.podMac : undefined)
  // An interface with the MAC that we have just thought of is the one that we are making.
  const ready = plan.macIsOwn ? Promise.resolve() : free
  const veth = ready.then(async () => {
    const made = await makeVeth(ports, plan, prepared, {netns, ifname: call.ifname, free})
    undo.push(() => unmake(ports, made.host.index))
    return made
  })
  const wired = free.then(async (): Promise<Wiring> => {
    const got = await lease(ports, call)
    if (got) undo.push(() => release(ports, call))
    return wire(call, got ?? LAYER_2)
  })
  const state = veth.then(made => settleHost(ports.host, plan, prepared, made))
  const inPod = settled<[Pod, Veth, Wiring]>([free, veth, wired]).then(([pod, made, wiring]) => {
    checkDeadline(call)
    return wirePod(pod, wiring, made.peer)
  })
  const onHost = settled<[HostState, Veth, Wiring]>([state, veth, wired]).then(([host, made, wiring]) => {
    checkDeadline(call)
    return wireHost(ports, call, plan, wiring, made, host, undo)
  })
  try {
    const [, wiring, bridge] = await settled<[unknown, Wiring, Link | undefined, unknown]>([free, wired, onHost, inPod])
    checkDeadline(call)
    return resultOf(call, plan, wiring, bridge)
  } catch (error) {
    throw await undone(error, undo)
  }
}

async function unmake({host, removals}: TypePorts, index: IfIndex): Promise<void> {
  const link = await host.link(index)
  if (link) await removals.remove(link)
}

/** The bridge as it is now. Rejects with CniError. */
async function wireHost(
  ports: TypePorts,
  {config}: PluginCall,
  plan: VethPlan,
  wiring: Wiring,
  {host: end}: Veth,
  {before, bridge, addresses}: HostState,
  undo: (() => Promise<void>)[],
): Promise<Link | undefined> {
  const {host, masquerade} = ports
  const masked = config.ipMasq === true ? wiring.ips.map(ip => ({ip: ip.ip, subnet: subnetOf(ip)})) : []
  const gateways = before && plan.bridge ? gatewaySteps(before, addresses, {...wiring, ...plan.bridge}) : []
  if (masked.length > 0) undo.push(() => masquerade.remove(plan.owner))
  await settled([
    changeAll(host, hostWhat(plan), [...hostSteps(plan, wiring, end.index), ...gateways], stands),
    plan.bridge && !plan.bridge.isGateway ? Promise.resolve() : enableForwarding(host, familiesOf(wiring.ips)),
    masked.length > 0 ? masquerade.add(plan.owner, masked) : Promise.resolve(),
  ])
  // With an address the bridge keeps the MAC that it had; without one it may have taken the new port's.
  return gateways.length > 0 ? before : bridge
}

function resultOf(call: PluginCall, plan: VethPlan, wiring: Wiring, bridge: Link | undefined): CniResult {
  const interfaces = [
    ...(plan.bridge ? [{name: plan.bridge.name, ...(bridge?.mac && {mac: bridge.mac})}] : []),
    {name: plan.name, mac: plan.hostMac},
    {name: call.ifname, mac: plan.podMac, sandbox: call.netns},
  ]
  const {ips, routes, dns} = wiring
  return {interfaces, ips: ips.map(ip => ipOf(ip, interfaces.length - 1)), routes: routes.map(routeOf), dns}
}
