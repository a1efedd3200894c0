/** Neighbours (ARP, NDP) and forwarding entries (bridge, vxlan): RTM_*NEIGH, struct ndmsg, NDA_*. linux/neighbour.h. */
import type {Family, Ip} from '../model/ip.ts'
import type {FdbEntry, IfIndex, Mac, Neighbour} from '../model/net.ts'
import {AF, AF_BRIDGE, familyOf} from './families.ts'
import {attributes, NLM_F, present, read, type Writer} from './message.ts'
import type {Dump, Request} from './request.ts'

export const RTM_NEWNEIGH = 28
export const RTM_DELNEIGH = 29
const RTM_GETNEIGH = 30

const NDA = {DST: 1, LLADDR: 2, VLAN: 5, PORT: 6, VNI: 7, IFINDEX: 8, MASTER: 9} as const
/** `ndm_state`. */
export const NUD = {REACHABLE: 0x02, STALE: 0x04, NOARP: 0x40, PERMANENT: 0x80} as const
/** `ndm_flags`. */
export const NTF = {USE: 0x01, SELF: 0x02, MASTER: 0x04} as const
const BODY_BYTES = 12

export interface NeighbourSpec {
  readonly index: IfIndex
  readonly ip: Ip
  readonly mac: Mac
  /** NUD_*. @default NUD.PERMANENT */
  readonly state?: number
}

/** An entry to be made. @default state NUD.PERMANENT, flags NTF.SELF */
export type FdbSpec = Omit<FdbEntry, 'state' | 'flags'> & Partial<Pick<FdbEntry, 'state' | 'flags'>>

/** Like `ip neigh add`. */
export const addNeighbour = (entry: NeighbourSpec): Request =>
  neighbour('add', RTM_NEWNEIGH, NLM_F.CREATE | NLM_F.EXCL, entry)

/** Like `ip neigh replace`. */
export const replaceNeighbour = (entry: NeighbourSpec): Request =>
  neighbour('replace', RTM_NEWNEIGH, NLM_F.CREATE | NLM_F.REPLACE, entry)

/** Like `ip neigh del`. */
export const deleteNeighbour = (entry: Pick<NeighbourSpec, 'index' | 'ip'>): Request =>
  neighbour('del', RTM_DELNEIGH, 0, entry)

/**
 * Like `ip neigh add … use`: the kernel asks the network for the MAC, as if a packet were to be sent. Only where no MAC
 * is known: it would take the permanence from a permanent entry.
 */
export const resolveNeighbour = ({index, ip}: Pick<NeighbourSpec, 'index' | 'ip'>): Request => ({
  type: RTM_NEWNEIGH,
  flags: NLM_F.CREATE,
  describe: () => `neigh use ${ip} dev ${index}`,
  encode: to => {
    header(to, AF[ip.family], index, 0, NTF.USE)
    to.ipAttribute(NDA.DST, ip)
  },
})

/** Like `bridge fdb add`. */
export const addFdb = (entry: FdbSpec): Request => fdb('add', RTM_NEWNEIGH, NLM_F.CREATE | NLM_F.EXCL, entry)

/** Like `bridge fdb append`: one more remote for the same MAC. */
export const appendFdb = (entry: FdbSpec): Request => fdb('append', RTM_NEWNEIGH, NLM_F.CREATE | NLM_F.APPEND, entry)

/** Like `bridge fdb replace`. */
export const replaceFdb = (entry: FdbSpec): Request => fdb('replace', RTM_NEWNEIGH, NLM_F.CREATE | NLM_F.REPLACE, entry)

/** Like `bridge fdb del`. */
export const deleteFdb = (entry: FdbSpec): Request => fdb('del', RTM_DELNEIGH, 0, entry)

function neighbour(
  verb: string,
  type: number,
  flags: number,
  entry: Pick<NeighbourSpec, 'index' | 'ip'> & Partial<NeighbourSpec>,
): Request {
  return {
    type,
    flags,
    describe: () => `neigh ${verb} ${entry.ip} dev ${entry.index}`,
    encode: to => {
      header(to, AF[entry.ip.family], entry.index, entry.state ?? NUD.PERMANENT, 0)
      to.ipAttribute(NDA.DST, entry.ip)
      if (entry.mac) to.macAttribute(NDA.LLADDR, entry.mac)
    },
  }
}

function fdb(verb: string, type: number, flags: number, entry: FdbSpec): Request {
  return {
    type,
    flags,
    describe: () => `fdb ${verb} ${entry.mac} dev ${entry.index}${entry.remote ? ` dst ${entry.remote}` : ''}`,
    encode: to => {
      header(to, AF_BRIDGE, entry.index, entry.state ?? NUD.PERMANENT, entry.flags ?? NTF.SELF)
      to.macAttribute(NDA.LLADDR, entry.mac)
      if (entry.remote) to.ipAttribute(NDA.DST, entry.remote)
      if (entry.vlan !== undefined) to.attribute(NDA.VLAN, 2, entry.vlan)
      if (entry.vni !== undefined) to.attribute(NDA.VNI, 4, entry.vni)
      if (entry.port !== undefined) to.portAttribute(NDA.PORT, entry.port)
      if (entry.via !== undefined) to.attribute(NDA.IFINDEX, 4, entry.via)
    },
  }
}

/** Like `ip neigh show [dev D]`. */
export function dumpNeighbours(filter: {readonly family: Family; readonly index?: IfIndex}): Dump<Neighbour> {
  return dump('neigh show', AF[filter.family], filter.index, decodeNeighbour)
}

/** Like `bridge fdb show [dev D]`. */
export function dumpFdb(filter: {readonly index?: IfIndex} = {}): Dump<FdbEntry> {
  return dump('fdb show', AF_BRIDGE, filter.index, decodeFdb)
}

function dump<T extends {readonly index: IfIndex}>(
  text: string,
  family: number,
  index: IfIndex | undefined,
  decode: (body: Buffer) => T | undefined,
): Dump<T> {
  return {
    type: RTM_GETNEIGH,
    flags: NLM_F.DUMP,
    describe: () => text,
    encode: to => {
      header(to, family, 0, 0, 0)
      // Strict dumps filter neighbours by this attribute; the FDB's by the header's index, which they refuse for others.
      if (index !== undefined) to.attribute(NDA.IFINDEX, 4, index)
    },
    answer: RTM_NEWNEIGH,
    decode: body => {
      const entry = decode(body)
      return entry && (index === undefined || entry.index === index) ? entry : undefined
    },
  }
}

export function decodeNeighbour(body: Buffer): Neighbour | undefined {
  const family = body.length >= BODY_BYTES ? familyOf(body[0]!) : undefined
  if (!family) return undefined
  const {destination, mac} = decode(body)
  if (destination?.family !== family) return undefined
  const index = body.readInt32LE(4) as IfIndex
  return present<Neighbour>({index, ip: destination, mac, state: body.readUInt16LE(8)} as Neighbour)
}

export function decodeFdb(body: Buffer): FdbEntry | undefined {
  if (body.length < BODY_BYTES || body[0] !== AF_BRIDGE) return undefined
  const {destination, mac, vlan, vni, port, via} = decode(body)
  if (!mac) return undefined
  return present<FdbEntry>({
    index: body.readInt32LE(4) as IfIndex,
    mac,
    remote: destination,
    vlan,
    vni,
    port,
    via,
    state: body.readUInt16LE(8),
    flags: body[10]!,
  } as FdbEntry)
}

function decode(body: Buffer) {
  const found: {destination?: Ip; mac?: Mac; vlan?: number; vni?: number; port?: number; via?: IfIndex} = {}
  attributes(body, BODY_BYTES, (type, payload) => {
    if (type === NDA.DST) Object.assign(found, {destination: read.ip(payload)})
    else if (type === NDA.LLADDR) Object.assign(found, {mac: read.mac(payload)})
    else if (type === NDA.VLAN) Object.assign(found, {vlan: read.u16(payload)})
    else if (type === NDA.VNI) Object.assign(found, {vni: read.u32(payload)})
    else if (type === NDA.PORT) Object.assign(found, {port: read.port(payload)})
    else if (type === NDA.IFINDEX) Object.assign(found, {via: read.u32(payload)})
  })
  return found
}

function header(to: Writer, family: number, index: number, state: number, flags: number): void {
  to.u8(family).u8(0).u16(0).u32(index).u16(state).u8(flags).u8(0)
}
