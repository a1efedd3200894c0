/** Links: RTM_*LINK, struct ifinfomsg, IFLA_*. linux/if_link.h, linux/rtnetlink.h. */
import type {IfIndex, Link, LinkKind, LinkSettings, LinkSpec, MacvlanMode, VxlanInfo} from '../model/net.ts'
import {AF_BRIDGE} from './families.ts'
import {attributes, NLM_F, present, read, type Writer} from './message.ts'
import type {Dump, Request} from './request.ts'

export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
const RTM_GETLINK = 18

const IFF = {UP: 0x1, LOOPBACK: 0x8, PROMISC: 0x100, LOWER_UP: 0x10000} as const
const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  PROTINFO: 12,
  LINKINFO: 18,
  IFALIAS: 20,
  GROUP: 27,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  LINK_NETNSID: 37,
} as const
const INFO = {KIND: 1, DATA: 2, SLAVE_KIND: 4, SLAVE_DATA: 5} as const
/** IFLA_BRPORT_MODE: hairpin. */
const BRPORT_MODE = 4
const VETH_INFO_PEER = 1
const BR_VLAN_FILTERING = 7
const MACVLAN_MODE = 1
const VXLAN = {ID: 1, GROUP: 2, LINK: 3, LOCAL: 4, LEARNING: 7, PORT: 15, GROUP6: 16, LOCAL6: 17} as const
const RTEXT_FILTER_SKIP_STATS = 8
const MACVLAN_MODES: Readonly<Record<MacvlanMode, number>> = {private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16}
const BODY_BYTES = 16

/** Like `ip link add`. A veth's peer is created in the namespace, MTU, MAC and group that it names. */
export function addLink(spec: LinkSpec): Request {
  return {
    type: RTM_NEWLINK,
    flags: NLM_F.CREATE | NLM_F.EXCL,
    describe: () => `link add ${spec.name} type ${spec.kind.type}`,
    encode: to => {
      header(to, 0, spec.up ? IFF.UP : 0, spec.up ? IFF.UP : 0)
      common(to, spec)
      if (spec.master !== undefined) to.attribute(IFLA.MASTER, 4, spec.master)
      if (spec.kind.type === 'macvlan') to.attribute(IFLA.LINK, 4, spec.kind.parent)
      to.nest(IFLA.LINKINFO, () => {
        to.textAttribute(INFO.KIND, spec.kind.type)
        to.nest(INFO.DATA, () => kindData(to, spec.kind))
      })
    },
  }
}

/** Like `ip link set`. By index, or by name where the index is not known yet (a link made earlier in the same batch). */
export function setLink(target: IfIndex | string, change: LinkSettings): Request {
  return {
    type: RTM_NEWLINK,
    flags: 0,
    describe: () =>
      `link set ${target} ${Object.entries(change)
        .map(([key, value]) => `${key} ${value}`)
        .join(' ')}`,
    encode: to => {
      const byName = typeof target === 'string'
      const {up, promiscuous} = change
      const flags = (up ? IFF.UP : 0) | (promiscuous ? IFF.PROMISC : 0)
      const changed = (up === undefined ? 0 : IFF.UP) | (promiscuous === undefined ? 0 : IFF.PROMISC)
      header(to, byName ? 0 : target, flags, changed)
      if (byName) to.textAttribute(IFLA.IFNAME, target)
      common(to, change)
      if (change.alias !== undefined) to.textAttribute(IFLA.IFALIAS, change.alias)
      if (change.master !== undefined) to.attribute(IFLA.MASTER, 4, change.master)
      if (change.hairpin !== undefined) hairpin(to, change.hairpin)
    },
  }
}

/** Like `ip link set D type bridge_slave hairpin on`. */
function hairpin(to: Writer, on: boolean): void {
  to.nest(IFLA.LINKINFO, () => {
    to.textAttribute(INFO.SLAVE_KIND, 'bridge')
    to.nest(INFO.SLAVE_DATA, () => to.attribute(BRPORT_MODE, 1, on ? 1 : 0))
  })
}

/** Like `ip link del`. */
export function deleteLink(target: IfIndex | string): Request {
  return {
    type: RTM_DELLINK,
    flags: 0,
    describe: () => `link del ${target}`,
    encode: to => {
      header(to, typeof target === 'string' ? 0 : target, 0, 0)
      if (typeof target === 'string') to.textAttribute(IFLA.IFNAME, target)
    },
  }
}

/** Like `ip link del group N`: one grace period for all of them. Only for a group number made for that purpose. */
export function deleteLinkGroup(group: number): Request {
  return {
    type: RTM_DELLINK,
    flags: 0,
    describe: () => `link del group ${group}`,
    encode: to => {
      header(to, 0, 0, 0)
      to.attribute(IFLA.GROUP, 4, group)
    },
  }
}

/** Like `ip link show dev D`. */
export function getLink(target: IfIndex | string): Request {
  return {
    type: RTM_GETLINK,
    flags: 0,
    describe: () => `link show ${target}`,
    encode: to => {
      header(to, typeof target === 'string' ? 0 : target, 0, 0)
      to.attribute(IFLA.EXT_MASK, 4, RTEXT_FILTER_SKIP_STATS)
      if (typeof target === 'string') to.textAttribute(IFLA.IFNAME, target)
    },
  }
}

/** Like `ip link show [master M] [type T]`, without statistics. */
export function dumpLinks(filter: {readonly master?: IfIndex; readonly kind?: string} = {}): Dump<Link> {
  return {
    type: RTM_GETLINK,
    flags: NLM_F.DUMP,
    describe: () => 'link show',
    encode: to => {
      header(to, 0, 0, 0)
      to.attribute(IFLA.EXT_MASK, 4, RTEXT_FILTER_SKIP_STATS)
      if (filter.master !== undefined) to.attribute(IFLA.MASTER, 4, filter.master)
      if (filter.kind !== undefined) to.nest(IFLA.LINKINFO, () => to.textAttribute(INFO.KIND, filter.kind!))
    },
    answer: RTM_NEWLINK,
    decode: body => {
      const link = decodeLink(body)
      // A kind whose module is not loaded is no filter to the kernel: it sends every link.
      return filter.kind === undefined || link?.kind === filter.kind ? link : undefined
    },
  }
}

export function decodeLink(body: Buffer): Link | undefined {
  // A bridge's port notifications (AF_BRIDGE) tell of the port, not of the link.
  if (body.length < BODY_BYTES || body[0] !== 0) return undefined
  const flags = body.readUInt32LE(8)
  const link: {-readonly [K in keyof Link]: Link[K] | undefined} = {
    index: body.readInt32LE(4) as IfIndex,
    name: '',
    kind: undefined,
    up: (flags & IFF.UP) !== 0,
    carrier: (flags & IFF.LOWER_UP) !== 0,
    loopback: (flags & IFF.LOOPBACK) !== 0,
    promiscuous: (flags & IFF.PROMISC) !== 0 || undefined,
    mtu: 0,
    mac: undefined,
    group: 0,
    alias: undefined,
    master: undefined,
    hairpin: undefined,
    parent: undefined,
    parentNsid: undefined,
    vxlan: undefined,
    macvlan: undefined,
  }
  attributes(body, BODY_BYTES, (type, payload) => {
    if (type === IFLA.IFNAME) link.name = read.text(payload)
    else if (type === IFLA.MTU) link.mtu = read.u32(payload) ?? 0
    else if (type === IFLA.ADDRESS) link.mac = read.mac(payload)
    else if (type === IFLA.GROUP) link.group = read.u32(payload) ?? 0
    else if (type === IFLA.IFALIAS) link.alias = read.text(payload)
    else if (type === IFLA.MASTER) link.master = read.u32(payload) as IfIndex | undefined
    else if (type === IFLA.LINK) link.parent = read.u32(payload) as IfIndex | undefined
    else if (type === IFLA.LINK_NETNSID) link.parentNsid = read.i32(payload)
    else if (type === IFLA.LINKINFO) decodeInfo(payload, link)
  })
  return present<Link>(link as Link)
}

/** A bridge's port, of which the bridge tells by itself (AF_BRIDGE): IFLA_PROTINFO with IFLA_BRPORT_*. */
export function decodePort(body: Buffer): {index: IfIndex; hairpin: boolean} | undefined {
  if (body.length < BODY_BYTES || body[0] !== AF_BRIDGE) return undefined
  let hairpin: boolean | undefined
  attributes(body, BODY_BYTES, (type, payload) => {
    if (type === IFLA.PROTINFO)
      attributes(payload, 0, (name, value) => {
        if (name === BRPORT_MODE) hairpin = read.u8(value) === 1
      })
  })
  return hairpin === undefined ? undefined : {index: body.readInt32LE(4) as IfIndex, hairpin}
}

function decodeInfo(info: Buffer, link: {-readonly [K in keyof Link]: Link[K] | undefined}): void {
  let data: Buffer | undefined
  attributes(info, 0, (type, payload) => {
    if (type === INFO.KIND) link.kind = read.text(payload)
    else if (type === INFO.DATA) data = payload
    else if (type === INFO.SLAVE_DATA)
      attributes(payload, 0, (name, value) => {
        if (name === BRPORT_MODE && read.u8(value) === 1) link.hairpin = true
      })
  })
  if (!data) return
  if (link.kind === 'vxlan') link.vxlan = decodeVxlan(data)
  else if (link.kind === 'macvlan')
    attributes(data, 0, (type, payload) => {
      const mode = type === MACVLAN_MODE ? read.u32(payload) : undefined
      const name = (Object.keys(MACVLAN_MODES) as MacvlanMode[]).find(each => MACVLAN_MODES[each] === mode)
      if (name) link.macvlan = {mode: name}
    })
}

function decodeVxlan(data: Buffer): VxlanInfo {
  const info: {-readonly [K in keyof VxlanInfo]: VxlanInfo[K] | undefined} = {
    vni: 0,
    port: 0,
    local: undefined,
    remote: undefined,
    dev: undefined,
    learning: false,
  }
  attributes(data, 0, (type, payload) => {
    if (type === VXLAN.ID) info.vni = read.u32(payload) ?? 0
    else if (type === VXLAN.PORT) info.port = read.port(payload) ?? 0
    else if (type === VXLAN.LOCAL || type === VXLAN.LOCAL6) info.local = read.ip(payload)
    else if (type === VXLAN.GROUP || type === VXLAN.GROUP6) info.remote = read.ip(payload)
    else if (type === VXLAN.LINK) info.dev = read.u32(payload) as IfIndex | undefined
    else if (type === VXLAN.LEARNING) info.learning = read.u8(payload) === 1
  })
  return present<VxlanInfo>(info as VxlanInfo)
}

function header(to: Writer, index: number, flags: number, change: number): void {
  to.u8(0).u8(0).u16(0).u32(index).u32(flags).u32(change)
}

type Common = Pick<LinkSpec, 'mtu' | 'mac' | 'group' | 'netns'> & {readonly name?: string}

function common(to: Writer, link: Common): void {
  if (link.name !== undefined) to.textAttribute(IFLA.IFNAME, link.name)
  if (link.mtu !== undefined) to.attribute(IFLA.MTU, 4, link.mtu)
  if (link.mac !== undefined) to.macAttribute(IFLA.ADDRESS, link.mac)
  if (link.group !== undefined) to.attribute(IFLA.GROUP, 4, link.group)
  if (link.netns !== undefined) to.attribute(IFLA.NET_NS_FD, 4, link.netns)
}

function kindData(to: Writer, kind: LinkKind): void {
  switch (kind.type) {
    case 'veth':
      to.nest(VETH_INFO_PEER, () => {
        header(to, 0, 0, 0)
        common(to, kind.peer)
      })
      break
    case 'bridge':
      if (kind.vlanFiltering !== undefined) to.attribute(BR_VLAN_FILTERING, 1, kind.vlanFiltering ? 1 : 0)
      break
    case 'macvlan':
      to.attribute(MACVLAN_MODE, 4, MACVLAN_MODES[kind.mode])
      break
    case 'vxlan':
      to.attribute(VXLAN.ID, 4, kind.vni).portAttribute(VXLAN.PORT, kind.port)
      to.attribute(VXLAN.LEARNING, 1, kind.learning ? 1 : 0)
      if (kind.local) to.ipAttribute(kind.local.family === 4 ? VXLAN.LOCAL : VXLAN.LOCAL6, kind.local)
      if (kind.remote) to.ipAttribute(kind.remote.family === 4 ? VXLAN.GROUP : VXLAN.GROUP6, kind.remote)
      if (kind.dev !== undefined) to.attribute(VXLAN.LINK, 4, kind.dev)
      break
  }
}
