/** What passes over pods did, as log lines and metrics. */
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'
import type {PodReport} from './pod-pass.ts'

export function attachReporter(log: Logger, metrics: Metrics): (report: PodReport) => void {
  return ({key, actions}) => {
    for (const {op, network, ifname, type, ms, error} of actions) {
      metrics.attachmentOperations.inc({definition: network, type, op, outcome: error ? 'failed' : 'done'})
      metrics.attachmentDuration.observe({type, op}, ms / 1000)
      const fields = {pod: key, network, interface: ifname, ms: Math.round(ms * 10) / 10}
      if (error)
        log.warn('a network of a pod could not be changed; trying again', {op, ...fields, reason: error.message})
      else log.info(`a network of a pod: ${op}`, fields)
    }
  }
}
