/** The fold of the kernel's changes into its state: pure but for the maps that it owns. */
import type {KernelChange, KernelSnapshot, KernelState} from '../model/kernel.ts'
import type {Address, IfIndex, Link, Route} from '../model/net.ts'

const TABLE_MAIN = 254

export class MutableKernelState implements KernelState {
  readonly links = new Map<IfIndex, Link>()
  readonly addresses = new Map<IfIndex, readonly Address[]>()
  readonly routes = new Map<string, readonly Route[]>()

  constructor(snapshot: KernelSnapshot) {
    for (const link of snapshot.links) this.links.set(link.index, link)
    for (const address of snapshot.addresses) append(this.addresses, address.index, address)
    for (const route of snapshot.routes)
      if (route.table === TABLE_MAIN) append(this.routes, `${route.destination}`, route)
  }

  /** Returns false when the change cannot be folded in exactly: everything must be read again. */
  apply(change: KernelChange): boolean {
    // Other namespaces have links, addresses and routes of their own.
    if (change.nsid !== undefined) return true
    switch (change.object) {
      case 'link':
        return this.#link(change.item, change.gone)
      case 'address':
        return this.#address(change.item, change.gone)
      case 'route':
        return change.item.table !== TABLE_MAIN || this.#route(change.item, change.gone, change.replaces ?? false)
      default:
        return true
    }
  }

  #link(link: Link, gone: boolean): boolean {
    if (gone) {
      this.links.delete(link.index)
      this.addresses.delete(link.index)
    } else this.links.set(link.index, link)
    return gone || !link.up ? this.#dropRoutes(route => ofDevice(route, link.index)) : true
  }

  #address(address: Address, gone: boolean): boolean {
    const same = (other: Address) => `${other.ip}` === `${address.ip}` && other.length === address.length
    const others = (this.addresses.get(address.index) ?? []).filter(other => !same(other))
    const left = gone ? others : [...others, address]
    if (left.length > 0) this.addresses.set(address.index, left)
    else this.addresses.delete(address.index)
    if (!gone) return true
    const {family} = address.ip
    const last = !left.some(other => other.ip.family === family)
    return this.#dropRoutes(
      route =>
        route.destination.family === family &&
        (`${route.source}` === `${address.ip}` || (last && family === 4 && ofDevice(route, address.index))),
    )
  }

  /**
   * A device that goes down, and the last IPv4 address that goes from it, take their routes with them, of which the
   * kernel does not tell (IPv4: never; IPv6: not with net.ipv6.route.skip_notify_on_dev_down).
   */
  #dropRoutes(gone: (route: Route) => boolean): boolean {
    let exact = true
    for (const [destination, routes] of this.routes) {
      if (!routes.some(gone)) continue
      // Of a multipath route only the one path goes.
      if (routes.some(route => gone(route) && route.nextHops.length > 1)) exact = false
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
    if (gone) {
      const left = standing.filter(other => !sameRoute(other, route))
      this.#set(destination, left)
      // One path of an IPv6 multipath route has gone: which are left, only the kernel knows.
      return left.length < standing.length || !left.some(other => other.metric === route.metric && multipath(other))
    }
    const joins = multipath(route) && route.destination.family === 6
    const stays = (other: Route) => !sameRoute(other, route) && !((replaces || joins) && other.metric === route.metric)
    this.#set(destination, [...standing.filter(stays), route])
    return true
  }

  #set(destination: string, routes: readonly Route[]): void {
    if (routes.length > 0) this.routes.set(destination, routes)
    else this.routes.delete(destination)
  }
}

const multipath = (route: Route): boolean => route.nextHops.length > 1

const ofDevice = (route: Route, dev: IfIndex): boolean => route.nextHops.some(hop => hop.dev === dev)

/** Whether two routes to the same destination are the same one. */
function sameRoute(a: Route, b: Route): boolean {
  return (
    a.metric === b.metric &&
    a.protocol === b.protocol &&
    a.type === b.type &&
    a.nextHops.length === b.nextHops.length &&
    a.nextHops.every((hop, i) => {
      const other = b.nextHops[i]!
      return hop.dev === other.dev && `${hop.gateway}` === `${other.gateway}`
    })
  )
}

function append<K, V>(map: Map<K, readonly V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list) (list as V[]).push(value)
  else map.set(key, [value])
}
