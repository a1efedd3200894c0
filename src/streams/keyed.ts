/** The level-triggered loop for many keys: each one has a loop of its own. */
import {defer, groupBy, mergeMap, type OperatorFunction, Subject, tap} from 'rxjs'
import {type CoalesceOptions, coalesce} from './coalesce.ts'

export interface KeyedOptions<K, R> extends CoalesceOptions<K, R> {
  /** Of a report: there is nothing left to do for its key, until it is heard of again. */
  readonly over: (report: R) => boolean
}

/** As {@link coalesce}: of one key one run at a time, again until it succeeds. What arrives says that something is due. */
export function coalesceByKey<K, R>(
  run: (key: K, signal: AbortSignal) => R | Promise<R>,
  {over, ...options}: KeyedOptions<K, R>,
): OperatorFunction<K, R> {
  return source =>
    defer(() => {
      const ends = new Map<K, Subject<void>>()
      /** Heard of since their last run began. */
      const waiting = new Set<K>()
      return source.pipe(
        groupBy(key => key, {
          duration: ({key}) => {
            const end = new Subject<void>()
            ends.set(key, end)
            return end
          },
        }),
        mergeMap(group =>
          group.pipe(
            tap(key => waiting.add(key)),
            coalesce((key, signal) => {
              waiting.delete(key)
              return run(key, signal)
            }, options),
            tap(report => {
              if (!over(report) || waiting.has(group.key)) return
              ends.get(group.key)?.next()
              ends.delete(group.key)
            }),
          ),
        ),
      )
    })
}
