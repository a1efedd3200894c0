/** Keeps what is wanted up to date: whole when this node's own place changes, node by node otherwise. */
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Cidr} from '../model/ip.ts'
import type {Site} from './backends/backend.ts'
import {type Settlement, shareOf} from './claims.ts'
import {type Cluster, type Desired, plan, planNode, reservedAt} from './desired.ts'
import {type Hosts, hostsOf, type Lengths, rangeKey} from './hosts.ts'
import type {MutableDesired} from './mutable-desired.ts'
import {Touched} from './touched.ts'

/** Runs a long computation in pieces, so that the process stays responsive. A promise that it yields is waited for. */
export type Sliced = <R>(work: Generator<void | Promise<void>, R, undefined>) => Promise<R>

export const atOnce: Sliced = async work => {
  for (;;) {
    const {done, value} = work.next()
    if (done) return value
    if (value) await value
  }
}

/** Planned for one place of this node. */
interface Planned {
  readonly desired: MutableDesired
  /** Their plans can be made again: kept, they would be a third of the memory. */
  readonly nodes: Map<NodeName, NodeFacts>
  /** By {@link keyOf}. */
  readonly owners: Map<string, NodeName>
  readonly lengths: Lengths
  readonly hosts: Hosts
  /** Up to when of the cluster's log. */
  at: {readonly log: Cluster['log']; readonly mark: number}
}

/**
 * Most of what happens in a cluster is that one node comes, changes or goes, and that concerns nobody else. Only where
 * claims meet, or MACs clash, or the node's own place changes, everything is planned anew. Either way the result is
 * that of `desiredState`.
 */
export class Planner {
  readonly #sliced: Sliced
  #planned: Planned | undefined
  /** Two nodes are in each other's way: who has what depends on all. */
  #entangled = false

  constructor(sliced: Sliced) {
    this.#sliced = sliced
  }

  /**
   * `moved`: anything but the nodes has changed since the last call, or the own one's ranges or addresses have. Answers with what is wanted now, and where that
   * differs from the last answer; undefined: anywhere.
   */
  async update(
    cluster: Cluster,
    site: Site,
    moved: boolean,
  ): Promise<{desired: Desired; touched: Touched | undefined}> {
    const names = moved || this.#entangled ? undefined : this.#changed(cluster)
    const touched = names && this.#follow(names, cluster, site)
    if (touched && this.#planned) return {desired: this.#planned.desired, touched}
    // Should that fail half-way, the next call must not trust what is left.
    this.#planned = undefined
    return {desired: await this.#replan(cluster, site), touched: undefined}
  }

  /** The nodes that have changed since the last call; undefined: too many, or nobody knows. */
  #changed({log}: Cluster): ReadonlySet<NodeName> | undefined {
    const before = this.#planned?.at
    if (!before || before.log !== log) return undefined
    const names = log?.since(before.mark)
    return names && names.length <= MANY ? new Set(names) : undefined
  }

  async #replan(cluster: Cluster, site: Site): Promise<Desired> {
    const nodes: Planned['nodes'] = new Map()
    // Before anything is looked at: what changes meanwhile is seen again.
    const at = {log: cluster.log, mark: cluster.log?.mark ?? 0}
    const {desired, settlement} = await this.#sliced(plan(cluster, site, node => nodes.set(node.name, node)))
    const owners = new Map([...settlement.claims.values()].map(({cidr, node}) => [keyOf(cidr), node.name]))
    this.#entangled = desired.clashes || settlement.problems.length > 0 || isMixed(settlement)
    const {lengths, hosts} = settlement
    this.#planned = {desired, nodes, owners, lengths, hosts, at}
    return desired
  }

  /** Undefined: some node is in another one's way. */
  #follow(names: ReadonlySet<NodeName>, cluster: Cluster, site: Site): Touched | undefined {
    const planned = this.#planned!
    const touched = new Touched()
    // First all that go: another one may have taken a range over.
    for (const name of names) this.#drop(planned, name, cluster, site, touched)
    for (const name of names) {
      const node = cluster.nodes.get(name)
      if (node && !this.#put(planned, node, cluster, site, touched)) return undefined
    }
    planned.at = {log: cluster.log, mark: cluster.log!.mark}
    return touched
  }

  #drop(
    {nodes, desired, owners, hosts}: Planned,
    name: NodeName,
    cluster: Cluster,
    site: Site,
    touched: Touched,
  ): void {
    const known = nodes.get(name)
    if (!known) return
    const before = planNode(shareOf(known, reservedAt(site)), cluster, site)
    desired.remove(name, before)
    touched.addPlan(before)
    nodes.delete(name)
    hosts.remove(known)
    for (const cidr of known.podCIDRs) if (owners.get(keyOf(cidr)) === name) owners.delete(keyOf(cidr))
  }

  #put(planned: Planned, node: NodeFacts, cluster: Cluster, site: Site, touched: Touched): boolean {
    const {desired, nodes, owners, lengths, hosts} = planned
    const share = shareOf(node, reservedAt(site))
    for (const cidr of share.cidrs) {
      if ((owners.get(keyOf(cidr)) ?? node.name) !== node.name || !lengths[cidr.family].has(cidr.length)) return false
      if (hosts.within(cidr, node.name)) return false
      owners.set(keyOf(cidr), node.name)
    }
    for (const ip of hostsOf(node))
      for (const length of lengths[ip.family])
        if ((owners.get(rangeKey(ip, length)) ?? node.name) !== node.name) return false
    hosts.add(node)
    const nodePlan = planNode(share, cluster, site)
    desired.add(node.name, nodePlan)
    if (desired.clashes) return false
    touched.addPlan(nodePlan)
    nodes.set(node.name, node)
    return true
  }
}

/** Nodes. To follow more of them one by one takes as long as to plan all, and is not done in slices. */
const MANY = 100

const keyOf = ({address, length}: Cidr): string => rangeKey(address, length)

const isMixed = ({lengths}: Settlement): boolean => lengths[4].size > 1 || lengths[6].size > 1
