/**
 * Netlink messages as text, for comparing two encoders: the order of attributes, their padding and NLA_F_NESTED do not
 * matter to the kernel and do not show. Written apart from src/netlink on purpose: it must not share the codec's mistakes.
 */

/** Where attributes nest. `skip` bytes of a struct come before the nested attributes. */
interface Nest {
  readonly skip?: number
  readonly inside?: Nests
  /** struct rtnexthop records instead of attributes. */
  readonly hops?: true
  /** A string: `ip` leaves some of them without the NUL that we always write. */
  readonly text?: true
}
type Nests = Readonly<Record<number, Nest>>

interface Kind {
  readonly name: string
  /** Bytes of the fixed struct. */
  readonly fixed: number
  readonly nests?: Nests
}

const TEXT: Nest = {text: true}
const NAMES: Nests = {3: TEXT, 20: TEXT}
const link = (data: Nests): Nests => ({...NAMES, 18: {inside: {1: TEXT, 2: {inside: data}}}})
const LINK = link({})
/** VETH_INFO_PEER: struct ifinfomsg, then a link's attributes. */
const VETH = link({1: {skip: 16, inside: NAMES}})
const ROUTE: Nests = {8: {inside: {}}, 9: {hops: true}}

const KINDS: Readonly<Record<number, Kind>> = {
  16: {name: 'RTM_NEWLINK', fixed: 16, nests: LINK},
  17: {name: 'RTM_DELLINK', fixed: 16, nests: LINK},
  18: {name: 'RTM_GETLINK', fixed: 16, nests: LINK},
  20: {name: 'RTM_NEWADDR', fixed: 8},
  21: {name: 'RTM_DELADDR', fixed: 8},
  22: {name: 'RTM_GETADDR', fixed: 8},
  24: {name: 'RTM_NEWROUTE', fixed: 12, nests: ROUTE},
  25: {name: 'RTM_DELROUTE', fixed: 12, nests: ROUTE},
  26: {name: 'RTM_GETROUTE', fixed: 12},
  28: {name: 'RTM_NEWNEIGH', fixed: 12},
  29: {name: 'RTM_DELNEIGH', fixed: 12},
  30: {name: 'RTM_GETNEIGH', fixed: 12},
  32: {name: 'RTM_NEWRULE', fixed: 12},
  33: {name: 'RTM_DELRULE', fixed: 12},
  34: {name: 'RTM_GETRULE', fixed: 12},
}

const hex = (bytes: Buffer): string => bytes.toString('hex').replace(/..(?!$)/g, '$& ')

/** The bytes of annotated hex: what follows a # is a comment. */
export const bytes = (annotated: string): Buffer =>
  Buffer.from(annotated.replace(/#.*$/gm, '').replace(/\s/g, ''), 'hex')

/** One message: its type, flags and fixed struct, then a line per attribute, sorted, nested ones indented. */
export function tree(message: Buffer): string {
  const type = message.readUInt16LE(4)
  const kind = KINDS[type]
  if (!kind) throw new Error(`a message of type ${type} is not expected here`)
  const end = message.readUInt32LE(0)
  const nests = kind.nests === LINK && message.includes('\x01\0veth', 0, 'latin1') ? VETH : (kind.nests ?? {})
  return [
    `${kind.name} flags ${message.readUInt16LE(6).toString(16)}`,
    hex(message.subarray(16, 16 + kind.fixed)),
    ...attributeLines(message.subarray(16 + kind.fixed, end), nests, ''),
  ].join('\n')
}

function attributeLines(from: Buffer, nests: Nests, indent: string): string[] {
  const items: [type: number, text: string][] = []
  for (let at = 0; at + 4 <= from.length; ) {
    const length = from.readUInt16LE(at)
    if (length < 4 || at + length > from.length) throw new Error(`attribute of ${length} bytes at ${at}`)
    const type = from.readUInt16LE(at + 2) & 0x3fff
    items.push([type, attributeText(type, from.subarray(at + 4, at + length), nests[type], indent)])
    at += (length + 3) & ~3
  }
  return items.sort(([a], [b]) => a - b).map(([, text]) => text)
}

function attributeText(type: number, payload: Buffer, nest: Nest | undefined, indent: string): string {
  const head = `${indent}[${type}]`
  if (nest?.text) return `${head} "${payload.toString().replace(/\0$/, '')}"`
  if (!nest) return `${head} ${hex(payload)}`
  const inner = `${indent}  `
  if (nest.hops) return [head, ...hopLines(payload, inner)].join('\n')
  const skip = nest.skip ?? 0
  const struct = skip ? [`${inner}${hex(payload.subarray(0, skip))}`] : []
  return [head, ...struct, ...attributeLines(payload.subarray(skip), nest.inside ?? {}, inner)].join('\n')
}

/** Hops keep their order: it is theirs. */
function hopLines(from: Buffer, indent: string): string[] {
  const lines: string[] = []
  for (let at = 0; at + 8 <= from.length; ) {
    const length = from.readUInt16LE(at)
    lines.push(`${indent}${hex(from.subarray(at + 2, at + 8))}`)
    lines.push(...attributeLines(from.subarray(at + 8, at + length), {}, `${indent}  `))
    at += (length + 3) & ~3
  }
  return lines
}
