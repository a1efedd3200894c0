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
  const {ipv6Prefix, hostPods} = sources
  if (ipv6Prefix && ipv4.length > 0) return ipv4.map(ip => withPrefix(ip, ipv6Prefix))
  return hostPods.get(node) ?? []
}

const has = (addresses: readonly Ip[], family: Family): boolean => addresses.some(ip => ip.family === family)

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

/** The answers, with their cached text, for as long as the facts that hold the IPv4 address: passes ask again and again. */
const answers = new WeakMap<Ip, {readonly prefix: Ip; readonly ip: Ip}>()

function withPrefix(ipv4: Ip, prefix: Ip): Ip {
  const known = answers.get(ipv4)
  if (known?.prefix === prefix) return known.ip
  const ip = concatenate(prefix, ipv4)
  answers.set(ipv4, {prefix, ip})
  return ip
}
