/** The config of type `netgraft`: what the runtime hands us of our own conflist. */
import {quoted} from '../model/errors.ts'
import {parseIp} from '../model/ip.ts'
import type {OwnConfig} from './default-network.ts'
import {CniError} from './error.ts'
import type {PluginConfig} from './plugin.ts'
import {isRecord} from './record.ts'

/** Throws {@link CniError}. Keys that are the runtime's, the shim's, or of systems that we replace are passed over. */
export function ownConfig(config: PluginConfig): OwnConfig {
  const {cniVersion, name, chain, delegates, runtimeConfig, prevResult} = config
  return {
    cniVersion,
    name,
    chain: list(chain, 'chain').map((conf, i) => {
      if (typeof conf.type === 'string') return conf as OwnConfig['chain'][number]
      throw new CniError('invalidConfig', `chain[${i}].type must be the name of a plugin`)
    }),
    delegates: list(delegates, 'delegates'),
    runtimeConfig: isRecord(runtimeConfig) ? runtimeConfig : {},
    ...(prevResult !== undefined && prevResult !== null && {prevResult}),
    ...ratchetIn(config),
  }
}

/** IFNAMSIZ less the final zero, linux/if.h. */
const INTERFACE = /^[^\s/:%]{1,15}$/

/** Where its store is, and its child, are no matter here: the agent's own config says which store is used. */
function ratchetIn({
  delegate,
  boot_network,
  parent_interface,
  parent_address,
}: PluginConfig): Pick<OwnConfig, 'ratchet'> {
  const [network, boot] = [conf(delegate, 'delegate'), conf(boot_network, 'boot_network')]
  const name = text(parent_interface, 'parent_interface')
  if (name !== undefined && !INTERFACE.test(name))
    throw new CniError(
      'invalidConfig',
      `parent_interface is ${quoted(name)}; write the name of an interface of the node`,
    )
  const address = text(parent_address, 'parent_address')
  if (address !== undefined && !isIp(address))
    throw new CniError('invalidConfig', `parent_address is ${quoted(address)}; write an IP address of the node`)
  const parent = {...(name !== undefined && {interface: name}), ...(address !== undefined && {address})}
  const ratchet = {
    ...(network && {delegate: network}),
    ...(boot && {bootNetwork: boot}),
    ...(Object.keys(parent).length > 0 && {parent}),
  }
  return Object.keys(ratchet).length > 0 ? {ratchet} : {}
}

function conf(value: unknown, where: string): Record<string, unknown> | undefined {
  if (value === undefined || value === null) return undefined
  if (isRecord(value)) return value
  throw new CniError('invalidConfig', `${where} must be a plugin config`)
}

/** Empty: undefined. */
function text(value: unknown, where: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'string') return value
  throw new CniError('invalidConfig', `${where} must be a text`)
}

function isIp(text: string): boolean {
  try {
    parseIp(text)
    return true
  } catch {
    return false
  }
}

function list(value: unknown, where: string): Record<string, unknown>[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new CniError('invalidConfig', `${where} must be a list of plugin configs`)
  return value.map((each, i) => {
    if (isRecord(each)) return each
    throw new CniError('invalidConfig', `${where}[${i}] must be a plugin config`)
  })
}
