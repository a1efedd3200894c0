/** Changes, carried out by the kernel in one batch. */
import type {FdbEntry} from '../model/net.ts'
import type {Change, KernelWriter, LinkChange, Outcome, OwnLinkSpec} from '../model/plans.ts'
import {addAddress, deleteAddress} from './address.ts'
import type {Kernel} from './kernel.ts'
import {addLink, deleteLink, setLink} from './link.ts'
import {
  addFdb,
  deleteFdb,
  deleteNeighbour,
  type NeighbourSpec,
  replaceNeighbour,
  resolveNeighbour,
} from './neighbour.ts'
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
      const errors = await kernel.batch(changes.map(requestOf))
      const outcomes = changes.map(({op, object}, i): Outcome => {
        const error = errors[i]
        if (object === 'address' && op === 'add' && error?.code === STANDS) return 'stood'
        return op === 'delete' && GONE.has(`${error?.code}`) ? undefined : error
      })
      return nameLinks(kernel, changes, outcomes)
    },
  }
}

/** An alias in the creating message is silently ignored. By name, so not where somebody else's link has that name. */
async function nameLinks(
  kernel: Kernel,
  changes: readonly Change[],
  outcomes: readonly Outcome[],
): Promise<readonly Outcome[]> {
  const made = [...changes.entries()].filter(([i, {object, op}]) => object === 'link' && op === 'add' && !outcomes[i])
  if (made.length === 0) return outcomes
  const errors = await kernel.batch(
    made.map(([, {item}]) => setLink((item as OwnLinkSpec).name, {alias: (item as OwnLinkSpec).alias})),
  )
  const result = [...outcomes]
  for (const [n, [i]] of made.entries()) result[i] = errors[n]
  return result
}

/** In the words of `ip` and `bridge`. */
export const describeChange = (change: Change): string => requestOf(change).describe()

function requestOf(change: Change): Request {
  switch (change.object) {
    case 'route':
      return {add: addRoute, replace: replaceRoute, delete: deleteRoute}[change.op](change.item)
    case 'neighbour':
      return change.op === 'delete' ? deleteNeighbour(change.item) : replaceNeighbour(change.item as NeighbourSpec)
    case 'fdb':
      return change.op === 'delete' ? deleteFdb(doomed(change.item)) : addFdb(change.item)
    case 'address':
      return {add: addAddress, delete: deleteAddress}[change.op](change.item)
    case 'link':
      return linkRequest(change)
  }
}

/** Without its remote a MAC goes whole, however it is bound; of one that is not bound as we say, nothing would. */
const doomed = ({index, mac, state, flags}: FdbEntry): FdbEntry => ({index, mac, state, flags})

function linkRequest(change: LinkChange): Request {
  switch (change.op) {
    case 'add':
      return addLink(change.item)
    case 'set':
      return setLink(change.item.index, change.to)
    case 'delete':
      return deleteLink(change.item.index)
  }
}
