/** Where a view has changed since it was last seen. */
import {map, mergeMap, type OperatorFunction, pipe} from 'rxjs'
import type {Synced, View} from './view.ts'

export interface ViewChange<K, V> {
  readonly view: Synced<K, V>
  /** Undefined: anything may have changed. */
  readonly keys: ReadonlySet<K> | undefined
}

/** What has changed since the view before. Nothing of an unsynced view. */
export function viewChanges<K, V>(): OperatorFunction<View<K, V>, ViewChange<K, V>> {
  let mark: number | undefined
  return pipe(
    mergeMap((view): readonly ViewChange<K, V>[] => {
      if (!view.synced) return []
      const before = mark
      mark = view.log?.mark
      const keys = before === undefined ? undefined : view.log?.since(before)
      return [{view, keys: keys && new Set(keys)}]
    }),
  )
}

/** Each key under which something has changed; undefined: everywhere. Nothing of an unsynced view. */
export const changedKeys = <K>(): OperatorFunction<View<K, unknown>, K | undefined> =>
  pipe(
    viewChanges<K, unknown>(),
    map(({keys}): readonly (K | undefined)[] => (keys ? [...keys] : [undefined])),
    mergeMap(keys => keys),
  )
