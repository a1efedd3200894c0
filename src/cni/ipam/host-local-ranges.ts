/** Ranges of addresses in the order in which host-local gives them out. */
import {quoted} from '../../model/errors.ts'
import {Cidr, hostLength, type Ip} from '../../model/ip.ts'
import {CniError} from '../error.ts'
import {addressAt, addressOf, numberOf, writtenPrefixOf} from './address.ts'
import {type Json, listOf, objectOf} from './json.ts'

export interface Range {
  readonly subnet: Cidr
  /** Not given out. It may lie outside of the subnet. */
  readonly gateway: Ip
  /** The first and the last address that are given out. */
  readonly start: bigint
  readonly end: bigint
}

/** One address is given out of each set. Of one family, without overlaps, not empty. */
export type RangeSet = readonly Range[]

export const RANGE_KEYS = ['subnet', 'rangeStart', 'rangeEnd', 'gateway'] as const

/** Throws CniError. */
export function rangeSetsOf(value: unknown, where: string): RangeSet[] {
  return listOf(value, where).map((item, i) => {
    const place = `${where}[${i}]`
    return checkSet(
      listOf(item, place).map((range, j) => rangeOf(objectOf(range, `${place}[${j}]`), `${place}[${j}]`)),
      place,
    )
  })
}

/** Throws CniError. */
export function rangeOf(range: Json, where: string): Range {
  const {ip, length} = writtenPrefixOf(range.subnet, `${where}.subnet`)
  const subnet = new Cidr(ip, length)
  if (`${ip}` !== `${subnet.address}`)
    throw wrong(where, `subnet ${ip}/${length} has host bits set: its network address is ${subnet.address}`)
  if (length > hostLength(ip.family) - 2) throw wrong(where, `subnet ${subnet} is too small to give addresses out of`)
  const first = numberOf(ip)
  const size = 1n << BigInt(hostLength(ip.family) - length)
  const within = (key: 'rangeStart' | 'rangeEnd'): bigint | undefined => {
    const address = addressOf(range[key], `${where}.${key}`)
    if (address && !subnet.contains(address)) throw wrong(where, `${key} ${address} is not in the subnet ${subnet}`)
    return address && numberOf(address)
  }
  const start = within('rangeStart') ?? first + 1n
  // Not the broadcast address, unless it is asked for.
  const end = within('rangeEnd') ?? first + size - (ip.family === 4 ? 2n : 1n)
  if (start > end)
    throw wrong(where, `no address lies from ${addressAt(start, ip)} to ${addressAt(end, ip)}, its start and its end`)
  return {
    subnet,
    gateway: addressOf(range.gateway, `${where}.gateway`) ?? addressAt(first + 1n, ip),
    start,
    end,
  }
}

/** Throws CniError. */
export function checkSet(set: RangeSet, where: string): RangeSet {
  const [first] = set
  if (!first) throw wrong(where, 'it has no range')
  if (set.some(({subnet}) => subnet.family !== first.subnet.family))
    throw wrong(where, 'it has ranges of IPv4 and of IPv6: make a set of each')
  const pair = overlap(set, set)
  if (pair) throw wrong(where, `its ranges ${formatRange(pair[0])} and ${formatRange(pair[1])} overlap`)
  return set
}

/** Throws CniError. */
export function checkSets(sets: readonly RangeSet[]): void {
  sets.forEach((set, i) => {
    sets.slice(i + 1).forEach((other, j) => {
      const pair = overlap(set, other)
      if (!pair) return
      const [a, b] = pair.map(formatRange)
      throw new CniError('invalidConfig', `ipam: the range sets ${i} and ${i + j + 1} overlap, in ${a} and ${b}`)
    })
  })
}

function overlap(some: RangeSet, others: RangeSet): [Range, Range] | undefined {
  for (const [i, a] of some.entries())
    for (const b of some === others ? some.slice(i + 1) : others)
      if (a.subnet.family === b.subnet.family && a.start <= b.end && b.start <= a.end) return [a, b]
  return undefined
}

export const rangeWith = (set: RangeSet, ip: Ip): Range | undefined => {
  const number = numberOf(ip)
  return set.find(({subnet, start, end}) => subnet.family === ip.family && start <= number && number <= end)
}

/** Every address of the set but the gateways, once, beginning behind the last one given out, round and round. */
export function* candidates(set: RangeSet, last: Ip | undefined): Generator<{ip: Ip; range: Range}> {
  const at = last && rangeWith(set, last)
  const i = at ? set.indexOf(at) : 0
  const from = at && last ? numberOf(last) + 1n : set[i]!.start
  const around = [{...set[i]!, start: from}, ...set.slice(i + 1), ...set.slice(0, i), {...set[i]!, end: from - 1n}]
  for (const range of around)
    for (let number = range.start; number <= range.end; number++) {
      const ip = addressAt(number, range.subnet.address)
      if (ip.raw !== range.gateway.raw) yield {ip, range}
    }
}

/** "10.1.0.0/24", or "10.1.0.10-10.1.0.20 of 10.1.0.0/24". */
export function formatRange({subnet, start, end}: Range): string {
  const first = numberOf(subnet.address)
  const size = 1n << BigInt(hostLength(subnet.family) - subnet.length)
  if (start === first + 1n && end >= first + size - 2n) return `${subnet}`
  return `${addressAt(start, subnet.address)}-${addressAt(end, subnet.address)} of ${subnet}`
}

const wrong = (where: string, why: string): CniError =>
  new CniError('invalidConfig', `${where.startsWith('ipam') ? where : quoted(where)}: ${why}`)
