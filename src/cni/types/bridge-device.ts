/** The bridge that pods are ports of: made when it is missing, with the pods' gateway addresses on it. */
import {quoted} from '../../model/errors.ts'
import type {IpWithPrefix} from '../../model/ip.ts'
import type {NamespaceKernel, Step} from '../../model/namespace.ts'
import type {Address, IfIndex, Link} from '../../model/net.ts'
import {CniError} from '../error.ts'
import {refused, trySysctl} from './kernel.ts'
import {subnetOf} from './lease.ts'
import {randomMac} from './marks.ts'
import {addAddress, type BridgePlan} from './wiring.ts'

export interface BridgeDevice {
  readonly link: Link
  readonly made: boolean
  /** What had to be put right of one that stood, in words. */
  readonly mended: readonly string[]
}

/** Rejects with CniError. `prepared`: indexes of bridges whose settings this process has made already, by name. */
export async function ensureBridge(
  host: NamespaceKernel,
  plan: BridgePlan,
  prepared: Map<string, IfIndex>,
): Promise<BridgeDevice> {
  const {name} = plan
  const found = await host.link(name)
  const mended = found ? driftOf(found, plan) : []
  if (found && mended.length === 0 && prepared.get(name) === found.index) return {link: found, made: false, mended}
  const {link, made} = found ? {link: found, made: false} : await makeBridge(host, plan)
  if (link.kind !== 'bridge')
    throw new CniError('failed', `${quoted(name)} exists already and is no bridge: name another one in the config`)
  // Its routes are ours to make.
  const sysctl = trySysctl(host, `ipv6/conf/${name}/accept_ra`, '0')
  const settings = {up: true, ...(plan.promiscuous && {promiscuous: true})}
  const [outcome] = await host.change([{op: 'set', object: 'link', item: link.index, to: settings}])
  await sysctl
  if (outcome?.refusal) throw refused(`bridge ${quoted(name)} cannot be set up`, outcome.refusal)
  prepared.set(name, link.index)
  return {link, made, mended}
}

export const isInOrder = (link: Link, plan: BridgePlan): boolean =>
  link.name === plan.name && link.kind === 'bridge' && driftOf(link, plan).length === 0

const driftOf = (link: Link, {name, promiscuous}: BridgePlan): string[] => [
  ...(link.up ? [] : [`set bridge ${name} up`]),
  ...(promiscuous && !link.promiscuous ? [`set bridge ${name} promiscuous`] : []),
]

/** Its MAC is its own from the start: that of a bridge without one changes with its ports. */
async function makeBridge(
  host: NamespaceKernel,
  {name, mtu, mac}: BridgePlan,
): Promise<Pick<BridgeDevice, 'link' | 'made'>> {
  const item = {name, mac: mac ?? randomMac(), ...(mtu !== undefined && {mtu}), kind: {type: 'bridge'}} as const
  const [outcome] = await host.change([{op: 'add', object: 'link', item}])
  const refusal = outcome?.refusal
  // Another attachment of the same bridge was quicker.
  if (refusal && refusal.code !== 'EEXIST') throw refused(`bridge ${quoted(name)} cannot be made`, refusal)
  const link = outcome?.link ?? (await host.link(name))
  if (!link) throw new CniError('failed', `bridge ${quoted(name)} has gone as soon as it was made`)
  return {link, made: !refusal}
}

/** What has to be done for a bridge to have these addresses. Throws CniError where others are in the way. */
export function gatewaySteps(
  bridge: Link,
  have: readonly Address[],
  {gateways, forceAddress}: {readonly gateways: readonly IpWithPrefix[]; readonly forceAddress: boolean},
): Step[] {
  const steps: Step[] = []
  const left = new Set(have.filter(({index}) => index === bridge.index))
  for (const wanted of gateways) {
    const text = `${wanted.ip}/${wanted.length}`
    let there = false
    for (const each of left) {
      there ||= `${each.ip}/${each.length}` === text
      if (there) break
      if (!isInTheWay(each, wanted)) continue
      if (!forceAddress)
        throw new CniError(
          'failed',
          `bridge ${quoted(bridge.name)} has the address ${each.ip}/${each.length}, not the gateway's ${text}: ` +
            'name another bridge, or set forceAddress',
        )
      left.delete(each)
      steps.push({op: 'delete', object: 'address', item: {index: bridge.index, ip: each.ip, length: each.length}})
    }
    if (there) continue
    steps.push(addAddress(bridge.index, wanted, wanted.length))
    left.add({...wanted, index: bridge.index, scope: 'global', flags: 0})
  }
  // Also one that somebody else has made keeps its MAC from now on.
  if (steps.length > 0 && bridge.mac) steps.push({op: 'set', object: 'link', item: bridge.index, to: {mac: bridge.mac}})
  return steps
}

/** A bridge has one address of IPv4; of IPv6 several, as long as their subnets have nothing in common. */
const isInTheWay = (there: IpWithPrefix, wanted: IpWithPrefix): boolean =>
  there.ip.family === wanted.ip.family && (wanted.ip.family === 4 || subnetOf(there).overlaps(subnetOf(wanted)))

/** A refusal that says that somebody has done it already: another attachment, quicker than this one. */
export const stands = ({op}: Step, {code}: {readonly code: string}): boolean =>
  (op === 'add' && code === 'EEXIST') || (op === 'delete' && code === 'EADDRNOTAVAIL')
