/** Routes, as `ip route` writes them. */

import {parseCidr, parseIp} from '../../../src/model/ip.ts'
import type {IfIndex, Route} from '../../../src/model/net.ts'
import {addRoute, appendRoute, deleteRoute, dumpRoutes, replaceRoute} from '../../../src/netlink/route.ts'
import type {GoldenRequest} from './request.ts'

const dev = 3 as IfIndex
const gateway = parseIp('192.168.0.2')
/** 10.1.2.0/24 via 192.168.0.2 dev 3 proto 107 metric 5. */
const ROUTE: Route = {
  destination: parseCidr('10.1.2.0/24'),
  type: 'unicast',
  table: 254,
  protocol: 107,
  metric: 5,
  scope: 'global',
  nextHops: [{gateway, dev}],
}
const V6 = parseCidr('2001:db8:2::/64')

export const requests: readonly GoldenRequest[] = [
  {
    command: 'ip route add 10.1.2.0/24 via 192.168.0.12 dev d proto 107 metric 2048',
    request: addRoute({...ROUTE, metric: 2048, nextHops: [{gateway: parseIp('192.168.0.12'), dev}]}),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      3c 00 00 00  # nlmsg_len 60
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 01 00  0a 01 02 00  # RTA_DST 10.1.2.0
      08 00 05 00  c0 a8 00 0c  # RTA_GATEWAY 192.168.0.12
      08 00 06 00  00 08 00 00  # RTA_PRIORITY 2048
      08 00 04 00  03 00 00 00  # RTA_OIF 3
    `,
  },
  {
    command: 'ip -6 route add 2001:db8:2::/64 via 2001:db8::12 dev d proto 107 metric 2048',
    request: addRoute({...ROUTE, destination: V6, metric: 2048, nextHops: [{gateway: parseIp('2001:db8::12'), dev}]}),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      54 00 00 00  # nlmsg_len 84
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      0a  # rtm_family 10
      40  # rtm_dst_len 64
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      14 00 01 00  20 01 0d b8 00 02 00 00 00 00 00 00 00 00 00 00  # RTA_DST 2001:db8:2::
      14 00 05 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 12  # RTA_GATEWAY 2001:db8::12
      08 00 06 00  00 08 00 00  # RTA_PRIORITY 2048
      08 00 04 00  03 00 00 00  # RTA_OIF 3
    `,
  },
  {
    command: 'ip route add 10.1.2.0/24 via 172.16.0.1 dev d onlink proto 107 metric 2048',
    request: addRoute({...ROUTE, metric: 2048, nextHops: [{gateway: parseIp('172.16.0.1'), dev, onlink: true}]}),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      3c 00 00 00  # nlmsg_len 60
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      04 00 00 00  # rtm_flags 0x4
      08 00 01 00  0a 01 02 00  # RTA_DST 10.1.2.0
      08 00 05 00  ac 10 00 01  # RTA_GATEWAY 172.16.0.1
      08 00 06 00  00 08 00 00  # RTA_PRIORITY 2048
      08 00 04 00  03 00 00 00  # RTA_OIF 3
    `,
  },
  {
    command: 'ip -6 route add 2001:db8:2::/64 via 2001:db8:9::1 dev d onlink proto 107 metric 2048',
    request: addRoute({
      ...ROUTE,
      destination: V6,
      metric: 2048,
      nextHops: [{gateway: parseIp('2001:db8:9::1'), dev, onlink: true}],
    }),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      54 00 00 00  # nlmsg_len 84
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      0a  # rtm_family 10
      40  # rtm_dst_len 64
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      04 00 00 00  # rtm_flags 0x4
      14 00 01 00  20 01 0d b8 00 02 00 00 00 00 00 00 00 00 00 00  # RTA_DST 2001:db8:2::
      14 00 05 00  20 01 0d b8 00 09 00 00 00 00 00 00 00 00 00 01  # RTA_GATEWAY 2001:db8:9::1
      08 00 06 00  00 08 00 00  # RTA_PRIORITY 2048
      08 00 04 00  03 00 00 00  # RTA_OIF 3
    `,
  },
  {
    command: 'ip route add 10.1.2.3/32 dev d scope link proto 107',
    request: addRoute({...ROUTE, destination: parseCidr('10.1.2.3/32'), metric: 0, scope: 'link', nextHops: [{dev}]}),
    differs: {
      why: 'the table is always named by its attribute too, and so is the metric',
      adds: ['[6] 00 00 00 00', '[15] fe 00 00 00'],
    },
    bytes: `
      2c 00 00 00  # nlmsg_len 44
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      20  # rtm_dst_len 32
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      fd  # rtm_scope 253
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 01 00  0a 01 02 03  # RTA_DST 10.1.2.3
      08 00 04 00  03 00 00 00  # RTA_OIF 3
    `,
  },
  {
    command: 'ip route add default via 192.168.0.254 proto static',
    request: addRoute({
      ...ROUTE,
      destination: parseCidr('0.0.0.0/0'),
      protocol: 4,
      metric: 0,
      nextHops: [{gateway: parseIp('192.168.0.254')}],
    }),
    differs: {
      why: 'the table is always named by its attribute too, and so is the metric',
      adds: ['[6] 00 00 00 00', '[15] fe 00 00 00'],
    },
    bytes: `
      24 00 00 00  # nlmsg_len 36
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      00  # rtm_dst_len 0
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      04  # rtm_protocol 4
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 05 00  c0 a8 00 fe  # RTA_GATEWAY 192.168.0.254
    `,
  },
  {
    command:
      'ip route add 10.1.2.0/24 proto 107 metric 5 nexthop via 192.168.0.2 dev d weight 1 nexthop via 192.168.0.3 dev d weight 10 nexthop via 172.16.0.1 dev d weight 256 onlink',
    request: addRoute({
      ...ROUTE,
      nextHops: [
        {gateway, dev},
        {gateway: parseIp('192.168.0.3'), dev, weight: 10},
        {gateway: parseIp('172.16.0.1'), dev, weight: 256, onlink: true},
      ],
    }),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      60 00 00 00  # nlmsg_len 96
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 01 00  0a 01 02 00  # RTA_DST 10.1.2.0
      08 00 06 00  05 00 00 00  # RTA_PRIORITY 5
      34 00 09 00  # RTA_MULTIPATH, nested
        10 00 00 00 03 00 00 00  # rtnh_len 16, rtnh_flags 0, rtnh_hops 0, rtnh_ifindex 3
          08 00 05 00  c0 a8 00 02  # RTA_GATEWAY 192.168.0.2
        10 00 00 09 03 00 00 00  # rtnh_len 16, rtnh_flags 0, rtnh_hops 9, rtnh_ifindex 3
          08 00 05 00  c0 a8 00 03  # RTA_GATEWAY 192.168.0.3
        10 00 04 ff 03 00 00 00  # rtnh_len 16, rtnh_flags 4, rtnh_hops 255, rtnh_ifindex 3
          08 00 05 00  ac 10 00 01  # RTA_GATEWAY 172.16.0.1
    `,
  },
  {
    command:
      'ip -6 route add 2001:db8:2::/64 proto 107 metric 5 nexthop via 2001:db8::2 dev d weight 1 nexthop via 2001:db8::3 dev d weight 2',
    request: addRoute({
      ...ROUTE,
      destination: V6,
      nextHops: [
        {gateway: parseIp('2001:db8::2'), dev, weight: 1},
        {gateway: parseIp('2001:db8::3'), dev, weight: 2},
      ],
    }),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      74 00 00 00  # nlmsg_len 116
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      0a  # rtm_family 10
      40  # rtm_dst_len 64
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      14 00 01 00  20 01 0d b8 00 02 00 00 00 00 00 00 00 00 00 00  # RTA_DST 2001:db8:2::
      08 00 06 00  05 00 00 00  # RTA_PRIORITY 5
      3c 00 09 00  # RTA_MULTIPATH, nested
        1c 00 00 00 03 00 00 00  # rtnh_len 28, rtnh_flags 0, rtnh_hops 0, rtnh_ifindex 3
          14 00 05 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 02  # RTA_GATEWAY 2001:db8::2
        1c 00 00 01 03 00 00 00  # rtnh_len 28, rtnh_flags 0, rtnh_hops 1, rtnh_ifindex 3
          14 00 05 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 03  # RTA_GATEWAY 2001:db8::3
    `,
  },
  {
    command:
      'ip route add 10.1.2.0/24 proto 107 metric 5 nexthop via inet6 fe80::2 dev d weight 1 nexthop via 192.168.0.3 dev d weight 1',
    request: addRoute({
      ...ROUTE,
      nextHops: [
        {gateway: parseIp('fe80::2'), dev},
        {gateway: parseIp('192.168.0.3'), dev},
      ],
    }),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      60 00 00 00  # nlmsg_len 96
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 01 00  0a 01 02 00  # RTA_DST 10.1.2.0
      08 00 06 00  05 00 00 00  # RTA_PRIORITY 5
      34 00 09 00  # RTA_MULTIPATH, nested
        20 00 00 00 03 00 00 00  # rtnh_len 32, rtnh_flags 0, rtnh_hops 0, rtnh_ifindex 3
          16 00 12 00  0a 00 fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 02  01 00  # RTA_VIA family 10, fe80::2, padded
        10 00 00 00 03 00 00 00  # rtnh_len 16, rtnh_flags 0, rtnh_hops 0, rtnh_ifindex 3
          08 00 05 00  c0 a8 00 03  # RTA_GATEWAY 192.168.0.3
    `,
  },
  {
    command: 'ip route add 10.1.2.0/24 via inet6 fe80::2 dev d proto 107 metric 5',
    request: addRoute({...ROUTE, nextHops: [{gateway: parseIp('fe80::2'), dev}]}),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      4c 00 00 00  # nlmsg_len 76
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 01 00  0a 01 02 00  # RTA_DST 10.1.2.0
      16 00 12 00  0a 00 fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 02  00 00  # RTA_VIA family 10, fe80::2, padded
      08 00 06 00  05 00 00 00  # RTA_PRIORITY 5
      08 00 04 00  03 00 00 00  # RTA_OIF 3
    `,
  },
  {
    command: 'ip route add 10.1.2.0/24 via 192.168.0.2 dev d src 192.168.0.1 mtu 1400 proto 107 metric 5',
    request: addRoute({...ROUTE, source: parseIp('192.168.0.1'), mtu: 1400}),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      50 00 00 00  # nlmsg_len 80
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 01 00  0a 01 02 00  # RTA_DST 10.1.2.0
      08 00 05 00  c0 a8 00 02  # RTA_GATEWAY 192.168.0.2
      08 00 07 00  c0 a8 00 01  # RTA_PREFSRC 192.168.0.1
      08 00 06 00  05 00 00 00  # RTA_PRIORITY 5
      08 00 04 00  03 00 00 00  # RTA_OIF 3
      0c 00 08 00  # RTA_METRICS, nested
        08 00 02 00  78 05 00 00  # RTAX_MTU 1400
    `,
  },
  {
    command: 'ip route add 10.1.2.0/24 via 192.168.0.2 dev d table 1000 proto 107 metric 5',
    request: addRoute({...ROUTE, table: 1000}),
    differs: {
      why: 'RT_TABLE_COMPAT in the header instead of RT_TABLE_UNSPEC',
      adds: ['02 18 00 00 fc 6b 00 01 00 00 00 00'],
      lacks: ['02 18 00 00 00 6b 00 01 00 00 00 00'],
    },
    bytes: `
      44 00 00 00  # nlmsg_len 68
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      00  # rtm_table 0
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 01 00  0a 01 02 00  # RTA_DST 10.1.2.0
      08 00 05 00  c0 a8 00 02  # RTA_GATEWAY 192.168.0.2
      08 00 0f 00  e8 03 00 00  # RTA_TABLE 1000
      08 00 06 00  05 00 00 00  # RTA_PRIORITY 5
      08 00 04 00  03 00 00 00  # RTA_OIF 3
    `,
  },
  {
    command: 'ip route add blackhole 10.1.0.0/16 proto 107 metric 2048',
    request: addRoute({...ROUTE, destination: parseCidr('10.1.0.0/16'), type: 'blackhole', metric: 2048, nextHops: []}),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      2c 00 00 00  # nlmsg_len 44
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      10  # rtm_dst_len 16
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      06  # rtm_type 6
      00 00 00 00  # rtm_flags 0x0
      08 00 01 00  0a 01 00 00  # RTA_DST 10.1.0.0
      08 00 06 00  00 08 00 00  # RTA_PRIORITY 2048
    `,
  },
  {
    command: 'ip -6 route add unreachable 2001:db8:2::/48 proto 107 metric 2048',
    request: addRoute({
      ...ROUTE,
      destination: parseCidr('2001:db8:2::/48'),
      type: 'unreachable',
      metric: 2048,
      nextHops: [],
    }),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      38 00 00 00  # nlmsg_len 56
      18 00  # nlmsg_type RTM_NEWROUTE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      0a  # rtm_family 10
      30  # rtm_dst_len 48
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      07  # rtm_type 7
      00 00 00 00  # rtm_flags 0x0
      14 00 01 00  20 01 0d b8 00 02 00 00 00 00 00 00 00 00 00 00  # RTA_DST 2001:db8:2::
      08 00 06 00  00 08 00 00  # RTA_PRIORITY 2048
    `,
  },
  {
    command: 'ip route replace 10.1.2.0/24 via 192.168.0.2 dev d proto 107 metric 5',
    request: replaceRoute(ROUTE),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      3c 00 00 00  # nlmsg_len 60
      18 00  # nlmsg_type RTM_NEWROUTE
      05 05  # nlmsg_flags REQUEST|ACK|REPLACE|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 01 00  0a 01 02 00  # RTA_DST 10.1.2.0
      08 00 05 00  c0 a8 00 02  # RTA_GATEWAY 192.168.0.2
      08 00 06 00  05 00 00 00  # RTA_PRIORITY 5
      08 00 04 00  03 00 00 00  # RTA_OIF 3
    `,
  },
  {
    command: 'ip route append 10.1.2.0/24 via 192.168.0.2 dev d proto 107 metric 5',
    request: appendRoute(ROUTE),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      3c 00 00 00  # nlmsg_len 60
      18 00  # nlmsg_type RTM_NEWROUTE
      05 0c  # nlmsg_flags REQUEST|ACK|CREATE|APPEND
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      01  # rtm_type 1
      00 00 00 00  # rtm_flags 0x0
      08 00 01 00  0a 01 02 00  # RTA_DST 10.1.2.0
      08 00 05 00  c0 a8 00 02  # RTA_GATEWAY 192.168.0.2
      08 00 06 00  05 00 00 00  # RTA_PRIORITY 5
      08 00 04 00  03 00 00 00  # RTA_OIF 3
    `,
  },
  {
    command: 'ip route del 10.1.2.0/24 via 192.168.0.2 dev d proto 107 metric 5',
    request: deleteRoute(ROUTE),
    differs: {
      why: 'exactly this route, with its scope and type, instead of any; the table is always named by its attribute too',
      adds: ['02 18 00 00 fe 6b 00 01 00 00 00 00', '[15] fe 00 00 00'],
      lacks: ['02 18 00 00 fe 6b ff 00 00 00 00 00'],
    },
    bytes: `
      3c 00 00 00  # nlmsg_len 60
      19 00  # nlmsg_type RTM_DELROUTE
      05 00  # nlmsg_flags REQUEST|ACK
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      18  # rtm_dst_len 24
      00  # rtm_src_len 0
      00  # rtm_tos 0
      fe  # rtm_table 254
      6b  # rtm_protocol 107
      ff  # rtm_scope 255
      00  # rtm_type 0
      00 00 00 00  # rtm_flags 0x0
      08 00 01 00  0a 01 02 00  # RTA_DST 10.1.2.0
      08 00 05 00  c0 a8 00 02  # RTA_GATEWAY 192.168.0.2
      08 00 06 00  05 00 00 00  # RTA_PRIORITY 5
      08 00 04 00  03 00 00 00  # RTA_OIF 3
    `,
  },
  {
    command: 'ip -4 route show table 1000 proto 107 dev d',
    request: dumpRoutes({family: 4, table: 1000, protocol: 107, dev}),
    bytes: `
      2c 00 00 00  # nlmsg_len 44
      1a 00  # nlmsg_type RTM_GETROUTE
      01 03  # nlmsg_flags REQUEST|DUMP
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # rtm_family 2
      00  # rtm_dst_len 0
      00  # rtm_src_len 0
      00  # rtm_tos 0
      00  # rtm_table 0
      6b  # rtm_protocol 107
      00  # rtm_scope 0
      00  # rtm_type 0
      00 00 00 00  # rtm_flags 0x0
      08 00 0f 00  e8 03 00 00  # RTA_TABLE 1000
      08 00 04 00  03 00 00 00  # RTA_OIF 3
    `,
  },
]
