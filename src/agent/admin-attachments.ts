/** The admin API's view of pods' networks: what the journal has, and what is asked for and not there. */
import type {AttachmentState} from '../attach/status.ts'
import type {Entry} from '../cni/journal.ts'
import type {AdminAttachment} from '../model/admin.ts'
import type {PodKey} from '../streams/pods.ts'
import type {CniRefusal} from './cni-refusals.ts'
import type {PodReport} from './pod-pass.ts'

export interface AttachmentsKnown {
  readonly entries: Iterable<Entry>
  /** Of the last pass over each pod's further networks. */
  readonly reports: ReadonlyMap<PodKey, Pick<PodReport, 'states'>>
  /** Why what is being removed has not gone. */
  readonly trouble: (plan: Entry['plan']) => string | undefined
  /** Of a pod that has not started. */
  readonly refusal: (pod: PodKey) => CniRefusal | undefined
}

/** By pod, then as they were begun. */
export function listAttachments({entries, reports, trouble, refusal}: AttachmentsKnown): AdminAttachment[] {
  const standing = [...entries].map(entry => {
    const {pod} = entry.plan
    const states = pod ? (reports.get(`${pod.namespace}/${pod.name}`)?.states ?? []) : []
    return ofEntry(entry, trouble(entry.plan) ?? toldOf(entry, states))
  })
  const missing = [...reports].flatMap(([pod, {states}]) =>
    states.flatMap(state => (state.state === 'attached' ? [] : [ofState(pod, state, refusal(pod))])),
  )
  return [...standing, ...missing].sort(
    (a, b) => compare(a.pod, b.pod) || compare(a.since ?? LAST, b.since ?? LAST) || compare(a.interface, b.interface),
  )
}

/** Behind every time. */
const LAST = '~'

const compare = (a = '', b = ''): number => (a < b ? -1 : a > b ? 1 : 0)

/** Of an attached one: why it is not as it is asked for. */
const toldOf = ({plan}: Entry, states: readonly AttachmentState[]): string | undefined =>
  states.find(({state, interface: ifname}) => state === 'attached' && ifname === plan.ifname)?.reason

const STATES = {adding: 'adding', added: 'attached', deleting: 'deleting'} as const

function ofEntry({plan, state, result}: Entry, trouble: string | undefined): AdminAttachment {
  const {pod, containerId, ifname, list, attachment, at} = plan
  const definition = attachment?.definition
  const mac = result?.interfaces.find(({name, sandbox}) => name === ifname && sandbox !== undefined)?.mac
  return {
    ...(pod && {pod: `${pod.namespace}/${pod.name}`}),
    container: containerId,
    interface: ifname,
    network: definition ? [definition.namespace, definition.name].filter(Boolean).join('/') : list.name,
    types: list.plugins.map(({type}) => type),
    addresses: result?.ips.map(({address}) => address) ?? [],
    ...(mac !== undefined && {mac}),
    state: STATES[state],
    since: new Date(at).toISOString(),
    ...(trouble !== undefined && {trouble}),
  }
}

function ofState(
  pod: PodKey,
  {name, interface: ifname, state, reason}: AttachmentState,
  refusal: CniRefusal | undefined,
): AdminAttachment {
  const refused = state === 'pending' && refusal ? `its last ADD was refused: ${refusal.reason}` : undefined
  const trouble = [reason, refused].filter(text => text !== undefined).join('; ')
  return {
    pod,
    ...(ifname !== undefined && {interface: ifname}),
    network: name,
    types: [],
    addresses: [],
    state: state as 'pending' | 'failed',
    ...(trouble !== '' && {trouble}),
  }
}
