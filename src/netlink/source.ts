/** What the mirror reads: the monitor's events, and dumps of the same. */
import {TABLE_MAIN} from '../model/net.ts'
import type {KernelSource} from '../streams/mirror.ts'
import {dumpAddresses} from './address.ts'
import type {Kernel} from './kernel.ts'
import {dumpLinks} from './link.ts'
import {type MonitorOptions, monitor} from './monitor.ts'
import {dumpFdb, dumpNeighbours} from './neighbour.ts'
import {dumpRoutes} from './route.ts'

export function kernelSource(
  kernel: Kernel,
  options: Pick<MonitorOptions, 'netns' | 'receiveBuffer'> = {},
): KernelSource {
  const {events$, flush} = monitor({
    groups: ['link', 'address', 'route', 'nexthop', 'neighbour'],
    ownPort: () => kernel.port,
    ...options,
  })
  return {
    events$,
    flush,
    // One after the other: they share the kernel's lock anyway.
    snapshot: async () => {
      const links = await kernel.dump(dumpLinks())
      const tunnels = links.filter(({kind}) => kind === 'vxlan')
      return {
        links,
        addresses: await kernel.dump(dumpAddresses()),
        routes: [
          ...(await kernel.dump(dumpRoutes({family: 4, table: TABLE_MAIN}))),
          ...(await kernel.dump(dumpRoutes({family: 6, table: TABLE_MAIN}))),
        ],
        neighbours: [
          ...(await kernel.dump(dumpNeighbours({family: 4}))),
          ...(await each(tunnels, ({index}) => kernel.dump(dumpNeighbours({family: 6, index})))),
        ],
        fdb: await each(tunnels, ({index}) => kernel.dump(dumpFdb({index}))),
      }
    },
  }
}

async function each<T, R>(items: readonly T[], read: (item: T) => Promise<R[]>): Promise<R[]> {
  const result: R[] = []
  for (const item of items) for (const one of await read(item)) result.push(one)
  return result
}
