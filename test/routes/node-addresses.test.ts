import test from 'ava'
import fc from 'fast-check'
import type {NodeFacts, NodeName} from '../../src/model/facts.ts'
import {Ip, parseCidr, parseIp} from '../../src/model/ip.ts'
import type {Mac} from '../../src/model/net.ts'
import {type AddressSources, concatenate, eui64, nodeAddresses} from '../../src/routes/node-addresses.ts'
import {projectNode} from '../../src/streams/nodes.ts'
import {namespaces} from '../netlink/namespace.ts'

/** "b 192.168.1.2 fd00::2": a node and what its object reports. */
function node(text: string): NodeFacts {
  const [name, ...addresses] = text.split(' ')
  return projectNode({
    metadata: {name},
    status: {addresses: addresses.map(address => ({type: 'InternalIP', address}))},
  })
}

/** Like {@link node}, several. */
const byName = (texts: readonly string[]): ReadonlyMap<NodeName, readonly Ip[]> =>
  new Map(texts.map(node).map(({name, addresses}) => [name, addresses]))

interface Case {
  readonly name: string
  readonly node?: string
  readonly map?: string
  readonly prefix?: string
  readonly pods?: string
  readonly want: string
}

const EVERYTHING = {
  map: 'b fd00::b',
  prefix: '1000:1::',
  pods: 'b fd00::c',
}
const CASES: Case[] = [
  {
    name: 'what the object reports needs no other source',
    ...EVERYTHING,
    node: 'b 192.168.1.2 fd00::2',
    want: '192.168.1.2 fd00::2',
  },
  {name: 'of IPv6 alone, too', ...EVERYTHING, node: 'b fd00::2', want: 'fd00::2'},
  {name: 'a link-local one is one', ...EVERYTHING, node: 'b 192.168.1.2 fe80::2', want: '192.168.1.2 fe80::2'},
  {name: 'first the map', ...EVERYTHING, want: '192.168.1.2 fd00::b'},
  {name: 'then the prefix', ...EVERYTHING, map: 'c fd00::b', want: '192.168.1.2 1000:1::c0a8:102'},
  {name: 'then the pods', ...EVERYTHING, map: '', prefix: '', want: '192.168.1.2 fd00::c'},
  {name: 'nobody knows', pods: 'c fd00::c', want: '192.168.1.2'},
  {name: 'several of the map, in its order', map: 'b fd00::2 fd00::1', want: '192.168.1.2 fd00::2 fd00::1'},
  {name: 'the map never replaces what is reported', map: 'b 10.0.0.1 fd00::b', want: '192.168.1.2 fd00::b'},
  {name: 'the map gives IPv4 as well', node: 'b fd00::2', map: 'b 10.0.0.1 fd00::b', want: 'fd00::2 10.0.0.1'},
  {
    name: 'an IPv4 address of the map makes an IPv6 one like any other',
    node: 'b',
    map: 'b 10.0.0.1',
    prefix: '1000:1::',
    want: '10.0.0.1 1000:1::a00:1',
  },
  {
    name: 'each IPv4 address makes one',
    node: 'b 192.168.1.2 10.0.0.1',
    prefix: '1000:1::',
    want: '192.168.1.2 10.0.0.1 1000:1::c0a8:102 1000:1::a00:1',
  },
  {name: 'no address at all: only pods can help', ...EVERYTHING, node: 'b', map: '', want: 'fd00::c'},
  {name: 'several of the pods', pods: 'b fd00::c fd00::d', want: '192.168.1.2 fd00::c fd00::d'},
]

function sources({map, prefix, pods}: Partial<Case>): AddressSources {
  return {
    map: byName(map ? [map] : []),
    ipv6Prefix: prefix ? parseIp(prefix) : undefined,
    hostPods: byName(pods ? [pods] : []),
  }
}

for (const each of CASES)
  test(each.name, t => t.is(nodeAddresses(node(each.node ?? 'b 192.168.1.2'), sources(each)).join(' '), each.want))

test('it costs no address twice, and what changes is seen', t => {
  const b = node('b 192.168.1.2')
  const both = node('b 192.168.1.2 fd00::2')
  t.is(nodeAddresses(both, sources(EVERYTHING)), both.addresses)
  t.is(nodeAddresses(b, sources({})), b.addresses)

  const last = (from: AddressSources) => nodeAddresses(b, from).at(-1)
  const prefixed = sources({prefix: '1000:1::'})
  t.is(last(prefixed), last(prefixed))
  t.is(`${last(sources({prefix: '1000:2::'}))}`, '1000:2::c0a8:102')
  t.is(`${last(prefixed)}`, '1000:1::c0a8:102')
})

for (const [mac, want] of [
  ['00:0c:29:0c:47:d5', 'fe80::20c:29ff:fe0c:47d5'],
  ['02:00:00:00:00:01', 'fe80::ff:fe00:1'],
  ['fe:ff:ff:ff:ff:ff', 'fe80::fcff:ffff:feff:ffff'],
] as const)
  test(`eui64 ${mac}`, t => t.is(`${eui64(mac as Mac)}`, want))

test('the kernel makes the same address of a MAC', async t => {
  const [a] = await namespaces(t, 1)
  for (const [index, mac] of ['00:0c:29:0c:47:d5', '02:00:00:00:00:01', 'fe:ff:ff:ff:ff:ff'].entries()) {
    a.ip('link', 'add', 'name', `d${index}`, 'address', mac, 'type', 'veth', 'peer', 'name', `p${index}`)
    a.ip('link', 'set', 'dev', `p${index}`, 'up')
    a.ip('link', 'set', 'dev', `d${index}`, 'up')
    const [{addr_info}] = a.json('-6', 'address', 'show', 'dev', `d${index}`)
    t.is(addr_info[0].local, `${eui64(mac as Mac)}`)
  }
})

const bytes = (length: number) => fc.uint8Array({minLength: length, maxLength: length})
const hex = (of: Uint8Array, from: number, to: number) => Buffer.from(of.subarray(from, to)).toString('hex')

test('property: a concatenation is the prefix, then the IPv4 address, and reads so', t => {
  fc.assert(
    fc.property(bytes(12), bytes(4), (head, tail) => {
      const prefix = new Ip(Uint8Array.of(...head, 0, 0, 0, 0))
      const before = `${prefix}`
      const made = concatenate(prefix, new Ip(tail))
      t.is(hex(made.bytes, 0, 12), hex(head, 0, 12))
      t.is(hex(made.bytes, 12, 16), hex(tail, 0, 4))
      t.true(parseCidr(`${prefix}/96`).contains(made))
      const groups = hex(head, 0, 12).replace(/.{4}/g, '$&:')
      t.is(`${parseIp(`${groups}${new Ip(tail)}`)}`, `${made}`)
      t.is(`${prefix}`, before)
    }),
  )
})

test('property: an EUI-64 is link-local, tells its MAC, and no two MACs share one', t => {
  fc.assert(
    fc.property(bytes(6), mac => {
      const text = hex(mac, 0, 6).replace(/..(?!$)/g, '$&:') as Mac
      const made = eui64(text)
      t.true(parseCidr('fe80::/64').contains(made))
      const [a, b, c, ff, fe, ...rest] = made.bytes.subarray(8)
      t.is(ff, 0xff)
      t.is(fe, 0xfe)
      t.deepEqual([a! ^ 2, b, c, ...rest], [...mac])
    }),
  )
})
