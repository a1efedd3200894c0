/** One pod's pass: what its annotations ask for, against what it has. Level-triggered; the journal and the kernel know what it has. */
import {setImmediate} from 'node:timers/promises'
import {assignNames, type Names} from '../attach/names.ts'
import {type Named, planAttachments} from '../attach/plan.ts'
import {rememberedNetworks} from '../attach/remembered.ts'
import type {ParsedSelections} from '../attach/selections.ts'
import type {AttachmentState} from '../attach/status.ts'
import {type Entry, furtherOf, keyOf} from '../cni/journal.ts'
import type {Serial} from '../cni/serial.ts'
import type {Selection} from '../model/attachment.ts'
import {POD_ANNOTATIONS, type PodFacts, type PodKey} from '../streams/pods.ts'
import {createHeldWishes} from './held-wishes.ts'
import {
  carryOut,
  type DeedPorts,
  NotOurs,
  type PodAction,
  type PodWork,
  type StandingEntry,
  whyStuck,
} from './pod-deeds.ts'
import type {Lookup, StandingDevice} from './pod-networks.ts'
import {isTold, recall} from './pod-recall.ts'
import {createSandboxSearch, FIRST, firstOf, hasFirst, hasFurther, type SandboxPorts, sandboxOf} from './pod-sandbox.ts'
import {pendingStates, statesOf} from './pod-states.ts'

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
  /** Interfaces that it asks for and has, of somebody else's making. */
  readonly others?: readonly string[]
  /** To be tried again. */
  readonly failed: boolean
}

export interface PodPassPorts extends DeedPorts, SandboxPorts {
  readonly serial: Serial
  readonly lookup: Lookup
  readonly pod: (key: PodKey) => PodFacts | undefined
}

export function createPodPass(ports: PodPassPorts): (key: PodKey, signal: AbortSignal) => Promise<PodReport> {
  const {attachments, serial, lookup} = ports
  const held = createHeldWishes()
  const search = createSandboxSearch(ports)

  return async (key, signal) => {
    const none = {key, states: [], actions: [], more: [], failed: false}
    const pod = ports.pod(key)
    // What ends keeps what it has, until the runtime takes it down.
    if (!pod || pod.hostNetwork || pod.ending) return none
    const asked = lookup.parse(pod)
    const newest = firstOf(attachments, pod)
    const first = newest?.state === 'added' ? newest : undefined
    const asks = asked.selected.length > 0 || asked.problems.length > 0
    if (!asks && !hasFurther(attachments, pod) && (newest || !isTold(pod))) return {...none, pod, first}
    const unknown = !newest && pod.hasAddress
    const found = unknown ? await search(pod, signal) : undefined
    const sandbox = first ? sandboxOf(first) : found?.sandbox
    if (!sandbox) {
      const reason = found ? `its sandbox is not known${found.why}` : 'the pod has not started yet'
      return {...none, pod, states: pendingStates(asked, reason), more: undefined, failed: unknown}
    }
    return serial.beside(sandbox.containerId, async inTheWay => {
      const stop = AbortSignal.any([signal, inTheWay])
      for (;;) {
        // It may have been edited again while this one waited.
        const now = ports.pod(key)
        const still = first && attachments.entries.get(keyOf(first.plan))
        if (now?.uid !== pod.uid || now.ending || (first && still?.state !== 'added')) return none
        // The runtime calls a sandbox ready from which it has taken the network already.
        if (!first && !(await hasFirst(ports.namespaces, sandbox)))
          return {...none, pod: now, more: undefined, failed: true}
        if (inTheWay.aborted) return none
        const place = {...sandbox, ...(still && {first: still})}
        const work = {ports, held, pod: now, sandbox: place, signal: stop, actions: [], failures: new Map()}
        const report = await passIn(ports, key, work).catch(error => {
          if (inTheWay.aborted) return none
          throw error
        })
        // The pod is taken down: nobody needs to be told.
        if (inTheWay.aborted) return none
        if (report) return report
      }
    })
  }
}

/** Undefined: the annotations have been edited meanwhile, and nothing has been done. */
async function passIn(ports: PodPassPorts, key: PodKey, work: PodWork): Promise<PodReport | undefined> {
  const {attachments, lookup} = ports
  const {pod, sandbox, signal, actions, failures} = work
  const {first, containerId} = sandbox
  const asked = lookup.parse(pod)
  if (!first) await recall(lookup, work, asked.selected)
  const standing = furtherOf(attachments, containerId).filter(isAdded).map(standingOf)
  const told = first ? [] : rememberedNetworks(pod.annotations[POD_ANNOTATIONS.networkStatus], asked.selected)
  const names = namesOf(asked, standing, first, told)
  const started = new Set(standing.map(({ifname}) => ifname))
  const isSkipped = ({selected, ifname}: Named) => selected.selection.startOnly === true && !started.has(ifname)
  const mine = names.named.filter(each => !isSkipped(each))
  const wishes = await lookup.resolve(pod, mine, {standing: devicesOf(standing), signal})
  const plan = planAttachments(wishes, standing, [...asked.problems, ...names.problems])

  if (plan.change.length + plan.detach.length > 0) {
    // Edits come in bursts: nothing that works is taken down for a wish that has been taken back.
    await setImmediate()
    if (ports.pod(key)?.annotations !== pod.annotations) return undefined
  }
  if (plan.attach.length + plan.change.length + plan.detach.length > 0) await carryOut(work, plan)

  const now = furtherOf(attachments, containerId)
  const skipped = names.named.filter(isSkipped)
  const stuck = (entry: Entry) => whyStuck(ports, entry)
  return {
    key,
    pod,
    states: statesOf({asked, names, skipped, plan, failures, first, now, stuck}),
    actions,
    first,
    more: inOrder(
      now.filter(isAdded),
      names.named.map(({ifname}) => ifname),
    ),
    others: actions.flatMap(({error, ifname}) => (error instanceof NotOurs ? ifname : [])),
    failed: failures.size > 0 || plan.refused.some(({again}) => again),
  }
}

const isAdded = ({state}: Entry): boolean => state === 'added'

const standingOf = (entry: Entry): StandingEntry => {
  const {selection, definition, config, device, origin} = entry.plan.attachment!
  return {entry, ifname: entry.plan.ifname, origin, selection, definition, config, device}
}

/** Of the interfaces of all that a running pod can have. `told`: of somebody else's making, as the pod's status says. */
function namesOf(
  asked: ParsedSelections,
  standing: readonly StandingEntry[],
  first: Entry | undefined,
  told: readonly Named[],
): Names {
  // An annotation that cannot be read may have named what the other one names, too.
  const unclear = asked.problems.some(({means}) => !means)
  const stands = ({namespace, name, dialect}: Selection) =>
    standing.some(({selection: each}) => each.namespace === namespace && each.name === name && each.dialect !== dialect)
  const hot = asked.selected.filter(({selection}) => !selection.primary && !(unclear && stands(selection)))
  // What another controller has made keeps its name.
  const theirs = standing.filter(({origin}) => origin === 'request').map(({ifname}) => ifname)
  const others = told
    .filter(({ifname}) => !standing.some(each => each.ifname === ifname))
    .map(({ifname, selected: {at, selection}}) => ({ifname, ...(at !== '' && {selection})}))
  return assignNames(hot, [...standing, ...others], {taken: new Set([first?.plan.ifname ?? FIRST, ...theirs])})
}

/** By interface. */
const devicesOf = (standing: readonly StandingEntry[]): Map<string, StandingDevice> =>
  new Map(
    standing.flatMap(({ifname, device, entry}) =>
      device === undefined ? [] : [[ifname, {device, resource: entry.plan.attachment!.resource}] as const],
    ),
  )

/** That of the ADD's result, whatever the journal's is: what nobody can ask for by annotation, then as it is asked for. */
function inOrder(entries: readonly Entry[], asked: readonly string[]): Entry[] {
  const places = new Map(asked.map((ifname, i) => [ifname, i]))
  const placeOf = ({plan: {ifname, attachment}}: Entry): number =>
    places.get(ifname) ?? (attachment?.origin === 'pod' && attachment.selection.startOnly ? -1 : asked.length)
  return entries.toSorted(
    (a, b) => placeOf(a) - placeOf(b) || a.plan.at - b.plan.at || (a.plan.ifname < b.plan.ifname ? -1 : 1),
  )
}
