/** Looks through pods for links of pairs: what an earlier process has left. */
import {setImmediate} from 'node:timers/promises'
import {filter, from, mergeMap, type Observable} from 'rxjs'
import {isFurther} from '../cni/journal.ts'
import type {Logger} from '../model/logger.ts'
import type {PairKey} from '../model/pair.ts'
import type {OpenFront} from './cni-open.ts'
import type {Standing} from './pair-build.ts'
import {type PodSandbox, sandboxOf} from './pod-sandbox.ts'

export interface ScanPorts {
  readonly standing: Standing
  readonly found: (key: PairKey) => void
  readonly log: Logger
}

/** Pods that are looked through at once. */
const AT_ONCE = 4

/** Those that the journal knows from the start. */
export const scanAll = ({attachments}: Pick<OpenFront, 'attachments'>, ports: ScanPorts): Observable<unknown> =>
  from([...attachments.entries.values()]).pipe(
    filter(entry => entry.state === 'added' && !isFurther(entry.plan)),
    mergeMap(entry => scan(sandboxOf(entry), ports), AT_ONCE),
  )

/** Never rejects. */
export async function scan(sandbox: PodSandbox, {standing, found, log}: ScanPorts): Promise<void> {
  await setImmediate()
  try {
    for (const key of await standing.scan(sandbox)) found(key)
  } catch (error) {
    log.warn('a pod cannot be looked through for links of pairs', {container: sandbox.containerId, err: error as Error})
  }
}
