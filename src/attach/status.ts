/** What users read on the pod: `k8s.v1.cni.cncf.io/network-status` and `netgraft.dev/attachments-status`. Pure. */

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

/** The de-facto standard's, section "network status annotation": the default network first. */
export function networkStatus(first: InterfaceFacts | undefined, more: readonly InterfaceFacts[]): string {
  return JSON.stringify([...(first ? [{...statusOf(first), default: true}] : []), ...more.map(statusOf)])
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

/** `before`: the annotation as it is; what has not changed keeps its time. `now`: milliseconds since the epoch. */
export function attachmentsStatus(states: readonly AttachmentState[], before: string | undefined, now: number): string {
  const known = parseStates(before)
  return JSON.stringify(
    states.map(state => {
      const same = known.find(each => keyOf(each) === keyOf(state))
      return {...state, since: same?.since ?? new Date(Math.floor(now / 1000) * 1000).toISOString().replace('.000', '')}
    }),
  )
}

export type KnownState = AttachmentState & {readonly since?: string}

/** Anybody may have written it. */
export function parseStates(text: string | undefined): readonly KnownState[] {
  try {
    const list: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(list) ? list.filter(each => typeof each === 'object' && each !== null) : []
  } catch {
    return []
  }
}

const keyOf = ({name, interface: ifname, state, reason}: AttachmentState): string =>
  JSON.stringify([name, ifname, state, reason])
