import test from 'ava'
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import {InvalidInput} from '../../src/model/errors.ts'
import {Cidr, hostLength, Ip, parseCidr, parseIp, parseIpWithPrefix} from '../../src/model/ip.ts'

for (const [text, canonical] of [
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['10.1.2.3', '10.1.2.3'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['FD00::ABCD', 'fd00::abcd'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['1:0:1:1:1:1:1:1', '1:0:1:1:1:1:1:1'],
  ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::1:2:3:4:5:6:7', '0:1:2:3:4:5:6:7'],
  ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ['::192.0.2.1', '::c000:201'],
] as const)
  test(`parseIp ${text} → ${canonical}`, t => t.is(parseIp(text).toString(), canonical))

for (const text of [
  '',
  ' ',
  '10.0.0',
  '10.1',
  '1',
  '0x0a000001',
  '10.0.0.01',
  '010.0.0.1',
  '10.0.0.256',
  '10.0.0.1 ',
  ' 10.0.0.1',
  '10.0.0.1\n',
  '10.0.0.1/24',
  '10.0.0.1.2',
  'fe80::1%eth0',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '12345::',
  'g::',
  '::1.2.3',
  '::1.2.3.256',
  'localhost',
])
  test(`parseIp refuses ${JSON.stringify(text)}`, t => void t.throws(() => parseIp(text), {instanceOf: InvalidInput}))

for (const [text, canonical] of [
  ['10.1.2.0/24', '10.1.2.0/24'],
  ['10.1.2.3/24', '10.1.2.0/24'],
  ['10.1.2.3/0', '0.0.0.0/0'],
  ['255.255.255.255/1', '128.0.0.0/1'],
  ['255.255.255.255/9', '255.128.0.0/9'],
  ['10.1.2.3/32', '10.1.2.3/32'],
  ['fd00:1:2:3:4::/64', 'fd00:1:2:3::/64'],
  ['ffff::/1', '8000::/1'],
  ['::1/128', '::1/128'],
  ['::1/0', '::/0'],
] as const)
  test(`parseCidr ${text} → ${canonical}`, t => t.is(parseCidr(text).toString(), canonical))

for (const text of [
  '10.0.0.0',
  '10.0.0.0/',
  '/24',
  '10.0.0.0/33',
  '10.0.0.0/-1',
  '10.0.0.0/+8',
  '10.0.0.0/08',
  '10.0.0.0/8 ',
  '10.0.0.0/8/8',
  '10.0.0.0/255.0.0.0',
  '10.0.0.0/1e1',
  '::/129',
  '::/1000',
  'fe80::1%eth0/64',
])
  test(`parseCidr refuses ${JSON.stringify(text)}`, t =>
    void t.throws(() => parseCidr(text), {instanceOf: InvalidInput}))

for (const [outer, inner, contains] of [
  ['10.0.0.0/8', '10.1.0.0/16', true],
  ['10.1.0.0/16', '10.0.0.0/8', false],
  ['10.0.0.0/9', '10.128.0.0/9', false],
  ['10.0.0.0/8', '10.0.0.0/8', true],
  ['0.0.0.0/0', '::/0', false],
  ['::/0', '10.0.0.0/8', false],
  ['fd00::/63', 'fd00:0:0:1::/64', true],
  ['fd00::/63', 'fd00:0:0:2::/64', false],
] as const)
  test(`${outer} ${contains ? 'contains' : 'does not contain'} ${inner}`, t =>
    t.is(parseCidr(outer).contains(parseCidr(inner)), contains))

test('parseIpWithPrefix keeps the host bits', t => {
  const {ip, length} = parseIpWithPrefix('192.168.0.11/24')
  t.is(`${ip}/${length}`, '192.168.0.11/24')
})

test('an address of no family and a prefix of no length are refused', t => {
  for (const length of [0, 3, 5, 15, 17]) t.throws(() => new Ip(new Uint8Array(length)), {instanceOf: InvalidInput})
  for (const length of [-1, 33, 1.5, Number.NaN])
    t.throws(() => new Cidr(parseIp('10.0.0.0'), length), {instanceOf: InvalidInput})
})

// Properties, with ipaddr.js as the second opinion.

/** Zero bytes are frequent, so that runs of zero groups are. */
const byte = fc.oneof(fc.constant(0), fc.integer({min: 0, max: 255}))
const bytes = fc.oneof(
  fc.uint8Array({minLength: 4, maxLength: 4}),
  fc.array(byte, {minLength: 16, maxLength: 16}).map(list => Uint8Array.from(list)),
)
const prefix = bytes.chain(of =>
  fc
    .tuple(fc.constant(of), fc.integer({min: 0, max: of.length * 8}))
    .map(([of, length]) => new Cidr(new Ip(of), length)),
)
const oracle = (of: Uint8Array) => ipaddr.fromByteArray([...of])
const oracleText = (of: Uint8Array) => {
  const address = oracle(of)
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString()
}

test('the text of an address is the one of RFC 5952, and parses back', t => {
  fc.assert(
    fc.property(bytes, of => {
      const text = new Ip(of).toString()
      t.deepEqual(parseIp(text).bytes, of)
      t.is(text, oracleText(of))
    }),
  )
  t.pass()
})

test('every spelling of an address parses to the same bytes', t => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), text => {
      // The other library takes the deprecated form for an IPv4-mapped address. RFC 4291, section 2.5.5.1.
      fc.pre(!/^::[\d.]+$/.test(text))
      t.deepEqual([...parseIp(text).bytes], ipaddr.parse(text).toByteArray())
      t.is(parseIp(text).toString(), parseIp(parseIp(text).toString().toUpperCase()).toString())
    }),
  )
  t.pass()
})

test('a prefix has no host bits, and its text parses back', t => {
  fc.assert(
    fc.property(prefix, cidr => {
      const text = cidr.toString()
      t.is(parseCidr(text).toString(), text)
      const network = cidr.family === 4 ? ipaddr.IPv4 : ipaddr.IPv6
      t.deepEqual([...cidr.address.bytes], network.networkAddressFromCIDR(text).toByteArray())
    }),
  )
  t.pass()
})

test('containing agrees with matching, overlapping is containing one way or the other', t => {
  const near = prefix.chain(a =>
    fc
      .tuple(fc.integer({min: 0, max: hostLength(a.family)}), fc.integer({min: 0, max: hostLength(a.family)}))
      .map(([bit, length]) => {
        const flipped = Uint8Array.from(a.address.bytes)
        if (bit < hostLength(a.family)) flipped[bit >> 3]! ^= 0x80 >> (bit & 7)
        return [a, new Cidr(new Ip(flipped), length)] as const
      }),
  )
  fc.assert(
    fc.property(fc.oneof(near, fc.tuple(prefix, prefix)), ([a, b]) => {
      const [x, y] = [oracle(a.address.bytes), oracle(b.address.bytes)]
      const matches = x.kind() === y.kind() && y.match([x, a.length] as never)
      t.is(a.contains(b.address), matches)
      t.is(a.contains(b), matches && a.length <= b.length)
      t.is(a.overlaps(b), a.contains(b) || b.contains(a))
      t.is(a.overlaps(b), b.overlaps(a))
    }),
    {numRuns: 1000},
  )
  t.pass()
})

test('no text makes a parser throw anything but InvalidInput', t => {
  const alphabet = fc.string({unit: fc.constantFrom(...'0123456789abf:./%x- '), maxLength: 45})
  fc.assert(
    fc.property(fc.oneof(fc.string(), alphabet), text => {
      for (const parse of [parseIp, parseCidr, parseIpWithPrefix]) {
        try {
          parse(text)
        } catch (error) {
          t.true(error instanceof InvalidInput, `${error}`)
        }
      }
    }),
    {numRuns: 3000},
  )
  t.pass()
})
