import test from 'ava'
import fc from 'fast-check'
import {parseCidr, parseIp} from '../../src/model/ip.ts'
import type {NextHop, Route} from '../../src/model/net.ts'
import {formatUnderlay, onlinkTo, readUnderlay, type Underlay, underlayMtu, wayTo} from '../../src/routes/underlay.ts'
import {kernel, route} from './support.ts'

interface Case {
  readonly name: string
  readonly links: string[]
  readonly routes?: string[]
  /** What the node's object says of itself. */
  readonly own?: string
  readonly ranges?: string
  readonly want: string
}

/** A line for each subnet in order, then the devices for onlink, then all addresses. */
const format = ({subnets, onlink, local}: Underlay): string =>
  [
    ...subnets.map(({cidr, dev, own, metric}) => `${cidr} dev ${dev}${own ? ' own' : ''} metric ${metric}`),
    ...Object.entries(onlink).map(([family, dev]) => `onlink IPv${family} dev ${dev}`),
    `local ${[...local].join(' ')}`,
  ].join('\n')

const words = (text = '') => text.split(' ').filter(Boolean)

const read = ({links, routes = [], own, ranges}: Omit<Case, 'name' | 'want'>): Underlay =>
  readUnderlay(kernel(links, routes.map(route)), words(own).map(parseIp), words(ranges).map(parseCidr))

/** The kernel's own route to a subnet. */
const connected = (subnet: string, dev: number, metric: number) => `${subnet} dev ${dev} proto 2 metric ${metric}`

const CASES: Case[] = [
  {name: 'nothing', links: [], want: 'local '},
  {
    name: 'an interface with both families',
    links: ['1 lo 127.0.0.1/8 ::1/128 lo', '2 eth0 192.168.0.11/24 fd00::11/64 fe80::11/64'],
    routes: [connected('192.168.0.0/24', 2, 0), connected('fd00::/64', 2, 256)],
    own: '192.168.0.11 fd00::11',
    want:
      'fd00::/64 dev 2 own metric 256\n' +
      '192.168.0.0/24 dev 2 own metric 0\n' +
      'local 127.0.0.1 ::1 192.168.0.11 fd00::11 fe80::11',
  },
  {
    name: 'the longest prefix first, whoever has the own address',
    links: ['2 wide 10.0.0.1/8', '3 mid 10.1.0.1/16', '4 near 10.1.1.1/24'],
    own: '10.0.0.1',
    want:
      '10.1.1.0/24 dev 4 metric Infinity\n' +
      '10.1.0.0/16 dev 3 metric Infinity\n' +
      '10.0.0.0/8 dev 2 own metric Infinity\n' +
      'local 10.0.0.1 10.1.0.1 10.1.1.1',
  },
  {
    name: 'of one subnet: the own address, then what the kernel prefers, then the first interface',
    links: [
      '2 a 192.168.0.2/24',
      '3 b 192.168.0.3/24',
      '6 e 192.168.0.6/24',
      '4 c 192.168.0.4/24',
      '5 d 192.168.0.5/24',
    ],
    routes: [
      connected('192.168.0.0/24', 2, 200),
      connected('192.168.0.0/24', 3, 100),
      connected('192.168.0.0/24', 5, 300),
    ],
    own: '192.168.0.5',
    want:
      '192.168.0.0/24 dev 5 own metric 300\n' +
      '192.168.0.0/24 dev 3 metric 100\n' +
      '192.168.0.0/24 dev 2 metric 200\n' +
      '192.168.0.0/24 dev 4 metric Infinity\n' +
      '192.168.0.0/24 dev 6 metric Infinity\n' +
      'local 192.168.0.2 192.168.0.3 192.168.0.6 192.168.0.4 192.168.0.5',
  },
  {
    name: 'a route to the subnet through a gateway is not the kernel’s own',
    links: ['2 a 192.168.0.2/24'],
    routes: ['192.168.0.0/24 via 10.0.0.1 dev 2 metric 5'],
    want: '192.168.0.0/24 dev 2 metric Infinity\nlocal 192.168.0.2',
  },
  {
    name: 'an own address without a subnet: its device; somebody else’s: nothing',
    links: ['2 ens4 10.128.0.2/32 fd20::2/128', '3 other 10.9.9.9/32'],
    own: '10.128.0.2 fd20::2',
    want: 'onlink IPv4 dev 2\nonlink IPv6 dev 2\nlocal 10.128.0.2 fd20::2 10.9.9.9',
  },
  {
    name: 'an own address without a subnet on two devices: the first',
    links: ['2 a 10.128.0.2/32', '3 b 10.128.0.2/32'],
    own: '10.128.0.2',
    want: 'onlink IPv4 dev 2\nlocal 10.128.0.2',
  },
  {
    name: 'the other end of a line is a subnet of its own',
    links: ['2 ppp0 10.0.0.1/32>10.0.0.2', '3 ppp1 10.0.0.1/32>10.0.1.0', '4 gre1 10.0.2.1/24>10.0.3.9'],
    own: '10.0.0.1',
    want:
      '10.0.0.2/32 dev 2 own metric Infinity\n' +
      '10.0.1.0/32 dev 3 own metric Infinity\n' +
      '10.0.3.0/24 dev 4 metric Infinity\n' +
      'local 10.0.0.1 10.0.2.1',
  },
  {
    name: 'what is down, loops back, is ours or the pods’ is no way, but its addresses are of this machine',
    links: [
      '1 lo 10.0.0.1/24 lo',
      '2 eth0 10.0.1.1/24 down',
      '3 ng-vx0 10.0.2.1/24 alias=netgraft:network_default',
      '4 ng-vx1 10.0.3.1/24 group=28263',
      '5 cbr0 10.244.1.1/24',
      '6 eth1 10.0.4.1/24 group=28263 alias=uplink',
    ],
    own: '10.0.0.1 10.0.1.1',
    ranges: '10.244.1.0/24',
    want: '10.0.4.0/24 dev 6 metric Infinity\nlocal 10.0.0.1 10.0.1.1 10.0.2.1 10.0.3.1 10.244.1.1 10.0.4.1',
  },
  {
    name: 'an own address on loopback, without a subnet: nobody is behind it',
    links: ['1 lo 10.0.0.1/32 lo', '2 eth0 192.168.0.1/31'],
    own: '10.0.0.1',
    want: '192.168.0.0/31 dev 2 metric Infinity\nlocal 10.0.0.1 192.168.0.1',
  },
]

for (const {name, want, ...at} of CASES)
  test(name, t => {
    t.is(format(read(at)), want)
  })

const hopText = (hop: NextHop | undefined) => hop && `via ${hop.gateway} dev ${hop.dev}${hop.onlink ? ' onlink' : ''}`

test('the way to an address: over its subnet, or onlink, each in its family', t => {
  const underlay = read({
    links: ['2 eth0 192.168.0.11/24', '3 eth1 192.168.0.129/25', '4 ens4 10.128.0.2/32'],
    own: '192.168.0.11 10.128.0.2',
  })
  t.is(hopText(wayTo(underlay, parseIp('192.168.0.12'))), 'via 192.168.0.12 dev 2')
  t.is(hopText(wayTo(underlay, parseIp('192.168.0.200'))), 'via 192.168.0.200 dev 3')
  t.is(hopText(wayTo(underlay, parseIp('10.128.0.3'))), undefined)
  t.is(hopText(wayTo(underlay, parseIp('fd00::1'))), undefined)
  t.is(hopText(onlinkTo(underlay, parseIp('10.128.0.3'))), 'via 10.128.0.3 dev 4 onlink')
  t.is(hopText(onlinkTo(underlay, parseIp('172.16.0.1'))), 'via 172.16.0.1 dev 4 onlink')
  t.is(hopText(onlinkTo(underlay, parseIp('fd00::1'))), undefined)
})

const LO = '1 lo 10.0.0.1/32 fd00::1/128 lo mtu=65536'
const DEFAULT = (dev: number) => `0.0.0.0/0 via 192.168.${dev}.1 dev ${dev} proto 3 metric ${dev}`
const TWO_PATHS: Route = {
  ...route(DEFAULT(2)),
  nextHops: [...route(DEFAULT(2)).nextHops, ...route(DEFAULT(3)).nextHops],
}

for (const [name, links, routes, own, want] of [
  [
    'the interface that has the address',
    ['2 eth0 192.168.0.11/24 mtu=1400', '3 eth1 10.0.0.1/8'],
    [],
    '192.168.0.11',
    1400,
  ],
  ['also while it is down', ['2 eth0 192.168.0.11/24 mtu=1400 down'], [], '192.168.0.11', 1400],
  ['none: nothing is known', ['2 eth0 192.168.0.11/24'], [], '192.168.0.12', undefined],
  ['loopback: what the default route leads to', [LO, '2 eth0 mtu=1500'], [route(DEFAULT(2))], '10.0.0.1', 1500],
  [
    'loopback: the narrowest of several default routes',
    [LO, '2 a mtu=1500', '3 b mtu=1400'],
    [route(DEFAULT(2)), route(DEFAULT(3))],
    '10.0.0.1',
    1400,
  ],
  ['loopback: the narrowest of several paths', [LO, '2 a mtu=1500', '3 b mtu=1400'], [TWO_PATHS], '10.0.0.1', 1400],
  ['loopback without a default route', [LO, '2 a mtu=1500'], [], '10.0.0.1', undefined],
  ['loopback and a default route of the other family', [LO, '2 a mtu=1500'], [route(DEFAULT(2))], 'fd00::1', undefined],
  ['loopback, IPv6', [LO, '2 a mtu=1480'], [route('::/0 via fe80::1 dev 2 proto 9 metric 1024')], 'fd00::1', 1480],
  ['loopback and a default route over a device that is not known', [LO], [route(DEFAULT(9))], '10.0.0.1', undefined],
] as const)
  test(`the MTU that an address has: ${name}`, t => {
    t.is(underlayMtu(kernel(links, routes), parseIp(own)), want)
  })

/** What of a machine's interfaces makes a difference. */
const anyLink = fc
  .tuple(
    fc.constantFrom('2 eth0', '3 eth1'),
    fc.subarray(['192.168.0.11/24', '192.168.0.12/32', '10.0.0.1/16', 'fd00::11/64', 'fd00::11/128'], {minLength: 1}),
    fc.constantFrom('', ' down', ' lo'),
  )
  .map(([link, addresses, flag]) => `${link} ${addresses.join(' ')}${flag}`)

test('property: equal texts are the same ways', t => {
  const place = fc.tuple(
    fc.array(anyLink, {maxLength: 2}),
    fc.subarray(['192.168.0.11', '192.168.0.12', 'fd00::11']),
    fc.subarray(['10.0.0.0/24', '10.0.0.0/8']),
  )
  const at = ([links, own, ranges]: [string[], string[], string[]]) =>
    read({links, own: own.join(' '), ranges: ranges.join(' ')})
  const peers = ['192.168.0.13', '192.168.0.11', '10.0.7.7', 'fd00::13', '172.16.0.1'].map(parseIp)
  const ways = (underlay: Underlay) =>
    peers
      .map(ip => `${underlay.local.has(`${ip}`)} ${hopText(wayTo(underlay, ip))} ${hopText(onlinkTo(underlay, ip))}`)
      .join('\n')
  fc.assert(
    fc.property(place, place, (one, other) => {
      const [a, b] = [at(one), at(other)]
      if (formatUnderlay(a) === formatUnderlay(b)) t.is(ways(a), ways(b))
      else if (format(a) === format(b)) t.fail('one underlay, two texts')
    }),
    {numRuns: 1000},
  )
})

test('the text tells every difference', t => {
  const base = {links: ['2 eth0 192.168.0.11/24', '3 eth1 10.0.0.1/32'], own: '10.0.0.1'}
  const text = (changed: Partial<typeof base>) => formatUnderlay(read({...base, ...changed}))
  const texts = [
    text({}),
    text({links: ['2 eth0 192.168.0.11/25', '3 eth1 10.0.0.1/32']}),
    text({links: ['4 eth0 192.168.0.11/24', '3 eth1 10.0.0.1/32']}),
    text({links: ['2 eth0 192.168.0.11/24', '4 eth1 10.0.0.1/32']}),
    text({links: ['2 eth0 192.168.0.12/24', '3 eth1 10.0.0.1/32']}),
    text({own: ''}),
  ]
  t.is(new Set(texts).size, texts.length)
})
