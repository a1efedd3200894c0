/** Addresses and prefixes, parsed once at the boundary and carried as bytes with a cached canonical text. */
import {isIP} from 'node:net'
import ipaddr from 'ipaddr.js'
import {InvalidInput, quoted} from './errors.ts'

export type Family = 4 | 6

const WIDTH = {4: 32, 6: 128} as const

/**
 * An IPv4 (4 bytes) or IPv6 (16 bytes) address. Its text is canonical: compare by it.
 *
 * There are tens of thousands of these: the bytes are kept as a text of as many characters, a fifth of what a typed
 * array takes.
 */
export class Ip {
  /** A character (0 to 255) for each byte, in network byte order. */
  readonly raw: string
  #text: string | undefined

  constructor(bytes: Uint8Array | string) {
    if (bytes.length !== 4 && bytes.length !== 16)
      throw new InvalidInput(`an address has 4 or 16 bytes, not ${bytes.length}`)
    this.raw = typeof bytes === 'string' ? bytes : String.fromCharCode(...bytes)
  }

  /** A copy. */
  get bytes(): Uint8Array {
    return Uint8Array.from(this.raw, byte => byte.charCodeAt(0))
  }

  get family(): Family {
    return this.raw.length === 4 ? 4 : 6
  }

  toString(): string {
    this.#text ??= this.raw.length === 4 ? formatIpv4(this.raw) : formatIpv6(this.raw)
    return this.#text
  }
}

/** A prefix: its host bits are zero. `text` is canonical ("10.1.2.0/24"): compare by it. */
export class Cidr {
  readonly address: Ip
  /** Bits, 0 to 32 or 128. */
  readonly length: number
  #text: string | undefined

  constructor(address: Ip, length: number) {
    if (!Number.isInteger(length) || length < 0 || length > WIDTH[address.family])
      throw new InvalidInput(`a prefix length of IPv${address.family} is 0 to ${WIDTH[address.family]}, not ${length}`)
    this.address = mask(address, length)
    this.length = length
  }

  get family(): Family {
    return this.address.family
  }

  toString(): string {
    this.#text ??= `${this.address}/${this.length}`
    return this.#text
  }

  contains(other: Ip | Cidr): boolean {
    const [address, length] = other instanceof Cidr ? [other.address, other.length] : [other, WIDTH[other.family]]
    return (
      address.family === this.family && length >= this.length && sameBits(address.raw, this.address.raw, this.length)
    )
  }

  overlaps(other: Cidr): boolean {
    return this.contains(other) || other.contains(this)
  }
}

/** An address of an interface with the prefix of its subnet ("192.168.0.11/24"). */
export interface IpWithPrefix {
  readonly ip: Ip
  /** Bits. */
  readonly length: number
}

/** Every bit set: the prefix length of a single host. */
export const hostLength = (family: Family): number => WIDTH[family]

/** Throws {@link InvalidInput}. Strict: no leading zeros, no short forms, no zone. */
export function parseIp(text: string): Ip {
  if (isIP(text) === 0 || text.includes('%')) throw new InvalidInput(`${quoted(text)} is not an IP address`)
  const parsed = ipaddr.parse(text.replace(DOTTED_TAIL, (_, ...bytes) => hexTail(bytes)))
  return new Ip(Uint8Array.from(parsed.toByteArray()))
}

/** As in ::ffff:10.0.0.1. The library would take ::10.0.0.1 for that one, too. */
const DOTTED_TAIL = /(?<=:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/

const hexTail = ([a, b, c, d]: readonly string[]): string =>
  `${((Number(a) << 8) | Number(b)).toString(16)}:${((Number(c) << 8) | Number(d)).toString(16)}`

/** Throws {@link InvalidInput}. Host bits are cleared, as Kubernetes' own parser does. */
export function parseCidr(text: string): Cidr {
  const {ip, length} = parseIpWithPrefix(text)
  return new Cidr(ip, length)
}

/** Throws {@link InvalidInput}. Like {@link parseCidr}, but keeps the host bits. */
export function parseIpWithPrefix(text: string): IpWithPrefix {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text)
  if (!match) throw new InvalidInput(`${quoted(text)} is not an address with a prefix length (as in 10.1.2.0/24)`)
  const ip = parseIp(match[1]!)
  const length = Number(match[2])
  if (length > WIDTH[ip.family])
    throw new InvalidInput(`${quoted(text)}: the prefix length of IPv${ip.family} is at most ${WIDTH[ip.family]}`)
  return {ip, length}
}

function mask(address: Ip, length: number): Ip {
  const whole = length >> 3
  const {raw} = address
  if (whole === raw.length) return address
  const partial = raw.charCodeAt(whole) & (0xff << (8 - (length & 7)))
  const masked = raw.slice(0, whole) + String.fromCharCode(partial & 0xff) + '\0'.repeat(raw.length - whole - 1)
  return masked === raw ? address : new Ip(masked)
}

function sameBits(a: string, b: string, bits: number): boolean {
  const whole = bits >> 3
  for (let i = 0; i < whole; i++) if (a.charCodeAt(i) !== b.charCodeAt(i)) return false
  const rest = bits & 7
  return rest === 0 || ((a.charCodeAt(whole) ^ b.charCodeAt(whole)) & (0xff << (8 - rest)) & 0xff) === 0
}

const formatIpv4 = (raw: string): string =>
  `${raw.charCodeAt(0)}.${raw.charCodeAt(1)}.${raw.charCodeAt(2)}.${raw.charCodeAt(3)}`

/** RFC 5952. */
function formatIpv6(raw: string): string {
  const groups: string[] = []
  let best = {at: -1, length: 1}
  let run = {at: -1, length: 0}
  for (let i = 0; i < 8; i++) {
    const group = (raw.charCodeAt(2 * i) << 8) | raw.charCodeAt(2 * i + 1)
    groups.push(group.toString(16))
    if (group !== 0) run = {at: -1, length: 0}
    else {
      run = run.at < 0 ? {at: i, length: 1} : {at: run.at, length: run.length + 1}
      if (run.length > best.length) best = run
    }
  }
  if (best.at < 0) return groups.join(':')
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`
}
