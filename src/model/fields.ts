/**
 * Values that a pod's annotation writes, read as Go's decoder reads them: keys in any case, null as good as absent, and no
 * other type than the right one. Each reader returns undefined for what is absent and throws {@link Fault}.
 */
import {InvalidInput, quoted} from './errors.ts'
import {ifnameFault} from './ifname.ts'
import {parseIp, parseIpWithPrefix} from './ip.ts'

export type Json = {readonly [key: string]: unknown}

/** Something in an annotation, or in a label, that cannot be served. The message is a whole sentence. */
export class Fault extends InvalidInput {
  /** "networks[1].ifMac" */
  readonly at: string
  readonly what: string

  /** `what`: begins with a verb. */
  constructor(at: string, what: string, of: 'annotation' | 'label' = 'annotation') {
    super(`${of} ${at} ${what}`)
    this.at = at
    this.what = what
  }
}

/** Characters of a sentence for what somebody wrote, escapes included. */
const SHOWN = 80

/** In quotes, on one line, and short enough for a sentence with a path and an advice. */
export function brief(text: string): string {
  for (let keep = SHOWN; ; keep >>= 1) {
    const said = quoted(text.length > keep ? `${text.slice(0, keep)}…` : text)
    if (said.length <= SHOWN) return said
  }
}

/** Never throws, whatever the value. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return brief(value)
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}

const refused = (at: string, value: unknown, want: string): Fault => new Fault(at, `is ${shown(value)}; ${want}`)

const isAbsent = (value: unknown): value is null | undefined => value === null || value === undefined

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

export function objectOf(value: unknown, at: string): Json | undefined {
  if (isAbsent(value)) return undefined
  if (!isObject(value)) throw refused(at, value, 'write an object, as in {"key": …}')
  return value
}

/** Of a list: null is none. `example`: a part of it. */
export function itemOf(value: unknown, at: string, example: string): Json {
  if (!isObject(value)) throw refused(at, value, `write an object, as in {${example}}`)
  return value
}

/** Undefined also when empty. */
export function listOf<T>(value: unknown, at: string, read: (item: unknown, at: string) => T): T[] | undefined {
  if (isAbsent(value)) return undefined
  if (!Array.isArray(value)) throw refused(at, value, 'write a list, as in […]')
  return value.length === 0 ? undefined : value.map((item, i) => read(item, `${at}[${i}]`))
}

/** Undefined also when empty: Go knows no difference. */
export function textOf(value: unknown, at: string): string | undefined {
  if (isAbsent(value) || value === '') return undefined
  if (typeof value !== 'string') throw refused(at, value, 'write a text in quotes')
  return value
}

export function flagOf(value: unknown, at: string): boolean | undefined {
  if (isAbsent(value)) return undefined
  if (typeof value !== 'boolean') throw refused(at, value, 'write true or false, without quotes')
  return value
}

export function wholeOf(value: unknown, at: string, min: number, max: number): number | undefined {
  if (isAbsent(value)) return undefined
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
    throw refused(at, value, `write a whole number from ${min} to ${max}, without quotes`)
  // -0 is 0.
  return value + 0
}

/** The values of the keys of these names. Of several spellings the exact one counts, else the last. */
export function fieldsOf<K extends string>(json: Json, names: readonly K[]): {readonly [key in K]?: unknown} {
  const byFolded = new Map(names.map(name => [name.toLowerCase(), name]))
  const found: {[key in K]?: unknown} = {}
  for (const [key, value] of Object.entries(json)) {
    const name = byFolded.get(key.toLowerCase())
    if (name !== undefined && (key === name || !Object.hasOwn(json, name))) found[name] = value
  }
  return found
}

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
/** RFC 1123. */
const LABEL_MAX = 63
/** Of a Kubernetes object. */
const NAME_MAX = 253

export function labelOf(value: unknown, at: string, max: typeof LABEL_MAX | typeof NAME_MAX): string | undefined {
  const text = textOf(value, at)
  if (text === undefined || (text.length <= max && LABEL.test(text))) return text
  throw refused(at, text, `a name has at most ${max} lower-case letters, digits and inner dashes`)
}

export const namespaceOf = (value: unknown, at: string): string | undefined => labelOf(value, at, LABEL_MAX)

export function nameOf(value: unknown, at: string): string {
  const name = labelOf(value, at, NAME_MAX)
  if (name === undefined) throw new Fault(at, 'is missing; write the name of a network')
  return name
}

/** `primary`: it may be the pod's first one. */
export function interfaceOf(value: unknown, at: string, primary: boolean): string | undefined {
  const name = textOf(value, at)
  if (name === undefined) return undefined
  const fault = ifnameFault(name)
  if (fault !== undefined) throw new Fault(at, `${brief(name)} ${fault}; choose another name, or leave it away`)
  if (name === 'eth0' && !primary)
    throw new Fault(at, 'is "eth0", the pod\'s first interface; choose another name, or leave it away')
  return name
}

/** Lower case, with colons. */
function octetsOf(value: unknown, at: string, count: number, want: string): string | undefined {
  const text = textOf(value, at)
  if (text === undefined) return undefined
  const octets = text.length === count * 3 - 1 ? text.toLowerCase().split(text[2]!) : []
  if (/[:-]/.test(text[2] ?? '') && octets.length === count && octets.every(octet => /^[0-9a-f]{2}$/.test(octet)))
    return octets.join(':')
  throw refused(at, text, want)
}

export function macOf(value: unknown, at: string): string | undefined {
  const mac = octetsOf(value, at, 6, 'write six pairs of hexadecimal digits with colons, as in 02:00:00:00:00:01')
  if (mac === undefined) return undefined
  // As is_valid_ether_addr of linux/etherdevice.h.
  if (Number.parseInt(mac.slice(0, 2), 16) & 1)
    throw refused(at, mac, 'that is a group address: write one whose first pair is even, as in 02:00:00:00:00:01')
  if (mac === '00:00:00:00:00:00')
    throw refused(at, mac, 'no interface can have that: write another one, as in 02:00:00:00:00:01')
  return mac
}

export const guidOf = (value: unknown, at: string): string | undefined =>
  octetsOf(value, at, 8, 'write eight pairs of hexadecimal digits with colons')

/** Canonical. */
export function ipOf(value: unknown, at: string): string | undefined {
  const text = textOf(value, at)
  return text === undefined ? undefined : canonical(text, at, 'write an IPv4 or IPv6 address without a prefix length')
}

/** Whether an address has a prefix length behind it. */
export type PrefixRule = 'with' | 'without' | 'with or without'

/** Canonical, none of them twice. */
export function ipsOf(value: unknown, at: string, prefix: PrefixRule): string[] | undefined {
  const want = `write an IPv4 or IPv6 address ${prefix} ${prefix === 'without' ? 'prefix' : 'a prefix'} length`
  const seen = new Map<string, number>()
  return listOf(value, at, (item, where) => {
    if (typeof item !== 'string') throw refused(where, item, want)
    const text = canonical(item, where, want, prefix)
    const [ip] = text.split('/') as [string]
    if (seen.has(ip)) throw new Fault(where, `is ${brief(item)}, which [${seen.get(ip)}] is already; remove one`)
    seen.set(ip, seen.size)
    return text
  })
}

function canonical(text: string, at: string, want: string, prefix: PrefixRule = 'without'): string {
  try {
    if (prefix === 'without' || (prefix !== 'with' && !text.includes('/'))) return `${parseIp(text)}`
    const {ip, length} = parseIpWithPrefix(text)
    return `${ip}/${length}`
  } catch (error) {
    if (error instanceof InvalidInput) throw refused(at, text, want)
    throw error
  }
}

/** Without the keys that have no value. */
export const present = <T extends object>(values: T): {[K in keyof T]?: Exclude<T[K], undefined>} =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }

/** As it is written, but for keys that would reach into a prototype. Undefined also when empty. */
export function opaqueOf(value: unknown, at: string): Json | undefined {
  const json = objectOf(value, at)
  if (json === undefined) return undefined
  const safe = withoutProto(json) as Json
  return Object.keys(safe).length === 0 ? undefined : safe
}

/** Recursion: the text's depth has been bounded. */
function withoutProto(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(withoutProto)
  const entries = Object.entries(value).filter(([key]) => key !== '__proto__')
  return Object.fromEntries(entries.map(([key, each]) => [key, withoutProto(each)]))
}
