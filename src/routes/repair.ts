/** Tells what puts right somebody else's doing from what follows the cluster. */
import type {Change} from '../model/plans.ts'
import type {Desired} from './desired.ts'
import {equalRoutes} from './diff.ts'
import type {Touched} from './touched.ts'
import type {TunnelSpec} from './tunnels.ts'

/** What was wanted at the pass before, and all there. */
export interface Before {
  readonly desired: Desired
  readonly tunnels: readonly TunnelSpec[] | undefined
}

/**
 * `touched`: where what is wanted has changed since (and in the very object that was wanted before); undefined: it has
 * been planned anew. Of a device that was removed, the device counts and the routes over it; the entries are of another
 * one then.
 */
export function isRepair(change: Change, before: Before, touched: Touched | undefined): boolean {
  const followed = touched?.has(change)
  if (followed !== undefined) return !followed
  const asked = wasWanted(change, before)
  return change.op === 'delete' ? !asked : asked
}

function wasWanted(change: Change, {desired, tunnels}: Before): boolean {
  switch (change.object) {
    case 'route': {
      const wanted = desired.routes.get(`${change.item.destination}`)
      return wanted !== undefined && equalRoutes(wanted, change.item)
    }
    case 'neighbour':
      return desired.tunnels.get(change.item.index)?.neighbours.get(`${change.item.ip}`)?.mac === change.item.mac
    case 'fdb': {
      const wanted = desired.tunnels.get(change.item.index)?.fdb.get(change.item.mac)
      return wanted !== undefined && `${wanted.remote}` === `${change.item.remote}`
    }
    case 'address':
      return desired.tunnels.get(change.item.index)?.addresses.some(({ip}) => `${ip}` === `${change.item.ip}`) ?? false
    case 'link':
      return tunnels?.some(({name}) => name === change.item.name) ?? false
  }
}
