/** The addresses that a node is reached by, also of a family that its object does not report. Pure. */
import type {NodeFacts, NodeName} from '../model/facts.ts'
import {type Family, Ip} from '../model/ip.ts'
import type {Mac} from '../model/net.ts'

/** What is asked where a node's object lacks a family, in this order; an earlier one that knows silences the later ones. */
export interface AddressSources {
  /** As configured, by the node's name; of both families. */
  readonly map: ReadonlyMap<string, readonly Ip[]>
  /** Its last 32 bits are zero: that is where a node's IPv4 address goes. */
  readonly ipv6Prefix?: Ip | undefined
  /** IPv6 addresses of the hostNetwork pods on a node. */
  readonly hostPods: ReadonlyMap<NodeName, readonly Ip[]>
  /** The IPv6 link-local address of the neighbour that has an IPv4 address. A route via it has to name the device. */
  readonly linkLocal?: ((ipv4: Ip) => Ip | undefined) | undefined
}

/**
 * What the node's object reports, followed by what the sources add. Whatever it reports stands, also an IPv6 link-local
 * address. Of a node with several IPv4 addresses each one makes an IPv6 address: which of them can be reached is for
 * the underlay to say.
 */
export function nodeAddresses(node: NodeFacts, sources: AddressSources): readonly Ip[] {
  const reported = node.addresses
  if (has(reported, 4) && has(reported, 6)) return reported
  const mapped = sources.map.get(node.name)?.filter(ip => !has(reported, ip.family)) ?? []
  const known = mapped.length > 0 ? [...reported, ...mapped] : reported
  const derived = has(known, 6) ? [] : derivedIpv6(node.name, known, sources)
  return derived.length > 0 ? [...known, ...derived] : known
}

function derivedIpv6(node: NodeName, ipv4: readonly Ip[], sources: AddressSources): readonly Ip[] {
  const {ipv6Prefix, hostPods, linkLocal} = sources
  if (ipv6Prefix && ipv4.length > 0) return ipv4.map(ip => withPrefix(ip, ipv6Prefix))
  const told = hostPods.get(node)
  if (told && told.length > 0) return told
  return linkLocal ? ipv4.flatMap(ip => linkLocal(ip) ?? []) : []
}

const has = (addresses: readonly Ip[], family: Family): boolean => addresses.some(ip => ip.family === family)

/** For {@link AddressSources.linkLocal}: `neighbours` are the kernel's on the underlay, by the text of their IPv4 address. Live. */
export const linkLocalOf =
  (neighbours: ReadonlyMap<string, Mac>) =>
  (ipv4: Ip): Ip | undefined => {
    const mac = neighbours.get(`${ipv4}`)
    return mac !== undefined && isOfOneHost(mac) ? ofNeighbour(ipv4, mac) : undefined
  }

/** Not that of a group, nor the zeros of a device that has none. */
const isOfOneHost = (mac: Mac): boolean => !(Number.parseInt(mac.slice(0, 2), 16) & 1) && mac !== '00:00:00:00:00:00'

/** The link-local address that a host makes of its MAC by itself. RFC 4291, appendix A: fe80::/64 and a modified EUI-64. */
export function eui64(mac: Mac): Ip {
  const [a, b, c, d, e, f] = mac.split(':').map(byte => Number.parseInt(byte, 16)) as Six
  return new Ip(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 0x02, b, c, 0xff, 0xfe, d, e, f))
}

type Six = [number, number, number, number, number, number]

/** 1000:1:: and 192.168.1.2 are 1000:1::192.168.1.2, which is 1000:1::c0a8:102. */
export function concatenate(prefix: Ip, ipv4: Ip): Ip {
  const bytes = Uint8Array.from(prefix.bytes)
  bytes.set(ipv4.bytes, bytes.length - ipv4.bytes.length)
  return new Ip(bytes)
}

/**
 * Passes ask for 5,000 nodes again and again: an answer is kept, with its cached text, for as long as the facts that
 * hold the IPv4 address. Only the newest one: what it is made from hardly ever changes.
 */
function remembering<By>(make: (ipv4: Ip, by: By) => Ip): (ipv4: Ip, by: By) => Ip {
  const answers = new WeakMap<Ip, {readonly by: By; readonly ip: Ip}>()
  return (ipv4, by) => {
    const known = answers.get(ipv4)
    if (known?.by === by) return known.ip
    const ip = make(ipv4, by)
    answers.set(ipv4, {by, ip})
    return ip
  }
}

const withPrefix = remembering((ipv4, prefix: Ip) => concatenate(prefix, ipv4))
const ofNeighbour = remembering((_, mac: Mac) => eui64(mac))
