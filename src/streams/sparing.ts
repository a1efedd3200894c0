/** Keys that are heard of often: what follows from each is dear, and only its newest state counts. */
import {debounceTime, groupBy, type MonoTypeOperatorFunction, mergeMap, throttleTime} from 'rxjs'

/** Milliseconds after which nothing is remembered of a key. */
const FORGET_MS = 1000

/** Each key at once, and then again at most once in `ms` milliseconds: what comes in between is heard of at their end. */
export const sparing = <K>(ms: number): MonoTypeOperatorFunction<K> => {
  return source =>
    source.pipe(
      groupBy(key => key, {duration: group => group.pipe(debounceTime(FORGET_MS + ms))}),
      mergeMap(group => group.pipe(throttleTime(ms, undefined, {leading: true, trailing: true}))),
    )
}
