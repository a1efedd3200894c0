/** What a pod's user is told of each of its networks. Pure. */
import type {Names} from '../attach/names.ts'
import type {AttachmentPlan, Named, Standing} from '../attach/plan.ts'
import type {ParsedSelections} from '../attach/selections.ts'
import type {AttachmentState} from '../attach/status.ts'
import type {Entry} from '../cni/journal.ts'
import type {Selected, SelectionProblem} from '../model/attachment.ts'

/** What a pass has found and done. */
export interface PodOutcome {
  readonly asked: ParsedSelections
  readonly names: Names
  /** Of those: left to another controller. */
  readonly skipped: readonly Named[]
  readonly plan: Pick<AttachmentPlan<unknown, Standing>, 'keep' | 'refused' | 'detach'>
  /** What could not be done, by interface. */
  readonly failures: ReadonlyMap<string, string>
  /** The pod's first interface. */
  readonly first: Entry | undefined
  /** What the journal has now, beside that. */
  readonly now: readonly Entry[]
  /** Of such an entry: why it has not gone yet, though it should have. */
  readonly stuck: (entry: Entry) => string | undefined
}

/** Of a pod whose networks cannot be made yet: they wait. */
export const pendingStates = ({selected, problems}: ParsedSelections, reason: string): readonly AttachmentState[] => [
  ...selected.map(each => stateOf(each, 'pending', {reason})),
  ...problems.map(problemState),
]

/** What is asked for, in the order of the annotations; then what is faulty, what stays all the same, and what does not go. */
export function statesOf(outcome: PodOutcome): readonly AttachmentState[] {
  const {asked, names, plan, failures, now} = outcome
  const named = new Set(names.named.map(({ifname}) => ifname))
  const beside = plan.keep.filter(({standing}) => !named.has(standing.ifname))
  const stuck = now.flatMap(entry => {
    const {ifname, attachment} = entry.plan
    const reason = named.has(ifname) ? undefined : outcome.stuck(entry)
    return reason === undefined ? [] : [stateOf(attachment!, 'attached', {ifname, reason})]
  })
  const gone = plan.detach.filter(({ifname}) => failures.has(ifname) && !now.some(each => each.plan.ifname === ifname))
  return [
    ...asked.selected.map(selected => askedState(outcome, selected)),
    ...asked.problems.map(problemState),
    ...beside.map(({standing, reason}) => stateOf(standing, 'attached', {ifname: standing.ifname, reason})),
    ...stuck,
    ...gone.map(each => stateOf(each, 'failed', {ifname: each.ifname, reason: failures.get(each.ifname)})),
  ]
}

function askedState({names, skipped, plan, failures, first, now}: PodOutcome, selected: Selected): AttachmentState {
  if (selected.selection.primary) return primaryState(selected, first)
  const ifname = names.named.find(each => each.selected === selected)?.ifname
  if (ifname === undefined) {
    const problem = names.problems.find(({at}) => at.startsWith(selected.at))
    return stateOf(selected, 'failed', {reason: problem?.message ?? 'it has no name for its interface'})
  }
  if (skipped.some(each => each.selected === selected))
    return stateOf(selected, 'pending', {ifname, reason: 'podagentSkip: it is left to another controller'})
  const failure = failures.get(ifname) ?? plan.refused.find(each => each.ifname === ifname)?.reason
  if (failure === undefined) {
    const kept = plan.keep.find(({standing}) => standing.ifname === ifname)
    return stateOf(selected, 'attached', {ifname, reason: kept?.reason})
  }
  // What could not be changed may stand as it was.
  const stands = now.some(entry => entry.state === 'added' && isMadeFor(entry, selected, ifname))
  return stateOf(selected, stands ? 'attached' : 'failed', {ifname, reason: failure})
}

/** Which network is a pod's first is decided when it starts. */
function primaryState(selected: Selected, first: Entry | undefined): AttachmentState {
  const has = first?.plan.attachment?.selection
  const {namespace, name} = selected.selection
  if (has?.primary && has.namespace === namespace && has.name === name)
    return stateOf(selected, 'attached', {ifname: first!.plan.ifname})
  const reason = `${selected.at}: a primary network takes the place of the pod's first one when the pod starts; it cannot be attached to a running pod: start the pod anew`
  return stateOf(selected, 'failed', {reason})
}

const stateOf = (
  {selection}: Pick<Selected, 'selection'>,
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

/** Whether it is of that network, and has that name. */
export const isMadeFor = ({plan}: Entry, {selection: {namespace, name}}: Selected, ifname: string): boolean =>
  plan.ifname === ifname &&
  plan.attachment?.selection.namespace === namespace &&
  plan.attachment.selection.name === name

/** "namespace/name" of a definition. */
export const networkOf = ({namespace, name}: {readonly namespace: string; readonly name: string}): string =>
  namespace === '' ? name : `${namespace}/${name}`
