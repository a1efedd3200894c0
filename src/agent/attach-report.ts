/** What passes over pods did, as log lines. */
import type {Logger} from '../model/logger.ts'
import type {PodReport} from './pod-pass.ts'

export function attachReporter(log: Logger): (report: PodReport) => void {
  return ({key, actions}) => {
    for (const {op, network, ifname, ms, error} of actions) {
      const fields = {pod: key, network, interface: ifname, ms: Math.round(ms * 10) / 10}
      if (error)
        log.warn('a network of a pod could not be changed; trying again', {op, ...fields, reason: error.message})
      else log.info(`a network of a pod: ${op}`, fields)
    }
  }
}
