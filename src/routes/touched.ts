/** Where something has changed: what a pass has to look at. */
import type {ChangedKey} from '../model/kernel.ts'
import type {IfIndex, Mac} from '../model/net.ts'
import type {Change} from '../model/plans.ts'
import type {NodePlan} from './desired.ts'

interface TouchedEntries {
  readonly neighbours: Set<string>
  readonly fdb: Set<Mac>
}

export class Touched {
  /** Destinations' texts. */
  readonly routes: Set<string>
  readonly tunnels = new Map<IfIndex, TouchedEntries>()

  constructor(other?: Touched) {
    this.routes = new Set(other?.routes)
    for (const [index, {neighbours, fdb}] of other?.tunnels ?? [])
      this.tunnels.set(index, {neighbours: new Set(neighbours), fdb: new Set(fdb)})
  }

  addPlan({routes, neighbours, fdb}: NodePlan): void {
    for (const {destination} of routes) this.routes.add(`${destination}`)
    for (const {index, ip} of neighbours) this.#tunnel(index).neighbours.add(`${ip}`)
    for (const {index, mac} of fdb) this.#tunnel(index).fdb.add(mac)
  }

  addKey(key: ChangedKey): void {
    if (key.object === 'route') this.routes.add(key.destination)
    else if (key.object === 'neighbour') this.#tunnel(key.index).neighbours.add(key.ip)
    else this.#tunnel(key.index).fdb.add(key.mac)
  }

  addChange(change: Change): void {
    const key = keyOf(change)
    if (key) this.addKey(key)
  }

  /** Whether the change is at one of the places; undefined: of a device or its addresses. */
  has(change: Change): boolean | undefined {
    const key = keyOf(change)
    if (!key) return undefined
    if (key.object === 'route') return this.routes.has(key.destination)
    const entries = this.tunnels.get(key.index)
    return (key.object === 'neighbour' ? entries?.neighbours.has(key.ip) : entries?.fdb.has(key.mac)) ?? false
  }

  #tunnel(index: IfIndex): TouchedEntries {
    let entries = this.tunnels.get(index)
    if (!entries) {
      entries = {neighbours: new Set(), fdb: new Set()}
      this.tunnels.set(index, entries)
    }
    return entries
  }
}

function keyOf({object, item}: Change): ChangedKey | undefined {
  if (object === 'route') return {object, destination: `${item.destination}`}
  if (object === 'neighbour') return {object, index: item.index, ip: `${item.ip}`}
  return object === 'fdb' ? {object, index: item.index, mac: item.mac} : undefined
}
