/** Route protocol numbers (`rtm_protocol`) that are spoken for: a network that took one would delete its holder's routes. */

const HOLDERS: readonly (readonly [holder: string, ...protocols: number[]])[] = [
  // linux/rtnetlink.h, RTPROT_*
  ['nobody in particular (unspec)', 0],
  ['the kernel (ICMP redirects)', 1],
  ['the kernel', 2],
  ['whoever set up the network at boot', 3],
  ['the administrator (static)', 4],
  ['GateD', 8],
  ['the kernel, for IPv6 router advertisements', 9],
  ['MRT', 10],
  ['FRR or Quagga (zebra)', 11],
  ['BIRD', 12],
  ['the DECnet daemon', 13],
  ['XORP', 14],
  ['Netsukuku', 15],
  ['DHCP clients', 16],
  ['mrouted, and kube-router', 17],
  ['keepalived', 18],
  ['Babel daemons', 42],
  ['OVN', 84],
  ['Open/R', 99],
  ['BGP daemons', 186],
  ['IS-IS daemons', 187],
  ['OSPF daemons', 188],
  ['RIP daemons', 189],
  ['EIGRP daemons', 192],
  // FRR, zebra/rt_netlink.h
  ['FRR (ripngd, nhrpd)', 190, 191],
  ['FRR (ldpd, sharpd, pbrd, staticd, fabricd, pathd)', 193, 194, 195, 196, 197, 198],
  // Felix, dataplane/linux/dataplanedefs
  ['Calico', 80],
]

const HOLDER = new Map(HOLDERS.flatMap(([holder, ...protocols]) => protocols.map(number => [number, holder] as const)))

/** Who marks its routes with this number, if it is known. */
export const holderOf = (protocol: number): string | undefined => HOLDER.get(protocol)
