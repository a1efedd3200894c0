/** The kernel's multicast messages as an Observable. linux/rtnetlink.h (enum rtnetlink_groups). */
import {open} from 'node:fs/promises'
import {Observable} from 'rxjs'
import type {KernelChange, KernelEvent} from '../model/kernel.ts'
import {decodeAddress, RTM_DELADDR, RTM_NEWADDR} from './address.ts'
import {AF_BRIDGE} from './families.ts'
import {decodeLink, decodePort, RTM_DELLINK, RTM_NEWLINK} from './link.ts'
import {type Message, messages, NLM_F} from './message.ts'
import {decodeFdb, decodeNeighbour, RTM_DELNEIGH, RTM_NEWNEIGH} from './neighbour.ts'
import {decodeRoute, RTM_DELROUTE, RTM_NEWROUTE} from './route.ts'
import {decodeRule, RTM_DELRULE, RTM_NEWRULE} from './rule.ts'
import {NetlinkSocket} from './socket.ts'

/** RTNLGRP_*, by what they tell of. */
const GROUPS = {link: [1], neighbour: [3], address: [5, 9], route: [7, 11], rule: [8, 19], nexthop: [32]} as const

/** linux/rtnetlink.h. */
const RTM_NEWNEXTHOP = 104
const RTM_DELNEXTHOP = 105

export type MonitorGroup = keyof typeof GROUPS

/** Bytes, as the kernel counts them: a route's message costs about 1 KB of it. */
const RECEIVE_BUFFER = 32 << 20

export interface MonitorOptions {
  readonly groups: readonly MonitorGroup[]
  /** As KernelOptions.netns. */
  readonly netns?: string | number | undefined
  /** Also hear the namespaces that have an id in this one: their changes carry an `nsid`. @default false */
  readonly allNsids?: boolean
  /** Bytes. @default 32 MiB */
  readonly receiveBuffer?: number
  /** The port of our own requests: changes that they caused are marked `own`. */
  readonly ownPort?: () => number
}

export interface Monitor {
  readonly events$: Observable<KernelEvent>
  /** Resolves once `events$` has emitted whatever the kernel had said before the call. */
  flush(): Promise<void>
}

/** A monitor that listens while `events$` is subscribed to: first 'listening', then changes; errors if it cannot. */
export function monitor(options: MonitorOptions): Monitor {
  let current: NetlinkSocket | undefined
  const events$ = new Observable<KernelEvent>(subscriber => {
    let socket: NetlinkSocket | undefined
    const start = async () => {
      socket = await openSocket(options, {
        onData: data =>
          subscriber.next({kind: 'changes', changes: decodeFrames(data, options.ownPort?.()), at: performance.now()}),
        onLost: () => subscriber.next({kind: 'lost'}),
        onError: error => subscriber.error(error),
      })
      if (subscriber.closed) return socket.close()
      current = socket
      subscriber.next({kind: 'listening'})
    }
    start().catch(error => subscriber.error(error))
    return () => {
      socket?.close()
      if (current === socket) current = undefined
    }
  })
  return {events$, flush: async () => current?.flush()}
}

type Callbacks = Pick<Parameters<typeof NetlinkSocket.open>[0], 'onData' | 'onLost' | 'onError'>

async function openSocket(options: MonitorOptions, callbacks: Callbacks): Promise<NetlinkSocket> {
  const file = typeof options.netns === 'string' ? await open(options.netns, 'r') : undefined
  try {
    return await NetlinkSocket.open({
      netns: file?.fd ?? (options.netns as number | undefined),
      groups: options.groups.flatMap(group => GROUPS[group]),
      receiveBuffer: options.receiveBuffer ?? RECEIVE_BUFFER,
      allNsids: options.allNsids ?? false,
      ...callbacks,
    })
  } finally {
    await file?.close()
  }
}

const FRAME_BYTES = 8

/** The messages of the addon's frames: {u32 length, i32 nsid, messages padded to 4 bytes}. */
export function* framed(data: Buffer): Generator<readonly [message: Message, nsid: number]> {
  for (let at = 0; at + FRAME_BYTES <= data.length; ) {
    const length = data.readUInt32LE(at)
    const nsid = data.readInt32LE(at + 4)
    for (const message of messages(data.subarray(at + FRAME_BYTES, at + FRAME_BYTES + length))) yield [message, nsid]
    at += FRAME_BYTES + ((length + 3) & ~3)
  }
}

function decodeFrames(data: Buffer, ownPort: number | undefined): KernelChange[] {
  const changes: KernelChange[] = []
  for (const [message, nsid] of framed(data)) {
    const change = decodeChange(message)
    if (!change) continue
    const own = message.port !== 0 && message.port === ownPort
    changes.push({...change, replaces: (message.flags & NLM_F.REPLACE) !== 0, own, nsid: nsid < 0 ? undefined : nsid})
  }
  return changes
}

type Decoded = Pick<KernelChange, 'object' | 'gone'> & {item: unknown}

function decodeChange({type, body}: Message): KernelChange | undefined {
  const decoded = ((): Decoded | undefined => {
    switch (type) {
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        return {object: 'route', gone: type === RTM_DELROUTE, item: decodeRoute(body)}
      case RTM_NEWLINK:
      case RTM_DELLINK:
        if (body[0] === AF_BRIDGE) return {object: 'port', gone: type === RTM_DELLINK, item: decodePort(body)}
        return {object: 'link', gone: type === RTM_DELLINK, item: decodeLink(body)}
      case RTM_NEWADDR:
      case RTM_DELADDR:
        return {object: 'address', gone: type === RTM_DELADDR, item: decodeAddress(body)}
      case RTM_NEWNEIGH:
      case RTM_DELNEIGH: {
        const fdb = decodeFdb(body)
        return {object: fdb ? 'fdb' : 'neighbour', gone: type === RTM_DELNEIGH, item: fdb ?? decodeNeighbour(body)}
      }
      case RTM_NEWRULE:
      case RTM_DELRULE:
        return {object: 'rule', gone: type === RTM_DELRULE, item: decodeRule(body)}
      case RTM_NEWNEXTHOP:
      case RTM_DELNEXTHOP:
        return {object: 'nexthop', gone: type === RTM_DELNEXTHOP, item: {}}
      default:
        return undefined
    }
  })()
  return decoded?.item === undefined ? undefined : (decoded as KernelChange)
}
