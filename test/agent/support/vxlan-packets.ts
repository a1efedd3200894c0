/** Packets as a vxlan device takes them, sent by somebody who has none. */
import {setTimeout as sleep} from 'node:timers/promises'
import type {Namespace} from '../../netlink/namespace.ts'

export interface Sending {
  readonly from: Namespace
  readonly address: string
  /** UDP. */
  readonly port: number
  readonly vni: number
  /** Where a packet that gets through comes out. */
  readonly to: Namespace
  readonly dev: string
}

/** Of a kind that nobody else sends: ETH_P_802_EX1, linux/if_ether.h. */
const ETHERTYPE = '88b5'
const COUNT = 5
/** Milliseconds. A packet crosses a veth before its sender returns. */
const SETTLE_MS = 200

/** How many of some frames to everybody, of a kind of their own, have come out at the other end. */
export async function send({from, address, port, vni, to, dev}: Sending): Promise<number> {
  // By counting them: what else the device receives is another kind.
  to.exec('/usr/sbin/nft', `add table netdev ng-count; delete table netdev ng-count; add table netdev ng-count`)
  to.exec(
    '/usr/sbin/nft',
    `add chain netdev ng-count in { type filter hook ingress device "${dev}" priority 0 ; }; add rule netdev ng-count in ether type 0x${ETHERTYPE} counter`,
  )
  from.exec(process.execPath, '-e', program(address, port, vni))
  await sleep(SETTLE_MS)
  const {nftables} = JSON.parse(to.exec('/usr/sbin/nft', '-j', 'list', 'chain', 'netdev', 'ng-count', 'in'))
  to.exec('/usr/sbin/nft', 'delete table netdev ng-count')
  const [{counter}] = nftables.find((each: object) => 'rule' in each).rule.expr.slice(-1)
  return counter.packets
}

const program = (address: string, port: number, vni: number): string => `
  const frame = Buffer.from('ffffffffffff020000000001${ETHERTYPE}' + '00'.repeat(46), 'hex')
  // Flags with the bit that says that there is a VNI, and the VNI. RFC 7348, section 5.
  const head = Buffer.from('08000000${vni.toString(16).padStart(6, '0')}00', 'hex')
  const socket = require('dgram').createSocket('${address.includes(':') ? 'udp6' : 'udp4'}')
  const packet = Buffer.concat([head, frame])
  const next = left => left === 0 ? socket.close() : socket.send(packet, ${port}, '${address}', () => next(left - 1))
  next(${COUNT})`
