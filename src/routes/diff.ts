/** From what is wanted and what the kernel has to the changes. Pure. */
import type {KernelState} from '../model/kernel.ts'
import type {Address, FdbEntry, Mac, Neighbour, NextHop, Route} from '../model/net.ts'
import type {Change} from '../model/plans.ts'
import type {Desired, TunnelEntries} from './desired.ts'
import type {Touched} from './touched.ts'

/** A route of somebody else's to a prefix of ours. */
export interface RouteConflict {
  readonly wanted: Route
  readonly foreign: Route
  /** Ours cannot stand beside it (same metric); else ours stands behind it. */
  readonly blocks: boolean
}

/**
 * What makes a way comes before the routes that take it, what ends one after them; of routes, replaces, adds, deletes:
 * at no time is a prefix without a way that had one and keeps one.
 */
const ORDER = ['make', 'replace', 'add', 'delete', 'end'] as const

/** Told of what stands in the kernel just as it is wanted. */
export interface Witness {
  route(destination: string, standing: Route): void
  neighbour(standing: Neighbour): void
  fdb(standing: FdbEntry): void
}

/** Changes. Few enough to be encoded at one go without holding anybody up. */
const PORTION = 250

/** What is to be done, as it is found. */
export class Diff {
  readonly witness: Witness | undefined
  /** By destination. */
  readonly conflicts = new Map<string, readonly RouteConflict[]>()
  readonly #steps: Readonly<Record<(typeof ORDER)[number], Change[]>> = {
    make: [],
    replace: [],
    add: [],
    delete: [],
    end: [],
  }

  constructor(witness?: Witness) {
    this.witness = witness
  }

  get changes(): readonly Change[] {
    return ORDER.flatMap(step => this.#steps[step])
  }

  do(step: (typeof ORDER)[number], change: Change): void {
    this.#steps[step].push(change)
  }

  /** Takes out what may be done before the rest is known, once there is much of it. Empty: not yet. */
  takeReady(): readonly Change[] {
    const {make, replace, add} = this.#steps
    if (make.length + replace.length + add.length < PORTION) return []
    return [make, replace, add].flatMap(step => step.splice(0))
  }
}

/** Everything. Ours are the routes with the mark, and all that is on the tunnel devices; nothing else is touched. */
export function diffState(want: Desired, have: KernelState, protocol: number): Diff {
  const steps = diffEverything(want, have, protocol)
  for (;;) {
    const {done, value} = steps.next()
    if (done) return value
  }
}

/**
 * Yields now and then, so that thousands need not be looked at at one go. `make` is called with what may be done already:
 * all that makes ways is found before the routes, and what ends some is left to the end.
 */
export function* diffEverything(
  want: Desired,
  have: KernelState,
  protocol: number,
  make: (changes: readonly Change[]) => void | Promise<void> = () => {},
): Generator<void | Promise<void>, Diff, undefined> {
  const diff = new Diff(want.witness)
  for (const [index, entries] of want.tunnels) {
    const fdb = have.fdb.get(index) ?? new Map<Mac, FdbEntry[]>()
    const neighbours = have.neighbours.get(index) ?? new Map<string, Neighbour>()
    diffAddresses(entries, have.addresses.get(index) ?? [], diff)
    for (const mac of keys(entries.fdb, fdb)) {
      diffMac(entries.fdb.get(mac), fdb.get(mac) ?? [], diff)
      yield hand(diff, make)
    }
    for (const ip of keys(entries.neighbours, neighbours)) {
      diffNeighbour(entries.neighbours.get(ip), neighbours.get(ip), diff)
      yield hand(diff, make)
    }
  }
  for (const destination of keys(want.routes, have.routes)) {
    diffRoutes(destination, want.routes.get(destination), have.routes.get(destination) ?? [], protocol, diff)
    yield hand(diff, make)
  }
  return diff
}

/** Undefined: nothing was ready. */
function hand(diff: Diff, make: (changes: readonly Change[]) => void | Promise<void>): void | Promise<void> {
  const ready = diff.takeReady()
  return ready.length > 0 ? make(ready) : undefined
}

/** Only where something has been touched, on either side, since all was as wanted. */
export function diffTouched(want: Desired, have: KernelState, protocol: number, touched: Touched): Diff {
  const diff = new Diff(want.witness)
  for (const [index, entries] of want.tunnels) {
    diffAddresses(entries, have.addresses.get(index) ?? [], diff)
    const {fdb = [], neighbours = []} = touched.tunnels.get(index) ?? {}
    for (const mac of fdb) diffMac(entries.fdb.get(mac), have.fdb.get(index)?.get(mac) ?? [], diff)
    for (const ip of neighbours) diffNeighbour(entries.neighbours.get(ip), have.neighbours.get(index)?.get(ip), diff)
  }
  for (const destination of touched.routes)
    diffRoutes(destination, want.routes.get(destination), have.routes.get(destination) ?? [], protocol, diff)
  return diff
}

function* keys<K>(some: ReadonlyMap<K, unknown>, others: ReadonlyMap<K, unknown>): Generator<K, void, undefined> {
  yield* some.keys()
  for (const key of others.keys()) if (!some.has(key)) yield key
}

/** What only adds: for facts that may be older than what the kernel has. */
export const additions = (changes: readonly Change[], have: KernelState): readonly Change[] =>
  changes.filter(({object, op, item}) => {
    if (object === 'neighbour') return op === 'replace' && !have.neighbours.get(item.index)?.has(`${item.ip}`)
    if (object === 'fdb') return op === 'add' && !have.fdb.get(item.index)?.has(item.mac)
    if (object === 'link') return op === 'add' && ![...have.links.values()].some(({name}) => name === item.name)
    return op === 'add'
  })

/** Of one destination; `standing`: the kernel's, of all makers. */
export function diffRoutes(
  destination: string,
  wanted: Route | undefined,
  standing: readonly Route[],
  protocol: number,
  diff: Diff,
): void {
  // What almost every prefix of almost every pass looks like.
  if (wanted && standing.length === 1 && (standing[0] === wanted || equalRoutes(standing[0]!, wanted))) {
    diff.witness?.route(destination, standing[0]!)
    return
  }
  // Of an IPv6 multipath route only the kernel knows whose paths were merged into it: we make none, so one is not ours.
  const isOurs = (route: Route) => route.protocol === protocol && route.nextHops.length < 2
  const ours = standing.filter(isOurs)
  if (!wanted) {
    for (const item of ours) diff.do('delete', {object: 'route', op: 'delete', item})
    return
  }
  const stands = ours.find(route => equalRoutes(route, wanted))
  // A route for one type of service alone stands beside all others.
  const foreign = standing.filter(route => !isOurs(route) && !route.tos && route.metric <= wanted.metric)
  const blocked = !stands && foreign.some(route => route.metric === wanted.metric)
  // Behind a bridge's own route is where an unreachable one belongs.
  if (foreign.length > 0 && (wanted.type === 'unicast' || blocked))
    diff.conflicts.set(
      destination,
      foreign.map(route => ({wanted, foreign: route, blocks: blocked && route.metric === wanted.metric})),
    )
  // A replace takes the place of a route of the same metric; every other one of ours is left over.
  const replaced = stands || blocked ? undefined : ours.find(route => route.metric === wanted.metric && !route.tos)
  if (replaced) diff.do('replace', {object: 'route', op: 'replace', item: wanted})
  else if (!stands && !blocked) diff.do('add', {object: 'route', op: 'add', item: wanted})
  for (const item of ours)
    if (item !== stands && item !== replaced) diff.do('delete', {object: 'route', op: 'delete', item})
}

/** Of one MAC. One that does not lead where it should alone is freed first: the kernel has a MAC once. */
function diffMac(wanted: FdbEntry | undefined, standing: readonly FdbEntry[], diff: Diff): void {
  const [only, second] = standing
  if (wanted && only && !second && (wanted === only || equalFdb(wanted, only))) {
    diff.witness?.fdb(only)
    return
  }
  for (const item of standing) diff.do(wanted ? 'make' : 'end', {object: 'fdb', op: 'delete', item})
  if (wanted) diff.do('make', {object: 'fdb', op: 'add', item: wanted})
}

const equalFdb = (a: FdbEntry, b: FdbEntry): boolean =>
  `${a.remote}` === `${b.remote}` && a.state === b.state && a.vni === b.vni && a.port === b.port && a.via === b.via

/** NUD_PERMANENT, linux/neighbour.h. Others come and go by themselves. */
const PERMANENT = 0x80

/** Of one address. */
function diffNeighbour(wanted: Neighbour | undefined, standing: Neighbour | undefined, diff: Diff): void {
  if (wanted) {
    if (!standing || standing.mac !== wanted.mac || standing.state !== wanted.state)
      diff.do('make', {object: 'neighbour', op: 'replace', item: wanted})
    else diff.witness?.neighbour(standing)
  } else if (standing?.state === PERMANENT) diff.do('end', {object: 'neighbour', op: 'delete', item: standing})
}

/**
 * Those that the kernel gives a device by itself are of the link's scope. An old one goes when a new one has its place:
 * with the last address of a family the kernel takes all routes of it from the device.
 */
function diffAddresses({addresses}: TunnelEntries, have: readonly Address[], diff: Diff): void {
  const same = (a: Address, b: Address) => `${a.ip}` === `${b.ip}` && a.length === b.length
  for (const item of addresses) {
    if (have.some(other => same(item, other))) continue
    // IPv6 has an address once, whatever its length.
    const inTheWay = have.find(({ip}) => ip.family === 6 && `${ip}` === `${item.ip}`)
    if (inTheWay) diff.do('make', {object: 'address', op: 'delete', item: inTheWay})
    diff.do('make', {object: 'address', op: 'add', item})
  }
  for (const item of have)
    if (
      !addresses.some(({ip}) => ip.family === 6 && `${ip}` === `${item.ip}`) &&
      item.scope === 'global' &&
      !addresses.some(other => same(item, other)) &&
      addresses.some(({ip}) => ip.family === item.ip.family)
    )
      diff.do('end', {object: 'address', op: 'delete', item})
}

/** Of two routes to one destination. */
export function equalRoutes(a: Route, b: Route): boolean {
  return (
    a.metric === b.metric &&
    a.type === b.type &&
    a.protocol === b.protocol &&
    a.table === b.table &&
    a.tos === b.tos &&
    a.mtu === b.mtu &&
    `${a.source}` === `${b.source}` &&
    a.nextHops.length === b.nextHops.length &&
    a.nextHops.every((hop, i) => equalHops(hop, b.nextHops[i]!))
  )
}

const equalHops = (a: NextHop, b: NextHop): boolean =>
  a.dev === b.dev &&
  (a.onlink ?? false) === (b.onlink ?? false) &&
  (a.weight ?? 1) === (b.weight ?? 1) &&
  `${a.gateway}` === `${b.gateway}`
