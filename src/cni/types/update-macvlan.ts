/** Changes a macvlan of a pod in place. */
import {quoted} from '../../model/errors.ts'
import type {Mac} from '../../model/net.ts'
import {CniError} from '../error.ts'
import type {PluginCall, PluginConfig} from '../plugin.ts'
import type {CniResult} from '../result.ts'
import {ipOf, type Lease, routeOf} from './lease.ts'
import {look} from './pod.ts'
import type {TypePorts} from './ports.ts'
import {previousOf} from './previous.ts'
import {carryOut, leaseInPlace, type Made, macChange, mtuChanges, wiringChange} from './update.ts'
import type {MacvlanPlan, Wiring} from './wiring.ts'

export interface MacvlanType {
  /** Throws CniError where the config cannot be served. */
  readonly plan: (call: PluginCall) => MacvlanPlan
  /** That somebody asks for. */
  readonly macOf: (made: Made) => Mac | undefined
  readonly wire: (config: PluginConfig, lease: Lease) => Wiring
}

/** For {@link NativePlugin.update}. */
export async function updateMacvlan(
  ports: TypePorts,
  {plan: planOf, macOf, wire}: MacvlanType,
  call: PluginCall,
  before: Made,
): Promise<CniResult | undefined> {
  const previous = previousOf(call)
  const leased = await leaseInPlace(ports, call, before, previous.lease)
  if (!leased) return undefined
  const plan = planOf(call)
  const old = planOf({...call, ...before})
  const [wiring, had] = [wire(call.config, leased), wire(before.config, previous.lease)]
  const inside = await look(call)
  const {link, pod} = inside ?? {}
  const parent = link?.kind === 'macvlan' && link.parent ? await ports.host.link(link.parent) : undefined
  if (!inside || !link || !pod || !parent || (plan.master !== undefined && parent.name !== plan.master))
    return undefined
  if (plan.mtu !== undefined && plan.mtu > parent.mtu)
    throw new CniError(
      'invalidConfig',
      `mtu of network ${quoted(call.config.name)} must be at most ${parent.mtu}, that of its master ` +
        `${quoted(parent.name)}, not ${plan.mtu}`,
    )

  const asked = macOf(call)
  const mac = asked !== macOf(before) ? asked : undefined
  // There it is the parent's own that would change.
  if (mac !== undefined && plan.mode === 'passthru') return undefined
  const wired = await wiringChange(inside, had, wiring)
  await carryOut([
    ...(mac !== undefined && mac !== link.mac ? [await macChange(inside, mac, previous.inside.mac)] : []),
    ...(plan.mtu === old.mtu ? [] : mtuChanges(inside, plan.mtu ?? parent.mtu, wiring, [{kernel: pod.kernel, link}])),
    ...(wired ? [wired] : []),
  ])
  const own = mac === undefined ? previous.inside : {...previous.inside, mac}
  const {ips, routes, dns} = wiring
  return {interfaces: [own], ips: ips.map(ip => ipOf(ip, 0)), routes: routes.map(routeOf), dns}
}
