/** Tells when a table of the packet filter may have changed. linux/netfilter/nfnetlink.h, nf_tables.h. */
import {open} from 'node:fs/promises'
import {Observable} from 'rxjs'
import {attributes, type Message, read} from './message.ts'
import {framed} from './monitor.ts'
import {NETLINK_NETFILTER, NetlinkSocket} from './socket.ts'

const NFNLGRP_NFTABLES = 7
const NFNL_SUBSYS_NFTABLES = 10
/** `nfgen_family` of tables of family inet. */
const NFPROTO_INET = 1
/** struct nfgenmsg. */
const HEADER_BYTES = 4
/** NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, NFTA_SET_ELEM_LIST_TABLE: all the same number. */
const NFTA_TABLE = 1

/** Bytes. Somebody else's transaction of thousands of rules is told rule by rule. */
const RECEIVE_BUFFER = 8 << 20

export interface TableMonitorOptions {
  /** As KernelOptions.netns. */
  readonly netns?: string | undefined
  /** Changes that this port caused are ours, and not told. @default none is */
  readonly wrote?: (port: number) => boolean
  /** Bytes. @default 8 MiB */
  readonly receiveBuffer?: number
}

/**
 * Emits once it listens, then after changes of the table of family inet with this name, once for those that arrive
 * together, and when the kernel could not tell everything. Errors if it cannot listen.
 */
export function tableChanges(table: string, options: TableMonitorOptions = {}): Observable<void> {
  const {netns, wrote = () => false, receiveBuffer = RECEIVE_BUFFER} = options
  return new Observable(subscriber => {
    let socket: NetlinkSocket | undefined
    const start = async () => {
      const file = netns === undefined ? undefined : await open(netns, 'r')
      try {
        socket = await NetlinkSocket.open({
          protocol: NETLINK_NETFILTER,
          netns: file?.fd,
          groups: [NFNLGRP_NFTABLES],
          receiveBuffer,
          onData: data => {
            for (const [message] of framed(data))
              if (isOf(message, table) && !wrote(message.port)) return subscriber.next()
          },
          onLost: () => subscriber.next(),
          onError: error => subscriber.error(error),
        })
      } finally {
        await file?.close()
      }
      if (subscriber.closed) return socket.close()
      subscriber.next()
    }
    start().catch(error => subscriber.error(error))
    return () => socket?.close()
  })
}

/** Whether it tells of something in the table, or of the table itself. */
export function isOf({type, body}: Pick<Message, 'type' | 'body'>, table: string): boolean {
  if (type >> 8 !== NFNL_SUBSYS_NFTABLES || body[0] !== NFPROTO_INET) return false
  let named = false
  attributes(body, HEADER_BYTES, (attribute, payload) => {
    if (attribute === NFTA_TABLE && read.text(payload) === table) named = true
  })
  return named
}
