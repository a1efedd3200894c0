/** What nodes publish of their tunnels: the annotation `netgraft.dev/vtep-<network>` of the Node object. */
import {InvalidInput, quoted} from './errors.ts'
import {type Ip, parseCidr, parseIp} from './ip.ts'
import type {Mac} from './net.ts'

/** Begins the annotation's name; the network's name follows. */
export const VTEP_ANNOTATION = 'netgraft.dev/vtep-'

/** One end of a tunnel: where packets for the node are to be sent, and the MAC that they are to bear inside. */
export interface VtepEnd {
  readonly ip: Ip
  readonly mac: Mac
}

export interface Vtep {
  readonly network: string
  /** 24 bits. */
  readonly vni: number
  /** UDP. */
  readonly port: number
  /** At most one per family, IPv4 first. */
  readonly ends: readonly VtepEnd[]
}

/** The annotation's value: `{"vni":1,"port":8472,"ends":[{"ip":"192.168.0.1","mac":"02:…"}]}`. Equal texts: the same. */
export const formatVtep = ({vni, port, ends}: Vtep): string =>
  JSON.stringify({vni, port, ends: ends.map(({ip, mac}) => ({ip: `${ip}`, mac}))})

/** Throws {@link InvalidInput}. Keys that are not known are left alone: a newer agent may publish more. */
export function parseVtep(network: string, text: string): Vtep {
  const {vni, port, ends} = parseObject(text)
  if (!Array.isArray(ends)) throw new InvalidInput('has no list "ends"')
  const known = new Map<number, VtepEnd>()
  for (const end of ends) {
    const {ip, mac} = parseEnd(end)
    if (known.has(ip.family)) throw new InvalidInput(`has two ends of IPv${ip.family}`)
    known.set(ip.family, {ip, mac})
  }
  return {
    network,
    vni: number('vni', vni, 2 ** 24 - 1),
    port: number('port', port, 65535),
    ends: [...known.values()].sort((a, b) => a.ip.family - b.ip.family),
  }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new InvalidInput('is not JSON', {cause})
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidInput('is not a JSON object')
  return value as Record<string, unknown>
}

function parseEnd(value: unknown): VtepEnd {
  const {ip, mac} = Object(value) as Record<string, unknown>
  if (typeof ip !== 'string' || typeof mac !== 'string') throw new InvalidInput('has an end without "ip" or "mac"')
  const address = parseIp(ip)
  if (!isHost(address)) throw new InvalidInput(`${ip} cannot be the address of a tunnel's end`)
  return {ip: address, mac: parseUnicastMac(mac)}
}

/** IPv4 by another name. */
const MAPPED = parseCidr('::ffff:0:0/96')

/** Neither unspecified, loopback, link-local, multicast nor broadcast. */
export function isHost(ip: Ip): boolean {
  const {family, bytes} = ip
  const [a = 0, b = 0] = bytes
  if (MAPPED.contains(ip)) return false
  if (family === 4) return a !== 0 && a !== 127 && a < 224 && !(a === 169 && b === 254)
  return (
    a !== 0xff &&
    !(a === 0xfe && (b & 0xc0) === 0x80) &&
    bytes.some((byte, i) => byte !== 0 && !(i === 15 && byte === 1))
  )
}

/** A group's MAC would send every packet to all. */
function parseUnicastMac(text: string): Mac {
  const mac = text.toLowerCase()
  if (!/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac) || mac === '00:00:00:00:00:00')
    throw new InvalidInput(`${quoted(text)} is not the MAC of one device`)
  return mac as Mac
}

function number(name: string, value: unknown, most: number): number {
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > most)
    throw new InvalidInput(`"${name}" is not a whole number from 1 to ${most}`)
  return value as number
}
