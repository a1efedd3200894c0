/** What the configuration says of nodes: their names, and the addresses that their objects do not tell. */
import * as v from 'valibot'
import {optionalParsed} from './config-keys.ts'
import {describeValue, isMapping} from './config-problems.ts'
import type {NodeName} from './facts.ts'
import {type Cidr, type Ip, parseCidr, parseIp, parseIpWithPrefix} from './ip.ts'

/** A Kubernetes object name (RFC 1123 subdomain). */
export const isNodeName = (text: string): text is NodeName =>
  text.length <= 253 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/.test(text)

export const notNodeName = (text: unknown): string =>
  `${describeValue(text)} cannot be a node's name; write it as "kubectl get nodes" shows it`

/** Addresses that no node is reached by: of nobody, of the machine itself, IPv4 in disguise, of many. */
const NOBODYS: readonly Cidr[] = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/4', '::/127', '::ffff:0:0/96', 'ff00::/8'].map(
  parseCidr,
)

/** Node names to an address or a list of addresses. Not valibot's record, which leaves out a node named "constructor". */
export const addressMap = v.pipe(
  v.custom<Readonly<Record<string, unknown>>>(isMapping),
  v.rawTransform(({dataset, addIssue}): ReadonlyMap<string, readonly Ip[]> => {
    const input = dataset.value
    const map = new Map<string, readonly Ip[]>()
    for (const [name, value] of Object.entries(input)) {
      const at = {type: 'object', origin: 'value', input, key: name, value} as const
      if (!isNodeName(name)) addIssue({message: notNodeName(name), path: [at]})
      const addresses = (Array.isArray(value) ? value : [value]).map(parseNodeAddress)
      map.set(
        name,
        addresses.filter(ip => typeof ip !== 'string'),
      )
      for (const [index, message] of addresses.entries()) {
        if (typeof message !== 'string') continue
        const item = {type: 'array', origin: 'value', input: value as unknown[], key: index, value: undefined} as const
        addIssue({message, path: Array.isArray(value) ? [at, item] : [at]})
      }
    }
    return map
  }),
)

/** A text says what is wrong. */
function parseNodeAddress(value: unknown): Ip | string {
  if (typeof value !== 'string') return `must be an address or a list of addresses, not ${describeValue(value)}`
  const ip = attempt(() => parseIp(value))
  if (!ip) return `${describeValue(value)} is not an IP address`
  return NOBODYS.some(cidr => cidr.contains(ip)) ? `${ip} cannot be the address of a node` : ip
}

/** Empty: undefined. */
export const nodeAddress = optionalParsed(parseNodeAddress)

/** Prefixes, each a text. */
export const cidrList = v.pipe(
  v.unknown(),
  v.rawTransform(({dataset, addIssue, NEVER}): readonly Cidr[] => {
    const input = dataset.value
    if (!Array.isArray(input)) {
      addIssue({message: `must be a list of prefixes, not ${describeValue(input)}; begin each entry with "- "`})
      return NEVER
    }
    return input.flatMap((value: unknown, index) => {
      const cidr = typeof value === 'string' ? attempt(() => parseCidr(value)) : undefined
      if (cidr) return [cidr]
      const message = `${describeValue(value)} is not a prefix; write it as 10.244.0.0/16`
      addIssue({message, path: [{type: 'array', origin: 'value', input, key: index, value}]})
      return []
    })
  }),
)

/** Bits that an IPv4 address fills. */
const IPV4_BITS = 32

/** "1000:1::/96" or "1000:1::"; empty: undefined. */
export const ipv6Prefix = optionalParsed(parsePrefix, 'quoted')

/** A sentence part says what is wrong. */
function parsePrefix(text: string): Ip | string {
  const {ip, length} = attempt(() => parseIpWithPrefix(text.includes('/') ? text : `${text}/96`)) ?? {}
  if (ip?.family !== 6) return 'is not an IPv6 prefix; write it as "1000:1::/96"'
  if (length !== 128 - IPV4_BITS) return 'leaves no room of 32 bits for an IPv4 address, or too much; make it a /96'
  if (ip.bytes.subarray(-IPV4_BITS / 8).some(Boolean)) return "has bits where a node's IPv4 address goes, its last 32"
  return NOBODYS.some(cidr => cidr.contains(ip)) ? 'cannot begin the address of a node' : ip
}

const isNamespace = (text: string): boolean => text.length <= 63 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text)

export const requiredNamespace = v.pipe(
  v.string(),
  v.check(
    isNamespace,
    ({input}) => `${describeValue(input)} cannot be a namespace; write it as "kubectl get namespaces" shows it`,
  ),
)

export const namespaceList = v.array(requiredNamespace)

/** DNS subdomains, as the names of all objects. */
export const definitionNames = v.array(
  v.pipe(
    v.string(),
    v.check(
      text => text.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(text),
      ({input}) => `${describeValue(input)} cannot be the name of an object; write it as "kubectl get" shows it`,
    ),
  ),
)

/** Empty: undefined, all namespaces. */
export const namespace = v.pipe(
  v.string(),
  v.check(
    text => text === '' || isNamespace(text),
    ({input}) => `${describeValue(input)} cannot be a namespace; write it as "kubectl get namespaces" shows it`,
  ),
  v.transform(text => (text === '' ? undefined : text)),
)

const LABEL = '[A-Za-z0-9](?:[\\w.-]{0,61}[A-Za-z0-9])?'
const LABEL_KEY = `(?:[a-z0-9][a-z0-9.-]{0,252}/)?${LABEL}`
const LABEL_VALUE = `\\s*(?:${LABEL}\\s*)?`
/** k8s.io/apimachinery/pkg/labels, without its `<` and `>`. The API server has the last word. */
const REQUIREMENT = new RegExp(
  `\\s*(?:!\\s*${LABEL_KEY}\\s*|${LABEL_KEY}\\s+(?:not)?in\\s*\\(${LABEL_VALUE}(?:,${LABEL_VALUE})*\\)\\s*` +
    `|${LABEL_KEY}\\s*(?:(?:==|!=|=)${LABEL_VALUE})?)(?:,(?!\\s*$)|$)`,
  'y',
)

/** Empty: undefined, nothing is selected. */
export const labelSelector = v.pipe(
  v.string(),
  v.check(
    isLabelSelector,
    ({input}) => `${describeValue(input)} is not a label selector; write it as for "kubectl get pods -l"`,
  ),
  v.transform(text => (text.trim() === '' ? undefined : text)),
)

function isLabelSelector(text: string): boolean {
  if (text.trim() === '') return true
  for (let at = 0; at < text.length; at = REQUIREMENT.lastIndex) {
    REQUIREMENT.lastIndex = at
    if (!REQUIREMENT.test(text)) return false
  }
  return true
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}
