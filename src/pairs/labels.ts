/** Ratchet's labels: a pod that has the label `ratchet`, and what the primary one of two says of both. */
import {Fault, shown} from '../model/fields.ts'
import {parseIp} from '../model/ip.ts'
import type {Declaration} from '../model/pair.ts'
import {addressesOf, interfaceThere} from './element.ts'

type Labels = Readonly<Record<string, string>>

/** Any value but "false", as the original: the label's presence counts there. */
export const isEligible = (labels: Labels): boolean =>
  labels.ratchet !== undefined && labels.ratchet.toLowerCase() !== 'false'

/** How labels of other pods call this one. Undefined: not at all. What is no label's value does not count. */
export function ratchetNameOf(labels: Labels, pod: {readonly name: string}): string | undefined {
  const name = labels['ratchet.pod_name'] ?? ''
  return isEligible(labels) ? (isLabelValue(name) ? name : pod.name) : undefined
}

/** As Kubernetes has it. */
export const isLabelValue = (text: string): boolean =>
  text.length <= 63 && /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(text)

/** What labels say is IPv4, and has this prefix length. */
const LENGTH = 24

/** Undefined: they declare nothing, as those of all but the primary. Throws {@link Fault}, of the label at fault. */
export function readLabels(
  labels: Labels,
  pod: {readonly namespace: string; readonly name: string},
): Declaration | undefined {
  if (!isEligible(labels) || labels['ratchet.primary'] !== 'true') return undefined
  try {
    return declarationIn(labels, pod)
  } catch (fault) {
    if (fault instanceof Fault) throw new Fault(fault.at, fault.what, 'label')
    throw fault
  }
}

function declarationIn(labels: Labels, pod: {readonly namespace: string; readonly name: string}): Declaration {
  const at = 'ratchet.pair_name'
  const name = labels[at] ?? ''
  if (name === '') throw new Fault(at, 'is missing; write the ratchet.pod_name of the other pod')
  if (!isLabelValue(name)) throw new Fault(at, `is ${shown(name)}; write the ratchet.pod_name of the other pod`)
  if (name === ratchetNameOf(labels, pod)) throw new Fault(at, `is ${shown(name)}, the pod itself; name another pod`)
  const ips = ipOf(labels, 'ratchet.local_ip')
  const peerIps = ipOf(labels, 'ratchet.pair_ip')
  if (ips[0] === peerIps[0])
    throw new Fault('ratchet.pair_ip', `is ${shown(labels['ratchet.pair_ip'])}, and so is ratchet.local_ip; change one`)
  return {
    by: 'labels',
    at,
    peer: `${pod.namespace}/${name}`,
    interface: interfaceThere(labels['ratchet.local_ifname'], 'ratchet.local_ifname'),
    peerInterface: interfaceThere(labels['ratchet.pair_ifname'], 'ratchet.pair_ifname'),
    ips,
    peerIps,
  }
}

function ipOf(labels: Labels, at: string): string[] {
  const text = labels[at] ?? ''
  if (text === '') throw new Fault(at, 'is missing; write an IPv4 address, as in 192.168.2.100')
  try {
    if (parseIp(text).family === 4) return addressesOf([`${text}/${LENGTH}`], at)!
  } catch {}
  throw new Fault(at, `is ${shown(text)}; write an IPv4 address without a prefix length, as in 192.168.2.100`)
}
