/** The compiled part (native/netlink.c), typed. Nothing here blocks the JavaScript thread. */
import {createRequire} from 'node:module'
import {join} from 'node:path'

/** What the addon reports: its `enum event_type`. */
export const EVENT = {OPENED: 0, DATA: 1, DONE: 2, FAILED: 3, LOST: 4} as const

export type Handle = {readonly brand: 'netlink handle'}

export interface Addon {
  open(
    namespace: number,
    protocol: number,
    groups: readonly number[],
    receiveBuffer: number,
    allNsids: boolean,
    onEvent: (type: number, id: number, value: number, data: Buffer) => void,
  ): Handle
  transact(handle: Handle, id: number, bytes: Buffer, lastSequence: number): void
  readFile(handle: Handle, id: number, path: string): void
  writeFile(handle: Handle, id: number, path: string, bytes: Buffer): void
  /** `bytes`: struct file_step, one after the other. */
  files(handle: Handle, id: number, bytes: Buffer): void
  flush(handle: Handle, id: number): void
  resume(handle: Handle): void
  ref(handle: Handle, keepsProcessAlive: boolean): void
  close(handle: Handle): void
  /** Who connected a unix socket, when it did. SO_PEERCRED. */
  peerCredentials(fd: number): [pid: number, uid: number, gid: number]
  /** 0, or an errno: EWOULDBLOCK (11) while another open file holds it. flock(2), exclusive, without waiting. */
  lock(fd: number): number
  /** CLONE_NEW* of a namespace's descriptor; a negative errno of any other. NS_GET_NSTYPE. */
  namespaceType(fd: number): number
  /**
   * A raw socket of ICMP or ICMPv6 that is connected to the address (4 or 16 bytes), never waits and never sends in
   * fragments: its descriptor, for fs.read and fs.write; a negative errno: it cannot be had (EPERM: CAP_NET_RAW).
   */
  echoSocket(address: Uint8Array): number
}

/** Beside the bundle in an image (dist/netlink.node), under build/ in a checkout. */
function load(): Addon {
  const require = createRequire(import.meta.url)
  const places = ['netlink.node', join('..', '..', 'build', 'netlink.node')].map(place =>
    join(import.meta.dirname, place),
  )
  for (const place of places) {
    try {
      return require(place) as Addon
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    }
  }
  throw new Error(`the netlink addon is not compiled (looked for ${places.join(', ')}): run scripts/build-native`)
}

export const addon: Addon = load()
