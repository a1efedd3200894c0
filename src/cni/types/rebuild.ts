/** Makes a standing attachment anew whose interface has gone from its pod: with the name, MAC and addresses that it had. */
import {quoted} from '../../model/errors.ts'
import type {Mac} from '../../model/net.ts'
import {CniError} from '../error.ts'
import {renamed} from '../interface-gone.ts'
import type {PluginCall} from '../plugin.ts'
import type {CniResult} from '../result.ts'
import type {Bridges} from './bridge-device.ts'
import {checkIpam} from './check.ts'
import {ipamType} from './config.ts'
import {lease, release} from './lease.ts'
import {isMine} from './marks.ts'
import {enter, look} from './pod.ts'
import type {TypePorts} from './ports.ts'
import {type Previous, previousOf} from './previous.ts'
import {addVeth, type VethType} from './veth.ts'
import type {BridgePlan, VethPlan} from './wiring.ts'

/** Rejects with CniError. */
export async function rebuildVeth(
  ports: TypePorts,
  type: VethType,
  bridges: Bridges,
  call: PluginCall,
): Promise<CniResult> {
  const previous = previousOf(call)
  const plan = asItWas(type.plan(call), previous)
  await removeRemains(ports, plan, call)
  await requireVanished(call, previous)
  await keepLease(ports, call, previous)
  return addVeth(ports, type, bridges, call, {plan, lease: previous.lease})
}

const macOf = ({interfaces}: Previous, link: string): Mac | undefined =>
  interfaces.find(({name, sandbox}) => name === link && !sandbox)?.mac?.toLowerCase() as Mac | undefined

/** Pods know the gateway by the MAC that the bridge had. */
export function bridgeAsItWas(plan: BridgePlan, previous: Previous): BridgePlan {
  const mac = macOf(previous, plan.name)
  return mac ? {...plan, mac} : plan
}

function asItWas(plan: VethPlan, previous: Previous): VethPlan {
  const podMac = previous.inside.mac?.toLowerCase() as Mac | undefined
  return {
    ...plan,
    hostMac: macOf(previous, plan.name) ?? plan.hostMac,
    ...(podMac && {podMac, macIsOwn: false}),
    ...(plan.bridge && {bridge: bridgeAsItWas(plan.bridge, previous)}),
  }
}

/** A host's end that leads nowhere any more, or that was made anew and never became whole. */
async function removeRemains({host, removals}: TypePorts, {name, owner}: VethPlan, call: PluginCall): Promise<void> {
  await removals.pending(name)?.catch(() => {})
  const [link, inside] = await Promise.all([host.link(name), look(call)])
  if (!link || !isMine(link, owner)) return
  if (inside?.link.parent === link.index && inside.link.up)
    throw new CniError('failed', `${quoted(call.ifname)} of the pod stands: it is not made anew`)
  await removals.remove(link)
}

/** What the pod has made of it is the pod's. Rejects with CniError. */
export async function requireVanished(call: PluginCall, {inside}: Previous): Promise<void> {
  const {kernel} = await enter(call)
  const name = await renamed(kernel, inside.mac)
  if (name !== undefined)
    throw new CniError(
      'failed',
      `${quoted(call.ifname)} is not made anew: the pod has ${quoted(name)} with its MAC ${inside.mac}`,
    )
}

/** The addresses stay leased; where IPAM has forgotten them, it is asked for the same ones. Rejects with CniError. */
export async function keepLease(ports: TypePorts, call: PluginCall, previous: Previous): Promise<void> {
  const type = ipamType(call.config)
  const lost = await checkIpam(ports, call).then(
    () => undefined,
    error => error as Error,
  )
  if (!type || !lost) return
  const {config} = call
  const had = previous.lease.ips.map(({ip, length}) => `${ip}/${length}`)
  const asking = {...call, config: {...config, runtimeConfig: {...config.runtimeConfig, ips: had}}}
  const got = await lease(ports, asking).catch(error => {
    throw lossOf(call, lost, error.message)
  })
  const have = (got?.ips ?? []).map(({ip, length}) => `${ip}/${length}`)
  if (have.length === had.length && have.every(address => had.includes(address))) return
  await release(ports, asking)
  throw lossOf(call, lost, `it gives ${have.join(', ')}`)
}

const lossOf = ({ifname}: PluginCall, {message}: Error, why: string): CniError =>
  new CniError(
    'failed',
    `IPAM has lost the addresses of ${quoted(ifname)} (${message}) and does not give them again: ${why}`,
  )
