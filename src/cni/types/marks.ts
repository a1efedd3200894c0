/** How links of pods are known again: by names that follow from the attachment, and by their alias and group. */
import {createHash, randomFillSync} from 'node:crypto'
import type {Ip} from '../../model/ip.ts'
import type {Link, Mac} from '../../model/net.ts'
import {OWN_ALIAS, OWN_GROUP} from '../../model/plans.ts'

/** What an interface of a pod is known by: a container (sandbox) id and the interface's name in it. */
export interface Attached {
  readonly containerId: string
  readonly ifname: string
}

const CNI_ALIAS = `${OWN_ALIAS}cni:`
/** Hexadecimal digits of an attachment in a link's name, which has at most 15 characters. */
const DIGITS = 11

/** IFLA_IFALIAS of an attachment's link, at most 255 bytes. Also the owner's name elsewhere (masquerade). */
export const aliasOf = ({containerId, ifname}: Attached): string => `${CNI_ALIAS}${containerId}:${ifname}`

/** Undefined: it is not the alias of a pod's link. */
export function parseAlias(alias: string | undefined): Attached | undefined {
  if (!alias?.startsWith(CNI_ALIAS)) return undefined
  const colon = alias.lastIndexOf(':')
  const containerId = alias.slice(CNI_ALIAS.length, Math.max(colon, CNI_ALIAS.length))
  const ifname = alias.slice(colon + 1)
  return containerId && ifname ? {containerId, ifname} : undefined
}

/** The host's end of a pod's veth: found again without any memory. */
export const hostName = (attached: Attached): string => `veth${digits(attached)}`

/** A macvlan's before it gets its own: in the host's namespace that one may be taken. */
export const birthName = (attached: Attached): string => `mvl-${digits(attached)}`

const digits = ({containerId, ifname}: Attached): string =>
  createHash('sha256').update(`${containerId}\0${ifname}`).digest('hex').slice(0, DIGITS)

/** A link of that attachment. Without any alias it is what a process that was killed half-way has left. */
export const isMine = ({alias, group}: Link, owner: string): boolean =>
  alias === owner || (alias === undefined && group === OWN_GROUP)

/** Locally administered, for one station. */
export const randomMac = (): Mac => {
  const bytes = randomFillSync(Buffer.allocUnsafe(6))
  bytes[0] = (bytes[0]! | 0x02) & 0xfe
  return format(bytes)
}

/**
 * The one that every pod with this address has: neighbours that remember it from the pod before are right about it.
 * 0a:58 and the address is what upstream's bridge once did for IPv4.
 */
export function macOfAddress({family, bytes}: Ip): Mac {
  const tail = family === 4 ? bytes : createHash('sha256').update(bytes).digest().subarray(0, 4)
  return format(Buffer.of(0x0a, family === 4 ? 0x58 : 0x5a, ...tail))
}

/** As {@link randomMac}, and higher than any other: a bridge takes on the lowest of its ports', unless told its own. */
export const randomHostMac = (): Mac => {
  const bytes = randomFillSync(Buffer.allocUnsafe(6))
  bytes[0] = 0xfe
  return format(bytes)
}

const format = (bytes: Buffer): Mac => bytes.toString('hex').replace(/..(?!$)/g, '$&:') as Mac
