/** Reads back what `nft -j list table` says of our table. Never throws: what cannot be ours makes it unsound. */
import {Cidr, type Family, parseIp} from '../model/ip.ts'
import {FAMILIES, type Pod, type Ruleset} from './desired.ts'
import {type Range, rangeOf, toNumber} from './ranges.ts'
import {FRAME, subnetOf, words} from './table.ts'

/** What the kernel has. */
export interface Standing {
  /** Its ranges as they stand, folded or not. */
  readonly ruleset: Ruleset
  /** Everything but elements and the chains of subnets, as text. */
  readonly frame: string
  /** By the subnet's text. */
  readonly chains: ReadonlyMap<string, {readonly subnet: Cidr; readonly rules: string}>
  /** False: it holds something that cannot be told apart well enough to change it. */
  readonly sound: boolean
}

type Fields = {readonly [key: string]: unknown}

export function readListing(objects: readonly unknown[]): Standing {
  const own: Range[] = []
  const skip: Range[] = []
  const pods = new Map<string, Pod>()
  const chains = new Map<string, {subnet: Cidr; rules: string}>()
  const frame: unknown[] = []
  let sound = true
  for (const object of objects) {
    for (const [kind, fields] of entries(object)) {
      const {name, chain, elem = []} = fields
      const subnet = kind === 'chain' ? subnetOf(`${name}`) : kind === 'rule' ? subnetOf(`${chain}`) : undefined
      if (subnet) {
        const rules = chains.get(`${subnet}`)?.rules ?? ''
        chains.set(`${subnet}`, {subnet, rules: kind === 'rule' ? `${rules}${textOfRule(fields)}` : rules})
        continue
      }
      frame.push(object)
      for (const family of FAMILIES) {
        const all = (Array.isArray(elem) ? elem : [elem]) as unknown[]
        if (name === `own${family}`) sound = readInto(own, all, each => readRange(each, family)) && sound
        else if (name === `skip${family}`) sound = readInto(skip, all, each => readRange(each, family)) && sound
        else if (name === `pods${family}`) {
          const found: Pod[] = []
          sound = readInto(found, all, each => readPod(each, family)) && sound
          for (const pod of found) pods.set(`${pod.ip}`, pod)
        }
      }
    }
  }
  return {ruleset: {own, skip, pods}, frame: textOfFrame(frame), chains, sound}
}

/** How a frame reads; of the same frame the same text, in whatever order its objects come. */
export function textOfFrame(objects: readonly unknown[]): string {
  const lines: string[] = []
  const rules: string[] = []
  for (const object of objects) {
    for (const [kind, fields] of entries(object)) {
      const {handle, comment, elem, name, family, table, ...rest} = fields
      if (kind === 'rule') rules.push(textOfRule(fields))
      // Of the table itself: that it is dormant, or owned by a process.
      else if (kind === 'table') lines.push(`table ${words(rest)}`)
      else if (kind !== 'metainfo') lines.push(`${kind} ${words(name)} ${words(rest)}`)
    }
  }
  // Rules are told in the order in which they count.
  return [...lines.sort(), ...rules].join('\n')
}

export const textOfRule = ({chain, expr}: Fields): string => `rule ${words(chain)}: ${words(expr)}\n`

/** As {@link readListing} reads it when nobody has touched it. */
export const WHOLE_FRAME = textOfFrame([{table: {}}, ...FRAME])

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

function entries(object: unknown): [string, Fields][] {
  return isFields(object) ? Object.entries(object).filter((entry): entry is [string, Fields] => isFields(entry[1])) : []
}

/** Whether all could be read. */
function readInto<T>(into: T[], elements: readonly unknown[], read: (element: unknown) => T | undefined): boolean {
  let all = true
  for (const element of elements) {
    const item = readOr(read, element)
    if (item === undefined) all = false
    else into.push(item)
  }
  return all
}

const readOr = <T>(read: (element: unknown) => T | undefined, element: unknown): T | undefined => {
  try {
    return read(element)
  } catch {
    return undefined
  }
}

/** "10.0.0.1", {"range": ["10.0.0.0", "10.0.0.9"]} or {"prefix": {"addr": "10.0.0.0", "len": 24}}. */
export function readRange(element: unknown, family: Family): Range | undefined {
  if (typeof element === 'string') return readRange({range: [element, element]}, family)
  if (!isFields(element)) return undefined
  const {range, prefix} = element
  if (Array.isArray(range)) {
    const [first, last] = [parseIp(`${range[0]}`), parseIp(`${range[1]}`)]
    const result = {family, first: toNumber(first), last: toNumber(last)}
    return first.family === family && last.family === family && result.first <= result.last ? result : undefined
  }
  if (!isFields(prefix)) return undefined
  const {addr, len} = prefix
  const address = parseIp(`${addr}`)
  return address.family === family ? rangeOf(new Cidr(address, Number(len))) : undefined
}

/** ["10.0.0.5", {"jump": {"target": "beyond-10.0.0.0/24"}}]. */
function readPod(element: unknown, family: Family): Pod | undefined {
  if (!Array.isArray(element)) return undefined
  const [address, verdict] = element as unknown[]
  const {jump}: Fields = isFields(verdict) ? verdict : {}
  const {target}: Fields = isFields(jump) ? jump : {}
  const subnet = subnetOf(`${target}`)
  const ip = parseIp(`${address}`)
  return subnet && ip.family === family && subnet.family === family ? {ip, subnet} : undefined
}
