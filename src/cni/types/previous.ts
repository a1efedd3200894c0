/** What ADD left, as the runtime gives it back: `prevResult`. */
import {quoted} from '../../model/errors.ts'
import {CniError} from '../error.ts'
import type {PluginCall} from '../plugin.ts'
import type {CniInterface} from '../result.ts'
import {parseResult} from '../versions.ts'
import {type Lease, parseLease} from './lease.ts'

export interface Previous {
  readonly interfaces: readonly CniInterface[]
  /** The pod's. */
  readonly inside: CniInterface
  /** As far as it is that interface's. */
  readonly lease: Lease
}

/** Throws CniError. */
export function previousOf({config, ifname, netns}: PluginCall): Previous {
  if (config.prevResult === undefined || config.prevResult === null)
    throw new CniError('invalidConfig', `the config of network ${quoted(config.name)} has no prevResult`)
  const result = parseResult(config.prevResult, config.cniVersion)
  const at = result.interfaces.findIndex(({name, sandbox}) => name === ifname && sandbox === netns)
  const inside = result.interfaces[at]
  if (!inside) throw new CniError('invalidConfig', `prevResult has no interface ${quoted(ifname)} in ${quoted(netns)}`)
  const ips = result.ips.filter(ip => ip.interface === undefined || ip.interface === at)
  return {interfaces: result.interfaces, inside, lease: parseLease({...result, ips}, 'prevResult')}
}
