/** Links that go inside of pods: the kernel tells of those namespaces that have an id here, which every pod with a veth has. */
import {mergeMap, type Observable, retry, tap, timer} from 'rxjs'
import type {Entry} from '../cni/journal.ts'
import type {KernelEvent} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import type {Link} from '../model/net.ts'
import {monitor} from '../netlink/monitor.ts'

/** Milliseconds. */
const OPEN_RETRY_MS = 2000

/** 'some': it cannot be told which, since messages were lost. A socket of its own: the mirror has no use for all of that. */
export function vanished(log: Logger): Observable<Link | 'some'> {
  return monitor({groups: ['link'], allNsids: true}).events$.pipe(
    tap({error: error => log.warn('pods cannot be listened to; trying again', {err: error})}),
    retry({delay: () => timer(OPEN_RETRY_MS)}),
    mergeMap(goneOf),
  )
}

const goneOf = (event: KernelEvent): readonly (Link | 'some')[] => {
  if (event.kind === 'lost') return ['some']
  if (event.kind === 'listening') return []
  return event.changes.flatMap(change =>
    change.object === 'link' && change.gone && change.nsid !== undefined ? [change.item] : [],
  )
}

/** Names are the same in many pods; with the MAC it is hardly ever another one. */
export function isOf({name, mac}: Link, {plan, state, result}: Entry): boolean {
  if (state !== 'added' || plan.ifname !== name) return false
  const own = result?.interfaces.find(each => each.name === name && each.sandbox)
  return own?.mac === undefined || own.mac.toLowerCase() === mac
}
