/** `default-route`: a further interface takes the pod's default route, and the first one keeps the ways into the cluster. */
import {quoted} from '../../model/errors.ts'
import {Cidr, type Family, type Ip, parseCidr} from '../../model/ip.ts'
import type {NamespaceKernel, Step} from '../../model/namespace.ts'
import {type IfIndex, type Link, type Route, TABLE_MAIN} from '../../model/net.ts'
import {CniError} from '../error.ts'
import type {CniResult} from '../result.ts'
import {changeAll} from './kernel.ts'
import {type Lease, parseLease} from './lease.ts'
import {gatewayFor, podRoute} from './wiring.ts'

export interface DefaultRoute {
  readonly ifname: string
  /** One for each family that is to go through it. */
  readonly gateways: readonly Ip[]
  /** The pod's first interface, and the result of its ADD. */
  readonly firstIfname: string
  readonly first: CniResult
  /** Pod and service ranges: never cut off. */
  readonly keep: readonly Cidr[]
}

/**
 * Done again it changes nothing. To be done again after either interface was made anew or changed in place. Rejects with
 * CniError, and then nothing has been changed.
 */
export async function setDefaultRoute(pod: NamespaceKernel, wish: DefaultRoute): Promise<void> {
  const {ifname, gateways} = wish
  const [first, link] = await Promise.all([pod.link(wish.firstIfname), pod.link(ifname)])
  if (!link)
    throw new CniError('failed', `the pod has no interface ${quoted(ifname)} that its default route could take`)
  await requireReachable(pod, link, gateways)
  const steps: Step[] = []
  const back: Step[] = []
  for (const gateway of gateways) {
    const routes = await routesOf(pod, gateway.family)
    const other = routes.find(
      route => isDefault(route) && route.nextHops.some(({dev}) => dev !== link.index && dev !== first?.index),
    )
    if (other) throw new CniError('failed', `${await takenBy(pod, other, wish)}: only one attachment may ask for it`)
    const own = throughGateway(gateway, link.index)
    const ofFirst = first ? through(routes.filter(isDefault), first.index) : []
    const kept = first ? keptOf(wish, waysOut(wish, routes, gateway.family, first.index)) : []
    steps.push(
      ...kept.map((item): Step => ({op: 'add', object: 'route', item})),
      {op: 'prepend', object: 'route', item: own},
      ...ofFirst.map((item): Step => ({op: 'delete', object: 'route', item})),
    )
    back.push(
      ...ofFirst.map((item): Step => ({op: 'prepend', object: 'route', item})),
      ...(isAmong(routes, own) ? [] : [{op: 'delete', object: 'route', item: own} as const]),
    )
  }
  try {
    await changeAll(pod, `the pod's default route cannot go through ${quoted(ifname)}`, steps, isSo)
  } catch (error) {
    await pod.change(back)
    throw error
  }
}

/** The first interface has it again. Of what has gone with an interface nothing is missed. Rejects with CniError. */
export async function restoreDefaultRoute(pod: NamespaceKernel, wish: DefaultRoute): Promise<void> {
  const {ifname, gateways, firstIfname} = wish
  const [first, link] = await Promise.all([pod.link(firstIfname), pod.link(ifname)])
  const steps: Step[] = []
  for (const gateway of gateways) {
    const ways = first ? waysOut(wish, await routesOf(pod, gateway.family), gateway.family, first.index) : []
    const gone = [...(link ? [throughGateway(gateway, link.index)] : []), ...keptOf(wish, ways)]
    steps.push(
      ...ways.map((item): Step => ({op: 'prepend', object: 'route', item})),
      ...gone.map((item): Step => ({op: 'delete', object: 'route', item})),
    )
  }
  await changeAll(pod, `the pod's default route cannot go back to ${quoted(firstIfname)}`, steps, isSo)
}

const isSo = ({op}: Step, {code}: {readonly code: string}): boolean =>
  (op !== 'delete' && code === 'EEXIST') || (op === 'delete' && code === 'ESRCH')

const leaseOf = ({first, firstIfname}: DefaultRoute): Lease => {
  const at = first.interfaces.findIndex(({name, sandbox}) => name === firstIfname && sandbox)
  const ips = first.ips.filter(ip => ip.interface === undefined || ip.interface === at)
  return parseLease({...first, ips}, `the result of ${firstIfname}`)
}

const isDefault = ({destination}: {readonly destination: Cidr}): boolean => destination.length === 0

const throughGateway = (gateway: Ip, dev: IfIndex): Route => podRoute({destination: new Cidr(gateway, 0)}, gateway, dev)

const routesOf = (pod: NamespaceKernel, family: Family): Promise<Route[]> =>
  pod.routes({family, table: TABLE_MAIN, type: 'unicast'})

/**
 * The first interface's default routes. Where its result says none: what the kernel has, and once that has been taken
 * away, what the routes to the kept ranges tell of it.
 */
function waysOut(wish: DefaultRoute, routes: readonly Route[], family: Family, dev: IfIndex): Route[] {
  const lease = leaseOf(wish)
  const said = lease.routes.filter(route => isDefault(route) && route.destination.family === family)
  if (said.length > 0) return said.map(route => podRoute(route, gatewayFor(lease, route), dev))
  const standing = through(routes.filter(isDefault), dev)
  if (standing.length > 0) return standing
  const keep = wish.keep.map(cidr => `${cidr}`)
  const [kept] = through(routes, dev).filter(
    ({destination, protocol}) => protocol !== KERNEL && keep.includes(`${destination}`),
  )
  return kept ? [{...kept, destination: new Cidr(kept.destination.address, 0)}] : []
}

/** RTPROT_KERNEL, linux/rtnetlink.h. */
const KERNEL = 2

/** As the default route led there; without one, they were not reached before either. What the result has is its own. */
function keptOf(wish: DefaultRoute, [way]: readonly Route[]): Route[] {
  const own = wish.first.routes.map(({dst}) => `${parseCidr(dst)}`)
  if (!way) return []
  return wish.keep
    .filter(cidr => cidr.family === way.destination.family && !own.includes(`${cidr}`))
    .map(destination => ({...way, destination}))
}

/** Of a route with several ways the kernel takes away one at a time. */
const through = (routes: readonly Route[], index: IfIndex): Route[] =>
  routes.flatMap(route => route.nextHops.filter(({dev}) => dev === index).map(hop => ({...route, nextHops: [hop]})))

const isAmong = (routes: readonly Route[], {destination, nextHops: [own], metric}: Route): boolean =>
  routes.some(
    route =>
      route.metric === metric &&
      `${route.destination}` === `${destination}` &&
      route.nextHops.some(({dev, gateway}) => dev === own!.dev && `${gateway}` === `${own!.gateway}`),
  )

async function requireReachable(pod: NamespaceKernel, {index, name}: Link, gateways: readonly Ip[]): Promise<void> {
  const addresses = await pod.addresses({index})
  for (const gateway of gateways) {
    if (gateways.some(other => other !== gateway && other.family === gateway.family))
      throw new CniError('invalidConfig', `default-route names several gateways of IPv${gateway.family}: name one`)
    if (!addresses.some(({ip, length}) => ip.family === gateway.family && new Cidr(ip, length).contains(gateway)))
      throw new CniError(
        'failed',
        `the default route cannot go through ${gateway}: it is in none of the subnets of ${quoted(name)}; name a gateway there`,
      )
  }
}

async function takenBy(pod: NamespaceKernel, {destination, nextHops}: Route, {ifname}: DefaultRoute): Promise<string> {
  const dev = nextHops[0]?.dev
  const link = dev === undefined ? undefined : await pod.link(dev)
  return `${quoted(ifname)} cannot have the default route of IPv${destination.family}, which ${quoted(link?.name ?? '')} has`
}
