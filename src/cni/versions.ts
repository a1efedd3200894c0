/** The versions of the CNI specification that we speak, and how a result reads in each. SPEC.md, "ADD Success". */
import {InvalidInput} from '../model/errors.ts'
import {parseIp, parseIpWithPrefix} from '../model/ip.ts'
import {CniError} from './error.ts'
import {isObject, type Json, listOf, objectOf, shown, textOf, textsOf} from './ipam/json.ts'
import type {CniDns, CniInterface, CniIp, CniResult, CniRoute} from './result.ts'

/** Oldest first. */
export const VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type CniVersion = (typeof VERSIONS)[number]

/** What a config without a version is, as in libcni. */
const UNSAID = '0.1.0'

/** Of a config's or a result's cniVersion. Throws CniError. */
export function versionOf(value: unknown, where = 'cniVersion'): CniVersion {
  const version = textOf(value, where)
  if (isVersion(version)) return version
  const said = version === '' ? `missing, which means ${UNSAID}` : shown(version)
  throw new CniError('incompatibleVersion', `${where} is ${said}; supported are ${VERSIONS.join(', ')}`)
}

export const isVersion = (value: unknown): value is CniVersion => (VERSIONS as readonly unknown[]).includes(value)

/** False of a version that we do not speak. */
export const isAtLeast = (version: string, least: CniVersion): boolean =>
  VERSIONS.indexOf(version as CniVersion) >= VERSIONS.indexOf(least)

/** Members that came with 1.1.0. */
const SINCE_1_1 = {
  interface: ['mtu', 'socketPath', 'pciID'],
  route: ['mtu', 'advmss', 'priority', 'table', 'scope'],
} as const

/**
 * `version`: that of the config, which a result has that names none. Members that we do not know are kept. Throws
 * CniError, naming the member ("ips[0].address").
 */
export function parseResult(json: unknown, version: string): CniResult {
  if (!isObject(json)) throw new CniError('invalidConfig', `a result must be an object, not ${shown(json)}`)
  const {cniVersion, interfaces, ips, routes, dns, ...others} = json
  versionOf(isAbsent(cniVersion) ? version : cniVersion, "the result's cniVersion")
  const links = each(interfaces, 'interfaces', parseInterface)
  return {
    ...others,
    interfaces: links,
    ips: each(ips, 'ips', (ip, where) => parseIpMember(ip, where, links.length)),
    routes: each(routes, 'routes', parseRoute),
    dns: parseDns(objectOf(dns, 'dns')),
  }
}

/** What goes to standard output of the plugin, and as `prevResult` into a config. Throws CniError. */
export function formatResult(result: CniResult, version: string): object {
  const cniVersion = versionOf(version)
  const {interfaces, ips, routes, dns, ...others} = result
  const isNew = isAtLeast(cniVersion, '1.1.0')
  const hasFamily = !isAtLeast(cniVersion, '1.0.0')
  const links = isNew ? interfaces : interfaces.map(link => without(link, SINCE_1_1.interface))
  const paths = isNew ? routes : routes.map(route => without(route, SINCE_1_1.route))
  const addresses = hasFamily ? ips.map(ip => ({version: ip.address.includes(':') ? '6' : '4', ...ip})) : ips
  return {
    cniVersion,
    ...(links.length > 0 && {interfaces: links}),
    ...(addresses.length > 0 && {ips: addresses}),
    ...(paths.length > 0 && {routes: paths}),
    dns,
    ...others,
  }
}

/** From one version's JSON to another's. Throws CniError. */
export const convertResult = (json: unknown, from: string, to: string): object =>
  formatResult(parseResult(json, from), to)

function parseInterface(json: Json, where: string): CniInterface {
  const name = textOf(json.name, `${where}.name`)
  if (name === '') throw invalid(`${where}.name is missing`)
  return {
    ...present(json),
    ...text(json, 'mac', where),
    ...text(json, 'sandbox', where),
    ...integer(json, 'mtu', where),
    name,
  }
}

function parseIpMember(json: Json, where: string, interfaces: number): CniIp {
  // Up to 0.4.0 each says its family, which its address says as well.
  const {version, ...others} = json
  const address = textOf(json.address, `${where}.address`)
  checked(`${where}.address`, () => parseIpWithPrefix(address))
  const index = integer(json, 'interface', where)
  // IPAM has no interfaces; some count them all the same.
  if (index.interface !== undefined && interfaces > 0 && index.interface >= interfaces)
    throw invalid(`${where}.interface is ${index.interface}, but the last of the interfaces is ${interfaces - 1}`)
  return {...present(others), ...ip(json, 'gateway', where), ...index, address}
}

function parseRoute(json: Json, where: string): CniRoute {
  const dst = textOf(json.dst, `${where}.dst`)
  checked(`${where}.dst`, () => parseIpWithPrefix(dst))
  const numbers = SINCE_1_1.route.map(key => integer(json, key, where))
  return {...present(json), ...ip(json, 'gw', where), ...Object.assign({}, ...numbers), dst}
}

const parseDns = (json: Json): CniDns => ({
  ...present(json),
  ...text(json, 'domain', 'dns'),
  ...texts(json, 'nameservers'),
  ...texts(json, 'search'),
  ...texts(json, 'options'),
})

const each = <T>(value: unknown, where: string, parse: (json: Json, where: string) => T): T[] =>
  listOf(value, where).map((item, i) => {
    if (!isObject(item)) throw invalid(`${where}[${i}] must be an object, not ${shown(item)}`)
    return parse(item, `${where}[${i}]`)
  })

const text = <K extends string>(json: Json, key: K, where: string): {readonly [key in K]?: string} =>
  isAbsent(json[key]) ? {} : ({[key]: textOf(json[key], `${where}.${key}`)} as {[key in K]: string})

/** A gateway of "" is none: so Go's decoder reads it. */
function ip<K extends string>(json: Json, key: K, where: string): {readonly [key in K]?: string} {
  const found = text(json, key, where) as {[key in K]?: string}
  if (found[key]) checked(`${where}.${key}`, () => parseIp(found[key]!))
  return found
}

function integer<K extends string>(json: Json, key: K, where: string): {readonly [key in K]?: number} {
  const value = json[key]
  if (isAbsent(value)) return {}
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw invalid(`${where}.${key} must be a whole number, not ${shown(value)}`)
  return {[key]: value} as {[key in K]: number}
}

const texts = <K extends string>(json: Json, key: K): {readonly [key in K]?: readonly string[]} =>
  isAbsent(json[key]) ? {} : ({[key]: textsOf(json[key], `dns.${key}`)} as {[key in K]: string[]})

/** Without what is null, which is as good as absent, and gateways of "". */
const present = (json: Json): Json =>
  Object.fromEntries(
    Object.entries(json).filter(([key, value]) => value !== null && !(value === '' && /^(gw|gateway)$/.test(key))),
  )

const without = (item: object, keys: readonly string[]): object =>
  Object.fromEntries(Object.entries(item).filter(([key]) => !keys.includes(key)))

const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === ''

function checked(where: string, parse: () => unknown): void {
  try {
    parse()
  } catch (error) {
    if (error instanceof InvalidInput) throw invalid(`${where}: ${error.message}`, error)
    throw error
  }
}

const invalid = (message: string, cause?: unknown): CniError => new CniError('invalidConfig', message, {cause})
