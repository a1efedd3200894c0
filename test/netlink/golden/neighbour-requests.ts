/** Neighbours and forwarding entries, as `ip neigh` and `bridge fdb` write them. */
import {parseIp} from '../../../src/model/ip.ts'
import type {IfIndex, Mac} from '../../../src/model/net.ts'
import {
  addFdb,
  addNeighbour,
  appendFdb,
  deleteFdb,
  deleteNeighbour,
  dumpFdb,
  dumpNeighbours,
  NTF,
  NUD,
  replaceFdb,
  replaceNeighbour,
} from '../../../src/netlink/neighbour.ts'
import type {GoldenRequest} from './request.ts'

const index = 3 as IfIndex
const vxlan = 4 as IfIndex
const ip = parseIp('192.168.0.2')
const mac = '02:00:00:00:00:02' as Mac
/** `bridge fdb … permanent`. */
const state = NUD.NOARP | NUD.PERMANENT

export const requests: readonly GoldenRequest[] = [
  {
    command: 'ip neigh add 192.168.0.2 lladdr 02:00:00:00:00:02 nud permanent dev d',
    request: addNeighbour({index, ip, mac}),
    bytes: `
      30 00 00 00  # nlmsg_len 48
      1c 00  # nlmsg_type RTM_NEWNEIGH
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # ndm_family 2
      00 00 00  # padding
      03 00 00 00  # ndm_ifindex 3
      80 00  # ndm_state 0x80
      00  # ndm_flags 0x0
      00  # ndm_type 0
      08 00 01 00  c0 a8 00 02  # NDA_DST 192.168.0.2
      0a 00 02 00  02 00 00 00 00 02  00 00  # NDA_LLADDR 02:00:00:00:00:02, padded
    `,
  },
  {
    command: 'ip neigh replace 2001:db8::2 lladdr 02:00:00:00:00:02 nud permanent dev d',
    request: replaceNeighbour({index, ip: parseIp('2001:db8::2'), mac}),
    bytes: `
      3c 00 00 00  # nlmsg_len 60
      1c 00  # nlmsg_type RTM_NEWNEIGH
      05 05  # nlmsg_flags REQUEST|ACK|REPLACE|CREATE
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      0a  # ndm_family 10
      00 00 00  # padding
      03 00 00 00  # ndm_ifindex 3
      80 00  # ndm_state 0x80
      00  # ndm_flags 0x0
      00  # ndm_type 0
      14 00 01 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 02  # NDA_DST 2001:db8::2
      0a 00 02 00  02 00 00 00 00 02  00 00  # NDA_LLADDR 02:00:00:00:00:02, padded
    `,
  },
  {
    command: 'ip neigh del 192.168.0.2 dev d',
    request: deleteNeighbour({index, ip}),
    bytes: `
      24 00 00 00  # nlmsg_len 36
      1d 00  # nlmsg_type RTM_DELNEIGH
      05 00  # nlmsg_flags REQUEST|ACK
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # ndm_family 2
      00 00 00  # padding
      03 00 00 00  # ndm_ifindex 3
      80 00  # ndm_state 0x80
      00  # ndm_flags 0x0
      00  # ndm_type 0
      08 00 01 00  c0 a8 00 02  # NDA_DST 192.168.0.2
    `,
  },
  {
    command: 'bridge fdb add 02:00:00:00:00:02 dev vx0 dst 192.168.0.2 self permanent',
    request: addFdb({index: vxlan, mac, remote: ip, state}),
    bytes: `
      30 00 00 00  # nlmsg_len 48
      1c 00  # nlmsg_type RTM_NEWNEIGH
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      07  # ndm_family 7
      00 00 00  # padding
      04 00 00 00  # ndm_ifindex 4
      c0 00  # ndm_state 0xc0
      02  # ndm_flags 0x2
      00  # ndm_type 0
      0a 00 02 00  02 00 00 00 00 02  00 00  # NDA_LLADDR 02:00:00:00:00:02, padded
      08 00 01 00  c0 a8 00 02  # NDA_DST 192.168.0.2
    `,
  },
  {
    command: 'bridge fdb append 00:00:00:00:00:00 dev vx0 dst 2001:db8::2 self permanent',
    request: appendFdb({index: vxlan, mac: '00:00:00:00:00:00' as Mac, remote: parseIp('2001:db8::2'), state}),
    bytes: `
      3c 00 00 00  # nlmsg_len 60
      1c 00  # nlmsg_type RTM_NEWNEIGH
      05 0c  # nlmsg_flags REQUEST|ACK|CREATE|APPEND
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      07  # ndm_family 7
      00 00 00  # padding
      04 00 00 00  # ndm_ifindex 4
      c0 00  # ndm_state 0xc0
      02  # ndm_flags 0x2
      00  # ndm_type 0
      0a 00 02 00  00 00 00 00 00 00  00 00  # NDA_LLADDR 00:00:00:00:00:00, padded
      14 00 01 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 02  # NDA_DST 2001:db8::2
    `,
  },
  {
    command: 'bridge fdb replace 02:00:00:00:00:02 dev vx0 dst 192.168.0.2 vni 9 port 4789 self permanent',
    request: replaceFdb({index: vxlan, mac, remote: ip, vni: 9, port: 4789, state}),
    bytes: `
      40 00 00 00  # nlmsg_len 64
      1c 00  # nlmsg_type RTM_NEWNEIGH
      05 05  # nlmsg_flags REQUEST|ACK|REPLACE|CREATE
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      07  # ndm_family 7
      00 00 00  # padding
      04 00 00 00  # ndm_ifindex 4
      c0 00  # ndm_state 0xc0
      02  # ndm_flags 0x2
      00  # ndm_type 0
      0a 00 02 00  02 00 00 00 00 02  00 00  # NDA_LLADDR 02:00:00:00:00:02, padded
      08 00 01 00  c0 a8 00 02  # NDA_DST 192.168.0.2
      06 00 06 00  12 b5  00 00  # NDA_PORT 4789, padded
      08 00 07 00  09 00 00 00  # NDA_VNI 9
    `,
  },
  {
    command: 'bridge fdb add 02:00:00:00:00:02 dev d vlan 1 master static',
    request: addFdb({index, mac, vlan: 1, state: NUD.NOARP | NUD.REACHABLE, flags: NTF.MASTER}),
    bytes: `
      30 00 00 00  # nlmsg_len 48
      1c 00  # nlmsg_type RTM_NEWNEIGH
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      07  # ndm_family 7
      00 00 00  # padding
      03 00 00 00  # ndm_ifindex 3
      42 00  # ndm_state 0x42
      04  # ndm_flags 0x4
      00  # ndm_type 0
      0a 00 02 00  02 00 00 00 00 02  00 00  # NDA_LLADDR 02:00:00:00:00:02, padded
      06 00 05 00  01 00  00 00  # NDA_VLAN 1, padded
    `,
  },
  {
    command: 'bridge fdb del 02:00:00:00:00:02 dev vx0 dst 192.168.0.2 self',
    request: deleteFdb({index: vxlan, mac, remote: ip, state}),
    bytes: `
      30 00 00 00  # nlmsg_len 48
      1d 00  # nlmsg_type RTM_DELNEIGH
      05 00  # nlmsg_flags REQUEST|ACK
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      07  # ndm_family 7
      00 00 00  # padding
      04 00 00 00  # ndm_ifindex 4
      c0 00  # ndm_state 0xc0
      02  # ndm_flags 0x2
      00  # ndm_type 0
      0a 00 02 00  02 00 00 00 00 02  00 00  # NDA_LLADDR 02:00:00:00:00:02, padded
      08 00 01 00  c0 a8 00 02  # NDA_DST 192.168.0.2
    `,
  },
  {
    command: 'ip -4 neigh show dev d',
    request: dumpNeighbours({family: 4, index}),
    bytes: `
      24 00 00 00  # nlmsg_len 36
      1e 00  # nlmsg_type RTM_GETNEIGH
      01 03  # nlmsg_flags REQUEST|DUMP
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # ndm_family 2
      00 00 00  # padding
      00 00 00 00  # ndm_ifindex 0
      00 00  # ndm_state 0x0
      00  # ndm_flags 0x0
      00  # ndm_type 0
      08 00 08 00  03 00 00 00  # NDA_IFINDEX 3
    `,
  },
  {
    command: 'bridge fdb show dev vx0',
    request: dumpFdb({index: vxlan}),
    differs: {
      why: 'the attribute instead of the header names the device',
      adds: ['07 00 00 00 00 00 00 00 00 00 00 00', '[8] 04 00 00 00'],
      lacks: ['07 00 00 00 04 00 00 00 00 00 00 00'],
    },
    bytes: `
      1c 00 00 00  # nlmsg_len 28
      1e 00  # nlmsg_type RTM_GETNEIGH
      01 03  # nlmsg_flags REQUEST|DUMP
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      07  # ndm_family 7
      00 00 00  # padding
      04 00 00 00  # ndm_ifindex 4
      00 00  # ndm_state 0x0
      00  # ndm_flags 0x0
      00  # ndm_type 0
    `,
  },
]
