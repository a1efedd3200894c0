/** Ranges of addresses: what an interval set holds. Folded, they neither overlap nor touch, so that as few as can be tell of the same addresses. */
import {type Cidr, type Family, hostLength, Ip} from '../model/ip.ts'

export interface Range {
  readonly family: Family
  /** The address as a number. */
  readonly first: bigint
  /** Included. */
  readonly last: bigint
}

export function rangeOf({address, length, family}: Cidr): Range {
  const first = toNumber(address)
  return {family, first, last: first + (1n << BigInt(hostLength(family) - length)) - 1n}
}

/** The same addresses in as few ranges as can be, IPv4's first, each family's in order. */
export function fold(ranges: Iterable<Range>): readonly Range[] {
  const folded: Range[] = []
  for (const range of [...ranges].sort(byPlace)) {
    const before = folded.at(-1)
    if (!before || before.family !== range.family || range.first > before.last + 1n) folded.push(range)
    else if (range.last > before.last) folded[folded.length - 1] = {...before, last: range.last}
  }
  return folded
}

/** Which ranges of one list the other one lacks. */
export function difference(want: readonly Range[], have: readonly Range[]): {added: Range[]; gone: Range[]} {
  const [wanted, standing] = [[...want].sort(byPlace), [...have].sort(byPlace)]
  const added: Range[] = []
  const gone: Range[] = []
  for (let w = 0, h = 0; w < wanted.length || h < standing.length; ) {
    const order = w === wanted.length ? 1 : h === standing.length ? -1 : byPlace(wanted[w]!, standing[h]!)
    if (order < 0) added.push(wanted[w++]!)
    else if (order > 0) gone.push(standing[h++]!)
    else {
      w++
      h++
    }
  }
  return {added, gone}
}

const byPlace = (a: Range, b: Range): number =>
  a.family - b.family || compare(a.first, b.first) || compare(a.last, b.last)

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)

/** "10.0.0.0-10.0.3.255": compare by it. */
export const textOf = ({family, first, last}: Range): string => `${toIp(family, first)}-${toIp(family, last)}`

export const toNumber = ({raw}: Ip): bigint => BigInt(`0x${Buffer.from(raw, 'latin1').toString('hex')}`)

export const toIp = (family: Family, value: bigint): Ip =>
  new Ip(Buffer.from(value.toString(16).padStart(hostLength(family) / 4, '0'), 'hex').toString('latin1'))
