/** ADD of a pod that hangs on a veth, whichever the type: a plan, IPAM's lease, then the wiring. */
import type {IfIndex, Link} from '../../model/net.ts'
import type {PluginCall} from '../plugin.ts'
import type {CniResult} from '../result.ts'
import {type Bridges, setGateways, stands} from './bridge-device.ts'
import {changeAll, enableForwarding, settled, trySysctl} from './kernel.ts'
import {ipOf, LAYER_2, type Lease, lease, release, routeOf, subnetOf} from './lease.ts'
import {macOfAddress} from './marks.ts'
import {enterFree, type Pod, wirePod} from './pod.ts'
import type {TypePorts} from './ports.ts'
import {checkDeadline, sandboxOf, undone} from './undo.ts'
import {hostSteps, hostWhat, makeVeth, type Veth} from './veth-host.ts'
import {familiesOf, type VethPlan, type Wiring} from './wiring.ts'

/** What one type is, beside what all have in common. */
export interface VethType {
  /** Throws CniError where the config cannot be served. */
  readonly plan: (call: PluginCall) => VethPlan
  /** Throws CniError where the lease cannot. */
  readonly wire: (call: PluginCall, lease: Lease) => Wiring
}

/** What an attachment that is made anew had: it has it again. */
export interface Again {
  readonly plan: VethPlan
  readonly lease: Lease
}

/**
 * Whatever does not depend on each other runs at once: the kernel is busy with the link for half a millisecond, in
 * which the pod's namespace is opened and IPAM has its files. Only IPAM waits until the pod is known to have no such
 * interface: what it holds may be that interface's. Rejects with CniError, once all has been undone.
 */
export async function addVeth(
  ports: TypePorts,
  {plan: planOf, wire}: VethType,
  bridges: Bridges,
  call: PluginCall,
  again?: Again,
): Promise<CniResult> {
  const plan = again?.plan ?? planOf(call)
  const netns = sandboxOf(call).fd
  await ports.removals.pending(plan.name)?.catch(() => {})
  const undo: (() => Promise<void>)[] = []
  const free = enterFree(call, plan.macIsOwn ? plan.podMac : undefined)
  // An interface with the MAC that we have just thought of is the one that we are making.
  const ready = plan.macIsOwn ? Promise.resolve() : free
  const veth = ready.then(async () => {
    const made = await makeVeth(ports, plan, bridges, {netns, ifname: call.ifname, free})
    undo.push(() => unmake(ports, made.host.index))
    return made
  })
  const wired = free.then(async (): Promise<Wiring> => {
    const got = again?.lease ?? (await lease(ports, call))
    if (got && !again) undo.push(() => release(ports, call))
    const wiring = wire(call, got ?? LAYER_2)
    const [first] = wiring.ips
    return plan.bridge && plan.macIsOwn && first ? {...wiring, mac: macOfAddress(first.ip)} : wiring
  })
  const inPod = settled<[Pod, Veth, Wiring]>([free, veth, wired]).then(([pod, made, wiring]) => {
    checkDeadline(call)
    return wirePod(pod, wiring, made.peer)
  })
  // Its routes are ours to make.
  const sysctl = veth.then(() => trySysctl(ports.host, `ipv6/conf/${plan.name}/accept_ra`, '0'))
  // What is made anew gets its mark last: with that, it is taken for whole.
  const before = again ? inPod : free
  const onHost = settled<[Veth, Wiring, unknown]>([veth, wired, before]).then(([made, wiring]) => {
    checkDeadline(call)
    return wireHost(ports, call, {plan, wiring, made, bridges}, again ? [] : undo)
  })
  try {
    const [, wiring, bridge] = await settled<[unknown, Wiring, Link | undefined, unknown, unknown]>([
      free,
      wired,
      onHost,
      inPod,
      sysctl,
    ])
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

interface Work {
  readonly plan: VethPlan
  readonly wiring: Wiring
  readonly made: Veth
  readonly bridges: Bridges
}

/** The bridge as it is now. Rejects with CniError. */
async function wireHost(
  ports: TypePorts,
  {config}: PluginCall,
  {plan, wiring, made, bridges}: Work,
  undo: (() => Promise<void>)[],
): Promise<Link | undefined> {
  const {host, masquerade} = ports
  const masked = config.ipMasq === true ? wiring.ips.map(ip => ({ip: ip.ip, subnet: subnetOf(ip)})) : []
  if (masked.length > 0) undo.push(() => masquerade.remove(plan.owner))
  const {bridge} = made
  const [, pinned] = await settled<[unknown, boolean, unknown, unknown]>([
    changeAll(host, hostWhat(plan), hostSteps(plan, wiring, made.host.index), stands),
    bridge && plan.bridge ? setGateways(host, bridges, plan.bridge, bridge, wiring.gateways) : Promise.resolve(false),
    plan.bridge && !plan.bridge.isGateway ? Promise.resolve() : enableForwarding(host, familiesOf(wiring.ips)),
    masked.length > 0 ? masquerade.add(plan.owner, masked) : Promise.resolve(),
  ])
  // With an address the bridge keeps the MAC that it had; without one it may have taken the new port's.
  return pinned ? bridge?.before : bridge?.link
}

function resultOf(call: PluginCall, plan: VethPlan, wiring: Wiring, bridge: Link | undefined): CniResult {
  const interfaces = [
    ...(plan.bridge ? [{name: plan.bridge.name, ...(bridge?.mac && {mac: bridge.mac})}] : []),
    {name: plan.name, mac: plan.hostMac},
    {name: call.ifname, mac: wiring.mac ?? plan.podMac, sandbox: call.netns},
  ]
  const {ips, routes, dns} = wiring
  return {interfaces, ips: ips.map(ip => ipOf(ip, interfaces.length - 1)), routes: routes.map(routeOf), dns}
}
