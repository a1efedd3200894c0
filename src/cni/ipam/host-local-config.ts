/** What host-local is told: the IPAM section, and what the runtime asks for beside it. */
import {isAbsolute, join} from 'node:path'
import {quoted} from '../../model/errors.ts'
import type {Ip} from '../../model/ip.ts'
import {CniError} from '../error.ts'
import type {PluginCall, PluginConfig} from '../plugin.ts'
import type {CniRoute} from '../result.ts'
import {requestedOf} from './address.ts'
import {envArgs} from './env-args.ts'
import {checkSet, checkSets, RANGE_KEYS, type RangeSet, rangeOf, rangeSetsOf} from './host-local-ranges.ts'
import {isObject, listOf, objectOf, onlyKeys, plainlySpelled, textOf} from './json.ts'
import {knowsRoutes, routesOf} from './routes.ts'

const DATA_DIR = '/var/lib/cni/networks'
/** CNI spec 1.1.0, section 1. A name becomes a folder. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

const KEYS = new Set(['type', 'name', 'dataDir', 'resolvConf', 'routes', 'ranges', ...RANGE_KEYS])
const RANGE = new Set<string>(RANGE_KEYS)

export interface HostLocalConfig {
  readonly network: string
  /** The folder of the network's leases. */
  readonly folder: string
  readonly sets: readonly RangeSet[]
  /** Without repeats. */
  readonly requested: readonly Ip[]
  readonly routes: readonly CniRoute[]
  /** Empty: none. */
  readonly resolvConf: string
}

/** Throws CniError. */
export function hostLocalConfig({config, args}: Pick<PluginCall, 'config' | 'args'>): HostLocalConfig {
  if (!isObject(config.ipam)) throw new CniError('invalidConfig', 'ipam must be an object')
  const {ipam} = config
  textOf(ipam.type, 'ipam.type')
  textOf(ipam.name, 'ipam.name')
  const network = networkName(config.name)
  const requested = requestedAddresses(config, args)
  const sets = rangeSets(config)
  return {
    network,
    folder: join(dataDir(ipam.dataDir), network),
    sets,
    requested,
    routes: routesOf(ipam.routes),
    resolvConf: textOf(ipam.resolvConf, 'ipam.resolvConf'),
  }
}

/**
 * All that giving back needs, so that the attachment that {@link hostLocalConfig} refused can be undone. Undefined: there
 * can be no such folder. Throws CniError.
 */
export function leaseFolderOf({config}: Pick<PluginCall, 'config'>): string | undefined {
  const network = networkName(config.name)
  const folder = config.ipam?.dataDir || DATA_DIR
  return typeof folder === 'string' && isAbsolute(folder) && !folder.includes('\0') ? join(folder, network) : undefined
}

function networkName(value: unknown): string {
  const name = textOf(value, 'name')
  if (!NAME.test(name))
    throw new CniError(
      'invalidConfig',
      `the network's name ${quoted(name)} must begin with a letter or digit and have only those, "_", "." and "-" behind it`,
    )
  return name
}

function dataDir(value: unknown): string {
  const folder = textOf(value, 'ipam.dataDir') || DATA_DIR
  if (!isAbsolute(folder) || folder.includes('\0'))
    throw new CniError('invalidConfig', `ipam.dataDir must be an absolute path, not ${quoted(folder)}`)
  return folder
}

/** By CNI_ARGS, by args.cni.ips and by the capability "ips", all of them together. */
function requestedAddresses(config: PluginConfig, args: string): Ip[] {
  const {IP = ''} = envArgs(args, ['IP'])
  const byArgs = objectOf(objectOf(config.args, 'args').cni, 'args.cni').ips
  const byCapability = objectOf(config.runtimeConfig, 'runtimeConfig').ips
  const asked = [
    ...(IP === '' ? [] : [requestedOf(IP, 'IP of CNI_ARGS')]),
    ...listOf(byArgs, 'args.cni.ips').map((ip, i) => requestedOf(ip, `args.cni.ips[${i}]`)),
    ...listOf(byCapability, 'runtimeConfig.ips').map((ip, i) => requestedOf(ip, `runtimeConfig.ips[${i}]`)),
  ]
  return [...new Map(asked.map(ip => [`${ip}`, ip])).values()]
}

/** Those of the capability "ipRanges", then the one that stands in the section itself, then `ranges`. */
function rangeSets({ipam = {}, runtimeConfig}: PluginConfig): RangeSet[] {
  const sets = [
    ...rangeSetsOf(objectOf(runtimeConfig, 'runtimeConfig').ipRanges, 'runtimeConfig.ipRanges'),
    ...(ipam.subnet === undefined ? [] : [checkSet([rangeOf(ipam, 'ipam')], 'ipam')]),
    ...rangeSetsOf(ipam.ranges, 'ipam.ranges'),
  ]
  if (sets.length === 0) throw new CniError('invalidConfig', 'ipam has no addresses to give out: it needs "ranges"')
  checkSets(sets)
  return sets
}

/** Of a key that is not served, or spelled in another way, the program of that name knows more. */
export function knowsHostLocal(config: PluginConfig): boolean {
  const {ipam, runtimeConfig, args} = config
  return (
    plainlySpelled(config, ['name', 'ipam', 'runtimeConfig', 'args']) &&
    plainlySpelled(runtimeConfig, ['ipRanges', 'ips']) &&
    plainlySpelled(args, ['cni']) &&
    plainlySpelled(args?.cni, ['ips']) &&
    onlyKeys(ipam, KEYS) &&
    knowsRanges(ipam?.ranges) &&
    knowsRanges(runtimeConfig?.ipRanges) &&
    knowsRoutes(ipam?.routes) &&
    // A relative folder is relative to where the program runs.
    (typeof ipam?.dataDir !== 'string' || ipam.dataDir === '' || isAbsolute(ipam.dataDir))
  )
}

const knowsRanges = (sets: unknown): boolean =>
  !Array.isArray(sets) || sets.every(set => !Array.isArray(set) || set.every(range => onlyKeys(range, RANGE)))
