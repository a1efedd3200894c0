/** ADD: the interfaces of a pod that starts, or one network of a pod that runs. CNI spec 1.1.0, section 2. */
import {InvalidInput, quoted} from '../model/errors.ts'
import type {Logger} from '../model/logger.ts'
import {type Namespaces, type Sandbox, SandboxGone} from '../model/namespace.ts'
import type {Attachments} from './attachments.ts'
import {
  byEligibility,
  delegated,
  isByEligibility,
  type OwnConfig,
  type PodSettings,
  type PodSite,
  podNetwork,
} from './default-network.ts'
import {CniError} from './error.ts'
import {type Entry, furtherOf, keyOf, type Plan, type PlannedAttachment, type PlannedList} from './journal.ts'
import {oneNetwork, type PlannedInterface, type PodNetworks} from './networks.ts'
import {type AttachmentKey, asCniError, type CniRequest} from './request.ts'
import type {CniResult} from './result.ts'
import type {Turn} from './serial.ts'
import {formatResult, parseResult} from './versions.ts'
import type {First} from './ways-out.ts'

export interface AddPorts {
  readonly attachments: Attachments
  readonly namespaces: Namespaces
  readonly pods: PodSettings
  readonly networks: PodNetworks
  /** What is known of this node. Rejects with CniError (11) when that is not enough in time. */
  readonly site: (signal: AbortSignal) => Promise<PodSite>
  /** Whether nothing of the list outlives the machine's memory. */
  readonly isVolatile: (list: PlannedList) => boolean
  readonly log: Logger
}

/** The answer, in the config's version. Rejects with CniError. */
export type Add = (request: CniRequest, config: OwnConfig, signal: AbortSignal, turn: Turn) => Promise<object>

export function createAdd(ports: AddPorts): Add {
  const {attachments, log} = ports

  const add: Add = async (request, config, signal, turn) => {
    const known = attachments.entries.get(keyOf(request))
    // The shim asks again when the agent has been restarted under it.
    if (known?.state === 'added' && known.plan.request === request.id) return answerOf(wholeResult(known), config)
    const network = oneNetwork(request)
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
      const [start, eligible] = await Promise.all([
        ports.networks.atStart(request, config, signal),
        isByEligibility(config) && ports.networks.eligible(request, signal),
        requireFree(sandbox, request.ifname),
      ])
      const {first, more, ready} = start
      const list = first?.list ?? (await listOf(byEligibility(config, eligible), signal))
      const plan = planOf(request, config, sandbox, {
        list,
        args: first?.args ?? request.args,
        ifname: request.ifname,
        attachment: first?.attachment,
      })
      const others = more.map(each => planOf(request, config, sandbox, each))
      // Others must not wait for a place that nothing is done in; whose DEL is there need not wait any longer.
      const wait = ready && (() => turn.aside(() => ready(AbortSignal.any([signal, turn.inTheWay]))))
      return answerOf(await addAll(plan, others, sandbox, signal, wait), config)
    } finally {
      // Nobody waits for that.
      sandbox.close().catch(() => {})
    }
  }

  /** All at once; none without the others. What is told of the first is told of all: it is the last to be written. */
  const addAll = async (
    plan: Plan,
    others: readonly Plan[],
    sandbox: Sandbox,
    signal: AbortSignal,
    ready: (() => Promise<void>) | undefined,
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
          await ready?.()
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
    const left = furtherOf(attachments, containerId)
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
    ...(config.ratchet?.parent && !attachment && {parent: config.ratchet.parent}),
    at: Date.now(),
  })

  /** As it was answered: with the interfaces of the networks that came with it. */
  const wholeResult = ({plan, result}: Entry): CniResult =>
    joined(
      result!,
      furtherOf(attachments, plan.containerId)
        .filter(({plan: {request}}) => request === plan.request)
        .map(entry => entry.result),
    )

  /** What a pod's first interface is made of. As a chained plugin there is nothing to make: it is there. */
  const listOf = async (config: OwnConfig, signal: AbortSignal): Promise<PlannedList> =>
    delegated(config) ?? podNetwork(config, await ports.site(signal), ports.pods)

  /** As a chained plugin. */
  const pass = async (request: CniRequest, config: OwnConfig, signal: AbortSignal): Promise<object> => {
    const {first, more, ready} = await ports.networks.atStart(request, config, signal)
    if (ready)
      throw new CniError(
        'unsupportedField',
        'the pod is to start with its pairs, which a chained plugin cannot wait for: let netgraft be the first plugin, with the present one as its delegate (netgraft install --keep-default)',
      )
    if (first || more.length > 0)
      throw new CniError(
        'unsupportedField',
        'the pod asks for further networks, which a chained plugin does not attach: let netgraft be the first plugin, with the present one as its delegate (netgraft install --keep-default)',
      )
    return answerOf(parseResult(config.prevResult, config.cniVersion), config)
  }

  return (request, config, signal, turn) =>
    config.prevResult === undefined ? add(request, config, signal, turn) : pass(request, config, signal)
}

/**
 * The interfaces of all, but only the first one's addresses: there are runtimes (CRI-O) that take every address of a
 * result for one of the pod's own, and a pod has at most one of each family.
 */
const joined = (first: CniResult, more: readonly (CniResult | undefined)[]): CniResult => ({
  ...first,
  interfaces: [...first.interfaces, ...more.flatMap(each => each?.interfaces ?? [])],
})

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

const answerOf = (result: CniResult, {cniVersion}: OwnConfig): object => formatResult(result, cniVersion)

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await Promise.race([
    work,
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), {once: true})),
  ])
}
