import test from 'ava'
import fc from 'fast-check'
import {InvalidInput} from '../../src/model/errors.ts'
import {parseIp} from '../../src/model/ip.ts'
import type {Mac} from '../../src/model/net.ts'
import {formatVtep, parseVtep, type Vtep} from '../../src/model/vtep.ts'
import * as arbitrary from '../netlink/arbitrary.ts'

const FOUR = '{"ip":"192.168.0.12","mac":"02:00:00:00:04:12"}'
const SIX = '{"ip":"fd00::12","mac":"02:00:00:00:06:12"}'

/** An annotation with this one end. */
const withEnd = (ip: string, mac = '02:00:00:00:00:01'): string =>
  JSON.stringify({vni: 1, port: 8472, ends: [{ip, mac}]})

// What the annotation says, and what is read of it.
for (const [name, text, read] of [
  ['both families', `{"vni":1,"port":8472,"ends":[${FOUR},${SIX}]}`, `{"vni":1,"port":8472,"ends":[${FOUR},${SIX}]}`],
  [
    'IPv4 comes first',
    `{"vni":1,"port":8472,"ends":[${SIX},${FOUR}]}`,
    `{"vni":1,"port":8472,"ends":[${FOUR},${SIX}]}`,
  ],
  ['one family', `{"vni":1,"port":8472,"ends":[${SIX}]}`, `{"vni":1,"port":8472,"ends":[${SIX}]}`],
  ['no end at all', '{"vni":1,"port":8472,"ends":[]}', '{"vni":1,"port":8472,"ends":[]}'],
  [
    'the smallest numbers, and the greatest',
    `{"vni":16777215,"port":65535,"ends":[${FOUR}]}`,
    `{"vni":16777215,"port":65535,"ends":[${FOUR}]}`,
  ],
  [
    'keys of a newer agent',
    `{"v":2,"vni":1,"port":1,"ends":[{"ip":"10.0.0.1","mac":"02:00:00:00:00:01","gbp":true}]}`,
    '{"vni":1,"port":1,"ends":[{"ip":"10.0.0.1","mac":"02:00:00:00:00:01"}]}',
  ],
  [
    'whatever way JSON is written',
    ` {\n "ends" : [ ] , "port":8.472e3,"vni":1.0}\n`,
    '{"vni":1,"port":8472,"ends":[]}',
  ],
  [
    'one text for an address and a MAC',
    withEnd('FD00:0:0::12', '02:AB:00:00:00:FF'),
    '{"vni":1,"port":8472,"ends":[{"ip":"fd00::12","mac":"02:ab:00:00:00:ff"}]}',
  ],
  ['an address that is nearly loopback', withEnd('::2'), withEnd('::2')],
  ['an address that is nearly link-local', withEnd('fec0::1'), withEnd('fec0::1')],
  ['an address that is nearly IPv4', withEnd('::fffe:c0a8:c'), withEnd('::fffe:c0a8:c')],
  ['an address that is not quite IPv4', withEnd('::ffff:0:c0a8:c'), withEnd('::ffff:0:c0a8:c')],
  ['addresses beside those that are nobody’s', withEnd('169.253.0.1'), withEnd('169.253.0.1')],
] as const)
  test(`reads ${name}`, t => {
    const vtep = parseVtep('blue', text)
    t.is(vtep.network, 'blue')
    t.is(formatVtep(vtep), read)
  })

const REFUSED: readonly (readonly [text: string, message: string])[] = [
  ['', 'is not JSON'],
  ['{', 'is not JSON'],
  ["{'vni':1}", 'is not JSON'],
  ['null', 'is not a JSON object'],
  ['7', 'is not a JSON object'],
  ['"{}"', 'is not a JSON object'],
  [`[${FOUR}]`, 'is not a JSON object'],
  ['{}', 'has no list "ends"'],
  ['{"vni":1,"port":8472,"ends":null}', 'has no list "ends"'],
  [`{"vni":1,"port":8472,"ends":${FOUR}}`, 'has no list "ends"'],
  ['{"vni":1,"port":8472,"ends":[null]}', 'has an end without "ip" or "mac"'],
  ['{"vni":1,"port":8472,"ends":["192.168.0.12"]}', 'has an end without "ip" or "mac"'],
  ['{"vni":1,"port":8472,"ends":[[]]}', 'has an end without "ip" or "mac"'],
  ['{"vni":1,"port":8472,"ends":[{"ip":"192.168.0.12"}]}', 'has an end without "ip" or "mac"'],
  ['{"vni":1,"port":8472,"ends":[{"ip":3232235532,"mac":"02:00:00:00:00:01"}]}', 'has an end without "ip" or "mac"'],
  [`{"vni":1,"port":8472,"ends":[${FOUR},${FOUR}]}`, 'has two ends of IPv4'],
  [`{"vni":1,"port":8472,"ends":[${SIX},${FOUR},${SIX}]}`, 'has two ends of IPv6'],
  [`{"port":8472,"ends":[${FOUR}]}`, '"vni" is not a whole number from 1 to 16777215'],
  [`{"vni":"1","port":8472,"ends":[${FOUR}]}`, '"vni" is not a whole number from 1 to 16777215'],
  [`{"vni":0,"port":8472,"ends":[${FOUR}]}`, '"vni" is not a whole number from 1 to 16777215'],
  [`{"vni":16777216,"port":8472,"ends":[${FOUR}]}`, '"vni" is not a whole number from 1 to 16777215'],
  [`{"vni":1.5,"port":8472,"ends":[${FOUR}]}`, '"vni" is not a whole number from 1 to 16777215'],
  [`{"vni":1e999,"port":8472,"ends":[${FOUR}]}`, '"vni" is not a whole number from 1 to 16777215'],
  [`{"vni":1,"port":0,"ends":[${FOUR}]}`, '"port" is not a whole number from 1 to 65535'],
  [`{"vni":1,"port":65536,"ends":[${FOUR}]}`, '"port" is not a whole number from 1 to 65535'],
  [`{"vni":1,"port":-1,"ends":[${FOUR}]}`, '"port" is not a whole number from 1 to 65535'],
  [`{"vni":1,"port":null,"ends":[${FOUR}]}`, '"port" is not a whole number from 1 to 65535'],
  [withEnd(''), '"" is not an IP address'],
  [withEnd('192.168.0.12/24'), '"192.168.0.12/24" is not an IP address'],
  [withEnd('fe80::1%eth0'), '"fe80::1%eth0" is not an IP address'],
  ...[
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '169.254.0.1',
    '224.0.0.1',
    '239.1.1.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'febf::1',
    'ff02::1',
    '::ffff:192.168.0.12',
    '::ffff:c0a8:c',
    '::FFFF:0:0',
    '::ffff:ffff:ffff',
  ].map(ip => [withEnd(ip), `${ip} cannot be the address of a tunnel's end`] as const),
  ...[
    '',
    'x',
    '02:00:00:00:00',
    '02:00:00:00:00:01:02',
    '02-00-00-00-00-01',
    '020000000001',
    '2:0:0:0:0:1',
    '01:00:5e:00:00:01',
    '33:33:00:00:00:01',
    'ff:ff:ff:ff:ff:ff',
    '00:00:00:00:00:00',
    ' 02:00:00:00:00:01',
    '02:00:00:00:00:0g',
  ].map(mac => [withEnd('192.168.0.12', mac), `"${mac}" is not the MAC of one device`] as const),
]

for (const [text, message] of REFUSED)
  test(`refuses ${text || 'nothing'}`, t => {
    t.throws(() => parseVtep('default', text), {instanceOf: InvalidInput, message})
  })

test('the cause of broken JSON is kept', t => {
  t.true(t.throws(() => parseVtep('default', '{'), {instanceOf: InvalidInput})?.cause instanceof SyntaxError)
})

const host = (family: 4 | 6): fc.Arbitrary<string> =>
  family === 4
    ? fc.tuple(fc.integer({min: 1, max: 126}), fc.nat(255), fc.nat(255), fc.nat(255)).map(bytes => bytes.join('.'))
    : fc
        .array(fc.integer({min: 1, max: 0xffff}), {minLength: 7, maxLength: 7})
        .map(groups => `fd00:${groups.map(each => each.toString(16)).join(':')}`)
const unicast = arbitrary.mac.map(mac => mac.replace(/^../, first => `${first[0]}2`) as Mac)
const end = (family: 4 | 6) => fc.record({ip: host(family).map(parseIp), mac: unicast})
const vtep: fc.Arbitrary<Vtep> = fc.record({
  network: fc.string(),
  vni: fc.integer({min: 1, max: 2 ** 24 - 1}),
  port: fc.integer({min: 1, max: 65535}),
  ends: fc
    .tuple(fc.option(end(4), {nil: undefined}), fc.option(end(6), {nil: undefined}))
    .map(ends => ends.filter(each => each !== undefined)),
})

test('property: what is written is read again, and written as the same text', t => {
  fc.assert(
    fc.property(vtep, value => {
      const text = formatVtep(value)
      const read = parseVtep(value.network, text)
      t.deepEqual({...read, ends: formatVtep(read)}, {...value, ends: text} as never)
    }),
  )
})

/** A value like an annotation's, in which anything may be anything else. */
const nearly = fc
  .record(
    {
      vni: fc.oneof(fc.nat(), fc.jsonValue()),
      port: fc.oneof(fc.nat(70_000), fc.jsonValue()),
      ends: fc.oneof(
        fc.array(
          fc.record(
            {
              ip: fc.oneof(fc.ipV4(), fc.ipV6(), fc.jsonValue()),
              mac: fc.oneof(arbitrary.mac, fc.string(), fc.jsonValue()),
            },
            {requiredKeys: []},
          ),
          {maxLength: 3},
        ),
        fc.jsonValue(),
      ),
    },
    {requiredKeys: []},
  )
  .map(value => JSON.stringify(value))

const READABLE = '{"vni":1,"port":8472,"ends":[{"ip":"192.168.0.1","mac":"02:00:00:00:00:01"}]}'

test('property: whatever it says, it is read or refused in one line', t => {
  let read = 0
  fc.assert(
    fc.property(fc.oneof(fc.constant(READABLE), nearly, fc.json(), fc.string(), fc.string({unit: 'binary'})), text => {
      try {
        const value = parseVtep('default', text)
        read++
        t.is(formatVtep(parseVtep('default', formatVtep(value))), formatVtep(value))
      } catch (error) {
        t.true(error instanceof InvalidInput, String(error))
        t.not((error as Error).message, '')
      }
    }),
    {numRuns: 3000},
  )
  t.true(read > 0)
})

test('nesting that no agent writes is refused, not run out of stack over', t => {
  t.throws(() => parseVtep('default', `${'['.repeat(200_000)}${']'.repeat(200_000)}`), {instanceOf: InvalidInput})
})

test('what a refusal quotes is in quotes of its own, and cut at 100 characters', t => {
  for (const [mac, quote] of [
    ['a"b\\c\td', String.raw`"a\"b\\c\td"`],
    ['x'.repeat(100), `"${'x'.repeat(100)}"`],
    ['x'.repeat(101), `"${'x'.repeat(100)}…"`],
    [`${'x'.repeat(99)}😀`, String.raw`"${'x'.repeat(99)}\ud83d…"`],
  ] as const) {
    t.throws(() => parseVtep('default', withEnd('192.168.0.12', mac)), {
      instanceOf: InvalidInput,
      message: `${quote} is not the MAC of one device`,
    })
    t.throws(() => parseVtep('default', withEnd(mac)), {
      instanceOf: InvalidInput,
      message: `${quote} is not an IP address`,
    })
  }
})

test('a refusal is short and on one line, whatever the annotation holds', t => {
  for (const text of [withEnd(`1\n2${'x'.repeat(100_000)}`), withEnd('192.168.0.12', 'x'.repeat(100_000))]) {
    const error = t.throws(() => parseVtep('default', text), {instanceOf: InvalidInput})!
    t.notRegex(error.message, /\n/)
    t.true(error.message.length < 200)
  }
})
