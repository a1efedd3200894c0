/** Keeps a sign of life: the same loop for every store. */
import {Observable} from 'rxjs'
import type {Ownership} from '../model/store.ts'
import {Backoff} from '../streams/backoff.ts'
import {sleep} from '../streams/lifetime.ts'

/** One step. `deadlineMs`: how long it may take. Rejects when its outcome is not known. */
export type Renew = (deadlineMs: number, signal: AbortSignal) => Promise<Renewal>

/** anew: it was not there any more, and is again. taken: another process shows it. */
export type Renewal = 'kept' | 'anew' | 'taken'

/** Of how many renewals all but one may fail. */
const RENEWALS = 3
/** Milliseconds. A call that has less time than that is not worth sending. */
const LEAST_MS = 50

const TAKEN = 'another process shows the sign of life of this name: run one agent on each node'
const EXPIRED = 'the sign of life had expired before it was renewed'

/** `open` begins a sign of its own for each subscriber. */
export function ownership(open: () => Renew, ttlMs: number): Observable<Ownership> {
  return new Observable(subscriber => {
    const stop = new AbortController()
    keep(open(), ttlMs, told => subscriber.next(told), stop.signal).catch(error => subscriber.error(error))
    return () => stop.abort()
  })
}

async function keep(renew: Renew, ttlMs: number, emit: (told: Ownership) => void, signal: AbortSignal): Promise<void> {
  const everyMs = ttlMs / RENEWALS
  const backoff = new Backoff({baseMs: everyMs / 4, capMs: everyMs, jitter: 'equal'})
  /** By our own clock: until then others see it for sure. */
  let until = 0
  let held: boolean | undefined
  const tell = (told: Ownership) => {
    if (told.held !== held) emit(told)
    held = told.held
  }
  while (!signal.aborted) {
    const started = performance.now()
    try {
      const renewal = await renew(held ? Math.max(LEAST_MS, Math.min(until - started, everyMs)) : everyMs, signal)
      if (signal.aborted) return
      backoff.reset()
      if (renewal === 'taken') tell({held: false, reason: TAKEN})
      else {
        if (held && (renewal === 'anew' || performance.now() > until)) tell({held: false, reason: EXPIRED})
        until = started + ttlMs
        tell({held: true})
      }
      await sleep(Math.max(0, everyMs - (performance.now() - started)), signal)
    } catch (error) {
      if (signal.aborted) return
      const left = until - performance.now()
      if (left <= 0) tell({held: false, reason: error instanceof Error ? error.message : String(error)})
      await sleep(left > 0 ? Math.min(left, backoff.next()) : backoff.next(), signal)
    }
  }
}
