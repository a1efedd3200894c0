/** Changes a veth of a pod in place. */
import type {Link, Mac} from '../../model/net.ts'
import type {PluginCall} from '../plugin.ts'
import type {CniResult} from '../result.ts'
import {dnsOf} from './config.ts'
import {ipOf, routeOf} from './lease.ts'
import {macOfAddress} from './marks.ts'
import {look} from './pod.ts'
import type {TypePorts} from './ports.ts'
import {type Previous, previousOf} from './previous.ts'
import {carryOut, leaseInPlace, type Made, macChange, mtuChanges, textsOf, wiringChange} from './update.ts'
import type {VethType} from './veth.ts'
import type {VethPlan, Wiring} from './wiring.ts'

/** Bytes. What the kernel gives a veth that is made without one. */
const VETH_MTU = 1500

/** For {@link NativePlugin.update}. */
export async function updateVeth(
  {host, ...ports}: TypePorts,
  type: VethType,
  call: PluginCall,
  before: Made,
): Promise<CniResult | undefined> {
  const previous = previousOf(call)
  const leased = await leaseInPlace({host, ...ports}, call, before, previous.lease)
  if (!leased) return undefined
  const earlier = {...call, ...before}
  const [plan, old] = [type.plan(call), type.plan(earlier)]
  const [wiring, had] = [type.wire(call, leased), type.wire(earlier, previous.lease)]
  // What IPAM had said of DNS, the config's took the place of.
  if (wiring.routed && !dnsOf(call.config) && dnsOf(before.config)) return undefined
  if (isRewired(wiring, had) && !isOnlyInside(call, wiring, had)) return undefined
  const [inside, end] = await Promise.all([look(call), host.link(plan.name)])
  if (!inside || end?.parent !== inside.link.index || inside.link.kind !== 'veth') return undefined

  const mac = macFor(plan, old, wiring, had)
  const wired = await wiringChange(inside, had, wiring)
  await carryOut([
    ...(mac !== undefined && mac !== inside.link.mac ? [await macChange(inside, mac, previous.inside.mac)] : []),
    ...(plan.mtu === old.mtu
      ? []
      : mtuChanges(inside, plan.mtu ?? VETH_MTU, wiring, endsOf(inside.pod.kernel, inside.link, host, end))),
    ...(wired ? [wired] : []),
  ])
  return resultOf(previous, mac, wiring)
}

const endsOf = <K>(pod: K, inside: Link, host: K, end: Link) => [
  {kernel: pod, link: inside},
  {kernel: host, link: end},
]

const isRewired = (wiring: Wiring, had: Wiring): boolean => {
  const [now, then] = [textsOf(wiring), textsOf(had)]
  return `${now.ips} ${now.routes}` !== `${then.ips} ${then.routes}`
}

/** Nothing of it on the host. */
function isOnlyInside({config}: PluginCall, wiring: Wiring, had: Wiring): boolean {
  const gateways = (each: Wiring) => each.gateways.map(({ip, length}) => `${ip}/${length}`)
  const known = gateways(had)
  return !wiring.routed && config.ipMasq !== true && gateways(wiring).every(gateway => known.includes(gateway))
}

/** Undefined: it keeps what it has. One that follows from its address does so, lest another pod gets it with that. */
function macFor(plan: VethPlan, old: VethPlan, wiring: Wiring, had: Wiring): Mac | undefined {
  if (!plan.macIsOwn) return old.macIsOwn || old.podMac !== plan.podMac ? plan.podMac : undefined
  const [[first], [earlier]] = [wiring.ips, had.ips]
  if (!plan.bridge || !old.macIsOwn || !first || `${first.ip}` === `${earlier?.ip}`) return undefined
  return macOfAddress(first.ip)
}

function resultOf({interfaces, inside}: Previous, mac: Mac | undefined, {ips, routes, dns}: Wiring): CniResult {
  const at = interfaces.indexOf(inside)
  return {
    interfaces: mac === undefined ? interfaces : interfaces.with(at, {...inside, mac}),
    ips: ips.map(ip => ipOf(ip, at)),
    routes: routes.map(routeOf),
    dns,
  }
}
