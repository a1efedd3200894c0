/** What the mirror reads: the monitor's events and dumps of links, addresses and the main table's routes. */
import {TABLE_MAIN} from '../model/net.ts'
import type {KernelSource} from '../streams/mirror.ts'
import {dumpAddresses} from './address.ts'
import type {Kernel} from './kernel.ts'
import {dumpLinks} from './link.ts'
import {type MonitorOptions, monitor} from './monitor.ts'
import {dumpRoutes} from './route.ts'

export function kernelSource(
  kernel: Kernel,
  options: Pick<MonitorOptions, 'netns' | 'receiveBuffer'> = {},
): KernelSource {
  const {events$, flush} = monitor({
    groups: ['link', 'address', 'route', 'nexthop'],
    ownPort: () => kernel.port,
    ...options,
  })
  return {
    events$,
    flush,
    // One after the other: they share the kernel's lock anyway.
    snapshot: async () => ({
      links: await kernel.dump(dumpLinks()),
      addresses: await kernel.dump(dumpAddresses()),
      routes: [
        ...(await kernel.dump(dumpRoutes({family: 4, table: TABLE_MAIN}))),
        ...(await kernel.dump(dumpRoutes({family: 6, table: TABLE_MAIN}))),
      ],
    }),
  }
}
