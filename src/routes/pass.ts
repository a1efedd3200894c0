/** One pass over one network's routes: compare what is wanted with what the kernel has, write the difference, report. */
import type {NetworkName, RouteProtocol} from '../model/config.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Family} from '../model/ip.ts'
import type {KernelState} from '../model/kernel.ts'
import type {Route} from '../model/net.ts'
import type {Refusal, RouteChange, RouteWriter} from '../model/plans.ts'
import type {Problem} from './claims.ts'
import {type DesiredRoutes, desiredRoutes, findSelf} from './desired.ts'
import {diffRoutes, equalRoutes, type RouteConflict} from './diff.ts'
import {formatUnderlay, readUnderlay} from './underlay.ts'

export interface RouteNetwork {
  readonly name: NetworkName
  readonly protocol: RouteProtocol
}

/** The cluster's nodes at one moment: another object, as soon as one of them has changed. */
export interface NodesView {
  readonly items: ReadonlyMap<NodeName, NodeFacts>
}

export interface PassInput {
  readonly nodes: NodesView
  readonly kernel: KernelState
  /** What asks for the pass, and when it arrived (`performance.now()`). */
  readonly source: 'node' | 'kernel'
  readonly since: number
}

export interface PassOptions {
  readonly network: RouteNetwork
  readonly writer: RouteWriter
  /** As configured; undefined: found by the machine's id. */
  readonly self: NodeName | undefined
  readonly machineId: string
}

export interface RouteReport {
  readonly network: NetworkName
  /** The first pass is the start, whatever asked for it; one that no new input asked for is a retry. */
  readonly source: PassInput['source'] | 'start' | 'retry'
  readonly since: number
  /** `performance.now()`. */
  readonly startedAt: number
  readonly endedAt: number
  readonly written: readonly RouteChange[]
  /** Of the written ones: those that put right what somebody else had changed. */
  readonly repaired: number
  readonly refused: readonly {readonly change: RouteChange; readonly refusal: Refusal}[]
  readonly problems: readonly Problem[]
  readonly conflicts: readonly RouteConflict[]
  readonly peers: number
  /** Our routes in the kernel after the pass. */
  readonly routes: Readonly<Record<Family, number>>
  /** The pass itself broke: nothing of the rest is known. */
  readonly error?: unknown
}

/**
 * A pass to be run again and again, one at a time. It keeps only what tells a repair from a change of mind, and the
 * last plan for as long as what it was made from stays the same: most passes are asked for by the kernel.
 */
export function routePass(options: PassOptions): (input: PassInput) => Promise<RouteReport> {
  const {network, writer} = options
  const plan = planner(options)
  let lastInput: PassInput | undefined
  let before: ReadonlyMap<string, Route> = new Map()
  let complete = false
  return async input => {
    const startedAt = performance.now()
    const source = input === lastInput ? 'retry' : complete ? input.source : 'start'
    lastInput = input
    const desired = plan(input)
    const {changes, conflicts} = diffRoutes(desired.routes, input.kernel.routes, network.protocol)
    const refusals = await writer.write(changes)
    const refused = changes.flatMap((change, i) => (refusals[i] ? [{change, refusal: refusals[i]}] : []))
    const written = changes.filter((_, i) => !refusals[i])
    if (changes.length > 0) await writer.settle()
    const repaired = complete ? written.filter(change => isRepair(change, before)).length : 0
    before = desired.routes
    complete = true
    return {
      network: network.name,
      source,
      since: source === 'retry' ? startedAt : input.since,
      startedAt,
      endedAt: performance.now(),
      written,
      repaired,
      refused,
      problems: desired.problems,
      conflicts,
      peers: desired.peers,
      routes: count(desired.routes, refused, conflicts),
    }
  }
}

function planner({network, self, machineId}: PassOptions): (input: PassInput) => DesiredRoutes {
  let last: {nodes: NodesView; underlay: string; desired: DesiredRoutes} | undefined
  return ({nodes, kernel}) => {
    const name = findSelf(nodes.items, self, machineId)
    const own = name && nodes.items.get(name)
    const ways = readUnderlay(kernel, own?.addresses ?? [], own?.podCIDRs ?? [])
    const underlay = formatUnderlay(ways)
    if (last?.nodes !== nodes || last.underlay !== underlay)
      last = {nodes, underlay, desired: desiredRoutes(nodes.items, name, ways, network.protocol)}
    return last.desired
  }
}

/** The report of a pass that threw: a bug, or an outcome that is unknown; the next pass finds out from the kernel. */
export function brokenReport(network: RouteNetwork, error: unknown): RouteReport {
  const now = performance.now()
  return {
    network: network.name,
    source: 'retry',
    since: now,
    startedAt: now,
    endedAt: now,
    written: [],
    repaired: 0,
    refused: [],
    problems: [],
    conflicts: [],
    peers: 0,
    routes: {4: 0, 6: 0},
    error,
  }
}

/** Whether another pass is due without any new event. */
export const hasFailed = (report: RouteReport): boolean => report.error !== undefined || report.refused.length > 0

function isRepair({op, route}: RouteChange, before: ReadonlyMap<string, Route>): boolean {
  const wanted = before.get(`${route.destination}`)
  const asBefore = wanted !== undefined && equalRoutes(wanted, route)
  return op === 'delete' ? !asBefore : asBefore
}

/** What stands: an addition that was refused or blocked does not, while of a refused replacement the old route does. */
function count(
  wanted: ReadonlyMap<string, Route>,
  refused: RouteReport['refused'],
  conflicts: readonly RouteConflict[],
): Record<Family, number> {
  const missing = new Set<string>()
  for (const {change} of refused) if (change.op === 'add') missing.add(`${change.route.destination}`)
  for (const conflict of conflicts) if (conflict.blocks) missing.add(`${conflict.wanted.destination}`)
  const result = {4: 0, 6: 0}
  for (const [destination, route] of wanted) if (!missing.has(destination)) result[route.destination.family]++
  return result
}
