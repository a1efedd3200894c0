/** Nodes, networks and kernels from a few words. */
import type {NetworkName, RouteProtocol} from '../../src/model/config-network.ts'
import type {NodeFacts, NodeName} from '../../src/model/facts.ts'
import {parseCidr, parseIp, parseIpWithPrefix} from '../../src/model/ip.ts'
import type {KernelState} from '../../src/model/kernel.ts'
import type {Address, FdbEntry, IfIndex, Link, Mac, Neighbour, Route, VxlanInfo} from '../../src/model/net.ts'
import type {Change} from '../../src/model/plans.ts'
import type {Vtep} from '../../src/model/vtep.ts'
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

/**
 * "b 10.1.2.0/24 fd00:2::/64 via 192.168.0.12 fd00::12 [ends 192.168.0.12 fd00::12@MAC vni 2 port 9]": a node, its pod
 * ranges, its addresses, the ends of its tunnels. Each is newer than the one before.
 */
export function nodes(...texts: string[]): ReadonlyMap<NodeName, NodeFacts> {
  return new Map(
    texts.map((text, age) => {
      const [line = '', ends] = text.split(/ ends ?/)
      const [before = '', after = ''] = line.split(/ via ?/)
      const [name, ...cidrs] = before.split(' ').filter(Boolean)
      const facts: NodeFacts = {
        name: name as NodeName,
        machineId: `id-${name}`,
        createdAt: age,
        podCIDRs: cidrs.map(parseCidr),
        addresses: after.split(' ').filter(Boolean).map(parseIp),
        vteps: ends === undefined ? [] : [vtep(ends)],
        problems: [],
      }
      return [facts.name, facts]
    }),
  )
}

/** "192.168.0.12 fd00::12@MAC [network N] [vni N] [port N]": without a MAC it is {@link macOf}. */
function vtep(text: string): Vtep {
  const words = text.split(' ').filter(Boolean)
  const after = (word: string) => (words.includes(word) ? words.splice(words.indexOf(word), 2)[1] : undefined)
  const [name, vni, port] = [after('network'), after('vni'), after('port')]
  const ends = words.map(word => {
    const [ip = '', mac] = word.split('@')
    return {ip: parseIp(ip), mac: (mac ?? macOf(ip)) as Mac}
  })
  return {network: name ?? 'default', vni: Number(vni ?? 1), port: Number(port ?? 8472), ends}
}

/** "02:00:00:00:04:12" of 192.168.0.12, "02:00:00:00:06:12" of fd00::12. */
export const macOf = (ip: string): Mac =>
  `02:00:00:00:0${ip.includes(':') ? 6 : 4}:${ip.split(/[.:]/).at(-1)!.padStart(2, '0')}` as Mac

/**
 * "2 eth0 192.168.0.11/24 10.0.0.1/32>10.0.0.2 [down|lo|mtu=…|mac=…|group=…|alias=…]": a link with its index, its
 * addresses and their peers. "vxlan=1,8472,192.168.0.11[,learning|dev|remote]": a tunnel's device.
 */
export function kernel(
  links: readonly string[],
  routes: readonly Route[] = [],
  entries: readonly string[] = [],
): KernelState {
  const state = {
    links: new Map<IfIndex, Link>(),
    addresses: new Map<IfIndex, Address[]>(),
    routes: byDestination(routes),
    ...tunnelEntries(entries),
  }
  for (const text of links) {
    const [number, name, ...words] = text.split(' ')
    const index = Number(number) as IfIndex
    const up = !words.includes('down')
    const after = (key: string) => words.find(word => word.startsWith(`${key}=`))?.slice(key.length + 1)
    const [alias, mac, tunnel] = [after('alias'), after('mac') as Mac | undefined, after('vxlan')]
    state.links.set(index, {
      index,
      name: name!,
      up,
      carrier: up,
      loopback: words.includes('lo'),
      mtu: Number(after('mtu') ?? 1500),
      group: Number(after('group') ?? 0),
      ...(alias && {alias: alias.replaceAll('_', ' ')}),
      ...(mac && {mac}),
      ...(tunnel && {kind: 'vxlan', vxlan: vxlanInfo(tunnel)}),
    })
    const addresses = words
      .filter(word => word.includes('/') && !word.includes('='))
      .map((word): Address => {
        const [own = '', peer] = word.split('>')
        const {ip, length} = parseIpWithPrefix(own)
        const scope = own.startsWith('fe80:') ? 'link' : 'global'
        return {index, ip, length, scope, flags: 0, ...(peer && {peer: parseIp(peer)})}
      })
    state.addresses.set(index, addresses)
  }
  return state
}

/** "1,8472,192.168.0.11[,learning][,dev][,remote]" */
function vxlanInfo(text: string): VxlanInfo {
  const [vni, port, local = '', ...more] = text.split(',')
  return {
    vni: Number(vni),
    port: Number(port),
    learning: more.includes('learning'),
    ...(local && {local: parseIp(local)}),
    ...(more.includes('dev') && {dev: 2 as IfIndex}),
    ...(more.includes('remote') && {remote: parseIp('239.1.1.1')}),
  }
}

/** "neigh 4 10.1.2.0 MAC [state N]", "fdb 4 MAC 192.168.0.12 [state N] [port N]": 4 is the device, permanent the default. */
export function tunnelEntries(texts: readonly string[]): Pick<KernelState, 'neighbours' | 'fdb'> {
  const neighbours = new Map<IfIndex, Map<string, Neighbour>>()
  const fdb = new Map<IfIndex, Map<Mac, FdbEntry[]>>()
  for (const text of texts) {
    const [object, number, first = '', second = '', ...words] = text.split(' ')
    const after = (word: string) => (words.includes(word) ? Number(words[words.indexOf(word) + 1]) : undefined)
    const index = Number(number) as IfIndex
    const state = after('state') ?? 0x80
    if (object === 'neigh') {
      const entries = neighbours.get(index) ?? new Map<string, Neighbour>()
      neighbours.set(index, entries.set(first, {index, ip: parseIp(first), state, ...(second && {mac: second as Mac})}))
    } else {
      const port = after('port')
      const entry = {index, mac: first as Mac, state, flags: 2, ...(port !== undefined && {port})}
      const entries = fdb.get(index) ?? new Map<Mac, FdbEntry[]>()
      const others = entries.get(entry.mac) ?? []
      fdb.set(index, entries.set(entry.mac, [...others, {...entry, ...(second && {remote: parseIp(second)})}]))
    }
  }
  return {neighbours, fdb}
}

const PERMANENT = 0x80

/** As {@link tunnelEntries} reads them; an address is "addr 4 10.1.1.0/32". */
export const entryLines = {
  address: ({index, ip, length}: Address): string => `addr ${index} ${ip}/${length}`,
  neighbour: ({index, ip, mac, state}: Neighbour): string =>
    `neigh ${index} ${ip} ${mac ?? ''}${state === PERMANENT ? '' : ` state ${state}`}`,
  fdb: ({index, mac, remote, state, port}: FdbEntry): string =>
    `fdb ${index} ${mac} ${remote ?? ''}${state === PERMANENT ? '' : ` state ${state}`}${port ? ` port ${port}` : ''}`,
}

/** "add route 10.1.2.0/24 via …", "replace neigh 4 10.1.2.0 MAC", "set link ng-vx0 mtu=1400". */
export function changeLine(change: Change): string {
  const {op, object} = change
  if (object === 'route') return `${op} route ${formatRoute(change.item)}`
  if (object === 'address') return `${op} ${entryLines.address(change.item)}`
  if (object === 'neighbour') return `${op} ${entryLines.neighbour(change.item)}`
  if (object === 'fdb') return `${op} ${entryLines.fdb(change.item)}`
  const settings = op === 'set' ? Object.entries(change.to).map(([key, value]) => ` ${key}=${value}`) : []
  return `${op} link ${change.item.name}${settings.join('')}`
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
