/** Facts that outlive the process: saved some time after a change, and in the place of live ones while those do not come. */
import {type MonoTypeOperatorFunction, Observable} from 'rxjs'
import type {View} from './view.ts'

/** What an earlier process saved. */
export interface LastGood<K, V> {
  /** Milliseconds since the epoch. */
  readonly savedAt: number
  /** Reads what most starts do not need. Undefined: it turns out to be of no use. Never rejects. */
  readonly read: () => Promise<ReadonlyMap<K, V> | undefined>
}

export interface StandInOptions {
  /** Milliseconds that the first live view may take. @default 2000 */
  readonly patienceMs?: number
}

/**
 * Emits what was saved, marked as stale, when the source's first try has been in vain, or takes too long. A source says
 * so by a second unsynced view: with the first one it begins. From then on only live views pass, and the first of them
 * takes over for good. For one subscription: what was saved is let go as soon as it is of no more use.
 */
export function standIn<K, V>(
  saved: LastGood<K, V> | undefined,
  {patienceMs = 2000}: StandInOptions = {},
): MonoTypeOperatorFunction<View<K, V>> {
  let waiting = saved
  return source =>
    new Observable(subscriber => {
      let state: 'new' | 'begun' | 'stale' | 'live' = 'new'
      const stand = async () => {
        if (!waiting) return
        const {savedAt, read} = waiting
        waiting = undefined
        const items = await read()
        if (!items || state === 'live' || subscriber.closed) return
        state = 'stale'
        subscriber.next({synced: true, items, at: performance.now(), stale: {savedAt}})
      }
      const timer = setTimeout(stand, patienceMs)
      const subscription = source.subscribe({
        next: view => {
          if (view.synced) {
            waiting = undefined
            state = 'live'
          } else if (state === 'new') state = 'begun'
          else if (state === 'begun') stand()
          if (state !== 'stale') subscriber.next(view)
        },
        error: error => subscriber.error(error),
        complete: () => subscriber.complete(),
      })
      return () => {
        clearTimeout(timer)
        subscription.unsubscribe()
      }
    })
}

export interface SaveOptions {
  /** Milliseconds from a change to its saving: what changes together is saved together. @default 2000 */
  readonly afterMs?: number
  /** Milliseconds from one saving to the next at least, also after one that failed. @default 30000 */
  readonly everyMs?: number
}

/**
 * Hands the items of live views to `save`, some time after they have changed: the newest ones, one saving at a time.
 * `save` tells by false, or by rejecting, that it is to be called again without any change. Who unsubscribes has what
 * waits saved at once, after one that is under way: to keep that order, and to wait for its end, is up to `save`.
 */
export function saveChanges<K, V>(
  save: (items: ReadonlyMap<K, V>) => Promise<boolean>,
  {afterMs = 2000, everyMs = 30_000}: SaveOptions = {},
): MonoTypeOperatorFunction<View<K, V>> {
  return source =>
    new Observable(subscriber => {
      let unsaved: ReadonlyMap<K, V> | undefined
      let saving = false
      /** On performance.now()'s clock. */
      let restUntil = 0
      let timer: NodeJS.Timeout | undefined

      const schedule = () => {
        if (unsaved === undefined || saving || timer || subscriber.closed) return
        timer = setTimeout(start, Math.max(afterMs, restUntil - performance.now()))
      }
      const start = async () => {
        const items = unsaved!
        unsaved = timer = undefined
        saving = true
        const saved = await save(items).catch(() => false)
        saving = false
        if (!saved) unsaved ??= items
        restUntil = performance.now() + everyMs
        schedule()
      }
      const subscription = source.subscribe({
        next: view => {
          if (view.synced && !view.stale) unsaved = view.items
          subscriber.next(view)
          schedule()
        },
        error: error => subscriber.error(error),
        complete: () => subscriber.complete(),
      })
      return () => {
        subscription.unsubscribe()
        clearTimeout(timer)
        if (unsaved !== undefined) save(unsaved).catch(() => false)
      }
    })
}
