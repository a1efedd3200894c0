/** Addresses: RTM_*ADDR, struct ifaddrmsg, IFA_*. linux/if_addr.h. */
import {type Family, hostLength, type Ip} from '../model/ip.ts'
import type {Address, AddressSpec, IfIndex} from '../model/net.ts'
import {AF, familyOf, scopeName, scopeNumber} from './families.ts'
import {attributes, NLM_F, present, read} from './message.ts'
import type {Dump, Request} from './request.ts'

export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
const RTM_GETADDR = 22

const IFA = {ADDRESS: 1, LOCAL: 2, BROADCAST: 4, FLAGS: 8, TARGET_NETNSID: 10, PROTO: 11} as const
const BODY_BYTES = 8

/** Like `ip addr add`. */
export const addAddress = (address: AddressSpec): Request =>
  change('add', RTM_NEWADDR, NLM_F.CREATE | NLM_F.EXCL, address)

/** Like `ip addr replace`. */
export const replaceAddress = (address: AddressSpec): Request =>
  change('replace', RTM_NEWADDR, NLM_F.CREATE | NLM_F.REPLACE, address)

/** Like `ip addr del`. */
export const deleteAddress = (address: AddressSpec): Request => change('del', RTM_DELADDR, 0, address)

function change(verb: string, type: number, flags: number, address: AddressSpec): Request {
  return {
    type,
    flags,
    describe: () => `addr ${verb} ${address.ip}/${address.length} dev ${address.index}`,
    encode: to => {
      const own = address.flags ?? 0
      to.u8(AF[address.ip.family])
        .u8(address.length)
        .u8(own & 0xff)
      to.u8(scopeNumber(address.scope ?? 'global')).u32(address.index)
      to.ipAttribute(IFA.LOCAL, address.ip).ipAttribute(IFA.ADDRESS, address.peer ?? address.ip)
      if (address.broadcast) to.ipAttribute(IFA.BROADCAST, address.broadcast)
      if (own > 0xff) to.attribute(IFA.FLAGS, 4, own)
      if (address.protocol !== undefined) to.attribute(IFA.PROTO, 1, address.protocol)
    },
  }
}

export interface AddressFilter {
  readonly family?: Family
  readonly index?: IfIndex
  /** In the namespace of that id. IFA_TARGET_NETNSID. */
  readonly nsid?: number
}

/** Like `ip addr show [dev D] [target-nsid N]`. */
export function dumpAddresses(filter: AddressFilter = {}): Dump<Address> {
  return {
    type: RTM_GETADDR,
    flags: NLM_F.DUMP,
    describe: () => 'addr show',
    encode: to => {
      to.u8(filter.family ? AF[filter.family] : 0)
        .u8(0)
        .u8(0)
        .u8(0)
      to.u32(filter.index ?? 0)
      if (filter.nsid !== undefined) to.attribute(IFA.TARGET_NETNSID, 4, filter.nsid)
    },
    answer: RTM_NEWADDR,
    decode: decodeAddress,
  }
}

export function decodeAddress(body: Buffer): Address | undefined {
  if (body.length < BODY_BYTES) return undefined
  const family = familyOf(body[0]!)
  if (!family) return undefined
  let local: Ip | undefined
  let address: Ip | undefined
  let flags = body[2]!
  let protocol: number | undefined
  attributes(body, BODY_BYTES, (type, payload) => {
    if (type === IFA.LOCAL) local = read.ip(payload)
    else if (type === IFA.ADDRESS) address = read.ip(payload)
    else if (type === IFA.FLAGS) flags = read.u32(payload) ?? flags
    else if (type === IFA.PROTO) protocol = read.u8(payload)
  })
  // IPv6 sends IFA_LOCAL only for a point-to-point address; then IFA_ADDRESS is the other end.
  const ip = local ?? address
  const length = body[1]!
  if (ip?.family !== family || length > hostLength(family)) return undefined
  const peer = local && address && local.toString() !== address.toString() ? address : undefined
  const index = body.readUInt32LE(4) as IfIndex
  return present<Address>({index, ip, length, peer, scope: scopeName(body[3]!), flags, protocol} as Address)
}
