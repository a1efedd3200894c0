/** The level-triggered loop: one run at a time, always with the newest input, again until it succeeds. */
import {Observable, type OperatorFunction} from 'rxjs'
import {Backoff, type BackoffOptions} from './backoff.ts'

export interface CoalesceOptions<I, R> {
  /** Joins an input that waits with the one that replaces it. @default the newer one alone */
  readonly merge?: (waiting: I, newest: I) => I
  /** Tells a report that asks for another run with the newest input. @default () => false */
  readonly failed?: (report: R) => boolean
  /** Milliseconds of rest after a run that succeeded, whoever asks for the next one. @default 0 */
  readonly rest?: (report: R) => number
  /** Milliseconds after which a run that succeeded is due again, if no input asks for it sooner. @default never */
  readonly again?: (report: R) => number | undefined
  /** Turns what a run threw (a bug) into a report, so that no bug ends the stream. It should be a failed one. */
  readonly onThrow: (error: unknown) => R
  /** The wait before a retry that no input asks for. */
  readonly backoff?: BackoffOptions
  /**
   * Milliseconds of rest after a failed run, whoever asks for the next one: a failing run that wakes itself (its own
   * writes come back as kernel changes) would otherwise be a hot loop. @default 50
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
    rest = () => 0,
    again = () => undefined,
    onThrow,
    backoff: backoffOptions,
    restMs = 50,
  }: CoalesceOptions<I, R>,
): OperatorFunction<I, R> {
  return source =>
    new Observable(subscriber => {
      const stop = new AbortController()
      const backoff = new Backoff(backoffOptions)
      let running = false
      let newest: I
      let waiting = false
      let ended = false
      /** On performance.now()'s clock: nothing runs before this moment. */
      let restedAt = 0
      /** When the next retry is due: kept until it is past, or something succeeds. */
      let retryAt = 0
      /** When a run is due that no input asks for. */
      let dueAt: number | undefined
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
        running = true
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
        running = false
        if (ended && !waiting) return subscriber.complete()
        if (failure) fail()
        else succeed(report)
        schedule()
      }

      const succeed = (report: R) => {
        const now = performance.now()
        const againMs = again(report)
        backoff.reset()
        retryAt = 0
        restedAt = now + rest(report)
        dueAt = againMs === undefined ? undefined : now + againMs
      }

      const fail = () => {
        const now = performance.now()
        restedAt = now + restMs
        if (retryAt <= now) retryAt = now + backoff.next()
        dueAt = retryAt
      }

      const schedule = () => {
        clearTimeout(timer)
        const at = waiting ? restedAt : dueAt
        if (at === undefined) return
        const ms = Math.max(at, restedAt) - performance.now()
        if (waiting && ms <= 0) start()
        else timer = setTimeout(start, Math.max(0, ms))
      }

      const subscription = source.subscribe({
        next: input => {
          newest = waiting ? merge(newest, input) : input
          waiting = true
          if (!running) schedule()
        },
        error: error => subscriber.error(error),
        complete: () => {
          ended = true
          if (!running && !waiting) subscriber.complete()
        },
      })
      return () => {
        subscription.unsubscribe()
        stop.abort()
        clearTimeout(timer)
      }
    })
}
