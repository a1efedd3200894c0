/** /metrics, /healthz and /readyz, for as long as the agent runs. */
import {EMPTY, ignoreElements, type Observable, retry, tap, timer} from 'rxjs'
import type {Config} from '../model/config.ts'
import type {Logger} from '../model/logger.ts'
import {type ListenError, serveHealth} from '../observe/health.ts'
import type {Metrics} from '../observe/metrics.ts'
import type {Status} from './status.ts'

/** A port that is taken (by the agent that this one replaces, say) costs no route: it is tried again. */
export function health(config: Config, status: Status, metrics: Metrics, log: Logger): Observable<never> {
  const {listen} = config.metrics
  if (listen === undefined) return EMPTY
  return serveHealth({
    listen,
    metrics: () => metrics.expose(),
    conditions: () => status.conditions,
    runningPasses: () => status.passes,
  }).pipe(
    tap(({port}) => log.info('serving /metrics, /healthz and /readyz', {port})),
    retry({
      delay: (error: ListenError) => {
        log.error('metrics and health are not served; trying again', {code: error.errno, detail: error.message})
        return timer(LISTEN_RETRY_MS)
      },
    }),
    ignoreElements(),
  )
}

const LISTEN_RETRY_MS = 2000
