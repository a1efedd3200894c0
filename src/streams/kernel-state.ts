/** The fold of the kernel's changes into its state: pure but for the maps that it owns. */
import {type Family, hostLength, type Ip} from '../model/ip.ts'
import type {ChangedKey, KernelChange, KernelSnapshot, KernelState} from '../model/kernel.ts'
import {
  type Address,
  type FdbEntry,
  type IfIndex,
  type Link,
  type Mac,
  type Neighbour,
  type NextHop,
  type Route,
  TABLE_MAIN,
} from '../model/net.ts'
import {OWN_ALIAS, OWN_GROUP} from '../model/plans.ts'
import {KeptChangeLog} from './change-log.ts'

/** What the kernel itself gives to every link. */
const LINK_LOCAL = 'fe80::/64'

/** By its alias also when it is on its way out: links are deleted together in a group made for that. */
const isPodLink = (link: Link | undefined): boolean =>
  link?.kind === 'veth' && (link.group === OWN_GROUP || link.alias?.startsWith(OWN_ALIAS) === true)

/** Bytes. RFC 8200. */
const IPV6_MIN_MTU = 1280

export class MutableKernelState implements KernelState {
  readonly links = new Map<IfIndex, Link>()
  readonly addresses = new Map<IfIndex, readonly Address[]>()
  readonly routes = new Map<string, readonly Route[]>()
  readonly neighbours = new Map<IfIndex, Map<string, Neighbour>>()
  readonly fdb = new Map<IfIndex, Map<Mac, readonly FdbEntry[]>>()
  readonly log = new KeptChangeLog<ChangedKey>()
  /** Where routes must be looked for: the destinations of each device's, and of those that state a source. */
  readonly #ofDevice = new Map<IfIndex, Set<string>>()
  readonly #sourced = new Set<string>()
  /** Ends of veth pairs whose other end has gone. */
  readonly #left = new Set<IfIndex>()

  constructor(snapshot: KernelSnapshot) {
    for (const link of snapshot.links) this.links.set(link.index, link)
    for (const address of snapshot.addresses) append(this.addresses, address.index, address)
    for (const route of snapshot.routes)
      if (route.table === TABLE_MAIN) append(this.routes, `${route.destination}`, route)
    for (const [destination, routes] of this.routes) this.#index(destination, routes)
    for (const neighbour of snapshot.neighbours) this.#neighbour(neighbour, false)
    for (const entry of snapshot.fdb) this.#fdbEntry(entry, false, true)
  }

  /**
   * Who is to be woken, asked before the change is folded in. Neighbours come and go all the time: outside of tunnels only
   * a new MAC matters. Pods' links come and go even more often, and tell the routes to other nodes nothing.
   */
  concerns(change: KernelChange): 'all' | 'pods' | undefined {
    const {object, item, gone, nsid} = change
    // Of the tables only the main one is kept.
    if (nsid !== undefined || (object === 'route' && item.table !== TABLE_MAIN)) return undefined
    if (this.#isOfPod(change)) return object === 'neighbour' || object === 'fdb' ? undefined : 'pods'
    if (object === 'port') return undefined
    if (object === 'fdb') return this.#isTunnel(item.index) ? 'all' : undefined
    if (object !== 'neighbour' || this.#isTunnel(item.index)) return 'all'
    const known = this.neighbours.get(item.index)?.get(`${item.ip}`)
    const matters =
      item.ip.family === 4 && (gone ? known !== undefined : item.mac !== undefined && item.mac !== known?.mac)
    return matters ? 'all' : undefined
  }

  /** Of a veth that the agent has made for a pod, whatever has become of it. */
  #isOfPod({object, item}: KernelChange): boolean {
    switch (object) {
      case 'link':
        return isPodLink(item) || isPodLink(this.links.get(item.index))
      case 'port':
      case 'address':
      case 'neighbour':
      case 'fdb':
        return isPodLink(this.links.get(item.index))
      case 'route': {
        // A wider one could be in the way of another node's range.
        const [hop] = item.nextHops
        const {destination} = item
        const isNarrow = destination.length === hostLength(destination.family) || `${destination}` === LINK_LOCAL
        return isNarrow && item.nextHops.length === 1 && isPodLink(this.links.get(hop!.dev!))
      }
      default:
        return false
    }
  }

  /** Returns false when the change cannot be folded in exactly: everything must be read again. */
  apply(change: KernelChange): boolean {
    // Other namespaces have links, addresses and routes of their own.
    if (change.nsid !== undefined) return true
    switch (change.object) {
      case 'link':
        return this.#link(change.item, change.gone)
      case 'port':
        return this.#port(change.item, change.gone)
      case 'address':
        return this.#address(change.item, change.gone)
      case 'route':
        return change.item.table !== TABLE_MAIN || this.#route(change.item, change.gone, change.replaces ?? false)
      case 'nexthop':
        return !change.gone && !change.replaces
      case 'neighbour':
        return this.#neighbour(change.item, change.gone)
      case 'fdb':
        return this.#fdbEntry(change.item, change.gone, change.own)
      default:
        return true
    }
  }

  /**
   * To be asked after the changes that came together. False: the peer of a link that has gone is still there, so that
   * one has moved, and the peer names an index in another namespace, of which the kernel does not tell. (Of a pair that
   * is deleted both ends go at once.)
   */
  complete(): boolean {
    const complete = this.#left.size === 0
    this.#left.clear()
    return complete
  }

  #link(link: Link, gone: boolean): boolean {
    const known = this.links.get(link.index)
    if (gone) {
      this.links.delete(link.index)
      this.addresses.delete(link.index)
      this.neighbours.delete(link.index)
      this.fdb.delete(link.index)
      this.#left.delete(link.index)
      for (const other of this.links.values()) if (isPeer(other, link)) this.#left.add(other.index)
      return this.#dropRoutes(this.#at(link.index), route => ofDevice(route, link.index))
    }
    this.links.set(link.index, link)
    // The end of a veth pair that is made first is announced before it has a peer.
    const peer = this.links.get(link.parent!)
    if (peer?.parent === 0 && isPeer(link, peer)) this.links.set(peer.index, {...peer, parent: link.index})
    if (!link.up) return this.#dropRoutes(this.#at(link.index), route => ofDevice(route, link.index))
    const exact = this.#markDead(link, known?.carrier === true && link.carrier)
    // IPv6 lets the MTU that a route states follow the device's, and leaves a device with too small a one.
    const touched = (route: Route) =>
      (route.mtu !== undefined || link.mtu < IPV6_MIN_MTU) && ofDevice(route, link.index)
    return exact && (known?.mtu === link.mtu || !this.#someRoute(this.#at(link.index), 6, touched))
  }

  #port({index, hairpin}: {index: IfIndex; hairpin: boolean}, gone: boolean): boolean {
    const link = this.links.get(index)
    if (!link || gone) return true
    const {hairpin: _, ...rest} = link
    this.links.set(index, hairpin ? {...rest, hairpin} : rest)
    return true
  }

  #address(address: Address, gone: boolean): boolean {
    const standing = this.addresses.get(address.index) ?? []
    const at = standing.findIndex(other => sameAddress(other, address))
    const others = standing.filter((_, i) => i !== at)
    // One that is only renewed keeps its place.
    const left = gone ? others : at < 0 ? [...others, address] : standing.with(at, address)
    if (left.length > 0) this.addresses.set(address.index, left)
    else this.addresses.delete(address.index)
    if (!gone) return true
    const {family} = address.ip
    const last = !left.some(other => other.ip.family === family)
    const fromIt = (route: Route) => `${route.source}` === `${address.ip}`
    // IPv6: older kernels take the source address out of the route, newer ones the route away; and with
    // net.ipv6.route.skip_notify_on_dev_down a device that loses IPv6 loses its routes silently.
    const device = this.#at(address.index)
    if (family === 6)
      return !(this.#someRoute(this.#sourced, 6, fromIt) || (last && this.#someRoute(device, 6, () => true)))
    if (last && !this.#dropRoutes(device, route => route.destination.family === 4 && ofDevice(route, address.index)))
      return false
    if (this.#carried(address.ip)) return !this.#someRoute(this.#sourced, 4, fromIt)
    return this.#dropRoutes(
      this.#sourced,
      route => route.destination.family === 4 && fromIt(route),
      () => true,
    )
  }

  #isTunnel(index: IfIndex): boolean {
    return this.links.get(index)?.kind === 'vxlan'
  }

  /** Of devices that are no tunnels only what is known of IPv4 neighbours' MACs; one that fails keeps its last one. */
  #neighbour(neighbour: Neighbour, gone: boolean): boolean {
    const {index, ip} = neighbour
    const tunnel = this.#isTunnel(index)
    if (tunnel) this.log.add({object: 'neighbour', index, ip: `${ip}`})
    if (gone) this.neighbours.get(index)?.delete(`${ip}`)
    else if (tunnel || (ip.family === 4 && neighbour.mac)) entryOf(this.neighbours, index).set(`${ip}`, neighbour)
    return true
  }

  /** The kernel does not say whether an entry joins the others of its MAC or takes their place. We only ever do neither. */
  #fdbEntry(entry: FdbEntry, gone: boolean, own = false): boolean {
    if (!this.#isTunnel(entry.index)) return true
    this.log.add({object: 'fdb', index: entry.index, mac: entry.mac})
    const entries = entryOf(this.fdb, entry.index)
    const others = (entries.get(entry.mac) ?? []).filter(other => !sameRemote(other, entry))
    const left = gone ? others : [...others, entry]
    if (left.length > 0) entries.set(entry.mac, left)
    else entries.delete(entry.mac)
    return gone || own || others.length === 0
  }

  /** Whether some device has the address. */
  #carried(ip: Ip): boolean {
    for (const addresses of this.addresses.values()) if (addresses.some(other => `${other.ip}` === `${ip}`)) return true
    return false
  }

  /** Destinations of a device's routes, which may change while they are gone through. */
  #at(index: IfIndex): Iterable<string> {
    return [...(this.#ofDevice.get(index) ?? [])]
  }

  #someRoute(destinations: Iterable<string>, family: Family, test: (route: Route) => boolean): boolean {
    for (const destination of destinations) {
      const routes = this.routes.get(destination)!
      if (routes[0]!.destination.family === family && routes.some(test)) return true
    }
    return false
  }

  /**
   * Whether the routes of a device can be used follows its carrier silently. False where it cannot be told: an IPv4
   * multipath route's state depends on which path went first. (Of IPv6's the kernel tells no such state.)
   */
  #markDead({index, carrier}: Link, steady: boolean): boolean {
    let exact = true
    for (const destination of this.#at(index)) {
      const routes = this.routes.get(destination)!
      if (!routes.some(route => ofDevice(route, index) && !(steady && !route.dead))) continue
      exact &&= !(
        routes.some(route => multipath(route) && ofDevice(route, index)) && routes[0]!.destination.family === 4
      )
      this.#set(
        destination,
        routes.map(route => (ofDevice(route, index) && !multipath(route) ? withDead(route, !carrier) : route)),
      )
    }
    return exact
  }

  /**
   * A device that goes down, and the last IPv4 address that goes from it, take their routes with them, of which the
   * kernel does not tell (IPv4: never; IPv6: not with net.ipv6.route.skip_notify_on_dev_down).
   */
  #dropRoutes(
    destinations: Iterable<string>,
    gone: (route: Route) => boolean,
    whole: (route: Route) => boolean = route => !multipath(route),
  ): boolean {
    let exact = true
    for (const destination of [...destinations]) {
      const routes = this.routes.get(destination)!
      if (!routes.some(gone)) continue
      // Of a multipath route only the one path goes.
      if (routes.some(route => gone(route) && !whole(route))) exact = false
      this.#set(
        destination,
        routes.filter(route => !gone(route)),
      )
    }
    return exact
  }

  #route(route: Route, gone: boolean, replaces: boolean): boolean {
    const destination = `${route.destination}`
    const standing = this.routes.get(destination) ?? []
    const others = standing.filter(other => !sameRoute(other, route))
    const rivals = others.filter(other => other.metric === route.metric && other.tos === route.tos)
    if (gone) {
      this.#set(destination, others)
      // One path of an IPv6 multipath route has gone: which are left, only the kernel knows.
      return others.length < standing.length || !rivals.some(multipath)
    }
    const joins = multipath(route) && route.destination.family === 6
    this.#set(destination, [...(replaces || joins ? others.filter(other => !rivals.includes(other)) : others), route])
    if (!replaces) return !joins || rivals.length === 0
    // Of several routes at one metric it took the place of the first; if the new one was known before, so may be that.
    return rivals.length < (others.length < standing.length ? 1 : 2)
  }

  #set(destination: string, routes: readonly Route[]): void {
    this.log.add({object: 'route', destination})
    this.#forget(destination)
    if (routes.length > 0) this.routes.set(destination, routes)
    else this.routes.delete(destination)
    this.#index(destination, routes)
  }

  #index(destination: string, routes: readonly Route[]): void {
    for (const {nextHops, source} of routes) {
      if (source) this.#sourced.add(destination)
      for (const {dev} of nextHops) {
        if (dev === undefined) continue
        const known = this.#ofDevice.get(dev)
        if (known) known.add(destination)
        else this.#ofDevice.set(dev, new Set([destination]))
      }
    }
  }

  #forget(destination: string): void {
    this.#sourced.delete(destination)
    for (const {nextHops} of this.routes.get(destination) ?? [])
      for (const {dev} of nextHops) {
        const known = dev === undefined ? undefined : this.#ofDevice.get(dev)
        known?.delete(destination)
        if (known?.size === 0) this.#ofDevice.delete(dev!)
      }
  }
}

const multipath = (route: Route): boolean => route.nextHops.length > 1

const ofDevice = (route: Route, dev: IfIndex): boolean => route.nextHops.some(hop => hop.dev === dev)

/** Whether the first is the one end of a veth pair and names the second as the other. */
const isPeer = (end: Link, other: Link): boolean =>
  end.kind === 'veth' && end.parent === other.index && end.parentNsid === undefined

function withDead({dead: _, ...route}: Route, dead: boolean): Route {
  return dead ? {...route, dead} : route
}

/** Whether two addresses of a device are the same one. */
const sameAddress = (a: Address, b: Address): boolean =>
  `${a.ip}` === `${b.ip}` && (a.ip.family === 6 || (a.length === b.length && `${a.peer}` === `${b.peer}`))

/** Whether two routes to the same destination are the same one, usable or not. */
const sameRoute = (a: Route, b: Route): boolean =>
  a.metric === b.metric &&
  a.tos === b.tos &&
  a.protocol === b.protocol &&
  a.type === b.type &&
  a.scope === b.scope &&
  a.mtu === b.mtu &&
  `${a.source}` === `${b.source}` &&
  a.nextHops.length === b.nextHops.length &&
  a.nextHops.every((hop, i) => sameHop(hop, b.nextHops[i]!))

const sameHop = (a: NextHop, b: NextHop): boolean =>
  a.dev === b.dev && a.onlink === b.onlink && a.weight === b.weight && `${a.gateway}` === `${b.gateway}`

const sameRemote = (a: FdbEntry, b: FdbEntry): boolean =>
  `${a.remote}` === `${b.remote}` && a.port === b.port && a.vni === b.vni && a.via === b.via

function entryOf<K, L, V>(map: Map<K, Map<L, V>>, key: K): Map<L, V> {
  let inner = map.get(key)
  if (!inner) map.set(key, (inner = new Map()))
  return inner
}

function append<K, V>(map: Map<K, readonly V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list) (list as V[]).push(value)
  else map.set(key, [value])
}
