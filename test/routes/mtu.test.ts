import test from 'ava'
import {parseIp} from '../../src/model/ip.ts'
import type {KernelState} from '../../src/model/kernel.ts'
import type {Link} from '../../src/model/net.ts'
import {type EffectiveMtu, effectiveMtu} from '../../src/routes/mtu.ts'
import type {RouteNetwork} from '../../src/routes/network.ts'
import {readUnderlay} from '../../src/routes/underlay.ts'
import {kernel, network, route} from './support.ts'

interface Case {
  readonly name: string
  readonly backend: RouteNetwork['backend']
  /** As configured. @default 0 */
  readonly mtu?: number
  /** @default both addresses of {@link ETH0} */
  readonly own?: string
  readonly links?: readonly string[]
  /** "4: 1450": the families of the tunnels that stand, and their MTUs. */
  readonly tunnels?: string
  readonly want: string
  readonly problems?: string
}

const ETH0 = '2 eth0 192.168.0.11/24 fd00::11/64'
const OWN = '192.168.0.11 fd00::11'

const tooMuch = (mtu: number, family: 4 | 6, room: number) =>
  `device: network default: an mtu of ${mtu} does not fit the interface with this node's IPv${family} address, which has room for ${room}; set mtu to that or less, or 0`
const tooLittle = (name: string, mtu: number) =>
  `device: the MTU of ${name} is ${mtu}, and IPv6 needs 1280: no IPv6 of pods goes through it; raise that of the node's interface`

const CASES: Case[] = [
  // Direct: what the interface has.
  {name: 'the MTU of the interface', backend: 'direct', want: '4: 1500, 6: 1500'},
  {
    name: 'each family has the interface with its address',
    backend: 'direct',
    links: ['2 eth0 192.168.0.11/24 mtu=9000', '3 eth1 fd00::11/64 mtu=1400'],
    want: '4: 9000, 6: 1400',
  },
  {name: 'a family that the node lacks has none', backend: 'direct', own: '192.168.0.11', want: '4: 1500'},
  {name: 'nothing is known of this node', backend: 'direct', own: '', want: ''},
  {name: 'its addresses are not on this machine', backend: 'direct', own: '10.0.0.1 fd00::99', want: ''},
  {
    name: 'an address on loopback: what the default route leads to',
    backend: 'direct',
    links: ['1 lo 192.168.0.11/32 lo mtu=65536', '2 eth0 mtu=1400'],
    want: '4: 1400',
  },
  {name: 'a configured one', backend: 'direct', mtu: 1400, want: '4: 1400, 6: 1400'},
  {name: 'a configured one that just fits', backend: 'direct', mtu: 1500, want: '4: 1500, 6: 1500'},
  {
    name: 'a configured one that fits neither',
    backend: 'direct',
    mtu: 1501,
    want: '4: 1501, 6: 1501',
    problems: `${tooMuch(1501, 4, 1500)}\n${tooMuch(1501, 6, 1500)}`,
  },
  {
    name: 'a configured one that fits only one',
    backend: 'direct',
    mtu: 8000,
    links: ['2 eth0 192.168.0.11/24 mtu=9000', '3 eth1 fd00::11/64 mtu=1400'],
    want: '4: 8000, 6: 8000',
    problems: tooMuch(8000, 6, 1400),
  },
  {name: 'whether a configured one fits is not known', backend: 'direct', mtu: 9000, own: '', want: '4: 9000, 6: 9000'},

  // Tunnels: what the devices have.
  ...(['vxlan', 'auto'] as const).flatMap((backend): Case[] => [
    {name: 'the MTU of the tunnels', backend, tunnels: '4: 1450, 6: 1430', want: '4: 1450, 6: 1430'},
    {name: 'of one tunnel for both families', backend, tunnels: '4: 1450', want: '4: 1450, 6: 1450'},
    {name: 'of one tunnel over IPv6 for both families', backend, tunnels: '6: 1430', want: '4: 1430, 6: 1430'},
    {name: 'no tunnel stands', backend, want: ''},
    {name: 'a configured one, before a tunnel stands', backend, mtu: 1400, want: '4: 1400, 6: 1400'},
    {
      name: 'a configured one that just fits',
      backend,
      mtu: 1430,
      tunnels: '4: 1430, 6: 1430',
      want: '4: 1430, 6: 1430',
    },
    {
      name: 'a configured one that fits only IPv4, which needs less for itself',
      backend,
      mtu: 1450,
      tunnels: '4: 1450, 6: 1450',
      want: '4: 1450, 6: 1450',
      problems: tooMuch(1450, 6, 1430),
    },
    {
      name: 'a configured one as if there were no tunnel',
      backend,
      mtu: 1500,
      own: '192.168.0.11',
      tunnels: '4: 1500',
      want: '4: 1500, 6: 1500',
      problems: tooMuch(1500, 4, 1450),
    },
  ]),

  // IPv6 needs 1280.
  {name: 'just enough for IPv6', backend: 'vxlan', tunnels: '4: 1280', want: '4: 1280, 6: 1280'},
  {
    name: 'too little for IPv6 over one of two',
    backend: 'vxlan',
    links: [`${ETH0} mtu=1340`],
    tunnels: '4: 1290, 6: 1270',
    want: '4: 1290, 6: 1270',
    problems: tooLittle('ng-vx0-6', 1270),
  },
  {
    name: 'too little over both',
    backend: 'auto',
    links: [`${ETH0} mtu=1300`],
    tunnels: '4: 1250, 6: 1230',
    want: '4: 1250, 6: 1230',
    problems: `${tooLittle('ng-vx0', 1250)}\n${tooLittle('ng-vx0-6', 1230)}`,
  },
]

const device = (family: number, mtu: number): Link =>
  kernel([`${family} ng-vx0${family === 6 ? '-6' : ''} mtu=${mtu}`])
    .links.values()
    .next().value!

/** `own`: the node's addresses; those of the kernel are this machine's. */
function mtuOf(of: RouteNetwork, own: string, tunnels: Partial<Record<4 | 6, Link>>, state: KernelState): EffectiveMtu {
  const addresses = own.split(' ').filter(Boolean).map(parseIp)
  return effectiveMtu(of, addresses, readUnderlay(state, addresses, []).local, tunnels, state)
}

for (const {name, backend, mtu = 0, own = OWN, links = [ETH0], tunnels = '', want, problems = ''} of CASES)
  test(`${backend}: ${name}`, t => {
    const devices = Object.fromEntries(
      tunnels
        .split(', ')
        .filter(Boolean)
        .map(text => {
          const [family, bytes] = text.split(': ').map(Number) as [number, number]
          return [family, device(family, bytes)]
        }),
    )
    const result = mtuOf(
      network({backend, mtu}),
      own,
      devices,
      kernel(links, [route('0.0.0.0/0 via 10.0.0.1 dev 2 proto 3 metric 0')]),
    )
    t.is(
      Object.entries(result.bytes)
        .map(([family, bytes]) => `${family}: ${bytes}`)
        .join(', '),
      want,
    )
    t.is(result.problems.map(({kind, message}) => `${kind}: ${message}`).join('\n'), problems)
  })

test('a configured MTU that is too little for IPv6 is told of as what it is', t => {
  const {problems} = mtuOf(network({backend: 'vxlan', mtu: 1200}), OWN, {4: device(4, 1200)}, kernel([ETH0]))
  t.deepEqual(problems, [
    {
      kind: 'device',
      message:
        'the MTU of ng-vx0 is 1200, and IPv6 needs 1280: no IPv6 of pods goes through it; set the mtu of the network to that or more',
    },
  ])
})

test('of several addresses of a family, the one that is on this machine counts, as for tunnels', t => {
  const own = '10.0.0.1 192.168.0.11'
  t.is(mtuOf(network(), own, {}, kernel([ETH0])).bytes[4], 1500)
  t.is(mtuOf(network({mtu: 9000}), own, {}, kernel([ETH0])).problems.length, 1)
})
