/** What the CNI front did, as log lines and metrics. */
import {appendFile} from 'node:fs/promises'
import type {AttachmentDeed} from '../cni/attachments.ts'
import type {FrontEvent} from '../cni/front.ts'
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'

/** `hostRoot`: where the host's files are, "" for those that the agent sees itself. */
export function frontReporter(
  log: Logger,
  metrics: Metrics,
  hostRoot = Promise.resolve(''),
): (event: FrontEvent) => void {
  return ({command, error, request, ms, debug}) => {
    metrics.cniRequests.inc({command: command ?? 'invalid', code: error?.number ?? 0})
    if (command) metrics.cniDuration.observe({command}, ms / 1000)
    const fields = {
      command,
      container: request?.containerId,
      interface: request?.ifname,
      ...(request?.pod && {pod: `${request.pod.namespace}/${request.pod.name}`}),
      ms: Math.round(ms * 10) / 10,
    }
    if (debug) {
      const line = {
        time: new Date().toISOString(),
        ...fields,
        ...(error && {code: error.number, reason: error.message}),
      }
      // For whoever looks for a fault: what cannot be written is no fault of the request.
      hostRoot
        .then(root => appendFile(`${root}${debug.file}`, `${debug.prefix}${JSON.stringify(line)}\n`, {mode: 0o600}))
        .catch(() => {})
    }
    if (!error) return log.debug('CNI request answered', fields)
    const {number: code, message, details} = error
    log.warn('CNI request refused', {...fields, code, reason: message, ...(details !== undefined && {details})})
  }
}

/** Counts and times what is done to attachments, by what asked for them and who makes them. */
export const deedReporter =
  (metrics: Metrics): ((deed: AttachmentDeed) => void) =>
  ({op, plan, ms, failed}) => {
    const {attachment, network, list} = plan
    const definition = attachment ? `${attachment.definition.namespace}/${attachment.definition.name}` : network
    const type = list.plugins[0]!.type
    metrics.attachmentOperations.inc({definition, type, op, outcome: failed ? 'failed' : 'done'})
    metrics.attachmentDuration.observe({type, op}, ms / 1000)
  }
