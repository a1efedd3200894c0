/** Reading a type's config: what is absent or null has its default, what has the wrong type is said so. */
import {quoted} from '../../model/errors.ts'
import type {Mac} from '../../model/net.ts'
import {CniError} from '../error.ts'
import type {PluginConfig} from '../plugin.ts'
import type {CniDns} from '../result.ts'

/** Keys that libcni and the agent put into every config, or that mean nothing to a type. */
const COMMON = [
  'name',
  'type',
  'cniVersion',
  'cniVersions',
  'disableCheck',
  'ipam',
  'dns',
  'args',
  'runtimeConfig',
  'prevResult',
  'capabilities',
]

export interface KnownKeys {
  readonly keys: readonly string[]
  /** Keys that are served only as long as they switch nothing on. */
  readonly off?: readonly string[]
}

/** For {@link NativePlugin.knows}. */
export const knower = ({keys, off = []}: KnownKeys): ((config: PluginConfig) => boolean) => {
  const known = new Set([...COMMON, ...keys])
  const unset = (value: unknown) => value === undefined || value === null || value === false || value === 0
  return config =>
    Object.keys(config).every(key => known.has(key) || (off.includes(key) && unset(config[key]))) &&
    !hasAdvmss(config.ipam?.routes)
}

/** Our routes have no RTAX_ADVMSS. */
const hasAdvmss = (routes: unknown): boolean =>
  Array.isArray(routes) && routes.some(route => typeof route === 'object' && route !== null && 'advmss' in route)

const wrong = (config: PluginConfig, key: string, value: unknown, must: string): CniError =>
  new CniError('invalidConfig', `${key} of network ${quoted(config.name)} must be ${must}, not ${shown(value)}`)

const shown = (value: unknown): string => quoted(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))

export function flag(config: PluginConfig, key: string): boolean {
  const value = config[key] ?? false
  if (typeof value !== 'boolean') throw wrong(config, key, value, 'true or false')
  return value
}

export function word(config: PluginConfig, key: string): string | undefined {
  const value = config[key] ?? ''
  if (typeof value !== 'string') throw wrong(config, key, value, 'a string')
  return value || undefined
}

/** A name that the kernel takes for a link; `otherwise` when there is none. */
export function linkName(config: PluginConfig, key: string): string | undefined {
  const name = word(config, key)
  if (name !== undefined && !isLinkName(name))
    throw wrong(config, key, name, 'the name of an interface (1 to 15 characters, no "/", ":" or white space)')
  return name
}

/** `dev_valid_name()` of the kernel, and nothing that a path could take for more than a name. */
export const isLinkName = (name: string): boolean =>
  Buffer.byteLength(name) <= 15 && name !== '.' && name !== '..' && /^[^\s/:]+$/.test(name) && !name.includes('\0')

/** Bytes. Undefined: the kernel's own choice. */
export function mtuOf(config: PluginConfig): number | undefined {
  const value = config.mtu ?? 0
  if (!Number.isInteger(value)) throw wrong(config, 'mtu', value, 'a whole number of bytes')
  return (value as number) > 0 ? (value as number) : undefined
}

/** As far as the config says anything of DNS; then it takes the place of what IPAM says. */
export function dnsOf(config: PluginConfig): CniDns | undefined {
  const dns = (config.dns ?? {}) as Readonly<Record<string, unknown>>
  if (typeof dns !== 'object' || Array.isArray(dns)) throw wrong(config, 'dns', dns, 'an object')
  const lists = (['nameservers', 'search', 'options'] as const).flatMap(key => {
    const list = dns[key]
    if (list === undefined || list === null) return []
    if (!Array.isArray(list) || list.some(each => typeof each !== 'string'))
      throw wrong(config, `dns.${key}`, list, 'a list of strings')
    return [[key, list as string[]] as const]
  })
  const domain = dns.domain ?? ''
  if (typeof domain !== 'string') throw wrong(config, 'dns.domain', domain, 'a string')
  if (lists.length === 0 && domain === '') return undefined
  const told = lists.filter(([, list]) => list.length > 0)
  return {...Object.fromEntries(told), ...(domain !== '' && {domain})}
}

/** The type of the IPAM plugin; undefined: layer 2 only, as `null` says it, too. */
export function ipamType(config: PluginConfig): string | undefined {
  const ipam: unknown = config.ipam ?? {}
  if (typeof ipam !== 'object' || Array.isArray(ipam)) throw wrong(config, 'ipam', ipam, 'an object')
  const type = (ipam as {readonly type?: unknown}).type ?? ''
  if (typeof type !== 'string') throw wrong(config, 'ipam.type', type, 'a string')
  return type === '' || type === NO_IPAM ? undefined : type
}

/** Of kaloom's plugins: whoever gives addresses here, it is not us. */
export const NO_IPAM = 'null'

/** In any of the spellings of Go's net.ParseMAC, six bytes. */
export function parseMac(config: PluginConfig, key: string, text: string): Mac {
  const byColon = /^[\da-f]{2}(?:([:-])[\da-f]{2})(?:\1[\da-f]{2}){4}$/i.test(text)
  const byDot = /^[\da-f]{4}(?:\.[\da-f]{4}){2}$/i.test(text)
  if (!byColon && !byDot) throw wrong(config, key, text, 'a MAC address (as in 02:00:00:00:00:01)')
  const digits = text.replace(/[^\da-f]/gi, '').toLowerCase()
  return digits.replace(/..(?!$)/g, '$&:') as Mac
}

/** `mac` of an object inside of the config: runtimeConfig.mac, args.cni.mac. */
export function macIn(config: PluginConfig, key: string, object: unknown): Mac | undefined {
  if (object === undefined || object === null) return undefined
  if (typeof object !== 'object' || Array.isArray(object)) throw wrong(config, key, object, 'an object')
  const mac = (object as {readonly mac?: unknown}).mac ?? ''
  if (typeof mac !== 'string') throw wrong(config, `${key}.mac`, mac, 'a string')
  return mac === '' ? undefined : parseMac(config, `${key}.mac`, mac)
}

/** MAC of CNI_ARGS. What else stands there has to be excused by IgnoreUnknown. */
export function macArgument(config: PluginConfig, args: string): Mac | undefined {
  const pairs = args === '' ? [] : args.split(';').map(pair => pair.split('='))
  const odd = pairs.find(pair => pair.length !== 2)
  if (odd) throw new CniError('invalidEnvironment', `CNI_ARGS has ${quoted(odd.join('='))}, which is not NAME=VALUE`)
  const value = (name: string) => pairs.findLast(pair => pair[0] === name)?.[1]
  const ignores = ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value('IgnoreUnknown') ?? '')
  const unknown = pairs.find(([name]) => name !== 'IgnoreUnknown' && name !== 'MAC')
  if (unknown && !ignores)
    throw new CniError(
      'invalidEnvironment',
      `CNI_ARGS has ${quoted(unknown[0]!)}, which this type does not know, and no IgnoreUnknown=1 to excuse it`,
    )
  const mac = value('MAC')
  return mac ? parseMac(config, 'MAC of CNI_ARGS', mac) : undefined
}
