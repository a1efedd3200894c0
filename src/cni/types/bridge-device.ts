/** The bridge that pods are ports of: made when it is missing, with the pods' gateway addresses on it. */
import {quoted} from '../../model/errors.ts'
import {hostLength, type IpWithPrefix} from '../../model/ip.ts'
import type {NamespaceKernel, Step} from '../../model/namespace.ts'
import type {Address, IfIndex, Link} from '../../model/net.ts'
import {isOwnLink} from '../../model/plans.ts'
import {CniError} from '../error.ts'
import {changeAll, refused, trySysctl} from './kernel.ts'
import {subnetOf} from './lease.ts'
import {randomMac} from './marks.ts'
import {addAddress, type BridgePlan} from './wiring.ts'

export interface BridgeDevice {
  readonly link: Link
  readonly made: boolean
  /** What had to be put right of one that stood, in words. */
  readonly mended: readonly string[]
}

/**
 * Bridges that this process has seen in order, by name: a guess that spares questions, and that the kernel's answers
 * confirm or refute. `gateways`: addresses that stood there ("10.1.0.1/16").
 */
export type Bridges = Map<string, {readonly index: IfIndex; readonly gateways: ReadonlySet<string>}>

/** Rejects with CniError. */
export async function ensureBridge(host: NamespaceKernel, plan: BridgePlan, bridges: Bridges): Promise<BridgeDevice> {
  const {name} = plan
  const found = await host.link(name)
  const mended = found ? driftOf(found, plan) : []
  if (found && mended.length === 0 && bridges.get(name)?.index === found.index)
    return {link: found, made: false, mended}
  const {link, made} = found ? {link: found, made: false} : await makeBridge(host, plan)
  if (link.kind !== 'bridge')
    throw new CniError('failed', `${quoted(name)} exists already and is no bridge: name another one in the config`)
  // Its routes are ours to make.
  const sysctl = trySysctl(host, `ipv6/conf/${name}/accept_ra`, '0')
  const settings = {up: true, ...(plan.promiscuous && {promiscuous: true})}
  const [outcome] = await host.change([{op: 'set', object: 'link', item: link.index, to: settings}])
  await sysctl
  if (outcome?.refusal) throw refused(`bridge ${quoted(name)} cannot be set up`, outcome.refusal)
  bridges.set(name, {index: link.index, gateways: new Set()})
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

/** Gives a bridge the pods' gateway addresses: whether anything had to be done. Rejects with CniError. */
export async function setGateways(
  host: NamespaceKernel,
  bridges: Bridges,
  plan: BridgePlan,
  {before: bridge, addresses}: {readonly before: Link; readonly addresses?: readonly Address[]},
  named: readonly IpWithPrefix[],
): Promise<boolean> {
  const {index, name} = bridge
  const gateways = plan.forceAddress ? standing(named) : named
  if (gateways.length === 0) return false
  const seen = bridges.get(name)?.gateways ?? new Set()
  const texts = gateways.map(textOf)
  let fresh: readonly IpWithPrefix[] = []
  if (!addresses && texts.every(text => seen.has(text))) {
    // One question that is an answer, too: what is there is refused.
    const outcomes = await host.change(gateways.map(each => addAddress(index, each, each.length)))
    if (outcomes.every(({refusal}) => refusal?.code === 'EEXIST')) return false
    fresh = gateways.filter((_, i) => !outcomes[i]!.refusal)
  }
  const have = addresses ?? (await host.addresses({index}))
  const before = have.filter(each => !fresh.some(gateway => textOf(gateway) === textOf(each)))
  try {
    const steps = gatewaySteps(bridge, before, {gateways, forceAddress: plan.forceAddress})
    if (plan.anySubnet && steps.some(({op}) => op === 'add')) await mustLeaveOthers(host, bridge, gateways)
    await changeAll(host, `the gateway address of bridge ${quoted(name)} cannot be set`, steps, stands)
    bridges.set(name, {index, gateways: new Set([...seen, ...texts])})
    return steps.length > 0
  } catch (error) {
    await host.change(fresh.map(({ip, length}) => ({op: 'delete', object: 'address', item: {index, ip, length}})))
    throw error
  }
}

/** What the node is connected to by others' links is not for a pod to ask for. Rejects with CniError. */
async function mustLeaveOthers(host: NamespaceKernel, bridge: Link, gateways: readonly IpWithPrefix[]): Promise<void> {
  const [links, addresses] = await Promise.all([host.links(), host.addresses()])
  const others = new Map(
    links.flatMap(link => (link.index === bridge.index || isOwnLink(link) ? [] : [[link.index, link] as const])),
  )
  for (const each of addresses) {
    const link =
      each.scope === 'global' && each.length < hostLength(each.ip.family) ? others.get(each.index) : undefined
    if (!link) continue
    const taken = gateways.find(
      gateway => gateway.ip.family === each.ip.family && subnetOf(gateway).overlaps(subnetOf(each)),
    )
    // Another bridge with the very same gateway is what somebody has renamed.
    if (!taken || (link.kind === 'bridge' && textOf(taken) === textOf(each))) continue
    throw new CniError(
      'failed',
      `bridge ${quoted(bridge.name)} cannot have the gateway's ${textOf(taken)}: the node has ${textOf(each)} on ${quoted(link.name)}; ` +
        'give the network another subnet',
    )
  }
}

const textOf = ({ip, length}: IpWithPrefix): string => `${ip}/${length}`

/** What has to be done for a bridge to have these addresses. Throws CniError where others are in the way. */
export function gatewaySteps(
  bridge: Link,
  have: readonly Address[],
  {gateways, forceAddress}: {readonly gateways: readonly IpWithPrefix[]; readonly forceAddress: boolean},
): Step[] {
  const steps: Step[] = []
  const left = new Set(have.filter(({index}) => index === bridge.index))
  for (const wanted of forceAddress ? standing(gateways) : gateways) {
    const text = textOf(wanted)
    let there = false
    for (const each of left) {
      there ||= textOf(each) === text
      if (there) break
      if (!isInTheWay(each, wanted)) continue
      if (!forceAddress)
        throw new CniError(
          'failed',
          `bridge ${quoted(bridge.name)} has the address ${textOf(each)}, not the gateway's ${text}: ` +
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

/** By force each takes the place of those before it that are in its way. */
export const standing = (gateways: readonly IpWithPrefix[]): readonly IpWithPrefix[] =>
  gateways.filter((gateway, i) => gateways.slice(i + 1).every(later => !isInTheWay(gateway, later)))

/** A bridge has one address of IPv4; of IPv6 several, as long as their subnets have nothing in common. */
const isInTheWay = (there: IpWithPrefix, wanted: IpWithPrefix): boolean =>
  there.ip.family === wanted.ip.family && (wanted.ip.family === 4 || subnetOf(there).overlaps(subnetOf(wanted)))

/** A refusal that says that somebody has done it already: another attachment, quicker than this one. */
export const stands = ({op}: Step, {code}: {readonly code: string}): boolean =>
  (op === 'add' && code === 'EEXIST') || (op === 'delete' && code === 'EADDRNOTAVAIL')
