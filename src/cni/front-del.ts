/** DEL and GC: what the runtime has ended, or no longer knows. CNI spec 1.1.0, section 2. */
import type {Logger} from '../model/logger.ts'
import {type Namespaces, SandboxGone} from '../model/namespace.ts'
import type {Attachments} from './attachments.ts'
import {parseConfig} from './config.ts'
import {delegated, eachEligibility, type OwnConfig, type PodSettings, podNetwork} from './default-network.ts'
import {CniError} from './error.ts'
import {furtherOf, keyOf} from './journal.ts'
import {createLater} from './later.ts'
import {delList, gcList, type ListCall, type ValidAttachment} from './list.ts'
import {oneNetwork} from './networks.ts'
import {ownConfig} from './own-config.ts'
import type {FindPlugin} from './plugin.ts'
import {isRecord} from './record.ts'
import type {CniRequest} from './request.ts'
import type {Serial} from './serial.ts'
import {hostName} from './types/marks.ts'

export interface DelPorts {
  readonly attachments: Attachments
  readonly namespaces: Namespaces
  readonly find: FindPlugin
  readonly serial: Serial
  readonly pods: PodSettings
  readonly log: Logger
}

export interface Del {
  /** Within the container's turn. Rejects with CniError. */
  del(request: CniRequest, signal: AbortSignal): Promise<void>
  /** `stdin`: the whole config. Waits for the turn of each container. Rejects with CniError. */
  gc(request: CniRequest, config: OwnConfig, stdin: unknown, signal: AbortSignal): Promise<void>
}

export function createDel(ports: DelPorts): Del {
  const {attachments, serial, log} = ports

  const del = async (request: CniRequest, signal: AbortSignal): Promise<void> => {
    const entry = attachments.entries.get(keyOf(request))
    const more = oneNetwork(request) === undefined ? furtherOf(attachments, request.containerId) : []
    // Whatever has become of the config since: the journal has that of the ADD.
    if (entry || more.length > 0) {
      const all = new Set([...more, ...(entry ? [entry] : [])])
      await Promise.all([...all].map(each => attachments.remove(each)))
    }
    if (entry) return
    const config = ownConfig(parseConfig(request.stdin).plugins[0]!)
    if (!isOthers(request, config)) await delUnknown(request, config, signal)
  }

  /** The journal was lost, or it was never ours: what today's config says can be looked for. */
  const delUnknown = async (request: CniRequest, config: OwnConfig, signal: AbortSignal): Promise<void> => {
    const lists = eachEligibility(config).map(
      each => delegated(each) ?? podNetwork(each, {ranges: [], mtu: {}}, ports.pods),
    )
    const sandbox =
      request.netns === ''
        ? undefined
        : await ports.namespaces.open(request.netns).catch(error => {
            // A namespace that is none is nobody's, too.
            if (!(error instanceof SandboxGone)) log.info('a DEL names no namespace', {detail: error.message})
            return undefined
          })
    const later = createLater()
    try {
      const call = {
        ...request,
        netns: sandbox ? request.netns : '',
        sandbox,
        signal,
        later: later.add,
      }
      for (const list of lists) await delList(list, call, ports.find, undefined)
      await later.done()
    } finally {
      await later.done().catch(() => {})
      await sandbox?.close()
    }
  }

  const gc = async (request: CniRequest, config: OwnConfig, stdin: unknown, signal: AbortSignal): Promise<void> => {
    const given = validAttachments(stdin)
    const valid = new Set(given.map(({containerID}) => containerID))
    const begun = Date.now()
    const stale = [...attachments.entries.values()].filter(
      ({plan, state}) =>
        plan.network === config.name && plan.at < begun && state !== 'adding' && !valid.has(plan.containerId),
    )
    for (const entry of stale) {
      log.info('an attachment that the runtime no longer knows is removed', {
        container: entry.plan.containerId,
        interface: entry.plan.ifname,
      })
      await serial.run(entry.plan.containerId, () => attachments.remove(entry))
    }
    for (const delegate of eachEligibility(config).map(delegated))
      if (delegate) await gcList(delegate, nobodys(request, signal), ports.find, given)
  }

  return {del, gc}
}

/** As a chained plugin we have made nothing: what stands there is that of the plugins before us. */
export function isOthers(request: CniRequest, {delegates, prevResult}: OwnConfig): boolean {
  if (delegates.length > 0 || !isRecord(prevResult)) return false
  const {interfaces} = prevResult
  return !(Array.isArray(interfaces) && interfaces.some(each => isRecord(each) && each.name === hostName(request)))
}

/** Of no container. */
export const nobodys = (request: CniRequest, signal: AbortSignal): ListCall => ({
  ...request,
  sandbox: undefined,
  signal,
  later: createLater().add,
})

/** What must stay. Both spellings of libcni's releases. Throws CniError. */
function validAttachments(config: unknown): readonly ValidAttachment[] {
  const lists = isRecord(config) ? [config['cni.dev/valid-attachments'], config['cni.dev/attachments']] : []
  const list = lists.find(each => each !== undefined)
  if (!Array.isArray(list))
    throw new CniError('invalidConfig', 'GC needs cni.dev/valid-attachments: the list of what must stay')
  return list.map((each, i) => {
    const {containerID, ifname} = isRecord(each) ? each : {}
    if (typeof containerID === 'string') return {containerID, ifname: typeof ifname === 'string' ? ifname : ''}
    throw new CniError('invalidConfig', `cni.dev/valid-attachments[${i}].containerID must be a text`)
  })
}
