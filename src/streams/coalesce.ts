/** The level-triggered loop: one run at a time, always with the newest input, again until it succeeds. */
import {Observable, type OperatorFunction} from 'rxjs'
import {Backoff, type BackoffOptions} from './backoff.ts'

export interface CoalesceOptions<I, R> {
  /** Joins an input that waits with the one that replaces it. @default the newer one alone */
  readonly merge?: (waiting: I, newest: I) => I
  /** Tells a report that asks for another run with the newest input. @default () => false */
  readonly failed?: (report: R) => boolean
  /** Turns what a run threw (a bug) into a report, so that no bug ends the stream. It should be a failed one. */
  readonly onThrow: (error: unknown) => R
  /** The wait before a retry that no input asks for. */
  readonly backoff?: BackoffOptions
  /**
   * Milliseconds of rest after a failed run, whoever asks for the next one: a failing run that wakes itself (its own
   * writes come back as kernel changes) would otherwise be a hot loop. There is no rest after a success. @default 50
   */
  readonly restMs?: number
}

/**
 * While a run runs, the newest input replaces any waiting one. An input that arrives while a retry is due later does
 * not wait for it; if that run fails as well, the retry stays due when it was. So the backoff grows with the time that
 * nothing has succeeded, not with the number of inputs: a burst of events does not put off the recovery after it.
 *
 * When the source completes, an input that is still waiting is run, without retries, and then the result completes.
 * Unsubscribing aborts the run's signal and waits for nothing; no timer is left.
 */
export function coalesce<I, R>(
  run: (input: I, signal: AbortSignal) => R | Promise<R>,
  {
    merge = (_, newest) => newest,
    failed = () => false,
    onThrow,
    backoff: backoffOptions,
    restMs = 50,
  }: CoalesceOptions<I, R>,
): OperatorFunction<I, R> {
  return source =>
    new Observable(subscriber => {
      const stop = new AbortController()
      const backoff = new Backoff(backoffOptions)
      let state: 'idle' | 'running' | 'failed' = 'idle'
      let newest: I
      let waiting = false
      let ended = false
      /** On performance.now()'s clock: the ends of the rest and of the retry's wait. Meaningful in state failed. */
      let restedAt = 0
      let retryAt = 0
      let timer: NodeJS.Timeout | undefined

      const attempt = async (): Promise<R> => {
        try {
          return await run(newest, stop.signal)
        } catch (error) {
          return onThrow(error)
        }
      }

      const start = () => {
        clearTimeout(timer)
        state = 'running'
        waiting = false
        attempt()
          .then(settle)
          .catch(error => subscriber.error(error))
      }

      const settle = (report: R) => {
        if (subscriber.closed) return
        const failure = failed(report)
        subscriber.next(report)
        if (subscriber.closed) return
        if (ended && !waiting) subscriber.complete()
        else if (failure) fail()
        else succeed()
      }

      const succeed = () => {
        backoff.reset()
        retryAt = 0
        state = 'idle'
        if (waiting) start()
      }

      const fail = () => {
        const now = performance.now()
        restedAt = now + restMs
        if (retryAt <= now) retryAt = now + backoff.next()
        state = 'failed'
        schedule()
      }

      const schedule = () => {
        clearTimeout(timer)
        const at = waiting ? restedAt : Math.max(restedAt, retryAt)
        timer = setTimeout(start, Math.max(0, at - performance.now()))
      }

      const subscription = source.subscribe({
        next: input => {
          newest = waiting ? merge(newest, input) : input
          waiting = true
          if (state === 'idle') start()
          else if (state === 'failed') schedule()
        },
        error: error => subscriber.error(error),
        complete: () => {
          ended = true
          if (state === 'idle' || (state === 'failed' && !waiting)) subscriber.complete()
        },
      })
      return () => {
        subscription.unsubscribe()
        stop.abort()
        clearTimeout(timer)
      }
    })
}
