/** The kernel's network objects as the agent sees them: what the codecs encode and decode, and what the domains plan with. */
import type {Cidr, Family, Ip} from './ip.ts'

/** An interface's index in its namespace. Positive. `ifi_index`, linux/rtnetlink.h. */
export type IfIndex = number & {readonly brand: 'IfIndex'}

/** A 48-bit MAC in lower case with colons. */
export type Mac = string & {readonly brand: 'Mac'}

/** A link as the kernel reports it. */
export interface Link {
  readonly index: IfIndex
  readonly name: string
  /** IFLA_INFO_KIND: "veth", "bridge", "vxlan"…; undefined for a hardware device and loopback. */
  readonly kind?: string
  /** IFF_UP: administratively up. */
  readonly up: boolean
  /** IFF_LOWER_UP: the carrier is there. */
  readonly carrier: boolean
  readonly loopback: boolean
  /** IFF_PROMISC: somebody asked for it by name. Undefined: no. */
  readonly promiscuous?: true
  /** Bytes. IFLA_MTU. */
  readonly mtu: number
  readonly mac?: Mac
  /** IFLA_GROUP. 0 is the default group. */
  readonly group: number
  /** IFLA_IFALIAS. */
  readonly alias?: string
  /** IFLA_MASTER: the bridge or VRF that this link is a port of. */
  readonly master?: IfIndex
  /** Of a bridge's port: frames may leave where they came from. IFLA_BRPORT_MODE. Undefined: no. */
  readonly hairpin?: true
  /** IFLA_LINK: the parent (macvlan, vxlan's dev) or the veth's peer; its index is of the namespace {@link Link.parentNsid}. */
  readonly parent?: IfIndex
  /** IFLA_LINK_NETNSID: the nsid of the parent's namespace, when it is another one. */
  readonly parentNsid?: number
  readonly vxlan?: VxlanInfo
  readonly macvlan?: {readonly mode: MacvlanMode}
}

/** What of a link can be changed in place. Like `ip link set`. Undefined keys stay as they are. */
export interface LinkSettings {
  readonly name?: string
  readonly up?: boolean
  /** Bytes. */
  readonly mtu?: number
  readonly mac?: Mac
  readonly alias?: string
  readonly group?: number
  /** A descriptor of the namespace to move the link into. */
  readonly netns?: number
  /** 0 frees it from its bridge. */
  readonly master?: IfIndex | 0
  /** Of a bridge's port: whether frames may leave where they came from. IFLA_BRPORT_MODE. */
  readonly hairpin?: boolean
  /** IFF_PROMISC. */
  readonly promiscuous?: boolean
}

export type MacvlanMode = 'private' | 'vepa' | 'bridge' | 'passthru' | 'source'

export interface VxlanInfo {
  /** 24 bits. */
  readonly vni: number
  /** UDP, host byte order. */
  readonly port: number
  readonly local?: Ip
  /** The default remote (IFLA_VXLAN_GROUP): a unicast or multicast address. */
  readonly remote?: Ip
  /** The underlay device. */
  readonly dev?: IfIndex
  readonly learning: boolean
}

/** What is wanted of a link that is to be made. Like `ip link add`. */
export interface LinkSpec {
  readonly name: string
  /** IFLA_GROUP, honoured at creation. A veth's peer is created in the same group. */
  readonly group?: number
  /** Bytes. */
  readonly mtu?: number
  readonly mac?: Mac
  readonly up?: boolean
  readonly master?: IfIndex
  /** A descriptor of the namespace in which the link is to appear. IFLA_NET_NS_FD. */
  readonly netns?: number
  readonly kind: LinkKind
}

export type LinkKind =
  | {
      readonly type: 'veth'
      /** The peer cannot be up in its own creating message. */
      readonly peer: {
        readonly name: string
        readonly netns?: number
        readonly mtu?: number
        readonly mac?: Mac
        readonly group?: number
      }
    }
  | {readonly type: 'bridge'; readonly vlanFiltering?: boolean}
  | {readonly type: 'macvlan'; readonly parent: IfIndex; readonly mode: MacvlanMode}
  | {
      readonly type: 'vxlan'
      readonly vni: number
      readonly port: number
      readonly local?: Ip
      readonly remote?: Ip
      readonly dev?: IfIndex
      /** @default false */
      readonly learning?: boolean
    }

export interface Address {
  readonly index: IfIndex
  readonly ip: Ip
  /** Bits. */
  readonly length: number
  /** IFA_LOCAL's counterpart on a point-to-point link, when it differs. */
  readonly peer?: Ip
  readonly scope: Scope
  /** IFA_F_*, linux/if_addr.h. */
  readonly flags: number
  /** IFA_PROTO, who made it: since Linux 5.18, and where somebody has said so. */
  readonly protocol?: number
}

/** What is wanted of an address. Like `ip addr add`. */
export interface AddressSpec {
  readonly index: IfIndex
  readonly ip: Ip
  /** Bits. */
  readonly length: number
  /** The other end of a point-to-point link. */
  readonly peer?: Ip
  readonly broadcast?: Ip
  /** @default 'global' */
  readonly scope?: Scope
  /** IFA_F_*, linux/if_addr.h. @default 0 */
  readonly flags?: number
  /** IFA_PROTO. Passed over before Linux 5.18. */
  readonly protocol?: number
}

/** `ifa_flags` that callers use. linux/if_addr.h. */
export const IFA_F = {NODAD: 0x02, TENTATIVE: 0x40, PERMANENT: 0x80, NOPREFIXROUTE: 0x200} as const

/** `rtm_scope`, `ifa_scope`: RT_SCOPE_*, linux/rtnetlink.h. */
export type Scope = 'global' | 'site' | 'link' | 'host' | 'nowhere'

export type RouteType =
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'anycast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  | 'throw'

/** The main routing table. RT_TABLE_MAIN, linux/rtnetlink.h. */
export const TABLE_MAIN = 254

/** One way out of a route. */
export interface NextHop {
  readonly gateway?: Ip
  readonly dev?: IfIndex
  /** RTNH_F_ONLINK: the gateway need not be on a connected subnet. */
  readonly onlink?: boolean
  /** 1 to 256, for multipath. @default 1 */
  readonly weight?: number
}

/** A route. Its identity in the kernel is (table, destination, metric), for IPv6 with the next hop. */
export interface Route {
  readonly destination: Cidr
  readonly type: RouteType
  /** RTA_TABLE. 254 is main. */
  readonly table: number
  /** `rtm_protocol`: who made it. 2 kernel, 3 boot, 4 static, 9 ra; ours is configured. */
  readonly protocol: number
  /** RTA_PRIORITY. IPv4's default is 0, IPv6's 1024. */
  readonly metric: number
  readonly scope: Scope
  /** None for a blackhole or unreachable; several for multipath. */
  readonly nextHops: readonly NextHop[]
  /** `rtm_tos`, IPv4: part of the route's identity. @default 0 */
  readonly tos?: number
  /** RTA_PREFSRC. */
  readonly source?: Ip
  /** Bytes. RTAX_MTU. */
  readonly mtu?: number
  /** `rtm_flags` that tell the state: RTNH_F_DEAD | RTNH_F_LINKDOWN. */
  readonly dead?: boolean
}

/** A neighbour (ARP, NDP) entry. */
export interface Neighbour {
  readonly index: IfIndex
  readonly ip: Ip
  readonly mac?: Mac
  /** NUD_*, linux/neighbour.h. 0x80 is permanent. */
  readonly state: number
}

/** A forwarding entry of a bridge port or a vxlan device. */
export interface FdbEntry {
  readonly index: IfIndex
  readonly mac: Mac
  /** vxlan: the peer's underlay address. */
  readonly remote?: Ip
  readonly vlan?: number
  readonly vni?: number
  /** UDP. */
  readonly port?: number
  /** The interface that the outer packets are bound to. */
  readonly via?: IfIndex
  readonly state: number
  /** NTF_*: 2 is self (the device's own table), 4 master (the bridge's). */
  readonly flags: number
}

/** A routing policy rule. Like `ip rule`. */
export interface Rule {
  readonly family: Family
  readonly priority: number
  readonly table: number
  readonly protocol: number
  readonly from?: Cidr
  readonly to?: Cidr
  readonly iif?: string
  readonly oif?: string
  readonly fwmark?: number
  readonly fwmask?: number
}
