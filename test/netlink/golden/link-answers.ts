/** Links, as the kernel (6.18) tells of them in a dump. */
import {parseIp} from '../../../src/model/ip.ts'
import type {IfIndex, Mac} from '../../../src/model/net.ts'
import {decodeLink} from '../../../src/netlink/link.ts'
import type {GoldenAnswer} from './answer.ts'

export const answers: readonly GoldenAnswer[] = [
  {
    name: 'veth, port of a bridge',
    decode: ({body}) => decodeLink(body),
    want: {
      index: 2 as IfIndex,
      name: 'veth0',
      kind: 'veth',
      up: true,
      carrier: true,
      loopback: false,
      mtu: 1400,
      mac: '02:00:00:00:00:01' as Mac,
      group: 107,
      alias: 'netgraft:pod/a',
      master: 3 as IfIndex,
      parent: 2 as IfIndex,
      parentNsid: 0,
    },
    bytes: `
      e8 05 00 00  # nlmsg_len 1512
      10 00  # nlmsg_type RTM_NEWLINK
      02 00  # nlmsg_flags MULTI
      01 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      01 00  # ifi_type 1
      02 00 00 00  # ifi_index 2
      43 10 01 00  # ifi_flags 0x11043
      00 00 00 00  # ifi_change 0x0
      0a 00 03 00  76 65 74 68 30 00  00 00  # IFLA_IFNAME "veth0", padded
      08 00 0d 00  e8 03 00 00  # IFLA_TXQLEN 1000
      05 00 10 00  06  00 00 00  # IFLA_OPERSTATE 6, padded
      05 00 11 00  00  00 00 00  # IFLA_LINKMODE 0, padded
      05 00 43 00  00  00 00 00  # attribute 67 0, padded
      08 00 04 00  78 05 00 00  # IFLA_MTU 1400
      08 00 32 00  44 00 00 00  # IFLA_MIN_MTU 68
      08 00 33 00  ff ff 00 00  # IFLA_MAX_MTU 65535
      08 00 1b 00  6b 00 00 00  # IFLA_GROUP 107
      08 00 1e 00  01 00 00 00  # IFLA_PROMISCUITY 1
      08 00 3d 00  01 00 00 00  # IFLA_ALLMULTI 1
      08 00 1f 00  02 00 00 00  # IFLA_NUM_TX_QUEUES 2
      08 00 28 00  ff ff 00 00  # IFLA_GSO_MAX_SEGS 65535
      08 00 29 00  00 00 01 00  # IFLA_GSO_MAX_SIZE 65536
      08 00 3a 00  00 00 01 00  # IFLA_GRO_MAX_SIZE 65536
      08 00 3f 00  00 00 01 00  # attribute 63 65536
      08 00 40 00  00 00 01 00  # attribute 64 65536
      08 00 3b 00  f8 ff 07 00  # IFLA_TSO_MAX_SIZE 524280
      08 00 3c 00  ff ff 00 00  # IFLA_TSO_MAX_SEGS 65535
      08 00 42 00  00 00 00 00  # attribute 66 0
      08 00 20 00  02 00 00 00  # IFLA_NUM_RX_QUEUES 2
      08 00 0a 00  03 00 00 00  # IFLA_MASTER 3
      05 00 21 00  01  00 00 00  # IFLA_CARRIER 1, padded
      13 00 14 00  6e 65 74 67 72 61 66 74 3a 70 6f 64 2f 61 00  00  # IFLA_IFALIAS "netgraft:pod/a", padded
      08 00 23 00  02 00 00 00  # IFLA_CARRIER_CHANGES 2
      08 00 2f 00  01 00 00 00  # IFLA_CARRIER_UP_COUNT 1
      08 00 30 00  01 00 00 00  # IFLA_CARRIER_DOWN_COUNT 1
      06 00 44 00  00 00  00 00  # attribute 68 0, padded
      06 00 45 00  00 00  00 00  # attribute 69 0, padded
      05 00 27 00  00  00 00 00  # IFLA_PROTO_DOWN 0, padded
      0a 00 01 00  02 00 00 00 00 01  00 00  # IFLA_ADDRESS 02:00:00:00:00:01, padded
      0a 00 02 00  ff ff ff ff ff ff  00 00  # IFLA_BROADCAST ff:ff:ff:ff:ff:ff, padded
      cc 00 17 00  # IFLA_STATS64
        00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 5a 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00
      64 00 07 00  # IFLA_STATS
        00 00 00 00 01 00 00 00 00 00 00 00 5a 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      0c 00 2b 00  05 00 02 00 00 00 00 00  # IFLA_XDP
      6c 01 12 00  # IFLA_LINKINFO, nested
        09 00 01 00  76 65 74 68 00  00 00 00  # IFLA_INFO_KIND "veth", padded
        0b 00 04 00  62 72 69 64 67 65 00  00  # IFLA_INFO_SLAVE_KIND "bridge", padded
        50 01 05 00  # IFLA_INFO_SLAVE_DATA
          05 00 01 00 00 00 00 00 06 00 02 00 20 00 00 00 08 00 03 00 02 00 00 00 05 00 04 00 00 00 00 00
          05 00 05 00 00 00 00 00 05 00 06 00 00 00 00 00 05 00 07 00 00 00 00 00 05 00 1c 00 00 00 00 00
          05 00 08 00 01 00 00 00 05 00 09 00 01 00 00 00 05 00 1b 00 01 00 00 00 05 00 1e 00 01 00 00 00
          05 00 0a 00 00 00 00 00 05 00 0c 00 00 00 00 00 0c 00 0d 00 80 00 02 00 00 00 00 05 0c 00 0e 00
          80 00 02 00 00 00 00 05 06 00 0f 00 01 80 00 00 06 00 10 00 00 00 00 00 06 00 11 00 01 80 00 00
          06 00 12 00 01 00 00 00 05 00 13 00 00 00 00 00 05 00 14 00 00 00 00 00 05 00 1d 00 00 00 00 00
          06 00 1f 00 00 00 00 00 05 00 20 00 00 00 00 00 05 00 23 00 00 00 00 00 05 00 24 00 00 00 00 00
          05 00 21 00 00 00 00 00 05 00 27 00 00 00 00 00 05 00 28 00 00 00 00 00 05 00 2b 00 00 00 00 00
          0c 00 15 00 00 00 00 00 00 00 00 00 0c 00 16 00 00 00 00 00 00 00 00 00 0c 00 17 00 00 00 00 00
          00 00 00 00 05 00 19 00 01 00 00 00 08 00 25 00 00 02 00 00 08 00 26 00 00 00 00 00 08 00 29 00
          00 00 00 00 08 00 2a 00 00 00 00 00
      08 00 25 00  00 00 00 00  # IFLA_LINK_NETNSID 0
      08 00 05 00  02 00 00 00  # IFLA_LINK 2
      0c 00 06 00  6e 6f 71 75 65 75 65 00  # IFLA_QDISC "noqueue"
      c0 01 1a 00  # IFLA_AF_SPEC
        8c 00 02 00 88 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00
        01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 10 27 00 00 e8 03 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 01 00 00 00 30 01 0a 00 08 00 01 00 00 00 00 80 14 00 05 00 ff ff 00 00
        96 99 08 00 78 8a 00 00 e8 03 00 00 f4 00 02 00 00 00 00 00 40 00 00 00 78 05 00 00 01 00 00 00
        01 00 00 00 01 00 00 00 01 00 00 00 ff ff ff ff a0 0f 00 00 e8 03 00 00 00 00 00 00 80 3a 09 00
        80 51 01 00 03 00 00 00 58 02 00 00 10 00 00 00 00 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00
        60 ea 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00
        00 00 00 00 00 00 00 00 10 27 00 00 e8 03 00 00 01 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00
        00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 80 ee 36 00
        00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 04 00 00 00 00 00 00 ff ff 00 00 ff ff ff ff 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        14 00 07 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 05 00 08 00 00 00 00 00
      24 00 0e 00  # IFLA_MAP
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      04 00 3e 80  # attribute 62
      04 00 41 80  # attribute 65
    `,
  },
  {
    name: 'vxlan over IPv6',
    decode: ({body}) => decodeLink(body),
    want: {
      index: 6 as IfIndex,
      name: 'vx6',
      kind: 'vxlan',
      up: false,
      carrier: false,
      loopback: false,
      mtu: 1430,
      mac: '02:00:00:00:00:06' as Mac,
      group: 0,
      vxlan: {
        vni: 9,
        port: 4789,
        local: parseIp('2001:db8::1'),
        remote: parseIp('2001:db8::2'),
        dev: 5 as IfIndex,
        learning: true,
      },
    },
    bytes: `
      54 05 00 00  # nlmsg_len 1364
      10 00  # nlmsg_type RTM_NEWLINK
      02 00  # nlmsg_flags MULTI
      01 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      01 00  # ifi_type 1
      06 00 00 00  # ifi_index 6
      02 10 00 00  # ifi_flags 0x1002
      00 00 00 00  # ifi_change 0x0
      08 00 03 00  76 78 36 00  # IFLA_IFNAME "vx6"
      08 00 0d 00  e8 03 00 00  # IFLA_TXQLEN 1000
      05 00 10 00  02  00 00 00  # IFLA_OPERSTATE 2, padded
      05 00 11 00  00  00 00 00  # IFLA_LINKMODE 0, padded
      05 00 43 00  00  00 00 00  # attribute 67 0, padded
      08 00 04 00  96 05 00 00  # IFLA_MTU 1430
      08 00 32 00  44 00 00 00  # IFLA_MIN_MTU 68
      08 00 33 00  ff ff 00 00  # IFLA_MAX_MTU 65535
      08 00 1b 00  00 00 00 00  # IFLA_GROUP 0
      08 00 1e 00  00 00 00 00  # IFLA_PROMISCUITY 0
      08 00 3d 00  00 00 00 00  # IFLA_ALLMULTI 0
      08 00 1f 00  01 00 00 00  # IFLA_NUM_TX_QUEUES 1
      08 00 28 00  ff ff 00 00  # IFLA_GSO_MAX_SEGS 65535
      08 00 29 00  00 00 01 00  # IFLA_GSO_MAX_SIZE 65536
      08 00 3a 00  00 00 01 00  # IFLA_GRO_MAX_SIZE 65536
      08 00 3f 00  00 00 01 00  # attribute 63 65536
      08 00 40 00  00 00 01 00  # attribute 64 65536
      08 00 3b 00  f8 ff 07 00  # IFLA_TSO_MAX_SIZE 524280
      08 00 3c 00  ff ff 00 00  # IFLA_TSO_MAX_SEGS 65535
      08 00 42 00  00 00 00 00  # attribute 66 0
      08 00 20 00  01 00 00 00  # IFLA_NUM_RX_QUEUES 1
      05 00 21 00  01  00 00 00  # IFLA_CARRIER 1, padded
      08 00 23 00  00 00 00 00  # IFLA_CARRIER_CHANGES 0
      08 00 2f 00  00 00 00 00  # IFLA_CARRIER_UP_COUNT 0
      08 00 30 00  00 00 00 00  # IFLA_CARRIER_DOWN_COUNT 0
      06 00 44 00  54 00  00 00  # attribute 68 84, padded
      06 00 45 00  00 00  00 00  # attribute 69 0, padded
      05 00 27 00  00  00 00 00  # IFLA_PROTO_DOWN 0, padded
      0a 00 01 00  02 00 00 00 00 06  00 00  # IFLA_ADDRESS 02:00:00:00:00:06, padded
      0a 00 02 00  ff ff ff ff ff ff  00 00  # IFLA_BROADCAST ff:ff:ff:ff:ff:ff, padded
      cc 00 17 00  # IFLA_STATS64
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00
      64 00 07 00  # IFLA_STATS
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      0c 00 2b 00  05 00 02 00 00 00 00 00  # IFLA_XDP
      08 01 12 00  # IFLA_LINKINFO, nested
        0a 00 01 00  76 78 6c 61 6e 00  00 00  # IFLA_INFO_KIND "vxlan", padded
        f8 00 02 00  # IFLA_INFO_DATA, nested
          08 00 01 00  09 00 00 00  # IFLA_VXLAN_ID 9
          14 00 10 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 02  # IFLA_VXLAN_GROUP6 2001:db8::2
          08 00 03 00  05 00 00 00  # IFLA_VXLAN_LINK 5
          14 00 11 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01  # IFLA_VXLAN_LOCAL6 2001:db8::1
          05 00 05 00  00  00 00 00  # IFLA_VXLAN_TTL 0, padded
          05 00 1c 00  00  00 00 00  # IFLA_VXLAN_TTL_INHERIT 0, padded
          05 00 06 00  00  00 00 00  # IFLA_VXLAN_TOS 0, padded
          05 00 1d 00  00  00 00 00  # IFLA_VXLAN_DF 0, padded
          08 00 1a 00  00 00 00 00  # IFLA_VXLAN_LABEL 0
          08 00 20 00  00 00 00 00  # attribute 32 0
          05 00 07 00  01  00 00 00  # IFLA_VXLAN_LEARNING 1, padded
          05 00 0b 00  00  00 00 00  # IFLA_VXLAN_PROXY 0, padded
          05 00 0c 00  00  00 00 00  # IFLA_VXLAN_RSC 0, padded
          05 00 0d 00  00  00 00 00  # IFLA_VXLAN_L2MISS 0, padded
          05 00 0e 00  00  00 00 00  # IFLA_VXLAN_L3MISS 0, padded
          05 00 19 00  00  00 00 00  # IFLA_VXLAN_COLLECT_METADATA 0, padded
          08 00 08 00  2c 01 00 00  # IFLA_VXLAN_AGEING 300
          08 00 09 00  00 00 00 00  # IFLA_VXLAN_LIMIT 0
          06 00 0f 00  12 b5  00 00  # IFLA_VXLAN_PORT 4789, padded
          05 00 12 00  01  00 00 00  # IFLA_VXLAN_UDP_CSUM 1, padded
          05 00 13 00  00  00 00 00  # IFLA_VXLAN_UDP_ZERO_CSUM6_TX 0, padded
          05 00 14 00  00  00 00 00  # IFLA_VXLAN_UDP_ZERO_CSUM6_RX 0, padded
          05 00 15 00  00  00 00 00  # IFLA_VXLAN_REMCSUM_TX 0, padded
          05 00 16 00  00  00 00 00  # IFLA_VXLAN_REMCSUM_RX 0, padded
          05 00 1f 00  01  00 00 00  # attribute 31 1, padded
          08 00 0a 00  00 00 00 00  # IFLA_VXLAN_PORT_RANGE 0
          0c 00 21 00  f7 ff ff ff 00 00 00 ff  # attribute 33
      09 00 06 00  6e 6f 6f 70 00  00 00 00  # IFLA_QDISC "noop", padded
      c0 01 1a 00  # IFLA_AF_SPEC
        8c 00 02 00 88 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00
        01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 10 27 00 00 e8 03 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 01 00 00 00 30 01 0a 00 08 00 01 00 00 00 00 00 14 00 05 00 ff ff 00 00
        99 99 08 00 f0 9b 00 00 e8 03 00 00 f4 00 02 00 00 00 00 00 40 00 00 00 96 05 00 00 01 00 00 00
        01 00 00 00 01 00 00 00 01 00 00 00 ff ff ff ff a0 0f 00 00 e8 03 00 00 00 00 00 00 80 3a 09 00
        80 51 01 00 03 00 00 00 58 02 00 00 10 00 00 00 00 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00
        60 ea 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00
        00 00 00 00 00 00 00 00 10 27 00 00 e8 03 00 00 01 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00
        00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 80 ee 36 00
        00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 04 00 00 00 00 00 00 ff ff 00 00 ff ff ff ff 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        14 00 07 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 05 00 08 00 00 00 00 00
      24 00 0e 00  # IFLA_MAP
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      04 00 3e 80  # attribute 62
      04 00 41 80  # attribute 65
    `,
  },
  {
    name: 'vxlan over IPv4',
    decode: ({body}) => decodeLink(body),
    want: {
      index: 7 as IfIndex,
      name: 'vx0',
      kind: 'vxlan',
      up: true,
      carrier: true,
      loopback: false,
      mtu: 1450,
      mac: '02:00:00:00:00:07' as Mac,
      group: 0,
      vxlan: {vni: 1, port: 8472, local: parseIp('192.168.0.1'), dev: 5 as IfIndex, learning: false},
    },
    bytes: `
      34 05 00 00  # nlmsg_len 1332
      10 00  # nlmsg_type RTM_NEWLINK
      02 00  # nlmsg_flags MULTI
      01 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      01 00  # ifi_type 1
      07 00 00 00  # ifi_index 7
      43 10 01 00  # ifi_flags 0x11043
      00 00 00 00  # ifi_change 0x0
      08 00 03 00  76 78 30 00  # IFLA_IFNAME "vx0"
      08 00 0d 00  e8 03 00 00  # IFLA_TXQLEN 1000
      05 00 10 00  00  00 00 00  # IFLA_OPERSTATE 0, padded
      05 00 11 00  00  00 00 00  # IFLA_LINKMODE 0, padded
      05 00 43 00  00  00 00 00  # attribute 67 0, padded
      08 00 04 00  aa 05 00 00  # IFLA_MTU 1450
      08 00 32 00  44 00 00 00  # IFLA_MIN_MTU 68
      08 00 33 00  ff ff 00 00  # IFLA_MAX_MTU 65535
      08 00 1b 00  00 00 00 00  # IFLA_GROUP 0
      08 00 1e 00  00 00 00 00  # IFLA_PROMISCUITY 0
      08 00 3d 00  00 00 00 00  # IFLA_ALLMULTI 0
      08 00 1f 00  01 00 00 00  # IFLA_NUM_TX_QUEUES 1
      08 00 28 00  ff ff 00 00  # IFLA_GSO_MAX_SEGS 65535
      08 00 29 00  00 00 01 00  # IFLA_GSO_MAX_SIZE 65536
      08 00 3a 00  00 00 01 00  # IFLA_GRO_MAX_SIZE 65536
      08 00 3f 00  00 00 01 00  # attribute 63 65536
      08 00 40 00  00 00 01 00  # attribute 64 65536
      08 00 3b 00  f8 ff 07 00  # IFLA_TSO_MAX_SIZE 524280
      08 00 3c 00  ff ff 00 00  # IFLA_TSO_MAX_SEGS 65535
      08 00 42 00  00 00 00 00  # attribute 66 0
      08 00 20 00  01 00 00 00  # IFLA_NUM_RX_QUEUES 1
      05 00 21 00  01  00 00 00  # IFLA_CARRIER 1, padded
      08 00 23 00  00 00 00 00  # IFLA_CARRIER_CHANGES 0
      08 00 2f 00  00 00 00 00  # IFLA_CARRIER_UP_COUNT 0
      08 00 30 00  00 00 00 00  # IFLA_CARRIER_DOWN_COUNT 0
      06 00 44 00  40 00  00 00  # attribute 68 64, padded
      06 00 45 00  00 00  00 00  # attribute 69 0, padded
      05 00 27 00  00  00 00 00  # IFLA_PROTO_DOWN 0, padded
      0a 00 01 00  02 00 00 00 00 07  00 00  # IFLA_ADDRESS 02:00:00:00:00:07, padded
      0a 00 02 00  ff ff ff ff ff ff  00 00  # IFLA_BROADCAST ff:ff:ff:ff:ff:ff, padded
      cc 00 17 00  # IFLA_STATS64
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00
      64 00 07 00  # IFLA_STATS
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      0c 00 2b 00  05 00 02 00 00 00 00 00  # IFLA_XDP
      e8 00 12 00  # IFLA_LINKINFO, nested
        0a 00 01 00  76 78 6c 61 6e 00  00 00  # IFLA_INFO_KIND "vxlan", padded
        d8 00 02 00  # IFLA_INFO_DATA, nested
          08 00 01 00  01 00 00 00  # IFLA_VXLAN_ID 1
          08 00 03 00  05 00 00 00  # IFLA_VXLAN_LINK 5
          08 00 04 00  c0 a8 00 01  # IFLA_VXLAN_LOCAL 192.168.0.1
          05 00 05 00  00  00 00 00  # IFLA_VXLAN_TTL 0, padded
          05 00 1c 00  00  00 00 00  # IFLA_VXLAN_TTL_INHERIT 0, padded
          05 00 06 00  00  00 00 00  # IFLA_VXLAN_TOS 0, padded
          05 00 1d 00  00  00 00 00  # IFLA_VXLAN_DF 0, padded
          08 00 1a 00  00 00 00 00  # IFLA_VXLAN_LABEL 0
          08 00 20 00  00 00 00 00  # attribute 32 0
          05 00 07 00  00  00 00 00  # IFLA_VXLAN_LEARNING 0, padded
          05 00 0b 00  00  00 00 00  # IFLA_VXLAN_PROXY 0, padded
          05 00 0c 00  00  00 00 00  # IFLA_VXLAN_RSC 0, padded
          05 00 0d 00  00  00 00 00  # IFLA_VXLAN_L2MISS 0, padded
          05 00 0e 00  00  00 00 00  # IFLA_VXLAN_L3MISS 0, padded
          05 00 19 00  00  00 00 00  # IFLA_VXLAN_COLLECT_METADATA 0, padded
          08 00 08 00  2c 01 00 00  # IFLA_VXLAN_AGEING 300
          08 00 09 00  00 00 00 00  # IFLA_VXLAN_LIMIT 0
          06 00 0f 00  21 18  00 00  # IFLA_VXLAN_PORT 8472, padded
          05 00 12 00  01  00 00 00  # IFLA_VXLAN_UDP_CSUM 1, padded
          05 00 13 00  00  00 00 00  # IFLA_VXLAN_UDP_ZERO_CSUM6_TX 0, padded
          05 00 14 00  00  00 00 00  # IFLA_VXLAN_UDP_ZERO_CSUM6_RX 0, padded
          05 00 15 00  00  00 00 00  # IFLA_VXLAN_REMCSUM_TX 0, padded
          05 00 16 00  00  00 00 00  # IFLA_VXLAN_REMCSUM_RX 0, padded
          05 00 1f 00  01  00 00 00  # attribute 31 1, padded
          08 00 0a 00  00 00 00 00  # IFLA_VXLAN_PORT_RANGE 0
          0c 00 21 00  f7 ff ff ff 00 00 00 ff  # attribute 33
      0c 00 06 00  6e 6f 71 75 65 75 65 00  # IFLA_QDISC "noqueue"
      c0 01 1a 00  # IFLA_AF_SPEC
        8c 00 02 00 88 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00
        01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 10 27 00 00 e8 03 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 01 00 00 00 30 01 0a 00 08 00 01 00 00 00 00 80 14 00 05 00 ff ff 00 00
        9a 99 08 00 b8 4f 00 00 e8 03 00 00 f4 00 02 00 00 00 00 00 40 00 00 00 aa 05 00 00 01 00 00 00
        01 00 00 00 01 00 00 00 01 00 00 00 ff ff ff ff a0 0f 00 00 e8 03 00 00 00 00 00 00 80 3a 09 00
        80 51 01 00 03 00 00 00 58 02 00 00 10 00 00 00 00 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00
        60 ea 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00
        00 00 00 00 00 00 00 00 10 27 00 00 e8 03 00 00 01 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00
        00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 80 ee 36 00
        00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 04 00 00 00 00 00 00 ff ff 00 00 ff ff ff ff 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        14 00 07 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 05 00 08 00 00 00 00 00
      24 00 0e 00  # IFLA_MAP
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      04 00 3e 80  # attribute 62
      04 00 41 80  # attribute 65
    `,
  },
  {
    name: 'macvlan',
    decode: ({body}) => decodeLink(body),
    want: {
      index: 8 as IfIndex,
      name: 'mv0',
      kind: 'macvlan',
      up: false,
      carrier: false,
      loopback: false,
      mtu: 1500,
      mac: '02:00:00:00:00:08' as Mac,
      group: 0,
      parent: 5 as IfIndex,
      macvlan: {mode: 'private'},
    },
    bytes: `
      90 04 00 00  # nlmsg_len 1168
      10 00  # nlmsg_type RTM_NEWLINK
      02 00  # nlmsg_flags MULTI
      01 00 00 00  # nlmsg_seq
      bf 54 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      01 00  # ifi_type 1
      08 00 00 00  # ifi_index 8
      02 10 00 00  # ifi_flags 0x1002
      00 00 00 00  # ifi_change 0x0
      08 00 03 00  6d 76 30 00  # IFLA_IFNAME "mv0"
      08 00 0d 00  e8 03 00 00  # IFLA_TXQLEN 1000
      05 00 10 00  02  00 00 00  # IFLA_OPERSTATE 2, padded
      05 00 11 00  00  00 00 00  # IFLA_LINKMODE 0, padded
      05 00 43 00  00  00 00 00  # attribute 67 0, padded
      08 00 04 00  dc 05 00 00  # IFLA_MTU 1500
      08 00 32 00  44 00 00 00  # IFLA_MIN_MTU 68
      08 00 33 00  ff ff 00 00  # IFLA_MAX_MTU 65535
      08 00 1b 00  00 00 00 00  # IFLA_GROUP 0
      08 00 1e 00  00 00 00 00  # IFLA_PROMISCUITY 0
      08 00 3d 00  00 00 00 00  # IFLA_ALLMULTI 0
      08 00 1f 00  01 00 00 00  # IFLA_NUM_TX_QUEUES 1
      08 00 28 00  ff ff 00 00  # IFLA_GSO_MAX_SEGS 65535
      08 00 29 00  00 00 01 00  # IFLA_GSO_MAX_SIZE 65536
      08 00 3a 00  00 00 01 00  # IFLA_GRO_MAX_SIZE 65536
      08 00 3f 00  00 00 01 00  # attribute 63 65536
      08 00 40 00  00 00 01 00  # attribute 64 65536
      08 00 3b 00  f8 ff 07 00  # IFLA_TSO_MAX_SIZE 524280
      08 00 3c 00  ff ff 00 00  # IFLA_TSO_MAX_SEGS 65535
      08 00 42 00  00 00 00 00  # attribute 66 0
      08 00 20 00  01 00 00 00  # IFLA_NUM_RX_QUEUES 1
      05 00 21 00  01  00 00 00  # IFLA_CARRIER 1, padded
      08 00 23 00  00 00 00 00  # IFLA_CARRIER_CHANGES 0
      08 00 2f 00  00 00 00 00  # IFLA_CARRIER_UP_COUNT 0
      08 00 30 00  00 00 00 00  # IFLA_CARRIER_DOWN_COUNT 0
      06 00 44 00  00 00  00 00  # attribute 68 0, padded
      06 00 45 00  00 00  00 00  # attribute 69 0, padded
      05 00 27 00  00  00 00 00  # IFLA_PROTO_DOWN 0, padded
      0a 00 01 00  02 00 00 00 00 08  00 00  # IFLA_ADDRESS 02:00:00:00:00:08, padded
      0a 00 02 00  ff ff ff ff ff ff  00 00  # IFLA_BROADCAST ff:ff:ff:ff:ff:ff, padded
      cc 00 17 00  # IFLA_STATS64
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00
      64 00 07 00  # IFLA_STATS
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      0c 00 2b 00  05 00 02 00 00 00 00 00  # IFLA_XDP
      3c 00 12 00  # IFLA_LINKINFO, nested
        0c 00 01 00  6d 61 63 76 6c 61 6e 00  # IFLA_INFO_KIND "macvlan"
        2c 00 02 00  # IFLA_INFO_DATA, nested
          08 00 01 00  01 00 00 00  # IFLA_MACVLAN_MODE 1
          06 00 02 00  00 00  00 00  # IFLA_MACVLAN_FLAGS 0, padded
          08 00 06 00  00 00 00 00  # IFLA_MACVLAN_MACADDR_COUNT 0
          08 00 07 00  e8 03 00 00  # IFLA_MACVLAN_BC_QUEUE_LEN 1000
          08 00 08 00  e8 03 00 00  # IFLA_MACVLAN_BC_QUEUE_LEN_USED 1000
      08 00 05 00  05 00 00 00  # IFLA_LINK 5
      09 00 06 00  6e 6f 6f 70 00  00 00 00  # IFLA_QDISC "noop", padded
      c0 01 1a 00  # IFLA_AF_SPEC
        8c 00 02 00 88 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00
        01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 10 27 00 00 e8 03 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 01 00 00 00 30 01 0a 00 08 00 01 00 00 00 00 00 14 00 05 00 ff ff 00 00
        9a 99 08 00 38 8e 00 00 e8 03 00 00 f4 00 02 00 00 00 00 00 40 00 00 00 dc 05 00 00 01 00 00 00
        01 00 00 00 01 00 00 00 01 00 00 00 ff ff ff ff a0 0f 00 00 e8 03 00 00 00 00 00 00 80 3a 09 00
        80 51 01 00 03 00 00 00 58 02 00 00 10 00 00 00 00 00 00 00 01 00 00 00 01 00 00 00 01 00 00 00
        60 ea 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00
        00 00 00 00 00 00 00 00 10 27 00 00 e8 03 00 00 01 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00
        00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 80 ee 36 00
        00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 04 00 00 00 00 00 00 ff ff 00 00 ff ff ff ff 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        14 00 07 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 05 00 08 00 00 00 00 00
      24 00 0e 00  # IFLA_MAP
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      04 00 3e 80  # attribute 62
      04 00 41 80  # attribute 65
    `,
  },
]
