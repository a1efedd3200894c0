/** Nodes, networks and kernels from a few words. */
import type {NetworkName, RouteProtocol} from '../../src/model/config.ts'
import type {NodeFacts, NodeName} from '../../src/model/facts.ts'
import {parseCidr, parseIp, parseIpWithPrefix} from '../../src/model/ip.ts'
import type {KernelState} from '../../src/model/kernel.ts'
import type {Address, IfIndex, Link, Route} from '../../src/model/net.ts'
import {formatRoute} from '../../src/netlink/route.ts'
import type {RouteNetwork} from '../../src/routes/network.ts'

/** Backend direct, on a bridge: nothing but routes to peers. */
export const network = (changed: Partial<RouteNetwork> = {}): RouteNetwork => ({
  name: 'default' as NetworkName,
  protocol: 107 as RouteProtocol,
  backend: 'direct',
  mtu: 0,
  vxlan: {vni: 1, port: 8472, device: 'ng-vx0'},
  pods: {mode: 'bridge'},
  nodeAddresses: {
    from: 'InternalIP',
    map: new Map(),
    ipv6Prefix: undefined,
    hostPods: {namespace: undefined, selector: undefined},
    linkLocal: false,
  },
  ...changed,
})

/** "b 10.1.2.0/24 fd00:2::/64 via 192.168.0.12 fd00::12": a node, its pod ranges, its addresses. Each is newer than the one before. */
export function nodes(...texts: string[]): ReadonlyMap<NodeName, NodeFacts> {
  return new Map(
    texts.map((text, age) => {
      const [before = '', after = ''] = text.split(/ via ?/)
      const [name, ...cidrs] = before.split(' ').filter(Boolean)
      const facts: NodeFacts = {
        name: name as NodeName,
        machineId: `id-${name}`,
        createdAt: age,
        podCIDRs: cidrs.map(parseCidr),
        addresses: after.split(' ').filter(Boolean).map(parseIp),
        vteps: [],
        problems: [],
      }
      return [facts.name, facts]
    }),
  )
}

/** "2 eth0 192.168.0.11/24 10.0.0.1/32>10.0.0.2 [down|lo|alias=…]": a link with its index, its addresses and their peers. */
export function kernel(links: readonly string[], routes: readonly Route[] = []): KernelState {
  const state = {
    links: new Map<IfIndex, Link>(),
    addresses: new Map<IfIndex, Address[]>(),
    routes: byDestination(routes),
    neighbours: new Map(),
    fdb: new Map(),
  }
  for (const text of links) {
    const [number, name, ...words] = text.split(' ')
    const index = Number(number) as IfIndex
    const up = !words.includes('down')
    const alias = words.find(word => word.startsWith('alias='))?.slice(6)
    const loopback = words.includes('lo')
    state.links.set(index, {index, name: name!, up, carrier: up, loopback, mtu: 1500, group: 0, ...(alias && {alias})})
    const addresses = words
      .filter(word => word.includes('/'))
      .map((word): Address => {
        const [own = '', peer] = word.split('>')
        const {ip, length} = parseIpWithPrefix(own)
        return {index, ip, length, scope: 'global', flags: 0, ...(peer && {peer: parseIp(peer)})}
      })
    state.addresses.set(index, addresses)
  }
  return state
}

/** "10.1.2.0/24 via 192.168.0.12 dev 2 [onlink] proto 107 metric 2048": as formatRoute writes it. */
export function route(text: string): Route {
  const [destination, ...words] = text.split(' ')
  const after = (word: string) => (words.includes(word) ? words[words.indexOf(word) + 1] : undefined)
  const gateway = after('via')
  const dev = after('dev')
  const hop = {
    ...(gateway && {gateway: parseIp(gateway)}),
    ...(dev && {dev: Number(dev) as IfIndex}),
    ...(words.includes('onlink') && {onlink: true}),
  }
  return {
    destination: parseCidr(destination!),
    type: 'unicast',
    table: 254,
    protocol: Number(after('proto') ?? 107),
    metric: Number(after('metric') ?? 2048),
    scope: 'global',
    nextHops: Object.keys(hop).length > 0 ? [hop] : [],
  }
}

export function byDestination(routes: readonly Route[]): Map<string, Route[]> {
  const result = new Map<string, Route[]>()
  for (const each of routes) result.set(`${each.destination}`, [...(result.get(`${each.destination}`) ?? []), each])
  return result
}

export const lines = (routes: Iterable<Route>): string => [...routes].map(formatRoute).join('\n')
