/** What is wanted, node by node: plans are put in and taken out again. */
import type {NodeName} from '../model/facts.ts'
import {type Cidr, hostLength} from '../model/ip.ts'
import type {Address, FdbEntry, IfIndex, Mac, Neighbour, Route} from '../model/net.ts'
import type {Site} from './backends/backend.ts'
import type {Problem} from './claims.ts'
import type {Desired, NodePlan} from './desired.ts'
import type {Witness} from './diff.ts'

interface Entries {
  readonly addresses: Address[]
  readonly neighbours: Map<string, Neighbour>
  readonly fdb: Map<Mac, FdbEntry>
}

export class MutableDesired implements Desired {
  readonly routes = new Map<string, Route>()
  readonly tunnels = new Map<IfIndex, Entries>()
  readonly ways = {4: 0, 6: 0}
  peers = 0
  /** Two nodes are in each other's way: the second one has none. */
  clashes = false
  /** What stands as wanted takes the place of the equal object that was made for it: they would be there twice. */
  readonly witness: Witness = {
    route: (destination, standing) => this.routes.set(destination, standing),
    neighbour: standing => this.tunnels.get(standing.index)?.neighbours.set(`${standing.ip}`, standing),
    fdb: standing => this.tunnels.get(standing.index)?.fdb.set(standing.mac, standing),
  }
  readonly #site: Site
  readonly #settled: readonly Problem[]
  readonly #troubled = new Map<NodeName, readonly Problem[]>()
  #problems: readonly Problem[] | undefined

  /** `settled`: the problems of the whole. */
  constructor(site: Site, settled: readonly Problem[]) {
    this.#site = site
    this.#settled = settled
    for (const index of Object.values(site.devices))
      this.tunnels.set(index, {addresses: [], neighbours: new Map(), fdb: new Map()})
  }

  get problems(): readonly Problem[] {
    this.#problems ??= [...this.#settled, ...[...this.#troubled.values()].flat()]
    return this.#problems
  }

  add(name: NodeName, plan: NodePlan): void {
    const clash = this.#clash(plan)
    if (clash) this.#refuse(name, plan, clash)
    else this.#put(name, plan)
  }

  remove(name: NodeName, plan: NodePlan): void {
    this.#count(plan, -1)
    this.#trouble(name, [])
    for (const {destination} of plan.routes) this.routes.delete(`${destination}`)
    for (const {index, ip} of plan.neighbours) this.tunnels.get(index)?.neighbours.delete(`${ip}`)
    for (const {index, mac} of plan.fdb) this.tunnels.get(index)?.fdb.delete(mac)
  }

  /**
   * The addresses from which this node itself speaks through its tunnels: the first of its ranges, which no pod has.
   */
  addOwn(cidrs: readonly Cidr[]): void {
    for (const family of [4, 6] as const) {
      const ip = cidrs.find(cidr => cidr.family === family)?.address
      if (!ip) continue
      const flags = family === 6 ? NODAD | NOPREFIXROUTE : 0
      for (const [index, {addresses}] of this.tunnels)
        if (family === 4 || !this.#site.withoutIpv6?.has(index))
          addresses.push({index, ip, length: hostLength(family), scope: 'global', flags})
    }
  }

  #put(name: NodeName, plan: NodePlan): void {
    this.#count(plan, 1)
    this.#trouble(name, plan.problems)
    for (const route of plan.routes) this.routes.set(`${route.destination}`, route)
    for (const entry of plan.neighbours) this.tunnels.get(entry.index)!.neighbours.set(`${entry.ip}`, entry)
    for (const entry of plan.fdb) this.tunnels.get(entry.index)!.fdb.set(entry.mac, entry)
  }

  /** What another node's plan has already. */
  #clash({neighbours, fdb}: NodePlan): string | undefined {
    const entry = fdb.find(({index, mac}) => this.tunnels.get(index)!.fdb.has(mac))
    if (entry) return `the MAC of its tunnel, ${entry.mac}`
    const neighbour = neighbours.find(({index, ip}) => this.tunnels.get(index)!.neighbours.has(`${ip}`))
    return neighbour && `the gateway to its range, ${neighbour.ip}`
  }

  #refuse(name: NodeName, plan: NodePlan, clash: string): void {
    this.clashes = true
    const problem: Problem = {
      kind: 'unreachable',
      message: `node ${name} has no route, since ${clash}, is also another node's`,
    }
    this.#put(name, {...plan, routes: [], neighbours: [], fdb: [], problems: [...plan.problems, problem]})
  }

  #count({isPeer, routes}: NodePlan, by: 1 | -1): void {
    if (isPeer) this.peers += by
    for (const {type, destination} of routes) if (type === 'unicast') this.ways[destination.family] += by
  }

  #trouble(name: NodeName, problems: readonly Problem[]): void {
    if (problems.length > 0) this.#troubled.set(name, problems)
    else if (!this.#troubled.delete(name)) return
    this.#problems = undefined
  }
}

/** IFA_F_*, linux/if_addr.h: usable at once, since nobody else can have it; and without a route to itself. */
const NODAD = 0x02
const NOPREFIXROUTE = 0x200
