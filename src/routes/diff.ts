/** From the routes that are wanted and those that the kernel has to the changes. Pure. */
import type {NextHop, Route} from '../model/net.ts'
import type {RouteChange} from '../model/plans.ts'

/** A route of somebody else's to a prefix of ours. */
export interface RouteConflict {
  readonly wanted: Route
  readonly foreign: Route
  /** Ours cannot stand beside it (same metric); else ours stands behind it. */
  readonly blocks: boolean
}

export interface RouteDiff {
  /** Replaces, adds, deletes: at no time is a prefix without a route that had one and keeps one. */
  readonly changes: readonly RouteChange[]
  readonly conflicts: readonly RouteConflict[]
}

/** `have`: the kernel's routes by destination, of all makers. Ours are those with the mark; nothing else is touched. */
export function diffRoutes(
  want: ReadonlyMap<string, Route>,
  have: ReadonlyMap<string, readonly Route[]>,
  protocol: number,
): RouteDiff {
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
    for (const route of foreign)
      conflicts.push({wanted, foreign: route, blocks: blocked && route.metric === wanted.metric})
    // A replace takes the place of a route of the same metric; every other one of ours is left over.
    const replaced = stands || blocked ? undefined : ours.find(route => route.metric === wanted.metric)
    if (replaced) replaces.push({op: 'replace', route: wanted})
    else if (!stands && !blocked) adds.push({op: 'add', route: wanted})
    for (const route of ours) if (route !== stands && route !== replaced) deletes.push({op: 'delete', route})
  }
  for (const [destination, routes] of have) {
    if (want.has(destination)) continue
    for (const route of routes) if (isOurs(route)) deletes.push({op: 'delete', route})
  }
  return {changes: [...replaces, ...adds, ...deletes], conflicts}
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
