/** Attachments that somebody has been at are put right: when the kernel tells of it, at the start, and once in a while. */
import {
  asyncScheduler,
  filter,
  from,
  map,
  merge,
  mergeMap,
  type Observable,
  Subject,
  switchMap,
  take,
  tap,
  throttleTime,
  timer,
} from 'rxjs'
import type {Attachments} from '../cni/attachments.ts'
import {InterfaceGone} from '../cni/interface-gone.ts'
import type {Entry} from '../cni/journal.ts'
import {looks} from '../cni/look.ts'
import type {CniResult} from '../cni/result.ts'
import type {Serial} from '../cni/serial.ts'
import type {KernelState, KernelView} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import type {Link} from '../model/net.ts'
import type {Metrics} from '../observe/metrics.ts'
import {Backoff} from '../streams/backoff.ts'
import {isOf} from './cni-vanished.ts'

export interface HealPorts {
  readonly attachments: Attachments
  readonly serial: Serial
  readonly kernel$: Observable<KernelView>
  readonly pods$: Observable<KernelState>
  readonly resyncMs: number
  /** After an interface has been made anew: what hangs on it beside what its plugins make. In the container's turn. */
  readonly rebuilt?: (entry: Entry) => Promise<void>
  /** Links that have gone inside of pods; 'some': it cannot be told which. */
  readonly vanished$: Observable<Link | 'some'>
  readonly log: Logger
  readonly metrics: Metrics
}

/** Milliseconds that changes are gathered for: a bridge that goes takes hundreds of ports with it. */
const GATHER_MS = 100
/** Attachments that are mended at once: a program may take its time, and pods that start must not wait for all of them. */
const AT_ONCE = 4

/** What could not be done: it is told once for each reason, and tried again for ever. */
interface Trouble {
  reason: string
  /** How often it was tried. */
  tries: number
  readonly backoff: Backoff
}

export function heal(ports: HealPorts): Observable<unknown> {
  const {attachments, kernel$, pods$, vanished$, resyncMs} = ports
  const {entries} = attachments
  /** How each looked the last time. */
  const before = new Map<string, string>()
  const troubles = new Map<string, Trouble>()
  /** What nobody has begun with yet. */
  const queued = new Set<string>()
  /** What is tried again in a while. */
  const waiting = new Set<string>()
  const again = new Subject<{readonly key: string; readonly ms: number}>()
  const state$ = kernel$.pipe(
    filter(view => view.synced),
    map(({state}) => state),
  )

  const look = (state: KernelState): string[] => {
    const now = looks(entries.values(), state)
    for (const key of before.keys()) if (!now.has(key)) before.delete(key)
    for (const key of troubles.keys()) if (entries.get(key)?.state !== 'added') troubles.delete(key)
    return [...now].flatMap(([key, {text, inOrder}]) => {
      // Somebody may be at what has only just been made: network managers are.
      const changed = before.has(key) ? before.get(key) !== text : !inOrder
      before.set(key, text)
      return changed ? [key] : []
    })
  }
  const changed$ = merge(state$, pods$).pipe(
    throttleTime(GATHER_MS, asyncScheduler, {leading: false, trailing: true}),
    mergeMap(look),
  )
  const due$ = timer(0, resyncMs).pipe(
    switchMap(() => state$.pipe(take(1))),
    mergeMap(state => {
      look(state)
      return [...entries.keys()]
    }),
  )
  const gone$ = vanished$.pipe(
    mergeMap(gone => [...entries].filter(([_, entry]) => gone === 'some' || isOf(gone, entry)).map(([key]) => key)),
    // With a pod that is taken down its links go first.
    mergeMap(key => timer(GATHER_MS).pipe(map(() => key))),
  )
  const again$ = again.pipe(
    mergeMap(({key, ms}) => timer(ms).pipe(map(() => key))),
    tap(key => waiting.delete(key)),
  )

  return merge(changed$, due$, gone$, again$).pipe(
    filter(key => entries.get(key)?.state === 'added' && !queued.has(key)),
    tap(key => queued.add(key)),
    mergeMap(key => {
      queued.delete(key)
      return from(mend(ports, key, troubles)).pipe(map(ms => ({key, ms})))
    }, AT_ONCE),
    tap(({key, ms}) => {
      if (ms === undefined || waiting.has(key)) return
      waiting.add(key)
      again.next({key, ms})
    }),
  )
}

/** Milliseconds until it is to be tried again. Never rejects. */
async function mend(ports: HealPorts, key: string, troubles: Map<string, Trouble>): Promise<number | undefined> {
  const {attachments, serial, log, metrics} = ports
  const entry = attachments.entries.get(key)
  if (!entry) return undefined
  const fields = {container: entry.plan.containerId, interface: entry.plan.ifname}
  return serial.run(entry.plan.containerId, async () => {
    if (attachments.entries.get(key) !== entry || entry.state !== 'added') return undefined
    try {
      const done = await attachments.repair(entry).catch(error => rebuild(ports, entry, error, troubles.get(key)))
      if (done.length > 0) {
        metrics.attachmentRepairs.inc()
        log.warn('an attachment was put right', {...fields, done: done.join('; ')})
      }
      if (troubles.delete(key)) log.info('an attachment is right again', fields)
      return undefined
    } catch (error) {
      const reason = (error as Error).message
      const known = troubles.get(key)
      if (known?.reason !== reason) log.error('an attachment cannot be put right', {...fields, reason})
      const trouble = known ?? {reason, tries: 0, backoff: new Backoff({baseMs: RETRY_MS, jitter: 'equal'})}
      trouble.reason = reason
      trouble.tries++
      troubles.set(key, trouble)
      return error instanceof RebuildFailed ? trouble.backoff.next() : undefined
    }
  })
}

/** Milliseconds. */
const RETRY_MS = 500

class RebuildFailed extends Error {}

/** What failed so often fails because of what it asks for. Before, something else that it needs may only be on its way. */
const EXACT_TRIES = 3

async function rebuild(
  {attachments, rebuilt}: HealPorts,
  entry: Entry,
  why: unknown,
  trouble: Trouble | undefined,
): Promise<readonly string[]> {
  if (!(why instanceof InterfaceGone)) throw why
  try {
    const result = await attachments.rebuild(entry, {exactly: (trouble?.tries ?? 0) < EXACT_TRIES})
    // The pod has gone, too.
    if (!result) return []
    await rebuilt?.(entry)
    return [`made ${entry.plan.ifname} anew, since ${why.message}`, ...changesOf(entry.result!, result)]
  } catch (error) {
    throw new RebuildFailed(`${why.message}, and it cannot be made anew: ${(error as Error).message}`, {cause: error})
  }
}

/** In words. */
function changesOf(before: CniResult, after: CniResult): string[] {
  const [had, has] = [before, after].map(({ips}) => ips.map(({address}) => address).join(', '))
  return had === has ? [] : [`its addresses are ${has} now, and were ${had}`]
}
