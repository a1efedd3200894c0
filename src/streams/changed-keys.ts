/** Where a view has changed since it was last seen. */
import {mergeMap, type OperatorFunction, pipe} from 'rxjs'
import type {View} from './view.ts'

/** Each key under which something has changed; undefined: everywhere. Nothing of an unsynced view. */
export function changedKeys<K>(): OperatorFunction<View<K, unknown>, K | undefined> {
  let mark: number | undefined
  return pipe(
    mergeMap((view): readonly (K | undefined)[] => {
      if (!view.synced) return []
      const before = mark
      mark = view.log?.mark
      if (before === undefined || !view.log) return [undefined]
      return [...new Set(view.log.since(before) ?? [undefined])]
    }),
  )
}
