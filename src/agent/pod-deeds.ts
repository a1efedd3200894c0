/** What a pass does to a pod's networks: attaches, changes and detaches them, all that do not wait for each other at once. */
import type {AttachmentPlan, Standing, Wanted} from '../attach/plan.ts'
import type {Attachments} from '../cni/attachments.ts'
import {argsOf} from '../cni/definition.ts'
import {type Entry, keyOf, type Plan, type PlannedAttachment, type PlannedList} from '../cni/journal.ts'
import type {AttachmentKey} from '../cni/request.ts'
import type {CniResult} from '../cni/result.ts'
import type {Selected} from '../model/attachment.ts'
import {NetgraftError, quoted} from '../model/errors.ts'
import type {Logger} from '../model/logger.ts'
import type {Namespaces, Sandbox} from '../model/namespace.ts'
import type {PodFacts} from '../streams/pods.ts'
import type {HeldWishes} from './held-wishes.ts'
import {deviceKeys} from './pod-networks.ts'
import {isThere, type PodSandbox} from './pod-sandbox.ts'
import {isMadeFor, networkOf} from './pod-states.ts'

/** What was done to an attachment. */
export interface PodAction {
  readonly op: 'attach' | 'detach' | 'update' | 'replace'
  /** "namespace/name" of the definition. */
  readonly network: string
  readonly ifname: string
  /** Milliseconds. */
  readonly ms: number
  /** Undefined: it was done. */
  readonly error?: Error | undefined
}

/** Somebody else has made an interface of that name in the pod: another plugin, before us. */
export class NotOurs extends NetgraftError {
  readonly code = 'ENOTOURS'

  constructor(ifname: string) {
    super(`${quoted(ifname)} is already there in the pod, and not of our making; remove it, or choose another name`)
  }
}

export interface DeedPorts {
  readonly attachments: Attachments
  readonly namespaces: Namespaces
  /** Whether the agent itself makes all of it. */
  readonly isNative: (list: PlannedList) => boolean
  /** Of an interface that bears our marks, what ADD once answered. */
  readonly standing: (sandbox: Sandbox, key: AttachmentKey) => Promise<CniResult | undefined>
  /** Milliseconds. */
  readonly deadlineMs: number
  readonly log: Logger
}

/** One pass over one pod, and what has come of it so far. */
export interface PodWork {
  readonly ports: DeedPorts
  readonly held: HeldWishes
  readonly pod: PodFacts
  readonly sandbox: PodSandbox
  readonly signal: AbortSignal
  readonly actions: PodAction[]
  /** By interface. */
  readonly failures: Map<string, string>
}

export type StandingEntry = Standing & {readonly entry: Entry}

/** Milliseconds that what comes next waits for what has been taken away to be gone. */
const GONE_MS = 3000

/** What fails is in the work's failures. What goes goes first. */
export async function carryOut(
  work: PodWork,
  {attach, change, detach: leaving}: AttachmentPlan<PlannedList, StandingEntry>,
): Promise<void> {
  await Promise.all(leaving.map(each => detach(work, each)))
  if (attach.length + change.length === 0) return
  const {ports, sandbox: place, failures} = work
  const sandbox = await ports.namespaces.open(place.netns).catch((error: Error) => {
    for (const {ifname} of [...attach, ...change.map(({to}) => to)]) failures.set(ifname, error.message)
    return undefined
  })
  if (!sandbox) return
  try {
    await Promise.all([
      ...change.map(({from, to}) => alter(work, sandbox, from, to)),
      ...attach.map(wanted => timed(work, 'attach', wanted, () => add(work, sandbox, wanted))),
    ])
  } finally {
    sandbox.close().catch(() => {})
  }
}

function detach(work: PodWork, {entry, ifname, selection}: StandingEntry): Promise<void> {
  const {attachments, isNative} = work.ports
  return timed(work, 'detach', {ifname, selected: {selection}}, async () => {
    await attachments.remove(entry)
    if (isNative(entry.plan.list)) return
    await within(attachments.settled(entry.plan), GONE_MS, () => whyStill(attachments, entry.plan))
    await removeLeft(work, ifname)
  })
}

/** Why what stood has not gone yet, though it is taken away. Undefined: it stands, or goes in a moment, as ours do. */
export function whyStuck({attachments, isNative}: DeedPorts, {plan, state, result}: Entry): string | undefined {
  const isStuck =
    state === 'deleting' && result !== undefined && (!isNative(plan.list) || attachments.trouble(plan) !== undefined)
  return isStuck ? whyStill(attachments, plan) : undefined
}

const whyStill = (attachments: Attachments, key: AttachmentKey): string =>
  `it is not asked for any more, but has not gone yet: ${attachments.trouble(key) ?? 'its plugins are at it'}`

/** There are plugins that say it has gone, and leave it. */
async function removeLeft({ports, sandbox: place}: PodWork, ifname: string): Promise<void> {
  const sandbox = await ports.namespaces.open(place.netns).catch(() => undefined)
  if (!sandbox) return
  try {
    const kernel = await sandbox.kernel()
    const link = await kernel.link(ifname)
    if (!link) return
    ports.log.warn('a plugin has left an interface in a pod; it is removed', {
      container: place.containerId,
      interface: ifname,
    })
    const [outcome] = await kernel.change([{op: 'delete', object: 'link', item: link.index}])
    if (outcome?.refusal) throw outcome.refusal
  } finally {
    await sandbox.close()
  }
}

/** In place where the kernel can, else anew. */
async function alter(
  work: PodWork,
  sandbox: Sandbox,
  {entry}: StandingEntry,
  wanted: Wanted<PlannedList>,
): Promise<void> {
  const {held, failures} = work
  const {attachments} = work.ports
  const {ifname, selected} = wanted
  const key = keyOf(entry.plan)
  const wish = JSON.stringify([selected.selection, wanted.resolution.list])
  const hold = held.reason(key, wish)
  if (hold !== undefined) {
    failures.set(ifname, hold)
    return
  }
  let inPlace = false
  await timed(work, 'update', wanted, async () => {
    inPlace = (await attachments.update(entry, planOf(work, sandbox, wanted))) !== undefined
    return inPlace
  })
  if (inPlace || failures.has(ifname)) return
  await timed(work, 'replace', wanted, async () => {
    await attachments.possible(planOf(work, sandbox, wanted))
    await attachments.remove(entry)
    try {
      await add(work, sandbox, wanted)
      held.forget(key)
    } catch (error) {
      if (isMadeFor(entry, selected, ifname)) {
        held.hold(key, wish, (error as Error).message)
        await putBack(work, sandbox, entry)
      }
      throw error
    }
  })
}

/** What has worked is better than nothing. */
async function putBack({ports, signal}: PodWork, sandbox: Sandbox, {plan}: Entry): Promise<void> {
  const {attachments, deadlineMs, isNative, log} = ports
  const fields = {container: plan.containerId, interface: plan.ifname}
  try {
    await within(attachments.settled(plan), GONE_MS, () => 'what has failed has not gone yet')
    await attachments.add({...plan, at: Date.now()}, sandbox, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]),
      durable: !isNative(plan.list),
    })
    log.info('a network could not be changed; it is as it was before', fields)
  } catch (error) {
    log.warn('a network could not be changed, nor be put back', {...fields, reason: (error as Error).message})
  }
}

async function add(work: PodWork, sandbox: Sandbox, wanted: Wanted<PlannedList>): Promise<void> {
  const {ports, signal} = work
  const {attachments} = ports
  const plan = planOf(work, sandbox, wanted)
  await within(attachments.settled(plan), GONE_MS, () => {
    const why = attachments.trouble(plan)
    return `what was there before as ${quoted(plan.ifname)} has not gone yet${why === undefined ? '' : `: ${why}`}`
  })
  if (await isThere(sandbox, plan.ifname)) {
    const result = await ports.standing(sandbox, plan)
    if (result) return attachments.adopt(plan, result, !ports.isNative(plan.list))
    throw new NotOurs(plan.ifname)
  }
  await attachments.add(plan, sandbox, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(ports.deadlineMs)]),
    durable: !ports.isNative(plan.list),
  })
}

/** `sandbox`: the open one. */
export function planOf(
  {pod, sandbox: place, ports}: Pick<PodWork, 'pod' | 'sandbox' | 'ports'>,
  sandbox: Sandbox,
  {ifname, selected, resolution}: Wanted<PlannedList>,
): Plan {
  const {selection} = selected
  const {definition, config, device, resource, list} = resolution
  const ref = {namespace: pod.namespace, name: pod.name, uid: place.first?.plan.pod?.uid ?? pod.uid}
  const attachment: PlannedAttachment = {
    origin: 'annotation',
    selection,
    definition,
    config,
    ...deviceKeys(device, resource),
  }
  return {
    request: '',
    containerId: place.containerId,
    ifname,
    netns: place.netns,
    sandbox: sandbox.id,
    boot: ports.attachments.boot,
    args: argsOf(ref, place.containerId, selection),
    path: place.path,
    pod: ref,
    network: place.network,
    list,
    attachment,
    at: Date.now(),
  }
}

/** `run`: false: it was not that what had to be done. Never rejects. */
async function timed(
  {actions, failures}: PodWork,
  op: PodAction['op'],
  {ifname, selected}: {readonly ifname: string; readonly selected: Pick<Selected, 'selection'>},
  run: () => Promise<unknown>,
): Promise<void> {
  const began = performance.now()
  const tell = (error?: Error) =>
    actions.push({
      op,
      network: networkOf(selected.selection),
      ifname,
      ms: performance.now() - began,
      ...(error && {error}),
    })
  try {
    const done = await run()
    if (done !== false) tell()
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    failures.set(ifname, error.message)
    tell(error)
  }
}

async function within(work: Promise<void>, ms: number, otherwise: () => string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(otherwise())), ms)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
