/**
 * Counts what the kernel tells of the agent's routes and entries, without decoding it: thirty thousand messages at once,
 * on a machine that the agent shares.
 */
import {open} from 'node:fs/promises'
import {NUD} from '../../src/netlink/neighbour.ts'
import {RTM_DELROUTE, RTM_NEWROUTE} from '../../src/netlink/route.ts'
import {NetlinkSocket} from '../../src/netlink/socket.ts'

const PROTOCOL = 107
/** RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE. linux/rtnetlink.h. */
const GROUPS = [3, 7, 11]
/** Bytes. */
const RECEIVE_BUFFER = 256 << 20
/** Of the addon's frames, and of a netlink message. */
const [FRAME, HEADER] = [8, 16]

export class Tally {
  /** Changes of routes with the agent's mark, and of permanent neighbours and forwarding entries. */
  changes = 0
  /** `performance.now()` when the last of them was heard of. */
  lastAt = 0
  #socket: NetlinkSocket | undefined
  #lost = false

  static async open(netns: string): Promise<Tally> {
    const tally = new Tally()
    const file = await open(netns, 'r')
    try {
      tally.#socket = await NetlinkSocket.open({
        netns: file.fd,
        groups: GROUPS,
        receiveBuffer: RECEIVE_BUFFER,
        onData: frames => tally.#count(frames, performance.now()),
        onLost: () => {
          tally.#lost = true
        },
      })
    } finally {
      await file.close()
    }
    return tally
  }

  /** Resolves when nothing has been heard of for so many milliseconds. Rejects if not everything could be heard. */
  async quiet(ms: number): Promise<void> {
    for (let before = -1; before !== this.changes; ) {
      before = this.changes
      await new Promise(resolve => setTimeout(resolve, ms))
      await this.#socket!.flush()
    }
    if (this.#lost) throw new Error('the kernel told more than could be heard')
  }

  close(): void {
    this.#socket?.close()
  }

  #count(frames: Buffer, at: number): void {
    for (let frame = 0; frame + FRAME <= frames.length; ) {
      const end = frame + FRAME + frames.readUInt32LE(frame)
      for (let message = frame + FRAME; message + HEADER <= end; ) {
        if (isOurs(frames, message)) {
          this.changes++
          this.lastAt = at
        }
        message += (frames.readUInt32LE(message) + 3) & ~3
      }
      frame = (end + 3) & ~3
    }
  }
}

/** rtm_protocol and ndm_state, at their places in struct rtmsg and struct ndmsg. */
function isOurs(bytes: Buffer, at: number): boolean {
  const type = bytes.readUInt16LE(at + 4)
  const body = at + HEADER
  if (type === RTM_NEWROUTE || type === RTM_DELROUTE) return bytes[body + 5] === PROTOCOL
  return bytes.readUInt16LE(body + 8) === NUD.PERMANENT
}
