/** Everything but links, as the kernel (6.18) tells of it in a dump, and its verdicts. */
import {parseCidr, parseIp} from '../../../src/model/ip.ts'
import {IFA_F, type IfIndex, type Mac} from '../../../src/model/net.ts'
import {decodeAddress} from '../../../src/netlink/address.ts'
import {decodeError} from '../../../src/netlink/errors.ts'
import {decodeFdb, decodeNeighbour, NTF, NUD} from '../../../src/netlink/neighbour.ts'
import {decodeRoute} from '../../../src/netlink/route.ts'
import {decodeRule} from '../../../src/netlink/rule.ts'
import type {GoldenAnswer} from './answer.ts'

const index = 5 as IfIndex
const mac = '02:00:00:00:00:12' as Mac

export const answers: readonly GoldenAnswer[] = [
  {
    name: 'IPv4 address',
    decode: ({body}) => decodeAddress(body),
    want: {index, ip: parseIp('192.168.0.1'), length: 24, scope: 'global', flags: IFA_F.PERMANENT},
    bytes: `
      54 00 00 00  # nlmsg_len 84
      14 00  # nlmsg_type RTM_NEWADDR
      02 00  # nlmsg_flags MULTI
      04 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      02  # ifa_family 2
      18  # ifa_prefixlen 24
      80  # ifa_flags 0x80
      00  # ifa_scope 0
      05 00 00 00  # ifa_index 5
      08 00 01 00  c0 a8 00 01  # IFA_ADDRESS 192.168.0.1
      08 00 02 00  c0 a8 00 01  # IFA_LOCAL 192.168.0.1
      08 00 04 00  c0 a8 00 ff  # IFA_BROADCAST 192.168.0.255
      06 00 03 00  64 00  00 00  # IFA_LABEL "d", padded
      08 00 08 00  80 00 00 00  # IFA_FLAGS 128
      14 00 06 00  ff ff ff ff ff ff ff ff 98 99 08 00 98 99 08 00  # IFA_CACHEINFO
    `,
  },
  {
    name: 'IPv4 address with a peer',
    decode: ({body}) => decodeAddress(body),
    want: {
      index,
      ip: parseIp('10.0.0.1'),
      length: 32,
      peer: parseIp('10.0.0.2'),
      scope: 'link',
      flags: IFA_F.PERMANENT,
    },
    bytes: `
      4c 00 00 00  # nlmsg_len 76
      14 00  # nlmsg_type RTM_NEWADDR
      02 00  # nlmsg_flags MULTI
      04 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      02  # ifa_family 2
      20  # ifa_prefixlen 32
      80  # ifa_flags 0x80
      fd  # ifa_scope 253
      05 00 00 00  # ifa_index 5
      08 00 01 00  0a 00 00 02  # IFA_ADDRESS 10.0.0.2
      08 00 02 00  0a 00 00 01  # IFA_LOCAL 10.0.0.1
      06 00 03 00  64 00  00 00  # IFA_LABEL "d", padded
      08 00 08 00  80 00 00 00  # IFA_FLAGS 128
      14 00 06 00  ff ff ff ff ff ff ff ff 98 99 08 00 98 99 08 00  # IFA_CACHEINFO
    `,
  },
  {
    name: 'IPv6 address',
    decode: ({body}) => decodeAddress(body),
    want: {index, ip: parseIp('2001:db8::1'), length: 64, scope: 'global', flags: IFA_F.PERMANENT | IFA_F.NODAD},
    bytes: `
      48 00 00 00  # nlmsg_len 72
      14 00  # nlmsg_type RTM_NEWADDR
      02 00  # nlmsg_flags MULTI
      05 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      0a  # ifa_family 10
      40  # ifa_prefixlen 64
      82  # ifa_flags 0x82
      00  # ifa_scope 0
      05 00 00 00  # ifa_index 5
      14 00 01 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01  # IFA_ADDRESS 2001:db8::1
      14 00 06 00  ff ff ff ff ff ff ff ff 98 99 08 00 98 99 08 00  # IFA_CACHEINFO
      08 00 08 00  82 00 00 00  # IFA_FLAGS 130
    `,
  },
  {
    name: 'IPv6 address with a peer',
    decode: ({body}) => decodeAddress(body),
    want: {
      index,
      ip: parseIp('2001:db8:1::1'),
      length: 128,
      peer: parseIp('2001:db8:1::2'),
      scope: 'global',
      flags: IFA_F.PERMANENT | IFA_F.NODAD,
    },
    bytes: `
      5c 00 00 00  # nlmsg_len 92
      14 00  # nlmsg_type RTM_NEWADDR
      02 00  # nlmsg_flags MULTI
      05 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      0a  # ifa_family 10
      80  # ifa_prefixlen 128
      82  # ifa_flags 0x82
      00  # ifa_scope 0
      05 00 00 00  # ifa_index 5
      14 00 02 00  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 01  # IFA_LOCAL 2001:db8:1::1
      14 00 01 00  20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 02  # IFA_ADDRESS 2001:db8:1::2
      14 00 06 00  ff ff ff ff ff ff ff ff 99 99 08 00 99 99 08 00  # IFA_CACHEINFO
      08 00 08 00  82 00 00 00  # IFA_FLAGS 130
    `,
  },
  {
    name: 'IPv4 route',
    decode: ({body}) => decodeRoute(body),
    want: {
      destination: parseCidr('10.1.2.0/24'),
      type: 'unicast',
      table: 254,
      protocol: 107,
      scope: 'global',
      metric: 2048,
      nextHops: [{gateway: parseIp('192.168.0.12'), dev: index}],
      source: parseIp('192.168.0.1'),
      mtu: 1400,
    },
    bytes: `
      58 00 00 00  # nlmsg_len 88
      18 00  # nlmsg_type RTM_NEWROUTE
      22 00  # nlmsg_flags MULTI|DUMP_FILTERED
      02 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 0f 00  fe 00 00 00  # RTA_TABLE 254
      08 00 01 00  0a 01 02 00  # RTA_DST 10.1.2.0
      08 00 06 00  00 08 00 00  # RTA_PRIORITY 2048
      0c 00 08 00  # RTA_METRICS, nested
        08 00 02 00  78 05 00 00  # RTAX_MTU 1400
      08 00 07 00  c0 a8 00 01  # RTA_PREFSRC 192.168.0.1
      08 00 05 00  c0 a8 00 0c  # RTA_GATEWAY 192.168.0.12
      08 00 04 00  05 00 00 00  # RTA_OIF 5
    `,
  },
  {
    name: 'onlink route in table 1000',
    decode: ({body}) => decodeRoute(body),
    want: {
      destination: parseCidr('10.1.3.0/24'),
      type: 'unicast',
      protocol: 107,
      metric: 0,
      scope: 'global',
      table: 1000,
      nextHops: [{gateway: parseIp('172.16.0.1'), dev: index, onlink: true}],
    },
    bytes: `
      3c 00 00 00  # nlmsg_len 60
      18 00  # nlmsg_type RTM_NEWROUTE
      22 00  # nlmsg_flags MULTI|DUMP_FILTERED
      02 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fc  # rtm_table 252
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      04 00 00 00  # rtm_flags 0x4
      08 00 0f 00  e8 03 00 00  # RTA_TABLE 1000
      08 00 01 00  0a 01 03 00  # RTA_DST 10.1.3.0
      08 00 05 00  ac 10 00 01  # RTA_GATEWAY 172.16.0.1
      08 00 04 00  05 00 00 00  # RTA_OIF 5
    `,
  },
  {
    name: 'multipath',
    decode: ({body}) => decodeRoute(body),
    want: {
      destination: parseCidr('10.1.4.0/24'),
      type: 'unicast',
      table: 254,
      protocol: 107,
      scope: 'global',
      metric: 5,
      nextHops: [
        {gateway: parseIp('192.168.0.2'), dev: index, weight: 1},
        {gateway: parseIp('fe80::2'), dev: index, weight: 10},
      ],
    },
    bytes: `
      68 00 00 00  # nlmsg_len 104
      18 00  # nlmsg_type RTM_NEWROUTE
      22 00  # nlmsg_flags MULTI|DUMP_FILTERED
      02 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 0f 00  fe 00 00 00  # RTA_TABLE 254
      08 00 01 00  0a 01 04 00  # RTA_DST 10.1.4.0
      08 00 06 00  05 00 00 00  # RTA_PRIORITY 5
      34 00 09 00  # RTA_MULTIPATH, nested
        10 00 00 00 05 00 00 00  # rtnh_len 16, rtnh_flags 0, rtnh_hops 0, rtnh_ifindex 5
          08 00 05 00  c0 a8 00 02  # RTA_GATEWAY 192.168.0.2
        20 00 00 09 05 00 00 00  # rtnh_len 32, rtnh_flags 0, rtnh_hops 9, rtnh_ifindex 5
          16 00 12 00  0a 00 fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 02  00 00  # RTA_VIA family 10, fe80::2, padded
    `,
  },
  {
    name: 'through IPv6',
    decode: ({body}) => decodeRoute(body),
    want: {
      destination: parseCidr('10.1.5.0/24'),
      type: 'unicast',
      table: 254,
      protocol: 107,
      metric: 0,
      scope: 'global',
      nextHops: [{gateway: parseIp('fe80::2'), dev: index}],
    },
    bytes: `
      4c 00 00 00  # nlmsg_len 76
      18 00  # nlmsg_type RTM_NEWROUTE
      22 00  # nlmsg_flags MULTI|DUMP_FILTERED
      02 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 0f 00  fe 00 00 00  # RTA_TABLE 254
      08 00 01 00  0a 01 05 00  # RTA_DST 10.1.5.0
      16 00 12 00  0a 00 fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 02  00 00  # RTA_VIA family 10, fe80::2, padded
      08 00 04 00  05 00 00 00  # RTA_OIF 5
    `,
  },
  {
    name: 'blackhole',
    decode: ({body}) => decodeRoute(body),
    want: {
      destination: parseCidr('10.2.0.0/16'),
      table: 254,
      protocol: 107,
      scope: 'global',
      type: 'blackhole',
      metric: 2048,
      nextHops: [],
    },
    bytes: `
      34 00 00 00  # nlmsg_len 52
      18 00  # nlmsg_type RTM_NEWROUTE
      22 00  # nlmsg_flags MULTI|DUMP_FILTERED
      02 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      02  # rtm_family 2
      10  # rtm_dst_len 16
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      06  # rtm_type 6
      00 00 00 00  # rtm_flags 0x0
      08 00 0f 00  fe 00 00 00  # RTA_TABLE 254
      08 00 01 00  0a 02 00 00  # RTA_DST 10.2.0.0
      08 00 06 00  00 08 00 00  # RTA_PRIORITY 2048
    `,
  },
  {
    name: 'IPv6 route',
    decode: ({body}) => decodeRoute(body),
    want: {
      destination: parseCidr('2001:db8:2::/64'),
      type: 'unicast',
      table: 254,
      protocol: 107,
      scope: 'global',
      metric: 2048,
      nextHops: [{gateway: parseIp('2001:db8::12'), dev: index}],
    },
    bytes: `
      88 00 00 00  # nlmsg_len 136
      18 00  # nlmsg_type RTM_NEWROUTE
      22 00  # nlmsg_flags MULTI|DUMP_FILTERED
      03 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      0a  # rtm_family 10
      40  # rtm_dst_len 64
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 0f 00  fe 00 00 00  # RTA_TABLE 254
      14 00 01 00  20 01 0d b8 00 02 00 00 00 00 00 00 00 00 00 00  # RTA_DST 2001:db8:2::
      08 00 06 00  00 08 00 00  # RTA_PRIORITY 2048
      14 00 05 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 12  # RTA_GATEWAY 2001:db8::12
      08 00 04 00  05 00 00 00  # RTA_OIF 5
      24 00 0c 00  # RTA_CACHEINFO
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      05 00 14 00  00  00 00 00  # RTA_PREF 0, padded
    `,
  },
  {
    name: 'IPv6 multipath',
    decode: ({body}) => decodeRoute(body),
    want: {
      destination: parseCidr('2001:db8:3::/64'),
      type: 'unicast',
      table: 254,
      protocol: 107,
      scope: 'global',
      metric: 5,
      nextHops: [
        {gateway: parseIp('2001:db8::2'), dev: index, weight: 1},
        {gateway: parseIp('2001:db8::3'), dev: index, weight: 2},
      ],
    },
    bytes: `
      a8 00 00 00  # nlmsg_len 168
      18 00  # nlmsg_type RTM_NEWROUTE
      22 00  # nlmsg_flags MULTI|DUMP_FILTERED
      03 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      0a  # rtm_family 10
      40  # rtm_dst_len 64
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 0f 00  fe 00 00 00  # RTA_TABLE 254
      14 00 01 00  20 01 0d b8 00 03 00 00 00 00 00 00 00 00 00 00  # RTA_DST 2001:db8:3::
      08 00 06 00  05 00 00 00  # RTA_PRIORITY 5
      3c 00 09 00  # RTA_MULTIPATH, nested
        1c 00 00 00 05 00 00 00  # rtnh_len 28, rtnh_flags 0, rtnh_hops 0, rtnh_ifindex 5
          14 00 05 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 02  # RTA_GATEWAY 2001:db8::2
        1c 00 00 01 05 00 00 00  # rtnh_len 28, rtnh_flags 0, rtnh_hops 1, rtnh_ifindex 5
          14 00 05 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 03  # RTA_GATEWAY 2001:db8::3
      24 00 0c 00  # RTA_CACHEINFO
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      05 00 14 00  00  00 00 00  # RTA_PREF 0, padded
    `,
  },
  {
    name: 'IPv6 unreachable',
    decode: ({body}) => decodeRoute(body),
    want: {
      destination: parseCidr('2001:db8:2::/48'),
      table: 254,
      protocol: 107,
      scope: 'global',
      type: 'unreachable',
      metric: 2048,
      nextHops: [],
    },
    bytes: `
      74 00 00 00  # nlmsg_len 116
      18 00  # nlmsg_type RTM_NEWROUTE
      22 00  # nlmsg_flags MULTI|DUMP_FILTERED
      03 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      0a  # rtm_family 10
      30  # rtm_dst_len 48
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      07  # rtm_type 7
      00 00 00 00  # rtm_flags 0x0
      08 00 0f 00  fe 00 00 00  # RTA_TABLE 254
      14 00 01 00  20 01 0d b8 00 02 00 00 00 00 00 00 00 00 00 00  # RTA_DST 2001:db8:2::
      08 00 06 00  00 08 00 00  # RTA_PRIORITY 2048
      08 00 04 00  01 00 00 00  # RTA_OIF 1
      24 00 0c 00  # RTA_CACHEINFO
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      05 00 14 00  00  00 00 00  # RTA_PREF 0, padded
    `,
  },
  {
    name: 'IPv4 neighbour',
    decode: ({body}) => decodeNeighbour(body),
    want: {index, ip: parseIp('192.168.0.2'), mac, state: NUD.PERMANENT},
    bytes: `
      4c 00 00 00  # nlmsg_len 76
      1c 00  # nlmsg_type RTM_NEWNEIGH
      02 00  # nlmsg_flags MULTI
      06 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      02  # ndm_family 2
      00 00 00  # padding
      05 00 00 00  # ndm_ifindex 5
      80 00  # ndm_state 0x80
      00  # ndm_flags 0x0
      01  # ndm_type 1
      08 00 01 00  c0 a8 00 02  # NDA_DST 192.168.0.2
      0a 00 02 00  02 00 00 00 00 12  00 00  # NDA_LLADDR 02:00:00:00:00:12, padded
      08 00 04 00  00 00 00 00  # NDA_PROBES 0
      14 00 03 00  03 00 00 00 03 00 00 00 03 00 00 00 00 00 00 00  # NDA_CACHEINFO
    `,
  },
  {
    name: 'IPv6 neighbour',
    decode: ({body}) => decodeNeighbour(body),
    want: {index, ip: parseIp('2001:db8::2'), mac, state: NUD.STALE},
    bytes: `
      58 00 00 00  # nlmsg_len 88
      1c 00  # nlmsg_type RTM_NEWNEIGH
      02 00  # nlmsg_flags MULTI
      07 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      0a  # ndm_family 10
      00 00 00  # padding
      05 00 00 00  # ndm_ifindex 5
      04 00  # ndm_state 0x4
      00  # ndm_flags 0x0
      01  # ndm_type 1
      14 00 01 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 02  # NDA_DST 2001:db8::2
      0a 00 02 00  02 00 00 00 00 12  00 00  # NDA_LLADDR 02:00:00:00:00:12, padded
      08 00 04 00  00 00 00 00  # NDA_PROBES 0
      14 00 03 00  72 17 00 00 02 00 00 00 02 00 00 00 00 00 00 00  # NDA_CACHEINFO
    `,
  },
  {
    name: 'fdb',
    decode: ({body}) => decodeFdb(body),
    want: {
      index: 7 as IfIndex,
      mac: '02:00:00:00:00:22' as Mac,
      remote: parseIp('192.168.0.2'),
      vni: 9,
      port: 4789,
      state: NUD.NOARP | NUD.PERMANENT,
      flags: NTF.SELF,
    },
    bytes: `
      54 00 00 00  # nlmsg_len 84
      1c 00  # nlmsg_type RTM_NEWNEIGH
      02 00  # nlmsg_flags MULTI
      08 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      07  # ndm_family 7
      00 00 00  # padding
      07 00 00 00  # ndm_ifindex 7
      c0 00  # ndm_state 0xc0
      02  # ndm_flags 0x2
      01  # ndm_type 1
      0a 00 02 00  02 00 00 00 00 22  00 00  # NDA_LLADDR 02:00:00:00:00:22, padded
      08 00 01 00  c0 a8 00 02  # NDA_DST 192.168.0.2
      06 00 06 00  12 b5  00 00  # NDA_PORT 4789, padded
      08 00 07 00  09 00 00 00  # NDA_VNI 9
      14 00 03 00  00 00 00 00 02 00 00 00 02 00 00 00 00 00 00 00  # NDA_CACHEINFO
    `,
  },
  {
    name: 'rule',
    decode: ({body}) => decodeRule(body),
    want: {
      family: 4,
      priority: 100,
      table: 1000,
      protocol: 107,
      from: parseCidr('10.1.0.0/16'),
      to: parseCidr('10.2.0.0/16'),
      iif: 'd',
      oif: 'e',
      fwmark: 1,
      fwmask: 0xff,
    },
    bytes: `
      6c 00 00 00  # nlmsg_len 108
      20 00  # nlmsg_type RTM_NEWRULE
      02 00  # nlmsg_flags MULTI
      09 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      02  # family 2
      10  # dst_len 16
      10  # src_len 16
      00  # tos 0
      fc  # table 252
      00 00  # reserved
      01  # action 1
      00 00 00 00  # flags 0
      08 00 0f 00  e8 03 00 00  # FRA_TABLE 1000
      08 00 0e 00  ff ff ff ff  # FRA_SUPPRESS_PREFIXLEN 4294967295
      05 00 15 00  6b  00 00 00  # FRA_PROTOCOL 107, padded
      06 00 03 00  64 00  00 00  # FRA_IIFNAME "d", padded
      06 00 11 00  65 00  00 00  # FRA_OIFNAME "e", padded
      08 00 06 00  64 00 00 00  # FRA_PRIORITY 100
      08 00 0a 00  01 00 00 00  # FRA_FWMARK 1
      08 00 10 00  ff 00 00 00  # FRA_FWMASK 255
      08 00 01 00  0a 02 00 00  # FRA_DST 10.2.0.0
      08 00 02 00  0a 01 00 00  # FRA_SRC 10.1.0.0
    `,
  },
  {
    name: 'IPv6 rule',
    decode: ({body}) => decodeRule(body),
    want: {family: 6, priority: 101, table: 254, protocol: 107, from: parseCidr('2001:db8:2::/48')},
    bytes: `
      50 00 00 00  # nlmsg_len 80
      20 00  # nlmsg_type RTM_NEWRULE
      02 00  # nlmsg_flags MULTI
      0a 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      0a  # family 10
      00  # dst_len 0
      30  # src_len 48
      00  # tos 0
      fe  # table 254
      00 00  # reserved
      01  # action 1
      00 00 00 00  # flags 0
      08 00 0f 00  fe 00 00 00  # FRA_TABLE 254
      08 00 0e 00  ff ff ff ff  # FRA_SUPPRESS_PREFIXLEN 4294967295
      05 00 15 00  6b  00 00 00  # FRA_PROTOCOL 107, padded
      08 00 06 00  65 00 00 00  # FRA_PRIORITY 101
      14 00 02 00  20 01 0d b8 00 02 00 00 00 00 00 00 00 00 00 00  # FRA_SRC 2001:db8:2::
    `,
  },
  {
    name: "refusal with the kernel's text",
    decode: decodeError,
    want: {errno: 101, hint: 'Nexthop has invalid gateway', offset: undefined},
    bytes: `
      44 00 00 00  # nlmsg_len 68
      02 00  # nlmsg_type NLMSG_ERROR
      00 03  # nlmsg_flags CAPPED|ACK_TLVS
      0b 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      9b ff ff ff  # error -101
      3c 00 00 00  # its request: nlmsg_len
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags
      0b 00 00 00  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      20 00 01 00  # NLMSGERR_ATTR_MSG "Nexthop has invalid gateway"
        4e 65 78 74 68 6f 70 20 68 61 73 20 69 6e 76 61 6c 69 64 20 67 61 74 65 77 61 79 00
    `,
  },
  {
    name: 'refusal without a text',
    decode: decodeError,
    want: {errno: 19},
    bytes: `
      24 00 00 00  # nlmsg_len 36
      02 00  # nlmsg_type NLMSG_ERROR
      00 01  # nlmsg_flags CAPPED
      0c 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      ed ff ff ff  # error -19
      2c 00 00 00  # its request: nlmsg_len
      11 00  # nlmsg_type RTM_DELLINK
      05 00  # nlmsg_flags
      0c 00 00 00  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
    `,
  },
  {
    name: 'acknowledgement',
    decode: decodeError,
    want: {errno: 0},
    bytes: `
      24 00 00 00  # nlmsg_len 36
      02 00  # nlmsg_type NLMSG_ERROR
      00 01  # nlmsg_flags CAPPED
      0d 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      00 00 00 00  # error 0
      28 00 00 00  # its request: nlmsg_len
      14 00  # nlmsg_type RTM_NEWADDR
      05 06  # nlmsg_flags
      0d 00 00 00  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
    `,
  },
]
