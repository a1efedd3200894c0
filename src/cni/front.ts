/** The CNI verbs: a request is checked, waits for its turn, and becomes the work on one attachment. CNI spec 1.1.0, section 2. */

import {InvalidInput, quoted} from '../model/errors.ts'
import type {Logger} from '../model/logger.ts'
import {type Namespaces, type Sandbox, SandboxGone} from '../model/namespace.ts'
import type {Attachments} from './attachments.ts'
import {parseConfig} from './config.ts'
import {delegated, type OwnConfig, type PodSettings, type PodSite, podNetwork} from './default-network.ts'
import {type CniCode, CniError, formatError} from './error.ts'
import {keyOf, type Plan, type PlannedList} from './journal.ts'
import {createLater} from './later.ts'
import {delList, gcList, type ListCall, statusList, type ValidAttachment} from './list.ts'
import {ownConfig} from './own-config.ts'
import type {FindPlugin} from './plugin.ts'
import type {ShimRequest} from './protocol.ts'
import {isRecord} from './record.ts'
import {asCniError, type CniRequest, type Command, decodeCall} from './request.ts'
import type {CniResult} from './result.ts'
import type {Serial} from './serial.ts'
import type {Answer} from './server.ts'
import {hostName} from './types/marks.ts'
import {formatResult, parseResult, VERSIONS} from './versions.ts'

export interface FrontPorts {
  readonly attachments: Attachments
  readonly namespaces: Namespaces
  readonly find: FindPlugin
  readonly serial: Serial
  readonly pods: PodSettings
  /** What is known of this node. Rejects with CniError (11) when that is not enough in time. */
  readonly site: (signal: AbortSignal) => Promise<PodSite>
  /** Whether nothing of the list outlives the machine's memory. */
  readonly isVolatile: (list: PlannedList) => boolean
  /** Milliseconds. */
  readonly deadlineMs: number
  readonly log: Logger
  readonly done: (event: FrontEvent) => void
}

/** A request that has been answered. */
export interface FrontEvent {
  readonly command: Command | undefined
  readonly error: CniError | undefined
  readonly request: CniRequest | undefined
  /** Milliseconds, waiting included. */
  readonly ms: number
}

export interface Front {
  /** Never rejects: what goes wrong is in the answer. */
  handle(raw: ShimRequest): Promise<Handled>
  /** Carries out a DEL that was answered long ago, at `at` (milliseconds since the epoch). Rejects with CniError. */
  spooled(raw: ShimRequest, at: number): Promise<void>
}

export interface Handled extends Answer {
  /** Of an ADD: the runtime was never told of it. Takes it back. */
  readonly unheard?: () => Promise<void>
}

export function createFront(ports: FrontPorts): Front {
  const {attachments, serial, log} = ports

  const add = async (request: CniRequest, config: OwnConfig, signal: AbortSignal): Promise<object> => {
    const key = keyOf(request)
    const known = attachments.entries.get(key)
    // The shim asks again when the agent has been restarted under it.
    if (known?.state === 'added' && known.plan.request === request.id) return answerOf(known.result!, config)
    if (known?.state === 'added')
      throw new CniError('failed', `container ${request.containerId} has ${request.ifname} already; DEL comes first`)
    await unlessAborted(attachments.settled(request), signal)
    const sandbox = await ports.namespaces.open(request.netns).catch(error => {
      throw error instanceof SandboxGone || error instanceof InvalidInput
        ? new CniError('invalidEnvironment', `CNI_NETNS ${error.message}`, {cause: error})
        : error
    })
    try {
      const [list] = await Promise.all([listOf(config, signal), requireFree(sandbox, request.ifname)])
      const plan: Plan = {
        request: request.id,
        containerId: request.containerId,
        ifname: request.ifname,
        netns: request.netns,
        sandbox: sandbox.id,
        boot: attachments.boot,
        args: request.args,
        path: request.path,
        pod: request.pod,
        network: config.name,
        list,
        at: Date.now(),
      }
      return answerOf(await attachments.add(plan, sandbox, {signal, durable: !ports.isVolatile(list)}), config)
    } finally {
      // Nobody waits for that.
      sandbox.close().catch(() => {})
    }
  }

  /** What a pod's first interface is made of. As a chained plugin there is nothing to make: it is there. */
  const listOf = async (config: OwnConfig, signal: AbortSignal): Promise<PlannedList> =>
    delegated(config) ?? podNetwork(config, await ports.site(signal), ports.pods)

  const check = async (request: CniRequest, config: OwnConfig, signal: AbortSignal): Promise<void> => {
    const entry = attachments.entries.get(keyOf(request))
    if (!entry && isOthers(request, config)) return
    if (!entry || entry.state === 'deleting')
      throw new CniError(
        'unknownContainer',
        `nothing is known of ${request.ifname} of container ${request.containerId}; it needs an ADD`,
      )
    await attachments.check(entry, signal)
  }

  const del = async (request: CniRequest, signal: AbortSignal): Promise<void> => {
    const entry = attachments.entries.get(keyOf(request))
    // Whatever has become of the config since: the journal has that of the ADD.
    if (entry) return attachments.remove(entry)
    const config = ownConfig(parseConfig(request.stdin).plugins[0]!)
    if (!isOthers(request, config)) await delUnknown(request, config, signal)
  }

  /** The journal was lost, or it was never ours: what today's config says can be looked for. */
  const delUnknown = async (request: CniRequest, config: OwnConfig, signal: AbortSignal): Promise<void> => {
    const list = delegated(config) ?? podNetwork(config, {ranges: [], mtu: {}}, ports.pods)
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
      await delList(list, call, ports.find, undefined)
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
    const delegate = delegated(config)
    if (delegate) await gcList(delegate, nobodys(request, signal), ports.find, given)
  }

  const status = async (request: CniRequest, config: OwnConfig, signal: AbortSignal): Promise<void> => {
    const delegate = delegated(config)
    if (delegate) return statusList(delegate, nobodys(request, signal), ports.find)
    try {
      await ports.site(AbortSignal.any([signal, AbortSignal.timeout(STATUS_MS)]))
    } catch (error) {
      throw new CniError('unavailable', asCniError(error).message, {cause: error})
    }
  }

  const run = async (request: CniRequest, signal: AbortSignal): Promise<object | undefined> => {
    if (request.command === 'DEL') {
      await serial.run(request.containerId, () => del(request, signal))
      return undefined
    }
    const stdin = parseConfig(request.stdin)
    if (request.command === 'VERSION') return {cniVersion: stdin.cniVersion, supportedVersions: VERSIONS}
    const config = ownConfig(stdin.plugins[0]!)
    switch (request.command) {
      case 'ADD':
        if (config.prevResult !== undefined) return answerOf(parseResult(config.prevResult, config.cniVersion), config)
        return serial.run(request.containerId, () => add(request, config, signal))
      case 'CHECK':
        await serial.run(request.containerId, () => check(request, config, signal))
        return undefined
      case 'GC':
        await gc(request, config, stdin.plugins[0]!, signal)
        return undefined
      case 'STATUS':
        await status(request, config, signal)
        return undefined
    }
  }

  const takeBack = (request: CniRequest): Promise<void> =>
    serial.run(request.containerId, async () => {
      const entry = attachments.entries.get(keyOf(request))
      if (entry?.state !== 'added' || entry.plan.request !== request.id) return
      log.warn('the runtime went away before it could be told of an ADD; it is undone', {
        container: request.containerId,
        interface: request.ifname,
      })
      await attachments.remove(entry)
    })

  return {
    handle: async raw => {
      const startedAt = performance.now()
      let request: CniRequest | undefined
      const finish = (error?: CniError) =>
        ports.done({command: request?.command, error, request, ms: performance.now() - startedAt})
      try {
        request = decodeCall(raw)
        const result = await run(request, AbortSignal.timeout(ports.deadlineMs))
        finish()
        const body = result === undefined ? '' : JSON.stringify(result)
        const asked = request
        return {status: 0, body, ...(request.command === 'ADD' && {unheard: () => takeBack(asked)})}
      } catch (thrown) {
        const error = asCniError(thrown)
        finish(error)
        return {status: 1, body: formatError(error, versionOf(raw))}
      }
    },
    spooled: async (raw, at) => {
      try {
        const request = decodeCall(raw)
        const entry = attachments.entries.get(keyOf(request))
        // Its name has been used again since.
        if (entry && entry.plan.at > at) return
        await run(request, AbortSignal.timeout(ports.deadlineMs))
      } catch (error) {
        if (!(error instanceof CniError) || !SENSELESS.has(error.code)) throw error
        log.warn('a DEL of the spool makes no sense, and nothing is known of its container: it is dropped', {
          container: raw.env.get('CNI_CONTAINERID'),
          reason: error.message,
        })
      }
    },
  }
}

/** What trying again cannot help. */
const SENSELESS: ReadonlySet<CniCode> = new Set([
  'incompatibleVersion',
  'unsupportedField',
  'invalidEnvironment',
  'undecodable',
  'invalidConfig',
])

/** Milliseconds that STATUS waits for what an ADD would wait longer for. */
const STATUS_MS = 1000

/** What is there already is somebody else's: the DEL of a failed ADD must not find it. */
async function requireFree(sandbox: Sandbox, ifname: string): Promise<void> {
  const kernel = await sandbox.kernel()
  // Asked without the lock that every question about links takes.
  const isThere = await kernel.readSysctl(`ipv4/conf/${ifname}/forwarding`).then(
    () => true,
    () => false,
  )
  if (isThere)
    throw new CniError('failed', `${quoted(ifname)} is already there in ${sandbox.path}, and not of our making`)
}

/** As a chained plugin we have made nothing: what stands there is that of the plugins before us. */
function isOthers(request: CniRequest, {delegates, prevResult}: OwnConfig): boolean {
  if (delegates.length > 0 || !isRecord(prevResult)) return false
  const {interfaces} = prevResult
  return !(Array.isArray(interfaces) && interfaces.some(each => isRecord(each) && each.name === hostName(request)))
}

const answerOf = (result: CniResult, {cniVersion}: OwnConfig): object => formatResult(result, cniVersion)

/** Of the config, for an error about whatever else it holds. */
function versionOf({stdin}: ShimRequest): string {
  try {
    const {cniVersion} = JSON.parse(stdin.toString()) as {cniVersion?: unknown}
    if (typeof cniVersion === 'string' && /^\d+\.\d+\.\d+$/.test(cniVersion)) return cniVersion
  } catch {}
  return VERSIONS.at(-1)!
}

/** Of no container. */
const nobodys = (request: CniRequest, signal: AbortSignal): ListCall => ({
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

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await Promise.race([
    work,
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), {once: true})),
  ])
}
