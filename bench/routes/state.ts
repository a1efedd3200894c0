/** What a namespace has of the agent's: as text to compare, and as the commands that make the same. */
import {hostLength} from '../../src/model/ip.ts'
import {
  type Address,
  type FdbEntry,
  IFA_F,
  type IfIndex,
  type Link,
  type Neighbour,
  type Route,
} from '../../src/model/net.ts'
import {dumpAddresses} from '../../src/netlink/address.ts'
import {Kernel} from '../../src/netlink/kernel.ts'
import {dumpLinks} from '../../src/netlink/link.ts'
import {dumpFdb, dumpNeighbours, NUD} from '../../src/netlink/neighbour.ts'
import {dumpRoutes} from '../../src/netlink/route.ts'
import type {Site} from '../site.ts'
import type {Batches} from './rivals.ts'

const PROTOCOL = 107

/** In the words of `ip` and `bridge`, sorted. Nothing that the kernel adds by itself is in it. */
export async function stateText(site: Site): Promise<string> {
  const marked = ['route', 'show', 'proto', `${PROTOCOL}`]
  const texts = [
    await site.ip('-N', '-4', '-o', ...marked),
    await site.ip('-N', '-6', '-o', ...marked),
    await site.ip('-N', '-o', 'neigh', 'show', 'nud', 'permanent'),
    await site.ip('-N', '-o', '-d', 'link', 'show', 'type', 'vxlan'),
    await site.ip('-N', '-o', 'addr', 'show', 'scope', 'global', 'type', 'vxlan'),
    ...(await site.bridge('fdb', 'show')).split('\n').filter(line => line.includes(' dst ')),
  ]
  return texts
    .flatMap(text => text.split('\n'))
    .map(line => line.trim())
    .filter(line => line !== '')
    .sort()
    .join('\n')
}

/** For a namespace that has nothing of it yet. */
export async function batchesFor(site: Site): Promise<Batches> {
  const kernel = await Kernel.open({netns: site.path})
  try {
    const links = await kernel.dump(dumpLinks())
    const names = new Map(links.map(({index, name}) => [index, name]))
    const tunnels = links.filter(({kind}) => kind === 'vxlan')
    const on = <T extends {readonly index: IfIndex}>(items: readonly T[]) =>
      items.filter(({index}) => tunnels.some(tunnel => tunnel.index === index))
    const addresses = on(await kernel.dump(dumpAddresses())).filter(({scope}) => scope === 'global')
    const neighbours: Neighbour[] = []
    const routes: Route[] = []
    for (const family of [4, 6] as const) {
      neighbours.push(...on(await kernel.dump(dumpNeighbours({family}))).filter(({state}) => state === NUD.PERMANENT))
      routes.push(...(await kernel.dump(dumpRoutes({family, protocol: PROTOCOL}))))
    }
    const fdb = on(await kernel.dump(dumpFdb())).filter(({remote}) => remote)
    const nameOf = (index: IfIndex) => names.get(index)!
    return {
      ip: [
        ...tunnels.flatMap(linkLines),
        ...addresses.map(address => addressLine(address, nameOf)),
        ...neighbours.map(neighbour => neighbourLine(neighbour, nameOf)),
        ...routes.map(route => routeLine(route, nameOf)),
      ],
      bridge: fdb.map(entry => fdbLine(entry, nameOf)),
    }
  } finally {
    kernel.close()
  }
}

type NameOf = (index: IfIndex) => string

function linkLines({name, mtu, mac, group, alias, vxlan}: Link): string[] {
  const {vni, port, local} = vxlan!
  const kind = `type vxlan id ${vni} dstport ${port} local ${local} nolearning`
  return [
    `link add name ${name} mtu ${mtu} address ${mac} group ${group} ${kind}`,
    `link set dev ${name} up`,
    `link set dev ${name} alias "${alias}"`,
  ]
}

function addressLine({index, ip, flags}: Address, nameOf: NameOf): string {
  const words = [flags & IFA_F.NODAD && ' nodad', flags & IFA_F.NOPREFIXROUTE && ' noprefixroute'].filter(Boolean)
  return `addr add ${ip}/${hostLength(ip.family)} dev ${nameOf(index)}${words.join('')}`
}

const neighbourLine = ({index, ip, mac}: Neighbour, nameOf: NameOf): string =>
  `neigh add ${ip} lladdr ${mac} dev ${nameOf(index)} nud permanent`

const fdbLine = ({index, mac, remote}: FdbEntry, nameOf: NameOf): string =>
  `fdb add ${mac} dev ${nameOf(index)} dst ${remote} self permanent`

function routeLine({destination, type, protocol, metric, nextHops: [hop]}: Route, nameOf: NameOf): string {
  const way = hop ? ` via ${hop.gateway} dev ${nameOf(hop.dev!)}${hop.onlink ? ' onlink' : ''}` : ''
  return `route add ${type} ${destination}${way} proto ${protocol} metric ${metric}`
}
