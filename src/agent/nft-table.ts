/** Keeps a table of the packet filter: looks whenever the facts or the table change, and once in a while. */
import {combineLatest, debounceTime, defer, type Observable, retry, startWith, tap, timer} from 'rxjs'
import type {Config} from '../model/config.ts'
import type {NftProgram} from '../netlink/nft.ts'
import {tableChanges} from '../netlink/nft-monitor.ts'
import {coalesce} from '../streams/coalesce.ts'

/** What a look came to. */
export interface TableReport {
  /** One sentence part. Undefined: the kernel has what is wanted. */
  readonly refused?: string
}

export interface TableOptions<F, R extends TableReport> {
  readonly config: Pick<Config, 'kernel'>
  readonly program: NftProgram
  readonly table: string
  readonly facts$: Observable<F>
  /** Compares, and writes where the kernel has something else. */
  readonly look: (facts: F) => Promise<R>
  /** Of a look that threw. */
  readonly broken: (refused: string) => R
  /** Milliseconds that changes are gathered for. */
  readonly gatherMs: number
  /** Milliseconds of rest after a look: each call of nft costs 10 ms of a processor. */
  readonly restMs: number
  /** Of a refusal that is another one than before, and of its end (undefined). */
  readonly told: (refused: string | undefined) => void
}

const LISTEN_RETRY_MS = 30_000

export function keepTable<F, R extends TableReport>(options: TableOptions<F, R>): Observable<R> {
  const {config, program, table, facts$, look, broken, gatherMs, restMs, told} = options
  const changed$ = defer(() => tableChanges(table, {wrote: program.wrote})).pipe(
    retry({delay: () => timer(LISTEN_RETRY_MS)}),
    startWith(undefined),
  )
  const due$ = timer(0, config.kernel.resyncSeconds * 1000)
  let before: string | undefined
  return combineLatest([facts$, changed$, due$]).pipe(
    debounceTime(gatherMs),
    coalesce<readonly [F, unknown, unknown], R>(([facts]) => look(facts), {
      failed: ({refused}) => refused !== undefined,
      rest: () => restMs,
      onThrow: error => broken(String(error)),
      backoff: {baseMs: 1000, capMs: 60_000},
    }),
    tap(({refused}) => {
      if (refused !== before) told(refused)
      before = refused
    }),
  )
}
