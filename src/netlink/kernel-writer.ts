/** Changes, carried out by the kernel in one batch. */
import type {Change, KernelWriter, LinkChange, Refusal} from '../model/plans.ts'
import {addAddress, deleteAddress} from './address.ts'
import type {Kernel} from './kernel.ts'
import {addLink, deleteLink, setLink} from './link.ts'
import {addFdb, deleteFdb, deleteNeighbour, replaceNeighbour, resolveNeighbour} from './neighbour.ts'
import type {Request} from './request.ts'
import {addRoute, deleteRoute, replaceRoute} from './route.ts'

/** How the kernel says that what is to be deleted has gone: a route, an address, an entry, a link. */
const GONE: ReadonlySet<string> = new Set(['ESRCH', 'EADDRNOTAVAIL', 'ENOENT', 'ENODEV'])

/** An IPv6 address is announced some time after it was made: the mirror may not have it yet. */
const STANDS = 'EEXIST'

export function kernelWriter(kernel: Kernel, settle: KernelWriter['settle']): KernelWriter {
  return {
    settle,
    resolve: async neighbours => {
      await kernel.batch(neighbours.map(resolveNeighbour))
    },
    write: async changes => {
      const requests: Request[] = []
      const ends: number[] = []
      for (const change of changes) {
        requests.push(...requestsOf(change))
        ends.push(requests.length)
      }
      const errors = await kernel.batch(requests)
      return changes.map(({op, object}, i): Refusal | undefined => {
        const error = errors.slice(ends[i - 1] ?? 0, ends[i]).find(each => each !== undefined)
        const done = op === 'delete' ? GONE.has(`${error?.code}`) : object === 'address' && error?.code === STANDS
        return done ? undefined : error
      })
    },
  }
}

/** In the words of `ip` and `bridge`. */
export const describeChange = (change: Change): string => requestsOf(change)[0]!.describe()

function requestsOf(change: Change): readonly Request[] {
  switch (change.object) {
    case 'route':
      return [{add: addRoute, replace: replaceRoute, delete: deleteRoute}[change.op](change.item)]
    case 'neighbour':
      return [{replace: replaceNeighbour, delete: deleteNeighbour}[change.op](change.item as never)]
    case 'fdb':
      return [{add: addFdb, delete: deleteFdb}[change.op](change.item)]
    case 'address':
      return [{add: addAddress, delete: deleteAddress}[change.op](change.item)]
    case 'link':
      return linkRequests(change)
  }
}

function linkRequests(change: LinkChange): readonly Request[] {
  switch (change.op) {
    // An alias in the creating message is silently ignored.
    case 'add':
      return [addLink(change.item), setLink(change.item.name, {alias: change.item.alias})]
    case 'set':
      return [setLink(change.item.index, change.to)]
    case 'delete':
      return [deleteLink(change.item.index)]
  }
}
