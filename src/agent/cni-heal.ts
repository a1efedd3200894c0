/** Attachments that somebody has been at are put right: when the kernel tells of it, at the start, and once in a while. */
import {
  asyncScheduler,
  concatMap,
  filter,
  map,
  merge,
  type Observable,
  switchMap,
  take,
  throttleTime,
  timer,
} from 'rxjs'
import type {Attachments} from '../cni/attachments.ts'
import {type Entry, keyOf} from '../cni/journal.ts'
import {looks} from '../cni/look.ts'
import type {Serial} from '../cni/serial.ts'
import type {KernelState, KernelView} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'

export interface HealPorts {
  readonly attachments: Attachments
  readonly serial: Serial
  readonly kernel$: Observable<KernelView>
  readonly pods$: Observable<KernelState>
  readonly resyncMs: number
  readonly log: Logger
  readonly metrics: Metrics
}

/** Milliseconds that changes are gathered for: a bridge that goes takes hundreds of ports with it. */
const GATHER_MS = 100

export function heal(ports: HealPorts): Observable<unknown> {
  const {attachments, kernel$, pods$, resyncMs} = ports
  /** How each looked the last time. */
  const before = new Map<string, string>()
  /** Why it cannot be mended: told once. */
  const troubles = new Map<string, string>()
  const state$ = kernel$.pipe(
    filter(view => view.synced),
    map(({state}) => state),
  )
  const changed$ = merge(state$, pods$).pipe(throttleTime(GATHER_MS, asyncScheduler, {leading: false, trailing: true}))
  const due$ = timer(0, resyncMs).pipe(switchMap(() => state$.pipe(take(1))))
  return merge(changed$.pipe(map(state => ({state, all: false}))), due$.pipe(map(state => ({state, all: true})))).pipe(
    concatMap(async ({state, all}) => {
      const now = looks(attachments.entries.values(), state)
      for (const known of [before, troubles]) for (const key of known.keys()) if (!now.has(key)) known.delete(key)
      for (const [key, {text, inOrder}] of now) {
        // Somebody may be at what has only just been made: network managers are.
        const changed = before.has(key) ? before.get(key) !== text : !inOrder
        before.set(key, text)
        const entry = changed || all ? attachments.entries.get(key) : undefined
        if (entry) await mend(ports, entry, troubles)
      }
    }),
  )
}

async function mend(
  {attachments, serial, log, metrics}: HealPorts,
  entry: Entry,
  troubles: Map<string, string>,
): Promise<void> {
  const key = keyOf(entry.plan)
  const fields = {container: entry.plan.containerId, interface: entry.plan.ifname}
  await serial.run(entry.plan.containerId, async () => {
    if (attachments.entries.get(key) !== entry) return
    try {
      const done = await attachments.repair(entry)
      if (done.length > 0) {
        metrics.attachmentRepairs.inc()
        log.warn('an attachment was put right', {...fields, done: done.join('; ')})
      }
      if (troubles.delete(key)) log.info('an attachment is right again', fields)
    } catch (error) {
      const reason = (error as Error).message
      if (troubles.get(key) !== reason) log.error('an attachment cannot be put right', {...fields, reason})
      troubles.set(key, reason)
    }
  })
}
