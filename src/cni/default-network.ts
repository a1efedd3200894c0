/** What a pod's first interface is: the configured pod network, or the network that was the node's before us. Pure. */
import {type Cidr, type Family, parseCidr} from '../model/ip.ts'
import {readConfig} from './config.ts'
import {CniError} from './error.ts'
import type {PlannedList, PlannedParent} from './journal.ts'
import {mustNotAskUs} from './own-type.ts'
import {isRecord} from './record.ts'

/** What the agent knows of its node. */
export interface PodSite {
  /** The node's pod ranges that can be served. */
  readonly ranges: readonly Cidr[]
  /** Bytes that a pod's packet may have, by family. */
  readonly mtu: Readonly<Partial<Record<Family, number>>>
}

export interface PodSettings {
  readonly mode: 'ptp' | 'bridge'
  /** Of mode bridge. */
  readonly bridge: string
}

type PluginConf = PlannedList['plugins'][number]

/** The keys of our own config that matter here. */
export interface OwnConfig {
  readonly cniVersion: string
  readonly name: string
  /** Plugins behind the pod network: each runs where the runtime says something for one of its capabilities. */
  readonly chain: readonly PluginConf[]
  /** Confs or conflists that take the place of the pod network. */
  readonly delegates: readonly {readonly [key: string]: unknown}[]
  readonly runtimeConfig: {readonly [key: string]: unknown}
  readonly prevResult?: unknown
  /** Of a config as ratchet has it. */
  readonly ratchet?: RatchetConfig
}

/** What ratchet makes of pods by their label of that name. */
export interface RatchetConfig {
  /** In the place of the pod network, for pods without the label. */
  readonly delegate?: {readonly [key: string]: unknown}
  /** In its place for those with it. */
  readonly bootNetwork?: {readonly [key: string]: unknown}
  /** What tunnels to other nodes start from. */
  readonly parent?: PlannedParent
}

/** As ratchet has it: which of two networks a pod begins with follows from its label. */
export const byEligibility = (config: OwnConfig, eligible: boolean): OwnConfig => {
  const chosen = eligible ? config.ratchet?.bootNetwork : config.ratchet?.delegate
  return chosen ? {...config, delegates: [chosen]} : config
}

/** All that a config comes to for some pod. */
export const eachEligibility = (config: OwnConfig): readonly OwnConfig[] =>
  isByEligibility(config) ? [byEligibility(config, true), byEligibility(config, false)] : [config]

/** Whether a pod's label matters. */
export const isByEligibility = ({ratchet}: OwnConfig): boolean =>
  ratchet?.delegate !== undefined || ratchet?.bootNetwork !== undefined

/** The pod network of a node. `mtu` is the least of the families that pods have: a pod has one interface. */
export function podNetwork(config: OwnConfig, {ranges, mtu}: PodSite, pods: PodSettings): PlannedList {
  const families = [...new Set(ranges.map(({family}) => family))]
  const least = Math.min(...families.flatMap(family => mtu[family] ?? []))
  const ipam = {type: 'node-local', routes: families.map(family => ({dst: `${ANYWHERE[family]}`}))}
  const link = {...(Number.isFinite(least) && {mtu: least}), ipam}
  const first: PluginConf =
    pods.mode === 'ptp'
      ? {type: 'ptp', ...link}
      : {type: 'bridge', bridge: pods.bridge, isGateway: true, hairpinMode: true, ...link}
  return chained({cniVersion: config.cniVersion, name: config.name, plugins: [first]}, config)
}

const ANYWHERE: Readonly<Record<Family, Cidr>> = {4: parseCidr('0.0.0.0/0'), 6: parseCidr('::/0')}

/** The delegate that is to have the pod's first interface. Throws CniError. */
export function delegated(config: OwnConfig): PlannedList | undefined {
  const {delegates} = config
  if (delegates.length === 0) return undefined
  const masters = delegates.filter(each => each.masterPlugin === true || each.masterplugin === true)
  const chosen = delegates.length === 1 ? delegates[0] : masters[0]
  if (!chosen || masters.length > 1)
    throw new CniError('invalidConfig', 'delegates: exactly one of several must have "masterPlugin": true')
  const {masterPlugin, masterplugin, ...conf} = chosen
  const list = readConfig({cniVersion: config.cniVersion, ...conf}, {name: config.name})
  mustNotAskUs(list)
  return chained(list, config)
}

function chained(list: PlannedList, {chain, runtimeConfig}: OwnConfig): PlannedList {
  const asked = chain.filter(({capabilities}) => {
    const declared = isRecord(capabilities) ? Object.keys(capabilities).filter(name => capabilities[name] === true) : []
    return declared.length === 0 || declared.some(name => isSomething(runtimeConfig[name]))
  })
  return {...list, plugins: [...list.plugins, ...asked], ...(Object.keys(runtimeConfig).length > 0 && {runtimeConfig})}
}

/** Runtimes give every capability, most of them with nothing in it. */
const isSomething = (value: unknown): boolean =>
  typeof value === 'object' && value !== null ? Object.values(value).some(isSomething) : Boolean(value)
