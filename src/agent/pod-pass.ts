/** One pod's pass: what its annotations ask for, against what it has. Level-triggered; the journal and the kernel know what it has. */
import {setImmediate} from 'node:timers/promises'
import {assignNames} from '../attach/names.ts'
import {isResolved, planAttachments, type Standing, type Wanted, type Wish} from '../attach/plan.ts'
import {rememberedNetworks} from '../attach/remembered.ts'
import {type AttachmentState, statedInterfaces} from '../attach/status.ts'
import type {Attachments} from '../cni/attachments.ts'
import {argsOf} from '../cni/definition.ts'
import {type Entry, isFurther, keyOf, type Plan, type PlannedAttachment, type PlannedList} from '../cni/journal.ts'
import type {AttachmentKey} from '../cni/request.ts'
import type {CniResult} from '../cni/result.ts'
import type {Serial} from '../cni/serial.ts'
import type {Selected, Selection, SelectionProblem} from '../model/attachment.ts'
import {quoted} from '../model/errors.ts'
import type {Logger} from '../model/logger.ts'
import type {Namespaces, Sandbox} from '../model/namespace.ts'
import {POD_ANNOTATIONS, type PodFacts, type PodKey} from '../streams/pods.ts'
import {createHeldWishes, type HeldWishes} from './held-wishes.ts'
import {deviceKeys, isSamePod, type Lookup} from './pod-networks.ts'

/** What was done to an attachment. */
export interface PodAction {
  readonly op: 'attach' | 'detach' | 'update' | 'replace'
  /** "namespace/name" of the definition. */
  readonly network: string
  readonly ifname: string
  /** Of its first plugin. */
  readonly type: string
  /** Milliseconds. */
  readonly ms: number
  /** Undefined: it was done. */
  readonly error?: Error | undefined
}

export interface PodReport {
  readonly key: PodKey
  /** Undefined: it has gone, or its networks are none of ours. */
  readonly pod?: PodFacts | undefined
  /** In the order of the annotations. */
  readonly states: readonly AttachmentState[]
  readonly actions: readonly PodAction[]
  /** Of its first interface. */
  readonly first?: Entry | undefined
  /** What it has now, beside that: in the order of the annotations. Undefined: that is not known. */
  readonly more: readonly Entry[] | undefined
  /** To be tried again. */
  readonly failed: boolean
}

/** Where a pod's networks are to be made. */
export interface PodSandbox {
  readonly containerId: string
  readonly netns: string
  /** CNI_PATH. */
  readonly path: readonly string[]
  readonly network: string
  /** Undefined: the journal does not know it. */
  readonly first?: Entry
}

export interface PodPassPorts {
  readonly attachments: Attachments
  readonly serial: Serial
  readonly namespaces: Namespaces
  readonly lookup: Lookup
  readonly pod: (key: PodKey) => PodFacts | undefined
  /** Of a running pod that the journal does not know. Rejects where that cannot be asked. */
  readonly findSandbox: (pod: PodFacts, signal: AbortSignal) => Promise<PodSandbox | undefined>
  /** Whether the agent itself makes all of it. */
  readonly isNative: (list: PlannedList) => boolean
  /** Of an interface that bears our marks, what ADD once answered. */
  readonly standing: (sandbox: Sandbox, key: AttachmentKey) => Promise<CniResult | undefined>
  /** Milliseconds. */
  readonly deadlineMs: number
  readonly log: Logger
}

/** Milliseconds that what comes next waits for what has been taken away to be gone. */
const GONE_MS = 3000
/** What every runtime calls a pod's first interface. */
const FIRST = 'eth0'

export function createPodPass(ports: PodPassPorts): (key: PodKey, signal: AbortSignal) => Promise<PodReport> {
  const {attachments, serial, lookup} = ports
  const held = createHeldWishes()
  let unasked = false

  const search = async (
    pod: PodFacts,
    signal: AbortSignal,
  ): Promise<{readonly sandbox?: PodSandbox | undefined; readonly why?: string}> => {
    try {
      const sandbox = await ports.findSandbox(pod, signal)
      unasked = false
      return {sandbox}
    } catch (error) {
      signal.throwIfAborted()
      const {message} = error as Error
      // It is the same for all pods.
      if (!unasked) ports.log.warn('sandboxes of running pods cannot be found; trying again', {reason: message})
      unasked = true
      return {why: `: ${message}`}
    }
  }

  return async (key, signal) => {
    const none = {key, states: [], actions: [], more: [], failed: false}
    const pod = ports.pod(key)
    // What ends keeps what it has, until the runtime takes it down.
    if (!pod || pod.hostNetwork || pod.ending) return none
    const {selected, problems} = lookup.parse(pod)
    const newest = firstOf(attachments, pod)
    const first = newest?.state === 'added' ? newest : undefined
    const asks = selected.length > 0 || problems.length > 0
    if (!asks && !hasFurther(attachments, pod) && (newest || !isTold(pod))) return {...none, pod, first}
    const unknown = !newest && pod.hasAddress
    const found = unknown ? await search(pod, signal) : undefined
    const sandbox = first ? sandboxOf(first) : found?.sandbox
    if (!sandbox) {
      const reason = found ? `its sandbox is not known${found.why ?? ''}` : 'the pod has not started yet'
      const pending = selected.map(each => stateOf(each, 'pending', {reason}))
      return {...none, pod, states: [...pending, ...problems.map(problemState)], more: undefined, failed: unknown}
    }
    return serial.beside(sandbox.containerId, async inTheWay => {
      const stop = AbortSignal.any([signal, inTheWay])
      for (;;) {
        // It may have been edited again while this one waited.
        const now = ports.pod(key)
        const still = first && attachments.entries.get(keyOf(first.plan))
        if (now?.uid !== pod.uid || now.ending || (first && still?.state !== 'added')) return none
        // The runtime calls a sandbox ready from which it has taken the network already.
        if (!first && !(await hasFirst(ports, sandbox))) return {...none, pod: now, more: undefined, failed: true}
        if (inTheWay.aborted) return none
        const report = await passIn({...ports, held}, now, {...sandbox, ...(still && {first: still})}, stop).catch(
          error => {
            if (inTheWay.aborted) return none
            throw error
          },
        )
        // The pod is taken down: nobody needs to be told.
        if (inTheWay.aborted) return none
        if (report) return report
      }
    })
  }
}

/** Undefined: the annotations have been edited meanwhile, and nothing has been done. */
async function passIn(
  ports: PassPorts,
  pod: PodFacts,
  sandbox: PodSandbox,
  signal: AbortSignal,
): Promise<PodReport | undefined> {
  const {attachments, lookup} = ports
  const {containerId} = sandbox
  const key: PodKey = `${pod.namespace}/${pod.name}`
  const parsed = lookup.parse(pod)
  const actions: PodAction[] = []
  const failures = new Map<string, string>()
  const work = {ports, pod, sandbox, signal, actions, failures}
  if (!sandbox.first) await recall(work, parsed.selected)
  const entries = furtherOf(attachments, containerId)
  const standing = entries.filter(({state}) => state === 'added').map(standingOf)
  // An annotation that cannot be read may have named what the other one names, too.
  const unclear = parsed.problems.some(({means}) => !means)
  const stands = ({namespace, name, dialect}: Selection) =>
    standing.some(({selection: each}) => each.namespace === namespace && each.name === name && each.dialect !== dialect)
  const hot = parsed.selected.filter(({selection}) => !selection.primary && !(unclear && stands(selection)))
  // What another controller has made keeps its name.
  const theirs = standing.filter(({origin}) => origin === 'request').map(({ifname}) => ifname)
  const taken = new Set([sandbox.first?.plan.ifname ?? FIRST, ...theirs])
  const {named, problems: unnamed} = assignNames(hot, standing, {taken})
  const problems = [...parsed.problems, ...unnamed]
  const pod_ = {namespace: pod.namespace, name: pod.name, uid: pod.uid}
  const devices = new Map(
    standing.flatMap(({ifname, device, entry}) => {
      const {resource} = entry.plan.attachment!
      return device === undefined ? [] : [[ifname, {device, resource}] as const]
    }),
  )
  const started = new Set(standing.map(({ifname}) => ifname))
  const [mine, others] = [
    named.filter(({selected, ifname}) => !selected.selection.startOnly || started.has(ifname)),
    named.filter(({selected, ifname}) => selected.selection.startOnly && !started.has(ifname)),
  ]
  const wishes: readonly Wish<PlannedList>[] = await lookup.resolve(pod_, mine, {standing: devices, signal})
  const plan = planAttachments(wishes, standing, problems)

  if (plan.change.length + plan.detach.length > 0) {
    // Edits come in bursts: nothing that works is taken down for a wish that has been taken back.
    await setImmediate()
    if (ports.pod(key)?.annotations !== pod.annotations) return undefined
  }
  if (plan.attach.length + plan.change.length + plan.detach.length > 0) {
    await Promise.all(plan.detach.map(each => detach(work, each)))
    if (plan.attach.length + plan.change.length > 0) await build(work, plan.change, plan.attach)
  }

  const now = furtherOf(attachments, containerId)
  const refused = new Map(plan.refused.map(each => [each.ifname, each]))
  const kept = new Map(plan.keep.map(each => [each.standing.ifname, each]))
  const states: AttachmentState[] = parsed.selected.map(selected => {
    if (selected.selection.primary) return primaryState(selected, sandbox.first)
    const ifname = named.find(each => each.selected === selected)?.ifname
    if (ifname === undefined) {
      const problem = unnamed.find(({at}) => at.startsWith(selected.at))
      return stateOf(selected, 'failed', {reason: problem?.message ?? 'it has no name for its interface'})
    }
    if (others.some(each => each.selected === selected))
      return stateOf(selected, 'pending', {ifname, reason: 'podagentSkip: it is left to another controller'})
    const failure = failures.get(ifname) ?? refused.get(ifname)?.reason
    // What could not be changed may stand as it was.
    const state = now.some(entry => entry.state === 'added' && isWhat(entry, selected, ifname)) ? 'attached' : 'failed'
    if (failure !== undefined) return stateOf(selected, state, {ifname, reason: failure})
    return stateOf(selected, 'attached', {ifname, reason: kept.get(ifname)?.reason})
  })
  const asked = new Set(named.map(({ifname}) => ifname))
  const beside = [...kept.values()].filter(each => !asked.has(each.standing.ifname))
  return {
    key,
    pod,
    states: [
      ...states,
      ...parsed.problems.map(problemState),
      ...beside.map(({standing: {selection, ifname}, reason}) =>
        stateOf({at: '', selection}, 'attached', {ifname, reason}),
      ),
      ...now
        .filter(entry => isStuck(ports, entry) && !asked.has(entry.plan.ifname))
        .map(({plan: {ifname, attachment}}) =>
          stateOf({at: '', selection: attachment!.selection}, 'attached', {
            ifname,
            reason: whyStill(attachments, {containerId, ifname}),
          }),
        ),
      ...plan.detach
        .filter(({ifname}) => failures.has(ifname) && !now.some(({plan}) => plan.ifname === ifname))
        .map(({selection, ifname}) => stateOf({at: '', selection}, 'failed', {ifname, reason: failures.get(ifname)})),
    ],
    actions,
    first: sandbox.first,
    more: inOrder(
      now.filter(({state}) => state === 'added'),
      named.map(({ifname}) => ifname),
    ),
    failed: failures.size > 0 || plan.refused.some(({again}) => again),
  }
}

type PassPorts = PodPassPorts & {readonly held: HeldWishes}

/** Whether it is of that network, and has that name. */
const isWhat = ({plan}: Entry, {selection: {namespace, name}}: Selected, ifname: string): boolean =>
  plan.ifname === ifname &&
  plan.attachment?.selection.namespace === namespace &&
  plan.attachment.selection.name === name

interface Work {
  readonly ports: PassPorts
  readonly pod: PodFacts
  readonly sandbox: PodSandbox
  readonly signal: AbortSignal
  readonly actions: PodAction[]
  /** By interface. */
  readonly failures: Map<string, string>
}

type StandingEntry = Standing & {readonly entry: Entry}

/** What the journal has lost is taken on as it stands, under its name, whether it is asked for any more or not. */
async function recall({ports, pod, ...rest}: Work, selected: readonly Selected[]): Promise<void> {
  const {attachments, lookup, namespaces} = ports
  const {containerId, netns} = rest.sandbox
  const known = new Set(furtherOf(attachments, containerId).map(({plan}) => plan.ifname))
  const remembered = rememberedNetworks(pod.annotations[POD_ANNOTATIONS.networkStatus], selected)
  const lost = remembered.filter(({ifname}) => ifname !== FIRST && !known.has(ifname))
  if (lost.length === 0) return
  const sandbox = await namespaces.open(netns)
  try {
    for (const wish of await lookup.resolve(pod, lost, {signal: rest.signal})) {
      const {resolution, ifname} = wish
      if (!isResolved(resolution) || !(await isThere(sandbox, ifname))) continue
      const plan = planOf({ports, pod, ...rest}, sandbox, {...wish, resolution})
      const result = await ports.standing(sandbox, plan)
      if (result) await attachments.adopt(plan, result, !ports.isNative(plan.list))
    }
  } finally {
    await sandbox.close()
  }
}

/** Its status says that it has further networks. */
const isTold = ({annotations}: PodFacts): boolean =>
  statedInterfaces(annotations[POD_ANNOTATIONS.networkStatus]).length > 0

async function detach(work: Work, {entry, ifname, selection}: StandingEntry): Promise<void> {
  const {attachments} = work.ports
  await timed(work, {op: 'detach', network: networkOf(selection), ifname, type: typeOf(entry.plan.list)}, async () => {
    await attachments.remove(entry)
    if (work.ports.isNative(entry.plan.list)) return
    await within(attachments.settled(entry.plan), GONE_MS, () => whyStill(attachments, entry.plan))
    await removeLeft(work, ifname)
  })
}

/** It stood, and has not gone yet; what we take away ourselves goes in a moment. */
const isStuck = ({attachments, isNative}: PodPassPorts, {plan, state, result}: Entry): boolean =>
  state === 'deleting' && result !== undefined && (!isNative(plan.list) || attachments.trouble(plan) !== undefined)

const whyStill = (attachments: Attachments, key: AttachmentKey): string =>
  `it is not asked for any more, but has not gone yet: ${attachments.trouble(key) ?? 'its plugins are at it'}`

/** There are plugins that say it has gone, and leave it. */
async function removeLeft({ports, sandbox: place}: Work, ifname: string): Promise<void> {
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

/** Everything that does not wait for each other at once. */
async function build(
  work: Work,
  change: readonly {readonly from: StandingEntry; readonly to: Wanted<PlannedList>}[],
  attach: readonly Wanted<PlannedList>[],
): Promise<void> {
  const {ports, sandbox: place, failures} = work
  const sandbox = await ports.namespaces.open(place.netns).catch((error: Error) => {
    for (const {ifname} of [...attach, ...change.map(({to}) => to)]) failures.set(ifname, error.message)
    return undefined
  })
  if (!sandbox) return
  try {
    await Promise.all([
      ...change.map(({from, to}) => alter(work, sandbox, from, to)),
      ...attach.map(wanted => {
        const type = typeOf(wanted.resolution.list)
        const action = {
          op: 'attach',
          network: networkOf(wanted.selected.selection),
          ifname: wanted.ifname,
          type,
        } as const
        return timed(work, action, () => add(work, sandbox, wanted))
      }),
    ])
  } finally {
    sandbox.close().catch(() => {})
  }
}

/** In place where the kernel can, else anew. */
async function alter(work: Work, sandbox: Sandbox, {entry}: StandingEntry, wanted: Wanted<PlannedList>): Promise<void> {
  const {attachments, held} = work.ports
  const {ifname, selected} = wanted
  const key = keyOf(entry.plan)
  const wish = JSON.stringify([selected.selection, wanted.resolution.list])
  const hold = held.reason(key, wish)
  if (hold !== undefined) {
    work.failures.set(ifname, hold)
    return
  }
  const about = {network: networkOf(selected.selection), ifname, type: typeOf(wanted.resolution.list)}
  let inPlace = false
  await timed(work, {op: 'update', ...about}, async () => {
    inPlace = (await attachments.update(entry, planOf(work, sandbox, wanted))) !== undefined
    return inPlace
  })
  if (inPlace || work.failures.has(ifname)) return
  await timed(work, {op: 'replace', ...about}, async () => {
    await attachments.possible(planOf(work, sandbox, wanted))
    await attachments.remove(entry)
    try {
      await add(work, sandbox, wanted)
      held.forget(key)
    } catch (error) {
      if (isWhat(entry, selected, ifname)) {
        held.hold(key, wish, (error as Error).message)
        await putBack(work, sandbox, entry)
      }
      throw error
    }
  })
}

/** What has worked is better than nothing. */
async function putBack({ports, signal}: Work, sandbox: Sandbox, {plan}: Entry): Promise<void> {
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

async function add(work: Work, sandbox: Sandbox, wanted: Wanted<PlannedList>): Promise<void> {
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
    throw new Error(
      `${quoted(plan.ifname)} is already there in the pod, and not of our making; remove it, or choose another name`,
    )
  }
  await attachments.add(plan, sandbox, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(ports.deadlineMs)]),
    durable: !ports.isNative(plan.list),
  })
}

function planOf(
  {pod, sandbox: place, ports}: Work,
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

/** `run`: false: it was not that what had to be done. */
async function timed(
  {actions, failures}: Work,
  action: Omit<PodAction, 'ms' | 'error'>,
  run: () => Promise<unknown>,
): Promise<void> {
  const began = performance.now()
  const ms = () => performance.now() - began
  try {
    const done = await run()
    if (done !== false) actions.push({...action, ms: ms()})
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    failures.set(action.ifname, error.message)
    actions.push({...action, ms: ms(), error})
  }
}

/** Of the newest of its sandboxes. */
function firstOf({ofPod}: Attachments, pod: PodFacts): Entry | undefined {
  let newest: Entry | undefined
  for (const entry of ofPod(pod))
    if (isOf(entry, pod) && !isFurther(entry.plan) && (!newest || newest.plan.at < entry.plan.at)) newest = entry
  return newest
}

/** Whether it has something that its annotations could have asked for, its first interface be known or not. */
const hasFurther = ({ofPod}: Attachments, pod: PodFacts): boolean =>
  ofPod(pod).some(entry => isFurther(entry.plan) && isOf(entry, pod))

/** Of several of its name. */
const isOf = ({plan}: Entry, pod: PodFacts): boolean => plan.pod !== undefined && isSamePod(plan.pod, pod)

const furtherOf = ({ofContainer}: Attachments, containerId: string): Entry[] =>
  ofContainer(containerId).filter(({plan}) => isFurther(plan))

/** That of the ADD's result, whatever the journal's is: what nobody can ask for by annotation, then as it is asked for. */
function inOrder(entries: readonly Entry[], asked: readonly string[]): Entry[] {
  const places = new Map(asked.map((ifname, i) => [ifname, i]))
  const placeOf = ({plan: {ifname, attachment}}: Entry): number =>
    places.get(ifname) ?? (attachment?.origin === 'pod' && attachment.selection.startOnly ? -1 : asked.length)
  return entries.toSorted(
    (a, b) => placeOf(a) - placeOf(b) || a.plan.at - b.plan.at || (a.plan.ifname < b.plan.ifname ? -1 : 1),
  )
}

const sandboxOf = (first: Entry): PodSandbox => {
  const {containerId, netns, path, network} = first.plan
  return {containerId, netns, path, network, first}
}

const standingOf = (entry: Entry): StandingEntry => {
  const {selection, definition, config, device, origin} = entry.plan.attachment!
  return {entry, ifname: entry.plan.ifname, origin, selection, definition, config, device}
}

const networkOf = ({namespace, name}: {readonly namespace: string; readonly name: string}): string =>
  namespace === '' ? name : `${namespace}/${name}`

const typeOf = ({plugins}: PlannedList): string => plugins[0]!.type

const stateOf = (
  {selection}: Selected,
  state: AttachmentState['state'],
  {ifname, reason}: {readonly ifname?: string | undefined; readonly reason?: string | undefined} = {},
): AttachmentState => ({
  name: networkOf(selection),
  ...(ifname !== undefined && {interface: ifname}),
  state,
  ...(reason !== undefined && {reason}),
})

const problemState = ({means, message}: SelectionProblem): AttachmentState => ({
  name: means ? networkOf(means) : '',
  state: 'failed',
  reason: message,
})

/** Which network is a pod's first is decided when it starts. */
function primaryState(selected: Selected, first: Entry | undefined): AttachmentState {
  const has = first?.plan.attachment?.selection
  const {namespace, name} = selected.selection
  if (has?.primary && has.namespace === namespace && has.name === name)
    return stateOf(selected, 'attached', {ifname: first!.plan.ifname})
  const reason = `${selected.at}: a primary network takes the place of the pod's first one when the pod starts; it cannot be attached to a running pod: start the pod anew`
  return stateOf(selected, 'failed', {reason})
}

async function hasFirst({namespaces}: PodPassPorts, {netns}: PodSandbox): Promise<boolean> {
  const sandbox = await namespaces.open(netns).catch(() => undefined)
  if (!sandbox) return false
  try {
    return await isThere(sandbox, FIRST)
  } finally {
    await sandbox.close()
  }
}

async function isThere(sandbox: Sandbox, ifname: string): Promise<boolean> {
  const kernel = await sandbox.kernel()
  return kernel.readSysctl(`ipv4/conf/${ifname}/forwarding`).then(
    () => true,
    () => false,
  )
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
