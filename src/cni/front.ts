/** The CNI verbs: a request is checked, waits for its turn, and becomes the work on one attachment. CNI spec 1.1.0, section 2. */
import {parseConfig} from './config.ts'
import {delegated, eachEligibility, type OwnConfig} from './default-network.ts'
import {type CniCode, CniError, formatError} from './error.ts'
import {type AddPorts, createAdd} from './front-add.ts'
import {createDel, type DelPorts, isOthers, nobodys} from './front-del.ts'
import {furtherOf, isFurther, keyOf} from './journal.ts'
import {statusList} from './list.ts'
import {oneNetwork} from './networks.ts'
import {ownConfig} from './own-config.ts'
import type {ShimRequest} from './protocol.ts'
import {asCniError, type CniRequest, type Command, decodeCall} from './request.ts'
import type {Answer} from './server.ts'
import {VERSIONS} from './versions.ts'

export interface FrontPorts extends AddPorts, DelPorts {
  /** Milliseconds. */
  readonly deadlineMs: number
  readonly done: (event: FrontEvent) => void
}

/** A request that has been answered. */
export interface FrontEvent {
  readonly command: Command | undefined
  readonly error: CniError | undefined
  readonly request: CniRequest | undefined
  /** Milliseconds, waiting included. */
  readonly ms: number
  /** _CNI_LOGGING_*: where the runtime's environment wants to read of it, too. */
  readonly debug?: DebugLog | undefined
}

export interface DebugLog {
  /** Absolute, of the host. */
  readonly file: string
  readonly prefix: string
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
  const add = createAdd(ports)
  const {del, gc} = createDel(ports)

  const check = async (request: CniRequest, config: OwnConfig, signal: AbortSignal): Promise<void> => {
    const entry = attachments.entries.get(keyOf(request))
    if (!entry && isOthers(request, config)) return
    if (!entry || entry.state === 'deleting')
      throw new CniError(
        'unknownContainer',
        `nothing is known of ${request.ifname} of container ${request.containerId}; it needs an ADD`,
      )
    await attachments.check(entry, signal)
    if (isFurther(entry.plan)) return
    for (const each of furtherOf(attachments, request.containerId))
      if (each.state === 'added') await attachments.check(each, signal)
  }

  const status = async (request: CniRequest, config: OwnConfig, signal: AbortSignal): Promise<void> => {
    const each = eachEligibility(config).map(delegated)
    for (const delegate of each) if (delegate) await statusList(delegate, nobodys(request, signal), ports.find)
    if (!each.includes(undefined)) return
    try {
      await ports.site(AbortSignal.any([signal, AbortSignal.timeout(STATUS_MS)]))
    } catch (error) {
      throw new CniError('unavailable', asCniError(error).message, {cause: error})
    }
  }

  const run = async (request: CniRequest, signal: AbortSignal): Promise<object | undefined> => {
    if (request.command === 'DEL') {
      // What is being attached to a pod that goes need not be finished.
      if (oneNetwork(request) === undefined) serial.hurry(request.containerId)
      await serial.run(request.containerId, () => del(request, signal))
      return undefined
    }
    const stdin = parseConfig(request.stdin)
    if (request.command === 'VERSION') return {cniVersion: stdin.cniVersion, supportedVersions: VERSIONS}
    const config = ownConfig(stdin.plugins[0]!)
    switch (request.command) {
      case 'ADD':
        return serial.run(request.containerId, turn => add(request, config, signal, turn))
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
      const more = oneNetwork(request) === undefined ? furtherOf(attachments, request.containerId) : []
      log.warn('the runtime went away before it could be told of an ADD; it is undone', {
        container: request.containerId,
        interface: request.ifname,
      })
      await Promise.all([entry, ...more].map(each => attachments.remove(each)))
    })

  return {
    handle: async raw => {
      const startedAt = performance.now()
      let request: CniRequest | undefined
      const finish = (error?: CniError) =>
        ports.done({
          command: request?.command,
          error,
          request,
          ms: performance.now() - startedAt,
          debug: debugLog(raw),
        })
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

/** Kactus': the variables are the runtime's, and root's. */
function debugLog({env}: ShimRequest): DebugLog | undefined {
  const file = env.get('_CNI_LOGGING_FILE') ?? ''
  if (!file.startsWith('/') || env.get('_CNI_LOGGING_LEVEL') === '0') return undefined
  return {file, prefix: env.get('_CNI_LOGGING_PREFIX') ?? ''}
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

/** Of the config, for an error about whatever else it holds. */
function versionOf({stdin}: ShimRequest): string {
  try {
    const {cniVersion} = JSON.parse(stdin.toString()) as {cniVersion?: unknown}
    if (typeof cniVersion === 'string' && /^\d+\.\d+\.\d+$/.test(cniVersion)) return cniVersion
  } catch {}
  return VERSIONS.at(-1)!
}
