/** Sandboxes whose first interface was taken away: the runtime may call them ready all the same. */
import {type Observable, tap} from 'rxjs'
import {isFurther} from '../cni/journal.ts'
import type {EntryChange} from './cni-entries.ts'
import type {SandboxPorts} from './pod-sandbox.ts'

export interface EndedSandboxes {
  /** Passes the changes on. */
  watch(changes$: Observable<EntryChange>): Observable<EntryChange>
  /** Finds no such sandbox. */
  without(find: SandboxPorts['findSandbox']): SandboxPorts['findSandbox']
}

/** Of the newest. */
const KEPT_MAX = 1000

export function endedSandboxes(): EndedSandboxes {
  const ended = new Set<string>()
  return {
    watch: changes$ =>
      changes$.pipe(
        tap(({before, entry}) => {
          if (!before || entry || isFurther(before.plan)) return
          ended.add(before.plan.containerId)
          if (ended.size > KEPT_MAX) ended.delete(ended.values().next().value!)
        }),
      ),
    without: find => async (pod, signal) => {
      const found = await find(pod, signal)
      return found && ended.has(found.containerId) ? undefined : found
    },
  }
}
