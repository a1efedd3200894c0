/** From what is wanted and what the kernel has to the changes. Pure. */
import type {KernelState} from '../model/kernel.ts'
import type {Address, FdbEntry, IfIndex, Neighbour, NextHop, Route} from '../model/net.ts'
import type {AddressChange, Change, FdbChange, NeighbourChange, RouteChange} from '../model/plans.ts'
import type {Desired, TunnelEntries} from './desired.ts'

/** A route of somebody else's to a prefix of ours. */
export interface RouteConflict {
  readonly wanted: Route
  readonly foreign: Route
  /** Ours cannot stand beside it (same metric); else ours stands behind it. */
  readonly blocks: boolean
}

export interface Diff {
  /**
   * What makes a way comes before the routes that take it, what ends one after them: at no time is a prefix without a
   * way that had one and keeps one.
   */
  readonly changes: readonly Change[]
  readonly conflicts: readonly RouteConflict[]
}

/** Ours are the routes with the mark, and all that is on the tunnel devices; nothing else is touched. */
export function diffState(want: Desired, have: KernelState, protocol: number): Diff {
  const made: Change[] = []
  const ended: Change[] = []
  for (const [index, entries] of want.tunnels) diffTunnel(index, entries, have, made, ended)
  const {changes, conflicts} = diffRoutes(want.routes, have.routes, protocol)
  return {changes: made.length + ended.length > 0 ? [...made, ...changes, ...ended] : changes, conflicts}
}

/** What only adds: for facts that may be older than what the kernel has. */
export const additions = (changes: readonly Change[], have: KernelState): readonly Change[] =>
  changes.filter(
    ({op, object, item}) =>
      op === 'add' ||
      (op === 'replace' && object === 'neighbour' && !have.neighbours.get(item.index)?.has(`${item.ip}`)),
  )

/** IPv4 and IPv6 `have` by destination, of all makers. */
export function diffRoutes(
  want: ReadonlyMap<string, Route>,
  have: ReadonlyMap<string, readonly Route[]>,
  protocol: number,
): {changes: readonly RouteChange[]; conflicts: readonly RouteConflict[]} {
  // Of an IPv6 multipath route only the kernel knows whose paths were merged into it: we make none, so one is not ours.
  const isOurs = (route: Route) => route.protocol === protocol && route.nextHops.length < 2
  const replaces: RouteChange[] = []
  const adds: RouteChange[] = []
  const deletes: RouteChange[] = []
  const conflicts: RouteConflict[] = []
  for (const [destination, wanted] of want) {
    const routes = have.get(destination) ?? []
    // What almost every prefix of almost every pass looks like.
    if (routes.length === 1 && equalRoutes(routes[0]!, wanted)) continue
    const ours = routes.filter(isOurs)
    const stands = ours.find(route => equalRoutes(route, wanted))
    // A route for one type of service alone stands beside all others.
    const foreign = routes.filter(route => !isOurs(route) && !route.tos && route.metric <= wanted.metric)
    const blocked = !stands && foreign.some(route => route.metric === wanted.metric)
    // Behind a bridge's own route is where an unreachable one belongs.
    if (wanted.type === 'unicast' || blocked)
      for (const route of foreign)
        conflicts.push({wanted, foreign: route, blocks: blocked && route.metric === wanted.metric})
    // A replace takes the place of a route of the same metric; every other one of ours is left over.
    const replaced = stands || blocked ? undefined : ours.find(route => route.metric === wanted.metric)
    if (replaced) replaces.push({object: 'route', op: 'replace', item: wanted})
    else if (!stands && !blocked) adds.push({object: 'route', op: 'add', item: wanted})
    for (const route of ours)
      if (route !== stands && route !== replaced) deletes.push({object: 'route', op: 'delete', item: route})
  }
  for (const [destination, routes] of have) {
    if (want.has(destination)) continue
    for (const route of routes) if (isOurs(route)) deletes.push({object: 'route', op: 'delete', item: route})
  }
  return {changes: [...replaces, ...adds, ...deletes], conflicts}
}

function diffTunnel(index: IfIndex, want: TunnelEntries, have: KernelState, made: Change[], ended: Change[]): void {
  const fdb = diffFdb(want, [...(have.fdb.get(index)?.values() ?? [])].flat())
  const neighbours = diffNeighbours(want, have.neighbours.get(index) ?? new Map())
  const addresses = diffAddresses(want, have.addresses.get(index) ?? [])
  for (const change of [...addresses, ...fdb, ...neighbours]) {
    const frees = change.object === 'fdb' && change.op === 'delete' && want.fdb.has(change.item.mac)
    if (change.op === 'delete' && !frees) ended.push(change)
    else made.push(change)
  }
}

/** A MAC that is to lead elsewhere is freed first: the kernel keeps several remotes of one MAC. */
function diffFdb(want: TunnelEntries, have: readonly FdbEntry[]): FdbChange[] {
  const changes: FdbChange[] = []
  const standing = new Set<string>()
  for (const entry of have) {
    const wanted = want.fdb.get(entry.mac)
    if (wanted && equalFdb(wanted, entry)) standing.add(entry.mac)
    else changes.push({object: 'fdb', op: 'delete', item: entry})
  }
  for (const [mac, item] of want.fdb) if (!standing.has(mac)) changes.push({object: 'fdb', op: 'add', item})
  return changes
}

const equalFdb = (a: FdbEntry, b: FdbEntry): boolean =>
  `${a.remote}` === `${b.remote}` && a.state === b.state && a.vni === b.vni && a.port === b.port

/** NUD_PERMANENT, linux/neighbour.h. Others come and go by themselves. */
const PERMANENT = 0x80

function diffNeighbours(want: TunnelEntries, have: ReadonlyMap<string, Neighbour>): NeighbourChange[] {
  const changes: NeighbourChange[] = []
  for (const [ip, item] of want.neighbours) {
    const standing = have.get(ip)
    if (!standing || standing.mac !== item.mac || standing.state !== item.state)
      changes.push({object: 'neighbour', op: 'replace', item})
  }
  for (const [ip, item] of have)
    if (item.state === PERMANENT && !want.neighbours.has(ip)) changes.push({object: 'neighbour', op: 'delete', item})
  return changes
}

/**
 * Those that the kernel gives a device by itself are of the link's scope. An old one goes when a new one has its place:
 * with the last address of a family the kernel takes all routes of it from the device.
 */
function diffAddresses({addresses}: TunnelEntries, have: readonly Address[]): AddressChange[] {
  const same = (a: Address, b: Address) => `${a.ip}` === `${b.ip}` && a.length === b.length
  return [
    ...addresses
      .filter(item => !have.some(other => same(item, other)))
      .map(item => ({object: 'address', op: 'add', item}) as const),
    ...have
      .filter(item => item.scope === 'global' && !addresses.some(other => same(item, other)))
      .filter(({ip}) => addresses.some(other => other.ip.family === ip.family))
      .map(item => ({object: 'address', op: 'delete', item}) as const),
  ]
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
