/** What users read on the pod: `k8s.v1.cni.cncf.io/network-status` and `netgraft.dev/attachments-status`. Pure. */
import {listIn, stateList} from '../model/state-list.ts'

/** Of one interface, as the journal has it. */
export interface InterfaceFacts {
  readonly name: string
  readonly interface: string
  /** With or without prefix length. */
  readonly ips: readonly string[]
  readonly mac?: string | undefined
  readonly mtu?: number | undefined
  readonly gateway?: readonly string[] | undefined
  readonly dns: object
  /** A device of the node that it is made of. */
  readonly device?: string | undefined
}

export interface AttachmentState {
  /** "namespace/name". */
  readonly name: string
  readonly interface?: string | undefined
  readonly state: 'attached' | 'pending' | 'failed'
  /** One sentence. Of an attached one: why it is not as it is asked for. */
  readonly reason?: string | undefined
}

/**
 * The de-facto standard's, section "network status annotation": the default network first. `first`: undefined where it is
 * not of our making, or forgotten; then `before`, the annotation as it is, tells of it, and of `others`, interfaces that are
 * not of our making either.
 */
export function networkStatus(
  first: InterfaceFacts | undefined,
  more: readonly InterfaceFacts[],
  before?: string,
  others: readonly string[] = [],
): string {
  const told = listIn(before)
  const own = first ? {...statusOf(first), default: true} : told.find(entry => entry.default === true)
  const beside = told.filter(entry => entry !== own && others.includes(entry.interface as string))
  return JSON.stringify([...(own ? [own] : []), ...beside, ...more.map(statusOf)])
}

const statusOf = ({name, interface: ifname, ips, mac, mtu, gateway = [], dns, device}: InterfaceFacts) => ({
  name,
  interface: ifname,
  ...(ips.length > 0 && {ips: ips.map(ip => ip.split('/')[0]!)}),
  ...(mac !== undefined && {mac}),
  ...(mtu !== undefined && mtu > 0 && {mtu}),
  dns,
  ...(gateway.length > 0 && {gateway}),
  ...(device !== undefined && {'device-info': {type: 'pci', version: '1.1.0', pci: {'pci-address': device}}}),
})

/** As {@link stateList}. */
export const attachmentsStatus = (
  states: readonly AttachmentState[],
  before: readonly (string | null | undefined)[],
  now: number,
): string => stateList(states, before, now, (reason): AttachmentState => ({name: '', state: 'pending', reason}))

export type KnownState = AttachmentState & {readonly since?: string}

/** Of what anybody may have written: what is none of ours is left out. */
export const parseStates = (text: string | null | undefined): readonly KnownState[] =>
  (listIn(text) as readonly object[]).filter(isState)

const isState = (entry: object): entry is KnownState => {
  const {name, interface: ifname, state, reason, since} = entry as {readonly [key in keyof KnownState]?: unknown}
  const optional = [ifname, reason, since]
  return (
    typeof name === 'string' &&
    STATES.some(each => each === state) &&
    optional.every(text => text === undefined || typeof text === 'string')
  )
}

const STATES: readonly AttachmentState['state'][] = ['attached', 'pending', 'failed']

/** Of a network-status that anybody may have written: all but the default network. */
export const statedInterfaces = (
  text: string | undefined,
): readonly {readonly name: string; readonly ifname: string}[] =>
  listIn(text).flatMap(({name, interface: ifname, default: first}) =>
    typeof name === 'string' && typeof ifname === 'string' && first !== true ? [{name, ifname}] : [],
  )
