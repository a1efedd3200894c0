/** Keeps forwarding on, and says when it cannot. */
import {
  asyncScheduler,
  combineLatest,
  distinctUntilChanged,
  exhaustMap,
  filter,
  map,
  type Observable,
  tap,
  throttleTime,
  timer,
  withLatestFrom,
} from 'rxjs'
import type {KernelView} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import type {Kernel} from '../netlink/kernel.ts'
import {forwardingKeeper} from '../routes/forwarding.ts'
import type {Status} from './status.ts'

/** At start, whenever links come and go, and once in a while: somebody else may have switched it off. */
export function forwarding(
  kernel: Kernel,
  kernel$: Observable<KernelView>,
  status: Status,
  log: Logger,
): Observable<unknown> {
  const keep = forwardingKeeper({
    read: name => kernel.readSysctl(name),
    write: (name, value) => kernel.writeSysctl(name, value),
  })
  const state$ = kernel$.pipe(
    filter(view => view.synced),
    map(({state}) => state),
  )
  const links$ = state$.pipe(
    map(({links}) => [...links.values()].map(({index, name}) => `${index} ${name}`).join()),
    distinctUntilChanged(),
    throttleTime(LINKS_MS, asyncScheduler, {leading: true, trailing: true}),
  )
  let told = ''
  return combineLatest([links$, timer(0, FORWARDING_MS)]).pipe(
    // The newest one: a resync has put another state in the place of the one that the links were last seen in.
    withLatestFrom(state$),
    exhaustMap(([, state]) => keep(state)),
    tap(({written, failed}) => {
      if (written.length > 0) log.info('forwarding switched on', {sysctls: written.join(' ')})
      const reason = failed.join('; ')
      if (reason !== told && reason !== '')
        log.error('forwarding cannot be switched on: pods of other nodes are not reached; set the sysctl by hand', {
          reason,
        })
      told = reason
      status.set('forwarding', reason === '' ? undefined : `it cannot be switched on: ${reason}`)
    }),
  )
}

const FORWARDING_MS = 30_000
/** Links come and go in crowds. */
const LINKS_MS = 500
