/** What the CNI front did, as log lines and metrics. */
import type {FrontEvent} from '../cni/front.ts'
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'

export function frontReporter(log: Logger, metrics: Metrics): (event: FrontEvent) => void {
  return ({command, error, request, ms}) => {
    metrics.cniRequests.inc({command: command ?? 'invalid', code: error?.number ?? 0})
    if (command) metrics.cniDuration.observe({command}, ms / 1000)
    const fields = {
      command,
      container: request?.containerId,
      interface: request?.ifname,
      ...(request?.pod && {pod: `${request.pod.namespace}/${request.pod.name}`}),
      ms: Math.round(ms * 10) / 10,
    }
    if (!error) return log.debug('CNI request answered', fields)
    const {number: code, message, details} = error
    log.warn('CNI request refused', {...fields, code, reason: message, ...(details !== undefined && {details})})
  }
}
