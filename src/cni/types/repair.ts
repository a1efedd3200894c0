/** Puts the host's side of a standing attachment right: looks first, and writes nothing where nothing is wrong. */
import {quoted} from '../../model/errors.ts'
import type {NamespaceKernel, Step} from '../../model/namespace.ts'
import type {Link} from '../../model/net.ts'
import {OWN_GROUP} from '../../model/plans.ts'
import {CniError} from '../error.ts'
import {InterfaceGone} from '../interface-gone.ts'
import type {PluginCall} from '../plugin.ts'
import {type BridgeDevice, type Bridges, ensureBridge, gatewaySteps, stands} from './bridge-device.ts'
import {changeAll, settled} from './kernel.ts'
import {isMine} from './marks.ts'
import {look} from './pod.ts'
import type {TypePorts} from './ports.ts'
import {previousOf} from './previous.ts'
import {bridgeAsItWas} from './rebuild.ts'
import type {VethType} from './veth.ts'
import {hostWhat, wayToPod} from './veth-host.ts'
import type {BridgePlan, VethPlan, Wiring} from './wiring.ts'

/** A step, and what it comes to in words. */
type Mending = readonly [step: Step, words: string]

/** What was done, in words. Rejects with CniError. */
export async function repairVeth(
  {host, removals}: TypePorts,
  type: VethType,
  bridges: Bridges,
  call: PluginCall,
): Promise<readonly string[]> {
  const plan = type.plan(call)
  const previous = previousOf(call)
  // Made by somebody else: its host end has a name that says nothing. And what is on its way out is not held back.
  if (!previous.interfaces.some(({name}) => name === plan.name) || removals.pending(plan.name)) return []
  const [link, bridge] = await settled<[Link, BridgeDevice | undefined]>([
    findVeth(host, plan, call),
    plan.bridge ? ensureBridge(host, bridgeAsItWas(plan.bridge, previous), bridges) : Promise.resolve(undefined),
  ])
  const wiring = type.wire(call, previous.lease)
  const mendings = [
    ...port(plan, link, bridge?.link),
    ...(wiring.routed ? wayToPod(wiring, link.index).map((step): Mending => [step, wordsOf(step, plan.name)]) : []),
    ...(bridge && plan.bridge ? await gateways(host, plan.bridge, wiring, bridge) : []),
  ]
  const outcomes = await changeAll(
    host,
    hostWhat(plan),
    mendings.map(([step]) => step),
    stands,
  )
  const done = mendings.filter(([_, words], i) => words !== '' && !outcomes[i]?.refusal).map(([_, words]) => words)
  return [...(bridge?.made ? [`made bridge ${bridge.link.name} again`] : (bridge?.mended ?? [])), ...done]
}

async function findVeth(host: NamespaceKernel, {name, owner}: VethPlan, call: PluginCall): Promise<Link> {
  const link = await host.link(name)
  if (!link) throw new InterfaceGone(`the host's end ${quoted(name)} has gone`)
  if (link.kind !== 'veth')
    throw new CniError('failed', `the host has a link ${quoted(name)} that is no veth: rename or remove it`)
  if (link.alias !== undefined && !isMine(link, owner))
    throw new CniError('failed', `${quoted(name)} has been given the alias ${quoted(link.alias)}: it is left alone`)
  // Made anew, and cut short before it was whole; or somebody has taken the alias away.
  if (link.alias === undefined && link.group === OWN_GROUP) {
    const inside = await look(call)
    if (inside?.link.parent !== link.index || !inside.link.up)
      throw new InterfaceGone(`${quoted(name)} leads to no interface of the pod that is up`)
  }
  return link
}

function port({name, owner, bridge: plan}: VethPlan, link: Link, bridge: Link | undefined): Mending[] {
  const set = (to: Extract<Step, {op: 'set'}>['to'], words: string): Mending => [
    {op: 'set', object: 'link', item: link.index, to},
    `${words} ${name}`,
  ]
  const strayed = bridge !== undefined && link.master !== bridge.index
  // A port that joins again begins without.
  const hairpin = !strayed && link.hairpin === true
  return [
    ...(link.alias === owner ? [] : [set({alias: owner}, 'set the alias of')]),
    ...(link.group === OWN_GROUP ? [] : [set({group: OWN_GROUP}, 'set the group of')]),
    ...(strayed ? [set({master: bridge.index}, `put back into bridge ${bridge.name}:`)] : []),
    ...(plan && hairpin !== plan.hairpin
      ? [set({hairpin: plan.hairpin}, `set hairpin ${plan.hairpin ? 'on' : 'off'} on`)]
      : []),
    ...(link.up ? [] : [set({up: true}, 'set up')]),
  ]
}

async function gateways(
  host: NamespaceKernel,
  plan: BridgePlan,
  wiring: Wiring,
  {link, made}: BridgeDevice,
): Promise<Mending[]> {
  if (wiring.gateways.length === 0) return []
  const have = made ? [] : await host.addresses({index: link.index})
  return gatewaySteps(link, have, {...wiring, ...plan}).map(step => [step, wordsOf(step, link.name)])
}

const wordsOf = ({op, object, item}: Step, dev: string): string => {
  const done = op === 'delete' ? 'removed' : 'put back'
  if (object === 'address') return `${done} address ${item.ip}/${item.length} on ${dev}`
  if (object === 'route') return `${done} route to ${item.destination} through ${dev}`
  return ''
}
