/** The plugins of a network whose interface has gone from its pod are run again, so that the pod has back what it had. */

import {pluginConfig} from './config.ts'
import type {PlannedList} from './journal.ts'
import {createLater} from './later.ts'
import {addList, delList, type ListCall} from './list.ts'
import type {FindPlugin, NativePlugin, Plugin, PluginCall} from './plugin.ts'
import type {CniResult} from './result.ts'

export interface RebuildOptions {
  /** False: where programs refuse to give it what it had, it gets whatever they give. */
  readonly exactly: boolean
}

/**
 * A first plugin that can make its interface anew does so; those behind it are ended, and begun again with its result.
 * Programs are ended and begun again. When something fails nothing is left but leases: the interface has gone, as before.
 * Rejects with CniError.
 */
export async function rebuildList(
  list: PlannedList,
  call: ListCall,
  find: FindPlugin,
  result: CniResult,
  {exactly}: RebuildOptions,
): Promise<CniResult> {
  const whole: PluginCall = {...call, config: pluginConfig(list, 0, {prevResult: result})}
  const first: Plugin & Partial<NativePlugin> = find(whole.config, whole)
  if (!first.rebuild) return redo(list, call, find, result, exactly)
  // Those behind it may have nothing left to end.
  await end(list, call, find, result, 1).catch(() => {})
  const made = await first.rebuild(whole)
  try {
    return list.plugins.length > 1 ? await addList(list, call, find, {from: 1, prevResult: made}) : made
  } catch (error) {
    await withoutLease(first, whole).catch(() => {})
    throw error
  }
}

/** The addresses and the MAC that it had are asked for, as far as the plugins have ears for that. */
async function redo(
  list: PlannedList,
  call: ListCall,
  find: FindPlugin,
  result: CniResult,
  exactly: boolean,
): Promise<CniResult> {
  await end(list, call, find, result).catch(() => {})
  try {
    const wishes = wishesOf(list, call, result)
    return await addList({...list, ...wishes.list}, {...call, args: wishes.args}, find)
  } catch (error) {
    if (exactly) throw error
    return await addList(list, call, find)
  }
}

/** What goes on behind a DEL's answer is waited for, too. */
async function end(
  list: PlannedList,
  call: ListCall,
  find: FindPlugin,
  result: CniResult,
  from?: number,
): Promise<void> {
  const later = createLater()
  try {
    await delList(list, {...call, later: later.add}, find, result, from)
  } finally {
    await later.done()
  }
}

async function withoutLease(plugin: Plugin, call: PluginCall): Promise<void> {
  const {ipam: _, ...config} = call.config
  const later = createLater()
  await plugin.del({...call, config, later: later.add})
  await later.done()
}

function wishesOf(
  {plugins, runtimeConfig}: PlannedList,
  {args, ifname}: ListCall,
  {interfaces, ips}: CniResult,
): {readonly list: Pick<PlannedList, 'runtimeConfig'>; readonly args: string} {
  const at = interfaces.findIndex(({name, sandbox}) => name === ifname && sandbox)
  const mac = interfaces[at]?.mac
  const addresses = ips.filter(ip => ip.interface === undefined || ip.interface === at).map(({address}) => address)
  const [{ipam, capabilities}] = plugins as unknown as readonly [FirstConf]
  // Static ones are in the config; and who can be told by the capability is not told twice.
  const told = capabilities?.ips === true || ipam?.type === 'static' || addresses.length === 0
  const wishes = [
    ...(mac === undefined || hasArgument(args, 'MAC') ? [] : [`MAC=${mac}`]),
    ...(told || hasArgument(args, 'IP') ? [] : [`IP=${addresses.join(',')}`]),
  ]
  const excuse = wishes.length > 0 && !hasArgument(args, 'IgnoreUnknown') ? ['IgnoreUnknown=1'] : []
  return {
    list: {
      runtimeConfig: {...(mac !== undefined && {mac}), ...(addresses.length > 0 && {ips: addresses}), ...runtimeConfig},
    },
    args: [...excuse, ...(args === '' ? [] : [args]), ...wishes].join(';'),
  }
}

interface FirstConf {
  readonly ipam?: {readonly type?: string}
  readonly capabilities?: {readonly ips?: boolean}
}

const hasArgument = (args: string, name: string): boolean => args.split(';').some(pair => pair.startsWith(`${name}=`))
