/** What the kernel of a node has of the agent's routes to other nodes, as it changes. */
import {asyncScheduler, concatMap, filter, type Observable, throttleTime} from 'rxjs'
import type {KernelEvent} from '../model/kernel.ts'
import type {IfIndex, Link, Route} from '../model/net.ts'
import type {Kernel} from '../netlink/kernel.ts'
import {dumpLinks} from '../netlink/link.ts'
import {monitor} from '../netlink/monitor.ts'
import {dumpRoutes} from '../netlink/route.ts'
import type {Way} from './ways.ts'

/** By their text: "10.244.2.0/24 via 192.168.100.2", "10.244.3.0/24 via 10.244.3.0 dev ng-vx0". */
export type PeerRoutes = ReadonlyMap<string, Way>

/** `rtm_protocol` of the agent's default network. */
const PROTOCOL = 107
/** Milliseconds that changes are gathered for. */
const GATHER = 50

/** At once and after every change. */
export function watchRoutes(kernel: Kernel, netns: string): Observable<PeerRoutes> {
  return monitor({groups: ['route'], netns}).events$.pipe(
    filter(isOurs),
    throttleTime(GATHER, asyncScheduler, {leading: true, trailing: true}),
    concatMap(async () => {
      const families = [4, 6] as const
      const dumps = await Promise.all(families.map(family => kernel.dump(dumpRoutes({family, protocol: PROTOCOL}))))
      const links = new Map((await kernel.dump(dumpLinks())).map(link => [link.index, link]))
      // Those of other types keep packets for this node's own ranges from going elsewhere.
      const routes = dumps.flat().filter(({type}) => type === 'unicast')
      return new Map(routes.map(route => [shown(route, links), wayOf(route, links)]))
    }),
  )
}

const isOurs = (event: KernelEvent): boolean =>
  event.kind !== 'changes' ||
  event.changes.some(change => change.object === 'route' && change.item.protocol === PROTOCOL)

type Links = ReadonlyMap<IfIndex, Link>

/** The device is named where it is not the cable to the node's subnet. */
function shown({destination, nextHops}: Route, links: Links): string {
  const hops = nextHops.map(({gateway, dev}) => {
    const name = links.get(dev!)?.name ?? `interface ${dev}`
    const words = [gateway && `via ${gateway}`, name !== 'eth0' && `dev ${name}`]
    return words.filter(Boolean).join(' ')
  })
  return `${destination} ${hops.join(' and ')}`
}

const wayOf = ({nextHops}: Route, links: Links): Way =>
  nextHops.some(({dev}) => links.get(dev!)?.kind === 'vxlan') ? 'vxlan' : 'direct'
