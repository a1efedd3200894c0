/** Links, as `ip link` writes them. */

import {parseIp} from '../../../src/model/ip.ts'
import type {IfIndex, Mac} from '../../../src/model/net.ts'
import {addLink, deleteLink, deleteLinkGroup, dumpLinks, setLink} from '../../../src/netlink/link.ts'
import type {GoldenRequest} from './request.ts'

const index = 3 as IfIndex
const master = 4 as IfIndex
const mac = (text: string) => text as Mac

export const requests: readonly GoldenRequest[] = [
  {
    command:
      'ip link add name veth0 mtu 1400 address 02:00:00:00:00:01 group 107 type veth peer name eth0 mtu 1400 address 02:00:00:00:00:02 group 107 netns b',
    request: addLink({
      name: 'veth0',
      mtu: 1400,
      mac: mac('02:00:00:00:00:01'),
      group: 107,
      kind: {type: 'veth', peer: {name: 'eth0', mtu: 1400, mac: mac('02:00:00:00:00:02'), group: 107, netns: 4}},
    }),
    bytes: `
      9c 00 00 00  # nlmsg_len 156
      10 00  # nlmsg_type RTM_NEWLINK
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      d9 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 04 00  78 05 00 00  # IFLA_MTU 1400
      0a 00 01 00  02 00 00 00 00 01  00 00  # IFLA_ADDRESS 02:00:00:00:00:01, padded
      08 00 1b 00  6b 00 00 00  # IFLA_GROUP 107
      0a 00 03 00  76 65 74 68 30 00  00 00  # IFLA_IFNAME "veth0", padded
      54 00 12 00  # IFLA_LINKINFO, nested
        08 00 01 00  76 65 74 68  # IFLA_INFO_KIND "veth"
        48 00 02 00  # IFLA_INFO_DATA, nested
          44 00 01 00  # VETH_INFO_PEER, nested
            00  # ifi_family 0
            00  # padding
            00 00  # ifi_type 0
            00 00 00 00  # ifi_index 0
            00 00 00 00  # ifi_flags 0x0
            00 00 00 00  # ifi_change 0x0
            08 00 04 00  78 05 00 00  # IFLA_MTU 1400
            0a 00 01 00  02 00 00 00 00 02  00 00  # IFLA_ADDRESS 02:00:00:00:00:02, padded
            08 00 1b 00  6b 00 00 00  # IFLA_GROUP 107
            08 00 1c 00  04 00 00 00  # IFLA_NET_NS_FD 4
            09 00 03 00  65 74 68 30 00  00 00 00  # IFLA_IFNAME "eth0", padded
    `,
  },
  {
    command: 'ip link add name veth0 up master br0 type veth peer name veth1',
    request: addLink({name: 'veth0', up: true, master, kind: {type: 'veth', peer: {name: 'veth1'}}}),
    bytes: `
      64 00 00 00  # nlmsg_len 100
      10 00  # nlmsg_type RTM_NEWLINK
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      d9 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      01 00 00 00  # ifi_flags 0x1
      01 00 00 00  # ifi_change 0x1
      08 00 0a 00  04 00 00 00  # IFLA_MASTER 4
      0a 00 03 00  76 65 74 68 30 00  00 00  # IFLA_IFNAME "veth0", padded
      30 00 12 00  # IFLA_LINKINFO, nested
        08 00 01 00  76 65 74 68  # IFLA_INFO_KIND "veth"
        24 00 02 00  # IFLA_INFO_DATA, nested
          20 00 01 00  # VETH_INFO_PEER, nested
            00  # ifi_family 0
            00  # padding
            00 00  # ifi_type 0
            00 00 00 00  # ifi_index 0
            00 00 00 00  # ifi_flags 0x0
            00 00 00 00  # ifi_change 0x0
            0a 00 03 00  76 65 74 68 31 00  00 00  # IFLA_IFNAME "veth1", padded
    `,
  },
  {
    command: 'ip link add name br1 type bridge',
    request: addLink({name: 'br1', kind: {type: 'bridge'}}),
    differs: {why: 'an empty IFLA_INFO_DATA', adds: ['  [2]']},
    bytes: `
      38 00 00 00  # nlmsg_len 56
      10 00  # nlmsg_type RTM_NEWLINK
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      d9 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 03 00  62 72 31 00  # IFLA_IFNAME "br1"
      10 00 12 00  # IFLA_LINKINFO, nested
        0a 00 01 00  62 72 69 64 67 65  00 00  # IFLA_INFO_KIND "bridge", padded
    `,
  },
  {
    command: 'ip link add name br1 mtu 1450 type bridge vlan_filtering 1',
    request: addLink({name: 'br1', mtu: 1450, kind: {type: 'bridge', vlanFiltering: true}}),
    bytes: `
      4c 00 00 00  # nlmsg_len 76
      10 00  # nlmsg_type RTM_NEWLINK
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      d9 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 04 00  aa 05 00 00  # IFLA_MTU 1450
      08 00 03 00  62 72 31 00  # IFLA_IFNAME "br1"
      1c 00 12 00  # IFLA_LINKINFO, nested
        0a 00 01 00  62 72 69 64 67 65  00 00  # IFLA_INFO_KIND "bridge", padded
        0c 00 02 00  # IFLA_INFO_DATA, nested
          05 00 07 00  01  00 00 00  # IFLA_BR_VLAN_FILTERING 1, padded
    `,
  },
  {
    command:
      'ip link add name vx0 mtu 1450 address 02:00:00:00:00:03 type vxlan id 1 dstport 8472 local 192.168.0.1 dev d nolearning',
    request: addLink({
      name: 'vx0',
      mtu: 1450,
      mac: mac('02:00:00:00:00:03'),
      kind: {type: 'vxlan', vni: 1, port: 8472, local: parseIp('192.168.0.1'), dev: index},
    }),
    bytes: `
      78 00 00 00  # nlmsg_len 120
      10 00  # nlmsg_type RTM_NEWLINK
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 04 00  aa 05 00 00  # IFLA_MTU 1450
      0a 00 01 00  02 00 00 00 00 03  00 00  # IFLA_ADDRESS 02:00:00:00:00:03, padded
      08 00 03 00  76 78 30 00  # IFLA_IFNAME "vx0"
      3c 00 12 00  # IFLA_LINKINFO, nested
        09 00 01 00  76 78 6c 61 6e  00 00 00  # IFLA_INFO_KIND "vxlan", padded
        2c 00 02 00  # IFLA_INFO_DATA, nested
          08 00 03 00  03 00 00 00  # IFLA_VXLAN_LINK 3
          08 00 01 00  01 00 00 00  # IFLA_VXLAN_ID 1
          08 00 04 00  c0 a8 00 01  # IFLA_VXLAN_LOCAL 192.168.0.1
          05 00 07 00  00  00 00 00  # IFLA_VXLAN_LEARNING 0, padded
          06 00 0f 00  21 18  00 00  # IFLA_VXLAN_PORT 8472, padded
    `,
  },
  {
    command:
      'ip link add name vx0 type vxlan id 16777215 dstport 4789 local 2001:db8::1 remote 2001:db8::2 dev d learning',
    request: addLink({
      name: 'vx0',
      kind: {
        type: 'vxlan',
        vni: 0xffffff,
        port: 4789,
        local: parseIp('2001:db8::1'),
        remote: parseIp('2001:db8::2'),
        dev: index,
        learning: true,
      },
    }),
    bytes: `
      84 00 00 00  # nlmsg_len 132
      10 00  # nlmsg_type RTM_NEWLINK
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 03 00  76 78 30 00  # IFLA_IFNAME "vx0"
      5c 00 12 00  # IFLA_LINKINFO, nested
        09 00 01 00  76 78 6c 61 6e  00 00 00  # IFLA_INFO_KIND "vxlan", padded
        4c 00 02 00  # IFLA_INFO_DATA, nested
          08 00 03 00  03 00 00 00  # IFLA_VXLAN_LINK 3
          08 00 01 00  ff ff ff 00  # IFLA_VXLAN_ID 16777215
          14 00 11 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01  # IFLA_VXLAN_LOCAL6 2001:db8::1
          14 00 10 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 02  # IFLA_VXLAN_GROUP6 2001:db8::2
          05 00 07 00  01  00 00 00  # IFLA_VXLAN_LEARNING 1, padded
          06 00 0f 00  12 b5  00 00  # IFLA_VXLAN_PORT 4789, padded
    `,
  },
  {
    command: 'ip link add name vx0 type vxlan id 7 dstport 4790 local 192.168.0.1 remote 192.168.0.2 nolearning',
    request: addLink({
      name: 'vx0',
      kind: {
        type: 'vxlan',
        vni: 7,
        port: 4790,
        local: parseIp('192.168.0.1'),
        remote: parseIp('192.168.0.2'),
        learning: false,
      },
    }),
    bytes: `
      64 00 00 00  # nlmsg_len 100
      10 00  # nlmsg_type RTM_NEWLINK
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 03 00  76 78 30 00  # IFLA_IFNAME "vx0"
      3c 00 12 00  # IFLA_LINKINFO, nested
        09 00 01 00  76 78 6c 61 6e  00 00 00  # IFLA_INFO_KIND "vxlan", padded
        2c 00 02 00  # IFLA_INFO_DATA, nested
          08 00 01 00  07 00 00 00  # IFLA_VXLAN_ID 7
          08 00 04 00  c0 a8 00 01  # IFLA_VXLAN_LOCAL 192.168.0.1
          08 00 02 00  c0 a8 00 02  # IFLA_VXLAN_GROUP 192.168.0.2
          05 00 07 00  00  00 00 00  # IFLA_VXLAN_LEARNING 0, padded
          06 00 0f 00  12 b6  00 00  # IFLA_VXLAN_PORT 4790, padded
    `,
  },
  {
    command: 'ip link add name mv0 link d type macvlan mode bridge',
    request: addLink({name: 'mv0', kind: {type: 'macvlan', parent: index, mode: 'bridge'}}),
    bytes: `
      4c 00 00 00  # nlmsg_len 76
      10 00  # nlmsg_type RTM_NEWLINK
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 05 00  03 00 00 00  # IFLA_LINK 3
      08 00 03 00  6d 76 30 00  # IFLA_IFNAME "mv0"
      1c 00 12 00  # IFLA_LINKINFO, nested
        0b 00 01 00  6d 61 63 76 6c 61 6e  00  # IFLA_INFO_KIND "macvlan", padded
        0c 00 02 00  # IFLA_INFO_DATA, nested
          08 00 01 00  04 00 00 00  # IFLA_MACVLAN_MODE 4
    `,
  },
  {
    command: 'ip link add name mv0 link d netns b type macvlan mode private',
    request: addLink({name: 'mv0', netns: 4, kind: {type: 'macvlan', parent: index, mode: 'private'}}),
    bytes: `
      54 00 00 00  # nlmsg_len 84
      10 00  # nlmsg_type RTM_NEWLINK
      05 06  # nlmsg_flags REQUEST|ACK|EXCL|CREATE
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 1c 00  04 00 00 00  # IFLA_NET_NS_FD 4
      08 00 05 00  03 00 00 00  # IFLA_LINK 3
      08 00 03 00  6d 76 30 00  # IFLA_IFNAME "mv0"
      1c 00 12 00  # IFLA_LINKINFO, nested
        0b 00 01 00  6d 61 63 76 6c 61 6e  00  # IFLA_INFO_KIND "macvlan", padded
        0c 00 02 00  # IFLA_INFO_DATA, nested
          08 00 01 00  01 00 00 00  # IFLA_MACVLAN_MODE 1
    `,
  },
  {
    command: 'ip link set dev d up',
    request: setLink(index, {up: true}),
    bytes: `
      20 00 00 00  # nlmsg_len 32
      10 00  # nlmsg_type RTM_NEWLINK
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      03 00 00 00  # ifi_index 3
      01 00 00 00  # ifi_flags 0x1
      01 00 00 00  # ifi_change 0x1
    `,
  },
  {
    command: 'ip link set dev d down',
    request: setLink(index, {up: false}),
    bytes: `
      20 00 00 00  # nlmsg_len 32
      10 00  # nlmsg_type RTM_NEWLINK
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      03 00 00 00  # ifi_index 3
      00 00 00 00  # ifi_flags 0x0
      01 00 00 00  # ifi_change 0x1
    `,
  },
  {
    command: 'ip link set dev d mtu 1300',
    request: setLink(index, {mtu: 1300}),
    bytes: `
      28 00 00 00  # nlmsg_len 40
      10 00  # nlmsg_type RTM_NEWLINK
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      03 00 00 00  # ifi_index 3
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 04 00  14 05 00 00  # IFLA_MTU 1300
    `,
  },
  {
    command: 'ip link set dev d address 02:00:00:00:00:09',
    request: setLink(index, {mac: mac('02:00:00:00:00:09')}),
    bytes: `
      2c 00 00 00  # nlmsg_len 44
      10 00  # nlmsg_type RTM_NEWLINK
      05 00  # nlmsg_flags REQUEST|ACK
      db 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      03 00 00 00  # ifi_index 3
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      0a 00 01 00  02 00 00 00 00 09  00 00  # IFLA_ADDRESS 02:00:00:00:00:09, padded
    `,
  },
  {
    command: 'ip link set dev d alias netgraft:default',
    request: setLink(index, {alias: 'netgraft:default'}),
    bytes: `
      34 00 00 00  # nlmsg_len 52
      10 00  # nlmsg_type RTM_NEWLINK
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      03 00 00 00  # ifi_index 3
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      14 00 14 00  6e 65 74 67 72 61 66 74 3a 64 65 66 61 75 6c 74  # IFLA_IFALIAS "netgraft:default"
    `,
  },
  {
    command: 'ip link set dev d name f',
    request: setLink(index, {name: 'f'}),
    bytes: `
      28 00 00 00  # nlmsg_len 40
      10 00  # nlmsg_type RTM_NEWLINK
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      03 00 00 00  # ifi_index 3
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      06 00 03 00  66 00  00 00  # IFLA_IFNAME "f", padded
    `,
  },
  {
    command: 'ip link set dev d netns b',
    request: setLink(index, {netns: 4}),
    bytes: `
      28 00 00 00  # nlmsg_len 40
      10 00  # nlmsg_type RTM_NEWLINK
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      03 00 00 00  # ifi_index 3
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 1c 00  04 00 00 00  # IFLA_NET_NS_FD 4
    `,
  },
  {
    command: 'ip link set dev d master br0',
    request: setLink(index, {master}),
    bytes: `
      28 00 00 00  # nlmsg_len 40
      10 00  # nlmsg_type RTM_NEWLINK
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      03 00 00 00  # ifi_index 3
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 0a 00  04 00 00 00  # IFLA_MASTER 4
    `,
  },
  {
    command: 'ip link set dev d nomaster',
    request: setLink(index, {master: 0}),
    bytes: `
      28 00 00 00  # nlmsg_len 40
      10 00  # nlmsg_type RTM_NEWLINK
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      03 00 00 00  # ifi_index 3
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 0a 00  00 00 00 00  # IFLA_MASTER 0
    `,
  },
  {
    command: 'ip link set dev d group 107',
    request: setLink(index, {group: 107}),
    bytes: `
      28 00 00 00  # nlmsg_len 40
      10 00  # nlmsg_type RTM_NEWLINK
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      03 00 00 00  # ifi_index 3
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 1b 00  6b 00 00 00  # IFLA_GROUP 107
    `,
  },
  {
    command: 'ip link del dev d',
    request: deleteLink(index),
    bytes: `
      20 00 00 00  # nlmsg_len 32
      11 00  # nlmsg_type RTM_DELLINK
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      03 00 00 00  # ifi_index 3
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
    `,
  },
  {
    command: 'ip link del group 107',
    request: deleteLinkGroup(107),
    bytes: `
      28 00 00 00  # nlmsg_len 40
      11 00  # nlmsg_type RTM_DELLINK
      05 00  # nlmsg_flags REQUEST|ACK
      da 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      00  # ifi_family 0
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 1b 00  6b 00 00 00  # IFLA_GROUP 107
    `,
  },
  {
    command: 'ip link show master br0',
    request: dumpLinks({master}),
    differs: {
      why: 'AF_UNSPEC instead of AF_PACKET; no statistics instead of the list of virtual functions',
      adds: ['00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00', '[29] 08 00 00 00'],
      lacks: ['11 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00', '[29] 01 00 00 00'],
    },
    bytes: `
      30 00 00 00  # nlmsg_len 48
      12 00  # nlmsg_type RTM_GETLINK
      01 03  # nlmsg_flags REQUEST|DUMP
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      11  # ifi_family 17
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 1d 00  01 00 00 00  # IFLA_EXT_MASK 1
      08 00 0a 00  04 00 00 00  # IFLA_MASTER 4
    `,
  },
  {
    command: 'ip link show type vxlan',
    request: dumpLinks({kind: 'vxlan'}),
    differs: {
      why: 'AF_UNSPEC instead of AF_PACKET; no statistics instead of the list of virtual functions',
      adds: ['00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00', '[29] 08 00 00 00'],
      lacks: ['11 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00', '[29] 01 00 00 00'],
    },
    bytes: `
      38 00 00 00  # nlmsg_len 56
      12 00  # nlmsg_type RTM_GETLINK
      01 03  # nlmsg_flags REQUEST|DUMP
      dc 35 01 6b  # nlmsg_seq
      00 00 00 00  # nlmsg_pid
      11  # ifi_family 17
      00  # padding
      00 00  # ifi_type 0
      00 00 00 00  # ifi_index 0
      00 00 00 00  # ifi_flags 0x0
      00 00 00 00  # ifi_change 0x0
      08 00 1d 00  01 00 00 00  # IFLA_EXT_MASK 1
      10 00 12 00  # IFLA_LINKINFO, nested
        09 00 01 00  76 78 6c 61 6e  00 00 00  # IFLA_INFO_KIND "vxlan", padded
    `,
  },
]
