/** One pass over one network: compare what is wanted with what the kernel has, write the difference, report. */
import type {ChangeLog} from '../model/change-log.ts'
import type {NetworkName} from '../model/config-network.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Cidr, Family, Ip} from '../model/ip.ts'
import type {KernelState} from '../model/kernel.ts'
import {IPV6_LEAST} from '../model/mtu.ts'
import type {Route} from '../model/net.ts'
import type {Change, KernelWriter, Refusal} from '../model/plans.ts'
import {formatVtep, type Vtep} from '../model/vtep.ts'
import type {Site} from './backends/backend.ts'
import {ownRanges, type Problem} from './claims.ts'
import {Comparison} from './comparison.ts'
import {type Cluster, type Desired, findSelf} from './desired.ts'
import {additions, type RouteConflict} from './diff.ts'
import {Fight} from './fight.ts'
import {effectiveMtu} from './mtu.ts'
import {NeighbourhoodWatch} from './neighbourhood.ts'
import type {RouteNetwork} from './network.ts'
import {nodeAddresses} from './node-addresses.ts'
import {atOnce, Planner, type Sliced} from './planner.ts'
import {type Before, isRepair} from './repair.ts'
import {diffTunnels, indexesOf, standingTunnels, type TunnelSpec, vtepOf, wantedTunnels} from './tunnels.ts'
import {formatUnderlay, readUnderlay, type Underlay} from './underlay.ts'
import {Writes} from './writes.ts'

/** The cluster's nodes at one moment: another object, as soon as one of them has changed. */
export interface NodesView {
  readonly items: ReadonlyMap<NodeName, NodeFacts>
  readonly log?: ChangeLog<NodeName>
  /** They were read from disk: what the kernel has may be newer. */
  readonly stale?: unknown
}

/** What hostNetwork pods tell of their nodes' addresses: another object, as soon as something has changed. */
export interface HostPodsView {
  readonly synced: boolean
  readonly items: ReadonlyMap<NodeName, readonly Ip[]>
}

export interface PassInput {
  readonly nodes: NodesView
  readonly hostPods: HostPodsView
  readonly kernel: KernelState
  /** What asks for the pass, and when it arrived (`performance.now()`). */
  readonly source: 'node' | 'kernel'
  readonly since: number
}

export interface PassOptions {
  readonly network: RouteNetwork
  readonly writer: KernelWriter
  /** As configured; undefined: found by the machine's id. */
  readonly self: NodeName | undefined
  readonly machineId: string
  /** @default all at one go */
  readonly sliced?: Sliced
}

/** What a node is to publish of its tunnels; `vtep` undefined: nothing any more. */
export interface Publication {
  readonly node: NodeName
  readonly network: NetworkName
  readonly vtep: Vtep | undefined
}

export interface RouteReport {
  readonly network: NetworkName
  /** The first pass is the start, whatever asked for it; one that no new input asked for is a retry. */
  readonly source: PassInput['source'] | 'start' | 'retry'
  readonly since: number
  /** `performance.now()`. */
  readonly startedAt: number
  readonly endedAt: number
  readonly written: readonly Change[]
  /** Of the written ones: those that put right what somebody else had changed. */
  readonly repaired: number
  readonly refused: readonly {readonly change: Change; readonly refusal: Refusal}[]
  readonly problems: readonly Problem[]
  readonly conflicts: readonly RouteConflict[]
  readonly peers: number
  /** Our routes to peers in the kernel after the pass. */
  readonly routes: Readonly<Record<Family, number>>
  /** This node's own pod ranges that can be served. */
  readonly ranges: readonly Cidr[]
  /** Bytes that a pod's packet may have. */
  readonly mtu: Readonly<Partial<Record<Family, number>>>
  /** What the node's object does not say yet. */
  readonly publish?: Publication | undefined
  /** Neighbours whose MAC is asked for: another pass is due when it is known. */
  readonly unresolved: number
  /** Milliseconds before the next pass. */
  readonly restMs: number
  /** The pass itself broke: nothing of the rest is known. */
  readonly error?: unknown
  /** What it followed from, for whoever asks why. Live. */
  readonly basis?: PassBasis
}

export interface PassBasis {
  readonly cluster: Cluster
  readonly site: Site
  readonly desired: Desired
  /** undefined: nothing is known of them. */
  readonly tunnels: readonly TunnelSpec[] | undefined
  /** Of these changes those that are made: nothing is taken away for what may be older than the kernel's state, or lacks something. */
  readonly allowed: (changes: readonly Change[], kernel: KernelState) => readonly Change[]
  /** Why not all of them are. A sentence. */
  readonly heldBack: string | undefined
}

/** What a pass works with. */
interface Situation {
  readonly own: NodeFacts | undefined
  readonly addresses: readonly Ip[]
  readonly underlay: Underlay
}

/**
 * A pass to be run again and again, one at a time. It keeps what was compared last, so that the next one looks only at
 * what has changed since; the first one, and one after any doubt, looks everywhere.
 */
export function routePass(options: PassOptions): (input: PassInput) => Promise<RouteReport> {
  const {network, writer, sliced = atOnce} = options
  const planner = new Planner(sliced)
  const comparison = new Comparison(network.protocol, sliced)
  const neighbours = new NeighbourhoodWatch()
  const fight = new Fight()
  let place: readonly unknown[] = []
  let lastInput: PassInput | undefined
  let before: Before | undefined

  return async input => {
    const startedAt = performance.now()
    const source = input === lastInput ? 'retry' : before ? input.source : 'start'
    lastInput = input
    const {nodes, hostPods} = input
    // What may be older than the kernel's state, or lacks something, adds to it and takes nothing away.
    const partial = nodes.stale !== undefined || !hostPods.synced
    const writes = new Writes(writer)

    const {own, addresses, underlay} = look(options, input)
    const known = own !== undefined && addresses.length > 0
    const wanted = wantedTunnels(network, own, addresses, input.kernel, underlay.local)
    const devices = diffTunnels(network, wanted, input.kernel)
    void writes.begin(partial ? additions(devices.changes, input.kernel) : devices.changes)
    const kernel = (await writes.end()) ?? input.kernel
    const tunnels = standingTunnels(network, wanted, kernel)

    const macs = Object.values(tunnels)
      .map(({mac}) => mac)
      .join(' ')
    const narrow = Object.values(tunnels).filter(({mtu}) => mtu < IPV6_LEAST)
    const site: Site = {
      network,
      underlay,
      devices: indexesOf(tunnels),
      macs: new Set(macs.split(' ')),
      withoutIpv6: new Set(narrow.map(({index}) => index)),
      ownRanges: own ? ownRanges(own, addresses) : [],
    }
    const neighbourhood = neighbours.look(kernel, underlay)
    const sources = {...network.nodeAddresses, hostPods: hostPods.items}
    const cluster: Cluster = {
      nodes: nodes.items,
      ...(nodes.log && {log: nodes.log}),
      own,
      addressesOf: node => nodeAddresses(node, sources),
      ...(network.nodeAddresses.linkLocal && {overLinkLocal: these => neighbourhood.overLinkLocal(these)}),
    }
    const self = own && `${own.name} ${own.podCIDRs} ${addresses}`
    const now = [
      self,
      hostPods,
      formatUnderlay(underlay),
      site.devices[4],
      site.devices[6],
      macs,
      narrow.map(({index}) => index).join(),
      neighbourhood,
    ]
    const moved = now.some((each, i) => each !== place[i])
    place = now
    const {desired, touched} = await planner.update(cluster, site, moved)

    await comparison.find(desired, kernel, touched, changes =>
      writes.begin(partial ? additions(changes, kernel) : known ? changes : withoutDoubt(changes, nodes.items)),
    )
    await writes.end()
    const {written, refused} = writes
    if (!partial) comparison.made(refused.map(({change}) => change))
    const {unresolved} = neighbourhood
    if (unresolved.length > 0) await writer.resolve(unresolved).catch(() => {})

    const mtu = effectiveMtu(network, addresses, underlay.local, tunnels, kernel)
    const repaired = before ? written.filter(change => isRepair(change, before!, touched)).length : 0
    before = {desired, tunnels: wanted}
    fight.note(repaired)
    const {conflicts} = comparison
    return {
      network: network.name,
      source,
      since: source === 'retry' ? startedAt : input.since,
      startedAt,
      endedAt: performance.now(),
      written,
      repaired,
      refused,
      problems: joined(fight.problems, devices.problems, mtu.problems, desired.problems),
      conflicts,
      peers: desired.peers,
      routes: count(desired, refused, conflicts),
      ranges: own ? ownRanges(own, addresses) : [],
      mtu: mtu.bytes,
      unresolved: unresolved.length,
      restMs: fight.restMs,
      publish: partial ? undefined : publicationOf(network, own, wanted, vtepOf(network, tunnels)),
      basis: {
        ...{cluster, site, desired, tunnels: wanted},
        allowed: (changes, state) =>
          partial ? additions(changes, state) : known ? changes : withoutDoubt(changes, nodes.items),
        heldBack: whyHeldBack(nodes, hostPods, known),
      },
    }
  }
}

/**
 * While nothing is known of this node, it cannot be told what is reached over its own addresses: what is its own stays, and
 * so do the routes to nodes that are still there.
 */
function withoutDoubt(changes: readonly Change[], nodes: NodesView['items']): readonly Change[] {
  if (!changes.some(({op}) => op === 'delete')) return changes
  const claimed = new Set([...nodes.values()].flatMap(({podCIDRs}) => podCIDRs.map(String)))
  return changes.filter(
    ({object, op, item}) =>
      object !== 'route' || op !== 'delete' || (item.type === 'unicast' && !claimed.has(`${item.destination}`)),
  )
}

function whyHeldBack(nodes: NodesView, hostPods: HostPodsView, known: boolean): string | undefined {
  if (nodes.stale !== undefined)
    return 'the API server has not answered yet, and nodes are those that were last written to disk: nothing is taken away'
  if (!hostPods.synced) return "the pods that tell of nodes' addresses are not known yet: nothing is taken away"
  return known ? undefined : "this node's own object has not told of its addresses yet: what leads to other nodes stays"
}

/** The one list that is not empty stays the same object: who has seen it need not look again. */
function joined(...lists: readonly (readonly Problem[])[]): readonly Problem[] {
  const [only = [], second] = lists.filter(list => list.length > 0)
  return second ? lists.flat() : only
}

/** This node's place in the cluster. */
function look({self, machineId, network}: PassOptions, {nodes, kernel, hostPods}: PassInput): Situation {
  const name = findSelf(nodes.items, self, machineId)
  const own = name && nodes.items.get(name)
  const addresses = own ? nodeAddresses(own, {...network.nodeAddresses, hostPods: hostPods.items}) : []
  return {own, addresses, underlay: readUnderlay(kernel, addresses, own ? ownRanges(own, addresses) : [])}
}

/** Undefined: the node's object says what it should, or nothing is known of this node. */
function publicationOf(
  {name}: RouteNetwork,
  own: NodeFacts | undefined,
  wanted: readonly TunnelSpec[] | undefined,
  vtep: Vtep | undefined,
): Publication | undefined {
  if (!own || (wanted && wanted.length > 0 && !vtep)) return undefined
  const published = own.vteps.find(({network}) => network === name)
  const same = published && vtep ? formatVtep(published) === formatVtep(vtep) : published === vtep
  return same ? undefined : {node: own.name, network: name, vtep}
}

/** The report of a pass that threw: a bug, or an outcome that is unknown; the next pass finds out from the kernel. */
export function brokenReport(network: Pick<RouteNetwork, 'name'>, error: unknown): RouteReport {
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
    ranges: [],
    mtu: {},
    unresolved: 0,
    restMs: 0,
    error,
  }
}

/** Whether another pass is due without any new event. */
export const hasFailed = (report: RouteReport): boolean => report.error !== undefined || report.refused.length > 0

/** What stands: an addition that was refused or blocked does not, while of a refused replacement the old route does. */
function count(
  {ways, routes}: Desired,
  refused: RouteReport['refused'],
  conflicts: readonly RouteConflict[],
): Record<Family, number> {
  const missing = new Map<string, Family>()
  const miss = ({destination}: Route) => {
    if (routes.get(`${destination}`)?.type === 'unicast') missing.set(`${destination}`, destination.family)
  }
  for (const {change} of refused) if (change.object === 'route' && change.op === 'add') miss(change.item)
  for (const conflict of conflicts) if (conflict.blocks) miss(conflict.wanted)
  const result = {...ways}
  for (const family of missing.values()) result[family]--
  return result
}
