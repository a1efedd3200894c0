/** The journal's changes, as a stream. */
import {Observable, type OperatorFunction, pipe, share, startWith, tap} from 'rxjs'
import type {Entry} from '../cni/journal.ts'
import type {Metrics} from '../observe/metrics.ts'
import type {OpenFront} from './cni-open.ts'

/** A change of the journal: an entry as it is now, or that it has gone. */
export interface EntryChange {
  readonly key: string
  readonly before: Entry | undefined
  readonly entry: Entry | undefined
}

/** Hot: of what happens from now on. */
export function entryChanges({attachments}: Pick<OpenFront, 'attachments'>): Observable<EntryChange> {
  return new Observable<EntryChange>(subscriber => {
    const known = new Map(attachments.entries)
    attachments.onChange((key, entry) => {
      const before = known.get(key)
      if (entry) known.set(key, entry)
      else known.delete(key)
      subscriber.next({key, before, entry})
    })
    return () => attachments.onChange(() => {})
  }).pipe(share())
}

/** Keeps the gauge of attachments up to date. */
export function counted(
  {attachments}: Pick<OpenFront, 'attachments'>,
  metrics: Metrics,
): OperatorFunction<EntryChange, unknown> {
  const counts = {adding: 0, added: 0, deleting: 0}
  for (const {state} of attachments.entries.values()) counts[state]++
  const show = () => {
    for (const state of ['adding', 'added', 'deleting'] as const) metrics.attachments.set({state}, counts[state])
  }
  return pipe(
    tap(({before, entry}) => {
      if (before) counts[before.state]--
      if (entry) counts[entry.state]++
    }),
    startWith(undefined),
    tap(show),
  )
}
