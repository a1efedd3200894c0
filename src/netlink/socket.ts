/** One netlink socket of the addon, with its answers routed to whoever asked. */
import {addon, EVENT, type Handle} from './addon.ts'
import {NetlinkSocketError} from './errors.ts'

/** linux/netlink.h. */
const NETLINK_ROUTE = 0
export const NETLINK_NETFILTER = 12
/** As the addon has it. */
const NO_SOCKET = -1

export interface SocketOptions {
  /** A descriptor of the namespace to open it in. @default the process's own */
  readonly netns?: number | undefined
  /** NETLINK_*. @default NETLINK_ROUTE */
  readonly protocol?: number
  /** RTNLGRP_*, NFNLGRP_*, to listen to. */
  readonly groups?: readonly number[]
  /** Bytes. SO_RCVBUFFORCE. */
  readonly receiveBuffer: number
  /** Also hear the namespaces that have an id in this one. NETLINK_LISTEN_ALL_NSID. */
  readonly allNsids?: boolean
  /** Multicast data; frames as the addon documents. */
  readonly onData?: (data: Buffer) => void
  /** The kernel dropped multicast messages. */
  readonly onLost?: () => void
  /** The socket can no longer be read. */
  readonly onError?: (error: Error) => void
}

interface Job {
  readonly resolve: () => void
  readonly reject: (reason: number | Error) => void
  readonly onData?: ((data: Buffer) => void) | undefined
}

/** ECANCELED: what waits on a socket that is closed is told so. */
const CANCELED = 125
/** EINVAL: setns() of something else. */
const EINVAL = 22
const EPERM = 1

export class NetlinkSocket {
  /** The kernel's name of this socket: notifications carry the port of who caused them. */
  port = 0
  readonly #handle: Handle
  readonly #options: SocketOptions
  readonly #jobs = new Map<number, Job>()
  #nextId = 1
  #closed = false
  /** Why it is closed, where that was not asked for. */
  #end: Error | undefined
  #opened: {resolve: () => void; reject: (error: Error) => void} | undefined

  static async open(options: SocketOptions): Promise<NetlinkSocket> {
    const {promise, resolve, reject} = Promise.withResolvers<void>()
    const socket = new NetlinkSocket(options, {resolve, reject})
    await promise
    return socket
  }

  /** One that need not be open to be asked: what it is asked waits, or fails with why it could not be opened. */
  static begin(options: Omit<SocketOptions, 'groups'>): NetlinkSocket {
    return new NetlinkSocket(options, {resolve: () => {}, reject: () => {}})
  }

  private constructor(options: SocketOptions, opened: {resolve: () => void; reject: (error: Error) => void}) {
    this.#options = options
    this.#opened = opened
    const {netns = -1, protocol = NETLINK_ROUTE, groups = [], receiveBuffer, allNsids = false} = options
    this.#handle = addon.open(netns, protocol, groups, receiveBuffer, allNsids, (type, id, value, data) =>
      this.#onEvent(type, id, value, data),
    )
  }

  /** A thread for files, without a socket. */
  static openFiles(): Promise<NetlinkSocket> {
    return NetlinkSocket.open({receiveBuffer: 0, protocol: NO_SOCKET})
  }

  /** The outcomes of steps, as the addon writes them. */
  async files(bytes: Buffer): Promise<Buffer> {
    let outcomes: Buffer = Buffer.alloc(0)
    await this.#job(
      id => addon.files(this.#handle, id, bytes),
      'file work',
      data => {
        outcomes = data
      },
    )
    return outcomes
  }

  /** Sends messages; `onData` gets every answer, the last of which is to the request `lastSequence`. */
  transact(bytes: Buffer, lastSequence: number, onData: (data: Buffer) => void): Promise<void> {
    return this.#job(id => addon.transact(this.#handle, id, bytes, lastSequence), 'netlink transaction', onData)
  }

  /** At most 64 KB, as seen from inside the socket's namespace. */
  async readFile(path: string): Promise<string> {
    let text = ''
    await this.#job(
      id => addon.readFile(this.#handle, id, path),
      `reading ${path}`,
      data => {
        text = data.toString()
      },
    )
    return text
  }

  writeFile(path: string, text: string): Promise<void> {
    return this.#job(id => addon.writeFile(this.#handle, id, path, Buffer.from(text)), `writing ${path}`)
  }

  /** Resolves once everything that the kernel had queued on this socket when it was called has been through `onData`. */
  flush(): Promise<void> {
    return this.#job(id => addon.flush(this.#handle, id), 'netlink flush')
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    addon.close(this.#handle)
    for (const job of this.#jobs.values()) job.reject(CANCELED)
    this.#jobs.clear()
  }

  #job(start: (id: number) => void, what: string, onData?: (data: Buffer) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (reason: number | Error) =>
        reject(typeof reason === 'number' ? new NetlinkSocketError(reason, what) : reason)
      if (this.#closed) return fail(this.#end ?? CANCELED)
      const id = this.#nextId++ >>> 0
      this.#jobs.set(id, {resolve, reject: fail, onData})
      if (this.#jobs.size === 1 && !this.#options.groups) addon.ref(this.#handle, true)
      start(id)
    })
  }

  #onEvent(type: number, id: number, value: number, data: Buffer | undefined): void {
    if (type === EVENT.DATA) {
      // The next piece only after other events have had their turn: a flood never holds the loop.
      setImmediate(() => addon.resume(this.#handle))
      if (this.#closed) return
      if (data) this.#answer(id, data)
    } else if (type === EVENT.OPENED) {
      this.port = value >>> 0
      if (this.#jobs.size === 0 && !this.#options.groups && !this.#closed) addon.ref(this.#handle, false)
      this.#opened?.resolve()
      this.#opened = undefined
    } else if (type === EVENT.LOST) this.#options.onLost?.()
    else if (id === 0) this.#broken(value)
    else {
      // An empty file has none.
      if (type === EVENT.DONE && data && !this.#closed) this.#answer(id, data)
      this.#settle(id, type === EVENT.DONE ? undefined : value)
    }
  }

  /** Node swallows what a callback of the addon throws (DEP0168): half an answer would pass for the whole. */
  #answer(id: number, data: Buffer): void {
    const job = this.#jobs.get(id)
    try {
      if (id === 0) this.#options.onData?.(data)
      else job?.onData?.(data)
    } catch (error) {
      if (id === 0) this.#options.onError?.(error as Error)
      else job?.reject(error as Error)
    }
  }

  #settle(id: number, errno: number | undefined): void {
    const job = this.#jobs.get(id)
    this.#jobs.delete(id)
    if (this.#jobs.size === 0 && !this.#options.groups && !this.#closed) addon.ref(this.#handle, false)
    if (errno === undefined) job?.resolve()
    else job?.reject(errno)
  }

  #because(errno: number): string | undefined {
    const {netns, allNsids} = this.#options
    if (errno === EPERM && allNsids && netns === undefined) return 'CAP_NET_BROADCAST is needed'
    if (errno === EPERM) return 'CAP_NET_ADMIN and CAP_SYS_ADMIN are needed'
    const stray = errno === EINVAL && this.#opened && netns !== undefined
    return stray ? 'what was given as its namespace is no network namespace, or none any more' : undefined
  }

  #broken(errno: number): void {
    const what = this.#opened ? 'netlink socket cannot be opened' : 'netlink socket cannot be read'
    const error = new NetlinkSocketError(errno, what, this.#because(errno))
    const waiting = [...this.#jobs.values()]
    this.#jobs.clear()
    this.#end = error
    this.close()
    for (const job of waiting) job.reject(error)
    if (this.#opened) this.#opened.reject(error)
    else this.#options.onError?.(error)
  }
}
