/** The config of type `netgraft`: what the runtime hands us of our own conflist. */

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
