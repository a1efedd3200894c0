/** What the kernel of a node has of the agent's routes, as it changes. */
import {asyncScheduler, concatMap, filter, type Observable, throttleTime} from 'rxjs'
import type {KernelEvent} from '../model/kernel.ts'
import type {Route} from '../model/net.ts'
import type {Kernel} from '../netlink/kernel.ts'
import {monitor} from '../netlink/monitor.ts'
import {dumpRoutes} from '../netlink/route.ts'

/** `rtm_protocol` of the agent's default network. */
const PROTOCOL = 107
/** Milliseconds that changes are gathered for. */
const GATHER = 50

/** At once and after every change: the routes, as "10.244.2.0/24 via 192.168.100.2". */
export function watchRoutes(kernel: Kernel, netns: string): Observable<ReadonlySet<string>> {
  return monitor({groups: ['route'], netns}).events$.pipe(
    filter(isOurs),
    throttleTime(GATHER, asyncScheduler, {leading: true, trailing: true}),
    concatMap(async () => {
      const routes = await Promise.all(
        ([4, 6] as const).map(family => kernel.dump(dumpRoutes({family, protocol: PROTOCOL}))),
      )
      return new Set(routes.flat().map(shown))
    }),
  )
}

const isOurs = (event: KernelEvent): boolean =>
  event.kind !== 'changes' ||
  event.changes.some(change => change.object === 'route' && change.item.protocol === PROTOCOL)

const shown = ({destination, nextHops}: Route): string =>
  `${destination} via ${nextHops.map(({gateway, dev}) => gateway ?? `interface ${dev}`).join(' and ')}`
