/** Network configurations as they are written, and as each plugin gets them. CNI spec 1.1.0, sections 1 and 3. */
import {quoted} from '../model/errors.ts'
import {CniError} from './error.ts'
import {isObject, type Json, listOf, objectOf, shown, textOf} from './ipam/json.ts'
import {parseJson} from './json-text.ts'
import type {PluginConfig} from './plugin.ts'
import type {CniResult} from './result.ts'
import {type CniVersion, formatResult, VERSIONS, versionOf} from './versions.ts'

/** A conflist; a plain conf is a list of one. As it was written, but that every plugin has its name and version. */
export interface NetworkList {
  readonly cniVersion: CniVersion
  readonly name: string
  /** At least one. */
  readonly plugins: readonly PluginConfig[]
  /** CHECK is not to be done. */
  readonly disableCheck?: true
  /** GC is not to be passed on. */
  readonly disableGC?: true
  /** What the runtime says for capabilities, whichever plugin has them. */
  readonly runtimeConfig?: {readonly [key: string]: unknown}
}

export interface ConfigOptions {
  /** Of a config that has none itself. */
  readonly name?: string
}

/** CNI spec, "Network configuration format". */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

/** Of a conf or a conflist. Throws CniError: 6 (no JSON), 1 (version), 7 (content). */
export const parseConfig = (text: string, options?: ConfigOptions): NetworkList =>
  readConfig(parseJson(text, 'the network config'), options)

/** The same of what has been parsed already. */
export function readConfig(json: unknown, options: ConfigOptions = {}): NetworkList {
  if (!isObject(json)) throw invalid(`a network config must be an object, not ${shown(json)}`)
  // A conflist has no type; a plugin may have a key `plugins` of its own.
  const isList = 'plugins' in json && typeof json.type !== 'string'
  const cniVersion = isList ? negotiated(json) : versionOf(json.cniVersion)
  const name = nameOf(json, options)
  const entries = isList ? listOf(json.plugins, 'plugins') : [json]
  if (entries.length === 0) throw invalid('plugins is empty; it must list at least one plugin')
  const plugins = entries.map((entry, i) => {
    const conf = readPlugin(entry, isList ? `plugins[${i}]` : '')
    return {...conf, cniVersion, name}
  })
  return {
    cniVersion,
    name,
    plugins,
    ...(isList && flag(json, 'disableCheck')),
    ...(isList && flag(json, 'disableGC')),
    ...(isList && !isAbsent(json.runtimeConfig) && {runtimeConfig: objectOf(json.runtimeConfig, 'runtimeConfig')}),
  }
}

/** Of a list: the newest that it allows and we speak. */
function negotiated({cniVersion, cniVersions}: Json): CniVersion {
  const offers = [...listOf(cniVersions, 'cniVersions'), ...(cniVersion === undefined ? [] : [cniVersion])]
  const best = VERSIONS.findLast(version => offers.includes(version))
  if (best) return best
  if (offers.length < 2) return versionOf(offers[0])
  const said = offers.map((offer, i) => textOf(offer, `cniVersions[${i}]`)).join(', ')
  throw new CniError('incompatibleVersion', `cniVersions are ${quoted(said)}; supported are ${VERSIONS.join(', ')}`)
}

function nameOf({name: written}: Json, {name: given}: ConfigOptions): string {
  const name = textOf(written, 'name') || given
  if (!name) throw invalid('name is missing; give the network a name')
  if (!NAME.test(name))
    throw invalid(`name is ${quoted(name)}; it must begin with a letter or digit and have only letters, digits, _ . -`)
  return name
}

/** `at`: "plugins[1]", or empty of a plain conf. */
function readPlugin(conf: unknown, at: string): Json & {readonly type: string} {
  if (!isObject(conf)) throw invalid(`${at} must be an object, not ${shown(conf)}`)
  const where = (key: string) => (at === '' ? key : `${at}.${key}`)
  const type = typeOf(conf.type, where('type'))
  const ipam = objectOf(conf.ipam, where('ipam'))
  if (!isAbsent(ipam.type) && ipam.type !== '') typeOf(ipam.type, where('ipam.type'))
  for (const key of ['dns', 'args', 'runtimeConfig']) objectOf(conf[key], where(key))
  for (const [name, has] of Object.entries(objectOf(conf.capabilities, where('capabilities'))))
    if (typeof has !== 'boolean' && has !== null)
      throw invalid(`${where('capabilities')}.${oneWord(name)} must be true or false, not ${shown(has)}`)
  return {...conf, type}
}

/** The name of a plugin's program: a plain file name, that leads nowhere else than into its folder. Throws CniError. */
export function typeOf(value: unknown, where: string): string {
  const type = textOf(value, where)
  if (type === '') throw invalid(`${where} is missing; it must be the name of a plugin`)
  if (type === '.' || type === '..' || /[/\0]/.test(type) || Buffer.byteLength(type) > NAME_MAX)
    throw invalid(`${where} is ${quoted(type)}; it must be a plain file name, not a path`)
  return type
}

/** Bytes. linux/limits.h. */
const NAME_MAX = 255

/** libcni takes true in quotes, too. */
function flag<K extends string>(json: Json, key: K): {readonly [key in K]?: true} {
  const value = json[key]
  const word = typeof value === 'string' ? value.toLowerCase() : value
  if (word === true || word === 'true') return {[key]: true} as {[key in K]: true}
  if (isAbsent(word) || word === false || word === 'false') return {}
  throw invalid(`${key} must be true or false, not ${shown(value)}`)
}

/** What a list of plugins needs to be run. What is in the journal is one, too. */
export interface RunnableList {
  readonly cniVersion: string
  readonly name: string
  readonly plugins: readonly {readonly type: string; readonly [key: string]: unknown}[]
  readonly disableCheck?: true
  readonly disableGC?: true
  readonly runtimeConfig?: {readonly [key: string]: unknown}
}

export interface Injected {
  /** Of the plugin before, or of the whole ADD. */
  readonly prevResult?: CniResult | undefined
  /** Further keys. */
  readonly keys?: Json
  /** @default true */
  readonly capabilities?: boolean
}

/**
 * A plugin's config, whole, as libcni makes it: name and version of the list, and of what the runtime says only what the
 * plugin declares to be capable of. What is written stays in its order.
 */
export function pluginConfig(list: RunnableList, index: number, injected: Injected = {}): PluginConfig {
  const {prevResult, keys, capabilities = true} = injected
  const {name, cniVersion, runtimeConfig = {}} = list
  const conf = list.plugins[index]!
  const declared = capabilities && isObject(conf.capabilities) ? conf.capabilities : {}
  const said = Object.entries(runtimeConfig).filter(([key]) => Object.hasOwn(declared, key) && declared[key] === true)
  return {
    ...conf,
    name,
    cniVersion,
    ...keys,
    ...(prevResult && {prevResult: formatResult(prevResult, cniVersion)}),
    ...(said.length > 0 && {runtimeConfig: Object.fromEntries(said)}),
  }
}

const oneWord = (key: string): string => (/^[\w.-]{1,64}$/.test(key) ? key : quoted(key))

const isAbsent = (value: unknown): boolean => value === undefined || value === null

const invalid = (message: string): CniError => new CniError('invalidConfig', message)
