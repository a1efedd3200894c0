/** The kernel's network of one namespace, as a port: changes in batches, strict dumps, sysctls. */
import {existsSync} from 'node:fs'
import {open} from 'node:fs/promises'
import {NetgraftError} from '../model/errors.ts'
import {decodeError, NetlinkError} from './errors.ts'
import {type Message, messages, NLM_F, NLMSG, read, Writer} from './message.ts'
import type {Dump, Request} from './request.ts'
import {NetlinkSocket} from './socket.ts'

/** Bytes. Room for the answers to a batch of thousands, each refused. */
const RECEIVE_BUFFER = 8 << 20
/** An interrupted dump is read again at most this often before it is an error: the kernel then changes without pause. */
const DUMP_ATTEMPTS = 10
/** Requests encoded between two turns of the event loop. */
const ENCODE_SLICE = 1000
/** What a dump fails with when its filter names a device that is gone, or a routing table that never had a route. */
const NOTHING_MATCHES: ReadonlySet<string> = new Set(['ENODEV', 'ENOENT'])

/**
 * Where a container has the host's /proc/sys/net: runtimes mount its own /proc/sys read-only. Whichever it is, a sysctl is
 * that of the namespace of the thread that opens it.
 */
const HOST_PROC = '/host/proc'

let sysctls: string | undefined
const whereSysctlsAre = (): string => (sysctls ??= existsSync(`${HOST_PROC}/sys/net/ipv4`) ? HOST_PROC : '/proc')

export interface KernelOptions {
  /** A path ("/run/netns/x", "/proc/1/ns/net") or an open descriptor. @default the process's own namespace */
  readonly netns?: string | number | undefined
  /** Where sysctls are. @default {@link HOST_PROC} where something is mounted there, else "/proc" */
  readonly proc?: string | undefined
}

/** A dump that the kernel reported as inconsistent (NLM_F_DUMP_INTR) every time. */
export class DumpInterrupted extends NetgraftError {
  readonly code = 'EINTR'
}

export class Kernel {
  readonly #socket: NetlinkSocket
  readonly #proc: string
  #sequence = 0

  /** Rejects with NetlinkSocketError, or with Node's error for a path that cannot be opened. */
  static async open(options: KernelOptions = {}): Promise<Kernel> {
    const {netns} = options
    const file = typeof netns === 'string' ? await open(netns, 'r') : undefined
    try {
      const fd = file?.fd ?? (netns as number | undefined)
      return new Kernel(
        await NetlinkSocket.open({netns: fd, receiveBuffer: RECEIVE_BUFFER}),
        options.proc ?? whereSysctlsAre(),
      )
    } finally {
      await file?.close()
    }
  }

  /** As {@link Kernel.open}, of an open descriptor, without waiting: the first question fails where it cannot be opened. */
  static begin({
    netns,
    proc = whereSysctlsAre(),
  }: {
    readonly netns: number
    readonly proc?: string | undefined
  }): Kernel {
    return new Kernel(NetlinkSocket.begin({netns, receiveBuffer: RECEIVE_BUFFER}), proc)
  }

  private constructor(socket: NetlinkSocket, proc: string) {
    this.#socket = socket
    this.#proc = proc
  }

  /** Notifications that carry this port were caused by us. */
  get port(): number {
    return this.#socket.port
  }

  /** Makes one change. Rejects with {@link NetlinkError}. */
  async do(request: Request): Promise<void> {
    const [error] = await this.batch([request])
    if (error) throw error
  }

  /**
   * Makes changes in order, in as few system calls as are needed. The kernel goes on after a refusal: the answer holds,
   * per request, the refusal or undefined; what else is said to a request (asked for with NLM_F_ECHO, or a query's
   * answer) goes to `onAnswer`. Rejects only when the answers themselves could not be read.
   */
  async batch(
    requests: readonly Request[],
    onAnswer?: (request: number, message: Message) => void,
  ): Promise<(NetlinkError | undefined)[]> {
    const results = new Array<NetlinkError | undefined>(requests.length)
    if (requests.length === 0) return results
    const first = this.#take(requests.length)
    const writer = new Writer()
    for (const [i, request] of requests.entries()) {
      if (i > 0 && i % ENCODE_SLICE === 0) await new Promise(setImmediate)
      // Refusals are always answered; the last one's acknowledgement ends the batch.
      const ack = i === requests.length - 1 ? NLM_F.ACK : 0
      encode(writer, request, request.flags | ack, first + i)
    }
    await this.#socket.transact(writer.finish(), first + requests.length - 1, data => {
      for (const message of messages(data)) {
        const request = requests[message.sequence - first]
        if (!request) continue
        if (message.type !== NLMSG.ERROR) {
          onAnswer?.(message.sequence - first, message)
          continue
        }
        const {errno, ...extended} = decodeError(message)
        if (errno) results[message.sequence - first] = new NetlinkError(request.describe(), errno, extended)
      }
    })
    return results
  }

  /**
   * Makes a change and reads its echo: how the index of a link that was just made is learnt (`ip -echo`).
   * Kernels before 6.2 make the link and say nothing: undefined, look it up by its name.
   */
  async echo<T>(request: Request, answer: number, decode: (body: Buffer) => T | undefined): Promise<T | undefined> {
    const sequence = this.#take(1)
    const writer = new Writer()
    encode(writer, request, request.flags | NLM_F.ACK | NLM_F.ECHO, sequence)
    let result: T | undefined
    let refusal: NetlinkError | undefined
    await this.#socket.transact(writer.finish(), sequence, data => {
      for (const message of messages(data)) {
        if (message.sequence !== sequence) continue
        if (message.type === answer) result = decode(message.body)
        else refusal ??= refused(message, request)
      }
    })
    if (refusal) throw refusal
    return result
  }

  /** Reads a table whole and consistent. Rejects with NetlinkError, or {@link DumpInterrupted} if it never holds still. */
  async dump<T>(request: Dump<T>): Promise<T[]> {
    for (let attempt = 1; ; attempt++) {
      const result = await this.#dumpOnce(request)
      if (result) return result
      if (attempt === DUMP_ATTEMPTS)
        throw new DumpInterrupted(`${request.describe()}: interrupted ${attempt} times by changes`)
    }
  }

  /** Undefined when the kernel says that it changed meanwhile. */
  async #dumpOnce<T>(request: Dump<T>): Promise<T[] | undefined> {
    const sequence = this.#take(1)
    const writer = new Writer()
    encode(writer, request, request.flags, sequence)
    const result: T[] = []
    let interrupted = false
    let refusal: NetlinkError | undefined
    await this.#socket.transact(writer.finish(), sequence, data => {
      for (const message of messages(data)) {
        if (message.sequence !== sequence) continue
        if (message.flags & NLM_F.DUMP_INTR) interrupted = true
        if (message.type === request.answer) {
          const item = request.decode(message.body)
          if (item !== undefined) result.push(item)
        } else refusal ??= refused(message, request)
      }
    })
    if (refusal && !NOTHING_MATCHES.has(refusal.code)) throw refusal
    if (refusal) return []
    return interrupted ? undefined : result
  }

  /** Like `sysctl -n name` in the namespace. */
  async readSysctl(name: string): Promise<string> {
    return (await this.#socket.readFile(this.#sysctlPath(name))).trim()
  }

  /** Like `sysctl -w name=value` in the namespace. `name` is the path under net ("ipv4/ip_forward"). */
  writeSysctl(name: string, value: string): Promise<void> {
    return this.#socket.writeFile(this.#sysctlPath(name), value)
  }

  close(): void {
    this.#socket.close()
  }

  #sysctlPath(name: string): string {
    return `${this.#proc}/sys/net/${name}`
  }

  /** The first of `count` sequence numbers. They wrap before 2^31: 0 is never used. */
  #take(count: number): number {
    if (this.#sequence + count >= 2 ** 31) this.#sequence = 0
    const first = this.#sequence + 1
    this.#sequence += count
    return first
  }
}

function encode(to: Writer, request: Request, flags: number, sequence: number): void {
  to.begin(request.type, NLM_F.REQUEST | flags, sequence)
  request.encode(to)
  to.end()
}

/** A dump's end can carry an errno, too. */
function refused(message: Message, request: Request): NetlinkError | undefined {
  if (message.type === NLMSG.DONE) {
    const errno = -(read.i32(message.body) ?? 0)
    return errno > 0 ? new NetlinkError(request.describe(), errno) : undefined
  }
  if (message.type !== NLMSG.ERROR) return undefined
  const {errno, ...extended} = decodeError(message)
  return errno ? new NetlinkError(request.describe(), errno, extended) : undefined
}
