/** Folding: the same addresses, in as few ranges as can be. */
import test from 'ava'
import fc from 'fast-check'
import {difference, fold, type Range, rangeOf, textOf, toIp, toNumber} from '../../src/masquerade/ranges.ts'
import {type Cidr, type Family, Ip, parseCidr} from '../../src/model/ip.ts'

const folded = (...cidrs: string[]) => fold(cidrs.map(text => rangeOf(parseCidr(text)))).map(textOf)

test('what touches or contains another is one range', t => {
  t.deepEqual(folded('10.0.1.0/24', '10.0.0.0/24', '10.0.3.0/24', '10.0.0.128/25'), [
    '10.0.0.0-10.0.1.255',
    '10.0.3.0-10.0.3.255',
  ])
  t.deepEqual(folded('fd00::/64', '10.0.0.0/8', 'fd00:0:0:1::/64', '255.255.255.255/32'), [
    '10.0.0.0-10.255.255.255',
    '255.255.255.255-255.255.255.255',
    'fd00::-fd00::1:ffff:ffff:ffff:ffff',
  ])
  t.deepEqual(folded('0.0.0.0/0', '::/0', '10.0.0.0/8'), [
    '0.0.0.0-255.255.255.255',
    '::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  ])
  t.deepEqual(folded(), [])
})

/** In a space so small that every address can be asked for. */
const SIZE = 40n
const small = fc
  .tuple(fc.constantFrom<Family>(4, 6), fc.bigInt({min: 0n, max: SIZE - 1n}), fc.bigInt({min: 0n, max: SIZE - 1n}))
  .map(([family, a, b]): Range => ({family, first: a < b ? a : b, last: a < b ? b : a}))

const has = (ranges: readonly Range[], family: Family, at: bigint): boolean =>
  ranges.some(range => range.family === family && range.first <= at && at <= range.last)

test('folding keeps every address, adds none, and no fewer ranges could', t => {
  fc.assert(
    fc.property(fc.array(small, {maxLength: 12}), ranges => {
      const result = fold(ranges)
      let runs = 0
      for (const family of [4, 6] as const) {
        for (let at = 0n; at < SIZE; at++) {
          if (has(ranges, family, at) !== has(result, family, at)) return false
          if (has(ranges, family, at) && !has(ranges, family, at - 1n)) runs++
        }
      }
      return result.length === runs
    }),
  )
  t.pass()
})

test('folding what is folded changes nothing, and neither does the order', t => {
  fc.assert(
    fc.property(fc.array(small, {maxLength: 12}), ranges => {
      const text = (some: readonly Range[]) => some.map(textOf).join()
      return text(fold(fold(ranges))) === text(fold(ranges)) && text(fold(ranges.toReversed())) === text(fold(ranges))
    }),
  )
  t.pass()
})

test('what one list lacks of another', t => {
  fc.assert(
    fc.property(fc.array(small, {maxLength: 12}), fc.array(small, {maxLength: 12}), (a, b) => {
      const [want, have] = [fold(a), fold(b)]
      const {added, gone} = difference(want, have.toReversed())
      const kept = have.map(textOf).filter(text => !gone.map(textOf).includes(text))
      const reached = [...kept, ...added.map(textOf)].sort()
      const touched = [...added, ...gone].map(textOf)
      return reached.join() === want.map(textOf).sort().join() && new Set(touched).size === touched.length
    }),
  )
  t.pass()
})

test('an address is the same as a number and back', t => {
  const bytes = fc.constantFrom(4, 16).chain(length => fc.uint8Array({minLength: length, maxLength: length}))
  fc.assert(
    fc.property(bytes, each => {
      const ip = new Ip(each)
      return `${toIp(ip.family, toNumber(ip))}` === `${ip}`
    }),
  )
  t.pass()
})

test('a range is what its prefix contains', t => {
  const cidr: Cidr = parseCidr('10.1.2.0/23')
  const {first, last} = rangeOf(cidr)
  for (const [value, inside] of [
    [first - 1n, false],
    [first, true],
    [last, true],
    [last + 1n, false],
  ] as const)
    t.is(cidr.contains(toIp(4, value)), inside)
})
