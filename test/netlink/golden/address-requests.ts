/** Addresses, as `ip addr` writes them. */

import {parseIp} from '../../../src/model/ip.ts'
import {IFA_F, type IfIndex} from '../../../src/model/net.ts'
import {addAddress, deleteAddress, dumpAddresses, replaceAddress} from '../../../src/netlink/address.ts'
import type {GoldenRequest} from './request.ts'

const index = 3 as IfIndex
const ip = parseIp('10.0.0.1')

export const requests: readonly GoldenRequest[] = [
  {
    command: 'ip addr add 10.0.0.1/24 broadcast 10.0.0.255 dev d',
    request: addAddress({index, ip, length: 24, broadcast: parseIp('10.0.0.255')}),
    bytes: `
      30 00 00 00  # nlmsg_len 48
      14 00  # nlmsg_type RTM_NEWADDR
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # ifa_family 2
      18  # ifa_prefixlen 24
      00  # ifa_flags 0x0
      00  # ifa_scope 0
      03 00 00 00  # ifa_index 3
      08 00 02 00  0a 00 00 01  # IFA_LOCAL 10.0.0.1
      08 00 04 00  0a 00 00 ff  # IFA_BROADCAST 10.0.0.255
      08 00 01 00  0a 00 00 01  # IFA_ADDRESS 10.0.0.1
    `,
  },
  {
    command: 'ip addr add 2001:db8:1::1/64 dev d nodad',
    request: addAddress({index, ip: parseIp('2001:db8:1::1'), length: 64, flags: IFA_F.NODAD}),
    bytes: `
      40 00 00 00  # nlmsg_len 64
      14 00  # nlmsg_type RTM_NEWADDR
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      0a  # ifa_family 10
      40  # ifa_prefixlen 64
      02  # ifa_flags 0x2
      00  # ifa_scope 0
      03 00 00 00  # ifa_index 3
      14 00 02 00  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01  # IFA_LOCAL 2001:db8:1::1
      14 00 01 00  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01  # IFA_ADDRESS 2001:db8:1::1
    `,
  },
  {
    command: 'ip addr add 10.0.0.1 peer 10.0.0.2/32 dev d',
    request: addAddress({index, ip, length: 32, peer: parseIp('10.0.0.2')}),
    bytes: `
      28 00 00 00  # nlmsg_len 40
      14 00  # nlmsg_type RTM_NEWADDR
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # ifa_family 2
      20  # ifa_prefixlen 32
      00  # ifa_flags 0x0
      00  # ifa_scope 0
      03 00 00 00  # ifa_index 3
      08 00 02 00  0a 00 00 01  # IFA_LOCAL 10.0.0.1
      08 00 01 00  0a 00 00 02  # IFA_ADDRESS 10.0.0.2
    `,
  },
  {
    command: 'ip addr add 2001:db8:1::1 peer 2001:db8:1::2/128 dev d nodad',
    request: addAddress({
      index,
      ip: parseIp('2001:db8:1::1'),
      length: 128,
      peer: parseIp('2001:db8:1::2'),
      flags: IFA_F.NODAD,
    }),
    bytes: `
      40 00 00 00  # nlmsg_len 64
      14 00  # nlmsg_type RTM_NEWADDR
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      0a  # ifa_family 10
      80  # ifa_prefixlen 128
      02  # ifa_flags 0x2
      00  # ifa_scope 0
      03 00 00 00  # ifa_index 3
      14 00 02 00  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01  # IFA_LOCAL 2001:db8:1::1
      14 00 01 00  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 02  # IFA_ADDRESS 2001:db8:1::2
    `,
  },
  {
    command: 'ip addr add 169.254.1.1/32 dev d scope link',
    request: addAddress({index, ip: parseIp('169.254.1.1'), length: 32, scope: 'link'}),
    bytes: `
      28 00 00 00  # nlmsg_len 40
      14 00  # nlmsg_type RTM_NEWADDR
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # ifa_family 2
      20  # ifa_prefixlen 32
      00  # ifa_flags 0x0
      fd  # ifa_scope 253
      03 00 00 00  # ifa_index 3
      08 00 02 00  a9 fe 01 01  # IFA_LOCAL 169.254.1.1
      08 00 01 00  a9 fe 01 01  # IFA_ADDRESS 169.254.1.1
    `,
  },
  {
    command: 'ip addr add 10.0.0.1/24 dev d noprefixroute',
    request: addAddress({index, ip, length: 24, flags: IFA_F.NOPREFIXROUTE}),
    bytes: `
      30 00 00 00  # nlmsg_len 48
      14 00  # nlmsg_type RTM_NEWADDR
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # ifa_family 2
      18  # ifa_prefixlen 24
      00  # ifa_flags 0x0
      00  # ifa_scope 0
      03 00 00 00  # ifa_index 3
      08 00 02 00  0a 00 00 01  # IFA_LOCAL 10.0.0.1
      08 00 08 00  00 02 00 00  # IFA_FLAGS 512
      08 00 01 00  0a 00 00 01  # IFA_ADDRESS 10.0.0.1
    `,
  },
  {
    command: 'ip addr replace 10.0.0.1/24 dev d',
    request: replaceAddress({index, ip, length: 24}),
    bytes: `
      28 00 00 00  # nlmsg_len 40
      14 00  # nlmsg_type RTM_NEWADDR
      05 05  # nlmsg_flags REQUEST|ACK|REPLACE|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # ifa_family 2
      18  # ifa_prefixlen 24
      00  # ifa_flags 0x0
      00  # ifa_scope 0
      03 00 00 00  # ifa_index 3
      08 00 02 00  0a 00 00 01  # IFA_LOCAL 10.0.0.1
      08 00 01 00  0a 00 00 01  # IFA_ADDRESS 10.0.0.1
    `,
  },
  {
    command: 'ip addr del 10.0.0.1/24 dev d',
    request: deleteAddress({index, ip, length: 24}),
    bytes: `
      28 00 00 00  # nlmsg_len 40
      15 00  # nlmsg_type RTM_DELADDR
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # ifa_family 2
      18  # ifa_prefixlen 24
      00  # ifa_flags 0x0
      00  # ifa_scope 0
      03 00 00 00  # ifa_index 3
      08 00 02 00  0a 00 00 01  # IFA_LOCAL 10.0.0.1
      08 00 01 00  0a 00 00 01  # IFA_ADDRESS 10.0.0.1
    `,
  },
  {
    command: 'ip -4 addr show dev d',
    request: dumpAddresses({family: 4, index}),
    bytes: `
      18 00 00 00  # nlmsg_len 24
      16 00  # nlmsg_type RTM_GETADDR
      01 03  # nlmsg_flags REQUEST|DUMP
      dd 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # ifa_family 2
      00  # ifa_prefixlen 0
      00  # ifa_flags 0x0
      00  # ifa_scope 0
      03 00 00 00  # ifa_index 3
    `,
  },
]
