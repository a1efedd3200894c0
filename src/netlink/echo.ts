/** Echo requests (ping) of chosen sizes that are never cut into fragments: what size gets through to an address. */
import {randomInt} from 'node:crypto'
import {closeSync, readSync, writeSync} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'
import {getSystemErrorName} from 'node:util'
import type {Family, Ip} from '../model/ip.ts'
import {addon} from './addon.ts'

/** Bytes: of the IP header, and of that of ICMP. RFC 791, RFC 8200, RFC 792. */
const HEADERS = {4: {ip: 20, icmp: 8}, 6: {ip: 40, icmp: 8}} as const
/** RFC 792, RFC 4443. */
const TYPES = {4: {request: 8, reply: 0}, 6: {request: 128, reply: 129}} as const

export interface EchoOptions {
  /** How often each size is sent. @default 3 */
  readonly tries?: number
  /** Milliseconds for the answers to each try. @default 700 */
  readonly patienceMs?: number
}

/** Milliseconds. */
const LOOK_MS = 5

/**
 * The sizes (bytes of the whole IP packet, 28 or 48 at least, each once) of which an echo came back. Ends as soon as all
 * are there. Rejects with what the system says where nothing can be sent at all (EPERM, ENETUNREACH).
 */
export async function echo(
  address: Ip,
  sizes: readonly number[],
  {tries = 3, patienceMs = 700}: EchoOptions = {},
): Promise<ReadonlySet<number>> {
  const {family} = address
  const fd = addon.echoSocket(address.bytes)
  if (fd < 0) throw failure(-fd, `${address}`)
  const id = randomInt(0x10000)
  const found = new Set<number>()
  const buffer = Buffer.allocUnsafe(0x10000)
  try {
    for (let attempt = 0; attempt < tries; attempt++) {
      const missing = sizes.filter(size => !found.has(size))
      for (const size of missing) send(fd, request(family, size, id, sizes.indexOf(size)))
      const deadline = performance.now() + patienceMs
      while (found.size < sizes.length && performance.now() < deadline) {
        for (let packet = receive(fd, buffer); packet; packet = receive(fd, buffer)) {
          const index = answered(packet, family, id)
          if (index !== undefined && sizes[index] !== undefined) found.add(sizes[index])
        }
        if (found.size < sizes.length) await sleep(LOOK_MS)
      }
      if (found.size === sizes.length) break
    }
    return found
  } finally {
    closeSync(fd)
  }
}

function request(family: Family, size: number, id: number, sequence: number): Buffer {
  const {ip, icmp} = HEADERS[family]
  const packet = Buffer.alloc(Math.max(icmp, size - ip))
  packet[0] = TYPES[family].request
  packet.writeUInt16BE(id, 4)
  packet.writeUInt16BE(sequence, 6)
  // Of IPv6 the kernel fills it in.
  if (family === 4) packet.writeUInt16BE(checksum(packet), 2)
  return packet
}

/** RFC 1071. */
function checksum(packet: Buffer): number {
  let sum = 0
  for (let i = 0; i < packet.length; i++) sum += i % 2 === 0 ? packet[i]! << 8 : packet[i]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** The sequence number of an answer to us. Whoever else pings that address hears its answers, too, and so do we. */
function answered(packet: Buffer, family: Family, id: number): number | undefined {
  // IPv4 comes with its header.
  const at = family === 4 ? (packet[0]! & 0x0f) * 4 : 0
  if (packet.length < at + HEADERS[family].icmp || packet[at] !== TYPES[family].reply) return undefined
  return packet.readUInt16BE(at + 4) === id ? packet.readUInt16BE(at + 6) : undefined
}

/** What says that this packet does not get there, now or again: the answer that does not come tells the same. */
const LOST = new Set(['EMSGSIZE', 'EAGAIN', 'EHOSTUNREACH', 'EHOSTDOWN', 'ECONNREFUSED', 'ENOBUFS', 'EPROTO', 'EINTR'])

/** Twice: the first time may only hear of an error that an earlier packet has come back with. */
function send(fd: number, packet: Buffer): void {
  for (let i = 0; i < 2; i++) {
    try {
      writeSync(fd, packet)
      return
    } catch (error) {
      if (!LOST.has((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
}

/** Undefined: there is nothing more now. */
function receive(fd: number, buffer: Buffer): Buffer | undefined {
  try {
    return buffer.subarray(0, readSync(fd, buffer))
  } catch (error) {
    if (!LOST.has((error as NodeJS.ErrnoException).code ?? '')) throw error
    return undefined
  }
}

function failure(errno: number, what: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno)
  return Object.assign(new Error(`no echo request can be sent to ${what} (${code})`), {code, errno: -errno})
}
