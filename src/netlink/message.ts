/**
 * Netlink's framing: headers, attributes, nesting. Everything is in host byte order (little endian: the addon refuses to
 * compile elsewhere) but for the fields that the kernel documents as network order. linux/netlink.h.
 */
import {Ip} from '../model/ip.ts'
import type {Mac} from '../model/net.ts'

/** `nlmsg_flags`. */
export const NLM_F = {
  REQUEST: 0x1,
  ACK: 0x4,
  ECHO: 0x8,
  DUMP_INTR: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
} as const

/** `nlmsg_type` of control messages. */
export const NLMSG = {NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4} as const

const HEADER_BYTES = 16
const NESTED = 0x8000
const TYPE_MASK = 0x3fff

const align = (length: number): number => (length + 3) & ~3

/** Builds a batch of messages in one growing buffer. Lengths are filled in when a message or nest ends. */
export class Writer {
  #bytes = Buffer.allocUnsafe(4096)
  #at = 0
  #message = 0

  /** What was written, valid until the next write. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }

  begin(type: number, flags: number, sequence: number): this {
    this.#message = this.#at
    return this.u32(0).u16(type).u16(flags).u32(sequence).u32(0)
  }

  end(): void {
    this.#bytes.writeUInt32LE(this.#at - this.#message, this.#message)
  }

  u8(value: number): this {
    const at = this.#room(1)
    this.#bytes[at] = value
    return this
  }

  u16(value: number): this {
    const at = this.#room(2)
    this.#bytes[at] = value
    this.#bytes[at + 1] = value >>> 8
    return this
  }

  u32(value: number): this {
    const at = this.#room(4)
    this.#bytes.writeUInt32LE(value >>> 0, at)
    return this
  }

  /** A number of `size` bytes, as the attribute's payload. */
  attribute(type: number, size: 1 | 2 | 4, value: number): this {
    this.u16(4 + size).u16(type)
    if (size === 1) this.u8(value)
    else if (size === 2) this.u16(value)
    else this.u32(value)
    return this.#pad()
  }

  bytesAttribute(type: number, bytes: Uint8Array): this {
    this.u16(4 + bytes.length).u16(type)
    const at = this.#room(bytes.length)
    this.#bytes.set(bytes, at)
    return this.#pad()
  }

  ipAttribute(type: number, {raw}: Ip): this {
    this.u16(4 + raw.length).u16(type)
    const at = this.#room(raw.length)
    for (let i = 0; i < raw.length; i++) this.#bytes[at + i] = raw.charCodeAt(i)
    return this.#pad()
  }

  /** NUL-terminated. */
  textAttribute(type: number, text: string): this {
    return this.bytesAttribute(type, Buffer.from(`${text}\0`))
  }

  /** __be16, as UDP ports are. */
  portAttribute(type: number, port: number): this {
    return this.attribute(type, 2, ((port & 0xff) << 8) | (port >>> 8))
  }

  macAttribute(type: number, mac: Mac): this {
    return this.bytesAttribute(type, Buffer.from(mac.replaceAll(':', ''), 'hex'))
  }

  /** `fill` writes the nested attributes. The kernel wants the flag where it validates strictly, and accepts it elsewhere. */
  nest(type: number, fill: () => void, flag: number = NESTED): this {
    const start = this.#at
    this.u16(0).u16(type | flag)
    fill()
    this.#bytes.writeUInt16LE(this.#at - start, start)
    return this
  }

  #pad(): this {
    while (this.#at & 3) this.u8(0)
    return this
  }

  /** Where to write `size` bytes. It may replace #bytes: call it before #bytes is read. */
  #room(size: number): number {
    const at = this.#at
    if (at + size > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, at + size))
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
    }
    this.#at = at + size
    return at
  }
}

/** One received message; `body` is what follows its header. */
export interface Message {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  /** The port id of who caused it; 0 is the kernel itself. */
  readonly port: number
  readonly body: Buffer
}

/** The messages of a buffer. Stops at the first one whose length is impossible: arbitrary bytes never throw. */
export function* messages(buffer: Buffer): Generator<Message> {
  for (let at = 0; at + HEADER_BYTES <= buffer.length; ) {
    const length = buffer.readUInt32LE(at)
    if (length < HEADER_BYTES || at + length > buffer.length) return
    yield {
      type: buffer.readUInt16LE(at + 4),
      flags: buffer.readUInt16LE(at + 6),
      sequence: buffer.readUInt32LE(at + 8),
      port: buffer.readUInt32LE(at + 12),
      body: buffer.subarray(at + HEADER_BYTES, at + length),
    }
    at += align(length)
  }
}

/** Calls `each` for every attribute from `offset` on. Stops at the first impossible length. */
export function attributes(body: Buffer, offset: number, each: (type: number, payload: Buffer) => void): void {
  for (let at = offset; at + 4 <= body.length; ) {
    const length = body.readUInt16LE(at)
    if (length < 4 || at + length > body.length) return
    each(body.readUInt16LE(at + 2) & TYPE_MASK, body.subarray(at + 4, at + length))
    at += align(length)
  }
}

/** Payload readers: a payload that is too short reads as undefined, never as an exception. */
export const read = {
  u8: (payload: Buffer): number | undefined => (payload.length >= 1 ? payload[0] : undefined),
  u16: (payload: Buffer): number | undefined => (payload.length >= 2 ? payload.readUInt16LE(0) : undefined),
  u32: (payload: Buffer): number | undefined => (payload.length >= 4 ? payload.readUInt32LE(0) : undefined),
  i32: (payload: Buffer): number | undefined => (payload.length >= 4 ? payload.readInt32LE(0) : undefined),
  /** __be16. */
  port: (payload: Buffer): number | undefined => (payload.length >= 2 ? payload.readUInt16BE(0) : undefined),
  text: (payload: Buffer): string => {
    const end = payload.indexOf(0)
    return payload.toString('utf8', 0, end < 0 ? payload.length : end)
  },
  ip: (payload: Buffer): Ip | undefined =>
    payload.length === 4 || payload.length === 16 ? new Ip(payload.toString('latin1')) : undefined,
  mac: (payload: Buffer): Mac | undefined =>
    payload.length === 6 ? (payload.toString('hex').replace(/..(?!$)/g, '$&:') as Mac) : undefined,
}

/**
 * An object without the keys whose value is undefined: decoders fill fields as they meet attributes. A copy, since
 * deleting keys would turn each of ten thousand routes into a hash table.
 */
export function present<T extends object>(object: {[K in keyof T]: T[K] | undefined}): T {
  const result: Partial<T> = {}
  for (const key in object) if (object[key] !== undefined) result[key] = object[key] as T[typeof key]
  return result as T
}
