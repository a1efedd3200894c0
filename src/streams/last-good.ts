/** Facts that outlive the process: saved some time after a change, and in the place of live ones while those do not come. */
import {type MonoTypeOperatorFunction, Observable} from 'rxjs'
import type {View} from './view.ts'

/** What an earlier process saved. */
export interface LastGood<K, V> {
  readonly items: ReadonlyMap<K, V>
  /** Milliseconds since the epoch. */
  readonly savedAt: number
}

export interface StandInOptions {
  /** Milliseconds that the first live view may take. @default 2000 */
  readonly patienceMs?: number
}

/**
 * Emits what `read` brings, marked as stale, when the source's first try has been in vain, or takes too long. A source
 * says so by a second unsynced view: with the first one it begins. From then on only live views pass, and the first of
 * them takes over for good. Most starts never ask `read`; undefined: there is nothing of use. It never rejects.
 */
export function standIn<K, V>(
  read: () => Promise<LastGood<K, V> | undefined>,
  {patienceMs = 2000}: StandInOptions = {},
): MonoTypeOperatorFunction<View<K, V>> {
  return source =>
    new Observable(subscriber => {
      let state: 'new' | 'begun' | 'asked' | 'stale' | 'live' = 'new'
      const ask = async () => {
        if (state !== 'new' && state !== 'begun') return
        state = 'asked'
        const saved = await read()
        if (!saved || state !== 'asked' || subscriber.closed) return
        state = 'stale'
        const {items, savedAt} = saved
        subscriber.next({synced: true, items, at: performance.now(), stale: {savedAt}})
      }
      const timer = setTimeout(ask, patienceMs)
      const subscription = source.subscribe({
        next: view => {
          if (view.synced) state = 'live'
          else if (state === 'new') state = 'begun'
          else void ask()
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
