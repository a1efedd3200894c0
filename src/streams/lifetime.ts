/** One AbortSignal goes from main down to every sleep, socket and stream. Here it meets timers and observables. */
import {Observable} from 'rxjs'

/** Emits once when the signal aborts (at once if it has) and completes: `source.pipe(takeUntil(aborted$(signal)))`. */
export function aborted$(signal: AbortSignal): Observable<void> {
  return new Observable(subscriber => {
    const emit = () => {
      subscriber.next()
      subscriber.complete()
    }
    if (signal.aborted) return emit()
    signal.addEventListener('abort', emit, {once: true})
    return () => signal.removeEventListener('abort', emit)
  })
}

/** Resolves after `ms` milliseconds, or as soon as the signal aborts: the caller looks at the signal anyway. Never rejects. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve()
    const wake = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', wake)
      resolve()
    }
    const timer = setTimeout(wake, ms)
    signal.addEventListener('abort', wake)
  })
}
