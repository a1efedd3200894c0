/** The CNI verbs: a request is checked, waits for its turn, and becomes the work on one attachment. CNI spec 1.1.0, section 2. */

import {InvalidInput, quoted} from '../model/errors.ts'
import type {Logger} from '../model/logger.ts'
import {type Namespaces, type Sandbox, SandboxGone} from '../model/namespace.ts'
import type {Attachments} from './attachments.ts'
import {parseConfig} from './config.ts'
import {delegated, type OwnConfig, type PodSettings, type PodSite, podNetwork} from './default-network.ts'
import {type CniCode, CniError, formatError} from './error.ts'
import {type Entry, isFurther, keyOf, type Plan, type PlannedAttachment, type PlannedList} from './journal.ts'
import {createLater} from './later.ts'
import {delList, gcList, type ListCall, statusList, type ValidAttachment} from './list.ts'
import type {PlannedInterface, PodNetworks} from './networks.ts'
import {ownConfig} from './own-config.ts'
import type {FindPlugin} from './plugin.ts'
import type {ShimRequest} from './protocol.ts'
import {isRecord} from './record.ts'
import {type AttachmentKey, asCniError, type CniRequest, type Command, decodeCall, parseArgs} from './request.ts'
import type {CniResult} from './result.ts'
import type {Serial} from './serial.ts'
import type {Answer} from './server.ts'
import {hostName} from './types/marks.ts'
import {formatResult, parseResult, VERSIONS} from './versions.ts'
import type {First} from './ways-out.ts'

export interface FrontPorts {
  readonly attachments: Attachments
  readonly namespaces: Namespaces
  readonly find: FindPlugin
  readonly serial: Serial
  readonly pods: PodSettings
  readonly networks: PodNetworks
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

  const add = async (request: CniRequest, config: OwnConfig, signal: AbortSignal): Promise<object> => {
    const known = attachments.entries.get(keyOf(request))
    // The shim asks again when the agent has been restarted under it.
    if (known?.state === 'added' && known.plan.request === request.id) return answerOf(wholeResult(known), config)
    const network = networkOf(request)
    if (known?.state === 'added' && network !== undefined && known.plan.attachment?.selection.name === network)
      // Whoever was first, it is there.
      return answerOf(known.result!, config)
    if (known?.state === 'added')
      throw new CniError('failed', `container ${request.containerId} has ${request.ifname} already; DEL comes first`)
    if (network === undefined) await removeLeftovers(request)
    await unlessAborted(attachments.settled(request), signal)
    const sandbox = await ports.namespaces.open(request.netns).catch(error => {
      throw error instanceof SandboxGone || error instanceof InvalidInput
        ? new CniError('invalidEnvironment', `CNI_NETNS ${error.message}`, {cause: error})
        : error
    })
    try {
      if (network !== undefined) return answerOf(await addOne(request, network, config, sandbox, signal), config)
      const [start] = await Promise.all([
        ports.networks.atStart(request, config, signal),
        requireFree(sandbox, request.ifname),
      ])
      const {first, more} = start
      const list = first?.list ?? (await listOf(config, signal))
      const plan = planOf(request, config, sandbox, {
        list,
        args: first?.args ?? request.args,
        ifname: request.ifname,
        attachment: first?.attachment,
      })
      const others = more.map(each => planOf(request, config, sandbox, each))
      return answerOf(await addAll(plan, others, sandbox, signal), config)
    } finally {
      // Nobody waits for that.
      sandbox.close().catch(() => {})
    }
  }

  /** As a chained plugin. */
  const pass = async (request: CniRequest, config: OwnConfig, signal: AbortSignal): Promise<object> => {
    const {first, more} = await ports.networks.atStart(request, config, signal)
    if (first || more.length > 0)
      throw new CniError(
        'unsupportedField',
        'the pod asks for further networks, which a chained plugin does not attach: let netgraft be the first plugin, with the present one as its delegate (netgraft install --keep-default)',
      )
    return answerOf(parseResult(config.prevResult, config.cniVersion), config)
  }

  /** All at once; none without the others. What is told of the first is told of all: it is the last to be written. */
  const addAll = async (
    plan: Plan,
    others: readonly Plan[],
    sandbox: Sandbox,
    signal: AbortSignal,
  ): Promise<CniResult> => {
    const made = others.map(other => addFurther(other, sandbox, signal))
    const all = Promise.all(made)
    all.catch(() => {})
    try {
      const result = await attachments.add(plan, sandbox, {
        signal,
        durable: !ports.isVolatile(plan.list),
        with: async first => {
          await all
          for (const other of others) await routeOut(other, sandbox, {ifname: plan.ifname, result: first})
        },
      })
      return joined(result, await all)
    } catch (error) {
      const outcomes = await Promise.allSettled(made)
      await Promise.all(others.map(other => removeIfThere(other)))
      // Those of the others have their names already.
      throw outcomes.some(each => each.status === 'rejected' && each.reason === error) ? error : named(error, plan)
    }
  }

  /** One that is there. */
  const routeOut = async (plan: Plan, sandbox: Sandbox, first: First): Promise<void> => {
    if (attachments.entries.get(keyOf(plan))?.state === 'added') await attachments.route(plan, sandbox, first)
  }

  const addFurther = async (plan: Plan, sandbox: Sandbox, signal: AbortSignal): Promise<CniResult | undefined> => {
    try {
      await requireFree(sandbox, plan.ifname)
      return await attachments.add(plan, sandbox, {signal, durable: !ports.isVolatile(plan.list)})
    } catch (error) {
      if (plan.attachment?.selection.optional) return undefined
      throw named(error, plan)
    }
  }

  const removeIfThere = async (key: AttachmentKey): Promise<void> => {
    const entry = attachments.entries.get(keyOf(key))
    if (entry) await attachments.remove(entry)
  }

  /** Of an ADD that a kill cut short: further networks without the first one. */
  const removeLeftovers = async ({containerId}: CniRequest): Promise<void> => {
    const left = further(attachments, containerId)
    for (const entry of left)
      log.info('what an unfinished ADD has left is removed', {container: containerId, interface: entry.plan.ifname})
    await Promise.all(left.map(entry => attachments.remove(entry)))
    await Promise.all(left.map(({plan}) => attachments.settled(plan)))
  }

  /** Another controller's: one network of a pod that runs. */
  const addOne = async (
    request: CniRequest,
    network: string,
    config: OwnConfig,
    sandbox: Sandbox,
    signal: AbortSignal,
  ): Promise<CniResult> => {
    const [one] = await Promise.all([
      ports.networks.one(request, network, config, signal),
      requireFree(sandbox, request.ifname),
    ])
    const plan = planOf(request, config, sandbox, one)
    return attachments.add(plan, sandbox, {signal, durable: !ports.isVolatile(plan.list)})
  }

  const planOf = (
    request: CniRequest,
    config: OwnConfig,
    sandbox: Sandbox,
    {
      ifname,
      list,
      args,
      attachment,
    }: Omit<PlannedInterface, 'attachment'> & {readonly attachment?: PlannedAttachment | undefined},
  ): Plan => ({
    request: request.id,
    containerId: request.containerId,
    ifname,
    netns: request.netns,
    sandbox: sandbox.id,
    boot: attachments.boot,
    args,
    path: request.path,
    pod: request.pod,
    network: config.name,
    list,
    ...(attachment && {attachment}),
    at: Date.now(),
  })

  /** As it was answered: with the interfaces of the networks that came with it. */
  const wholeResult = ({plan, result}: Entry): CniResult =>
    joined(
      result!,
      further(attachments, plan.containerId)
        .filter(({plan: {request}}) => request === plan.request)
        .map(entry => entry.result),
    )

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
    if (isFurther(entry.plan)) return
    for (const each of further(attachments, request.containerId))
      if (each.state === 'added') await attachments.check(each, signal)
  }

  const del = async (request: CniRequest, signal: AbortSignal): Promise<void> => {
    const entry = attachments.entries.get(keyOf(request))
    const more = networkOf(request) === undefined ? further(attachments, request.containerId) : []
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
      // What is being attached to a pod that goes need not be finished.
      if (networkOf(request) === undefined) serial.hurry(request.containerId)
      await serial.run(request.containerId, () => del(request, signal))
      return undefined
    }
    const stdin = parseConfig(request.stdin)
    if (request.command === 'VERSION') return {cniVersion: stdin.cniVersion, supportedVersions: VERSIONS}
    const config = ownConfig(stdin.plugins[0]!)
    switch (request.command) {
      case 'ADD':
        if (config.prevResult !== undefined) return serial.run(request.containerId, () => pass(request, config, signal))
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
      const more = networkOf(request) === undefined ? further(attachments, request.containerId) : []
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

/** K8S_POD_NETWORK of CNI_ARGS: another controller acts on that network alone. */
const networkOf = ({args}: CniRequest): string | undefined => parseArgs(args).get('K8S_POD_NETWORK') || undefined

/** The further networks of a container. */
const further = ({ofContainer}: Attachments, containerId: string): Entry[] =>
  ofContainer(containerId).filter(({plan}) => isFurther(plan))

/**
 * The interfaces of all, but only the first one's addresses: there are runtimes (CRI-O) that take every address of a
 * result for one of the pod's own, and a pod has at most one of each family.
 */
const joined = (first: CniResult, more: readonly (CniResult | undefined)[]): CniResult => ({
  ...first,
  interfaces: [...first.interfaces, ...more.flatMap(each => each?.interfaces ?? [])],
})

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

/** Of one of several: which it is. */
function named(error: unknown, {ifname, attachment}: Plan): unknown {
  if (!attachment) return error
  const {code, number, details, message} = asCniError(error)
  const {namespace, name} = attachment.definition
  const title = namespace === '' ? name : `${namespace}/${name}`
  return new CniError(code, `${ifname} (network ${quoted(title)}) cannot be attached: ${message}`, {
    number,
    cause: error,
    ...(details !== undefined && {details}),
  })
}

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
