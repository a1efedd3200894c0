/** Addresses in every spelling that the upstream plugins take. */
import {InvalidInput} from '../../model/errors.ts'
import {hostLength, Ip, type IpWithPrefix, parseIp, parseIpWithPrefix} from '../../model/ip.ts'
import {CniError} from '../error.ts'
import {shown, textOf} from './json.ts'

const MAPPED = `${'\0'.repeat(10)}\xff\xff`

/** "::ffff:10.1.0.1" is 10.1.0.1, as Go has it. */
const unmapped = (ip: Ip): Ip => (ip.raw.length === 16 && ip.raw.startsWith(MAPPED) ? new Ip(ip.raw.slice(12)) : ip)

/** "10.1.0.1". Undefined when absent or empty. Throws CniError. */
export function addressOf(value: unknown, where: string): Ip | undefined {
  const text = textOf(value, where)
  return text === '' ? undefined : unmapped(parsed(text, where, 'an IP address (as 10.1.0.5)', parseIp))
}

/** "10.1.0.1/24", the host bits kept. Throws CniError. */
export function prefixedOf(value: unknown, where: string): IpWithPrefix {
  const {ip, length} = writtenPrefixOf(value, where)
  const plain = unmapped(ip)
  return {ip: plain, length: plain === ip ? length : Math.max(0, length - 96)}
}

/** As it is written: an IPv6 prefix of mapped IPv4 addresses stays one. */
export const writtenPrefixOf = (value: unknown, where: string): IpWithPrefix =>
  // Go's parser takes "/024" for 24.
  parsed(textOf(value, where), where, 'an address with its prefix length (as 10.1.0.5/24)', text =>
    parseIpWithPrefix(text.replace(/\/0+(?=\d)/, '/')),
  )

/** An address that somebody asks for: "10.1.0.1", or "10.1.0.1/24", whose prefix length does not count. Throws CniError. */
export function requestedOf(value: unknown, where: string): Ip {
  const text = textOf(value, where)
  return text.includes('/')
    ? prefixedOf(text, where).ip
    : unmapped(parsed(text, where, 'an IP address (as 10.1.0.5 or 10.1.0.5/24)', parseIp))
}

export const formatPrefixed = ({ip, length}: IpWithPrefix): string => `${ip}/${length}`

/** In network byte order. */
export function numberOf(ip: Ip): bigint {
  let number = 0n
  for (let i = 0; i < ip.raw.length; i++) number = (number << 8n) | BigInt(ip.raw.charCodeAt(i))
  return number
}

/** The address at that number, as many bytes long as `like`. */
export function addressAt(number: bigint, like: Ip): Ip {
  const bytes = new Uint8Array(hostLength(like.family) / 8)
  for (let i = bytes.length - 1, rest = number; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn)
  return new Ip(bytes)
}

function parsed<T>(text: string, where: string, want: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (cause) {
    if (!(cause instanceof InvalidInput)) throw cause
    throw new CniError('invalidConfig', `${where} must be ${want}, not ${shown(text)}`, {cause})
  }
}
