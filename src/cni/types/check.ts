/** CHECK: whether the kernel has everything as ADD left it. */
import {quoted} from '../../model/errors.ts'
import type {Ip, IpWithPrefix} from '../../model/ip.ts'
import type {NamespaceKernel} from '../../model/namespace.ts'
import {type Address, type Link, type Route, TABLE_MAIN} from '../../model/net.ts'
import {CniError} from '../error.ts'
import type {PluginCall} from '../plugin.ts'
import type {CniInterface} from '../result.ts'
import {standing} from './bridge-device.ts'
import {ipamType} from './config.ts'
import {type Lease, subnetOf} from './lease.ts'
import {type Inside, look} from './pod.ts'
import type {TypePorts} from './ports.ts'
import {type Previous, previousOf} from './previous.ts'
import type {VethType} from './veth.ts'
import {type BridgePlan, familiesOf, hostRoute, type Wiring} from './wiring.ts'

/** Rejects with CniError. */
export async function checkVeth(ports: TypePorts, type: VethType, call: PluginCall): Promise<void> {
  const plan = type.plan(call)
  if (ports.removals.pending(plan.name)) throw amiss(`${quoted(call.ifname)} is being removed`)
  await checkIpam(ports, call)
  const previous = previousOf(call)
  const inside = await checkInside(call, previous, 'veth')
  const host = inside.link.parent === undefined ? undefined : await ports.host.link(inside.link.parent)
  if (host?.parent !== inside.link.index || !previous.interfaces.some(({name}) => name === host.name))
    throw amiss(`the other end of ${quoted(call.ifname)} is not the link that prevResult names`)
  checkMac(host, previous.interfaces)
  if (!host.up) throw amiss(`the host's end ${quoted(host.name)} is down`)
  const wiring = type.wire(call, previous.lease)
  if (plan.bridge) await checkBridge(ports.host, plan.bridge, wiring, host, previous)
  if (wiring.routed) await checkHostRoutes(ports.host, wiring, host)
}

const amiss = (message: string): CniError => new CniError('failed', message)

export async function checkIpam({find}: TypePorts, call: PluginCall): Promise<void> {
  const type = ipamType(call.config)
  if (type) await find({type}, call).check(call)
}

/** Rejects with CniError. */
export async function checkInside(call: PluginCall, {inside, lease}: Previous, kind: string): Promise<Inside> {
  const seen = await look(call)
  if (!seen) throw amiss(`${quoted(call.netns)} has no interface ${quoted(call.ifname)}`)
  const {link, addresses, pod} = seen
  if (link.kind !== kind) throw amiss(`${quoted(link.name)} of the pod is a ${link.kind ?? 'device'}, not a ${kind}`)
  checkMac(link, [inside])
  if (!link.up) throw amiss(`${quoted(link.name)} of the pod is down`)
  for (const ip of lease.ips) checkAddress(addresses, ip, link)
  await checkRoutes(pod.kernel, lease)
  return seen
}

function checkMac({name, mac}: Link, interfaces: readonly CniInterface[]): void {
  const wanted = interfaces.find(each => each.name === name)?.mac
  if (wanted && wanted.toLowerCase() !== mac)
    throw amiss(`${quoted(name)} has the MAC ${mac ?? 'of none'}, not ${quoted(wanted)} as in prevResult`)
}

function checkAddress(addresses: readonly Address[], {ip, length}: IpWithPrefix, {name}: Link): void {
  if (!addresses.some(each => `${each.ip}` === `${ip}` && each.length === length))
    throw amiss(`${quoted(name)} does not have the address ${ip}/${length}`)
}

const routesOf = async (kernel: NamespaceKernel, ips: readonly {readonly ip: Ip}[]): Promise<readonly Route[]> =>
  (await Promise.all(familiesOf(ips).map(family => kernel.routes({family, table: TABLE_MAIN})))).flat()

/** To the subnet of every address, and every one of the result; the gateway only counts where the result names it. */
async function checkRoutes(pod: NamespaceKernel, {ips, routes}: Lease): Promise<void> {
  if (ips.length === 0) return
  const have = await routesOf(pod, ips)
  // An address of IPv4 that is a subnet of its own has no route to it.
  const subnets = ips.filter(({length}) => length !== 32).map(ip => ({destination: subnetOf(ip), gateway: undefined}))
  const wanted = [...subnets, ...routes]
  for (const {destination, gateway} of wanted) {
    const fits = (route: Route) =>
      `${route.destination}` === `${destination}` &&
      (!gateway || destination.length === 0 || route.nextHops.some(hop => `${hop.gateway}` === `${gateway}`))
    if (!have.some(fits)) throw amiss(`the pod has no route to ${destination}${gateway ? ` through ${gateway}` : ''}`)
  }
}

async function checkBridge(
  host: NamespaceKernel,
  plan: BridgePlan,
  {gateways}: Wiring,
  port: Link,
  {interfaces}: Previous,
): Promise<void> {
  const bridge = await host.link(plan.name)
  if (bridge?.kind !== 'bridge') throw amiss(`the host has no bridge ${quoted(plan.name)}`)
  checkMac(bridge, interfaces)
  if (!bridge.up) throw amiss(`bridge ${quoted(plan.name)} is down`)
  if ((bridge.promiscuous ?? false) !== plan.promiscuous)
    throw amiss(`bridge ${quoted(plan.name)} is ${plan.promiscuous ? 'not ' : ''}promiscuous`)
  if (port.master !== bridge.index) throw amiss(`${quoted(port.name)} is not a port of bridge ${quoted(plan.name)}`)
  if ((port.hairpin ?? false) !== plan.hairpin)
    throw amiss(`hairpin mode of ${quoted(port.name)} is ${plan.hairpin ? 'off' : 'on'}`)
  if (gateways.length === 0) return
  const addresses = await host.addresses({index: bridge.index})
  for (const gateway of standing(gateways)) checkAddress(addresses, gateway, bridge)
}

async function checkHostRoutes(host: NamespaceKernel, {ips}: Wiring, {index, name}: Link): Promise<void> {
  const have = await routesOf(host, ips)
  for (const {ip} of ips) {
    const {destination} = hostRoute(ip, index)
    const leads = (route: Route) =>
      `${route.destination}` === `${destination}` && route.nextHops.some(({dev}) => dev === index)
    if (!have.some(leads)) throw amiss(`the host has no route to ${ip} through ${quoted(name)}`)
  }
}
