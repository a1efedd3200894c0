/** Rules, as `ip rule` writes them. */
import {parseCidr} from '../../../src/model/ip.ts'
import type {Rule} from '../../../src/model/net.ts'
import {addRule, deleteRule, dumpRules} from '../../../src/netlink/rule.ts'
import type {GoldenRequest} from './request.ts'

const RULE: Rule = {family: 4, priority: 100, table: 1000, protocol: 107, from: parseCidr('10.1.0.0/16')}

export const requests: readonly GoldenRequest[] = [
  {
    command: 'ip rule add from 10.1.0.0/16 lookup 1000 pref 100 protocol 107',
    request: addRule(RULE),
    bytes: `
      3c 00 00 00  # nlmsg_len 60
      20 00  # nlmsg_type RTM_NEWRULE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # family 2
      00  # dst_len 0
      10  # src_len 16
      00  # tos 0
      00  # table 0
      00 00  # reserved
      01  # action 1
      00 00 00 00  # flags 0
      08 00 02 00  0a 01 00 00  # FRA_SRC 10.1.0.0
      08 00 0f 00  e8 03 00 00  # FRA_TABLE 1000
      08 00 06 00  64 00 00 00  # FRA_PRIORITY 100
      05 00 15 00  6b  00 00 00  # FRA_PROTOCOL 107, padded
    `,
  },
  {
    command: 'ip rule add from 10.1.0.0/16 to 10.2.0.0/16 iif d oif e fwmark 0x1/0xff lookup 100 pref 100 protocol 107',
    request: addRule({...RULE, table: 100, to: parseCidr('10.2.0.0/16'), iif: 'd', oif: 'e', fwmark: 1, fwmask: 0xff}),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] 64 00 00 00']},
    bytes: `
      5c 00 00 00  # nlmsg_len 92
      20 00  # nlmsg_type RTM_NEWRULE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # family 2
      10  # dst_len 16
      10  # src_len 16
      00  # tos 0
      64  # table 100
      00 00  # reserved
      01  # action 1
      00 00 00 00  # flags 0
      08 00 02 00  0a 01 00 00  # FRA_SRC 10.1.0.0
      08 00 01 00  0a 02 00 00  # FRA_DST 10.2.0.0
      06 00 03 00  64 00  00 00  # FRA_IIFNAME "d", padded
      06 00 11 00  65 00  00 00  # FRA_OIFNAME "e", padded
      08 00 0a 00  01 00 00 00  # FRA_FWMARK 1
      08 00 10 00  ff 00 00 00  # FRA_FWMASK 255
      08 00 06 00  64 00 00 00  # FRA_PRIORITY 100
      05 00 15 00  6b  00 00 00  # FRA_PROTOCOL 107, padded
    `,
  },
  {
    command: 'ip -6 rule add to 2001:db8:2::/48 lookup main pref 100 protocol 107',
    request: addRule({family: 6, priority: 100, table: 254, protocol: 107, to: parseCidr('2001:db8:2::/48')}),
    differs: {why: 'the table is always named by its attribute too', adds: ['[15] fe 00 00 00']},
    bytes: `
      40 00 00 00  # nlmsg_len 64
      20 00  # nlmsg_type RTM_NEWRULE
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      0a  # family 10
      30  # dst_len 48
      00  # src_len 0
      00  # tos 0
      fe  # table 254
      00 00  # reserved
      01  # action 1
      00 00 00 00  # flags 0
      14 00 01 00  20 01 0d b8 00 02 00 00 00 00 00 00 00 00 00 00  # FRA_DST 2001:db8:2::
      08 00 06 00  64 00 00 00  # FRA_PRIORITY 100
      05 00 15 00  6b  00 00 00  # FRA_PROTOCOL 107, padded
    `,
  },
  {
    command: 'ip rule del from 10.1.0.0/16 lookup 1000 pref 100 protocol 107',
    request: deleteRule(RULE),
    differs: {
      why: 'the action must match, too',
      adds: ['02 00 10 00 00 00 00 01 00 00 00 00'],
      lacks: ['02 00 10 00 00 00 00 00 00 00 00 00'],
    },
    bytes: `
      3c 00 00 00  # nlmsg_len 60
      21 00  # nlmsg_type RTM_DELRULE
      05 00  # nlmsg_flags REQUEST|ACK
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # family 2
      00  # dst_len 0
      10  # src_len 16
      00  # tos 0
      00  # table 0
      00 00  # reserved
      00  # action 0
      00 00 00 00  # flags 0
      08 00 02 00  0a 01 00 00  # FRA_SRC 10.1.0.0
      08 00 0f 00  e8 03 00 00  # FRA_TABLE 1000
      08 00 06 00  64 00 00 00  # FRA_PRIORITY 100
      05 00 15 00  6b  00 00 00  # FRA_PROTOCOL 107, padded
    `,
  },
  {
    command: 'ip -4 rule show',
    request: dumpRules(4),
    bytes: `
      1c 00 00 00  # nlmsg_len 28
      22 00  # nlmsg_type RTM_GETRULE
      01 03  # nlmsg_flags REQUEST|DUMP
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      02  # family 2
      00  # dst_len 0
      00  # src_len 0
      00  # tos 0
      00  # table 0
      00 00  # reserved
      00  # action 0
      00 00 00 00  # flags 0
    `,
  },
]
