/** Who serves a type: the agent itself where it knows every key of the config, else the program of that name. */
import {CniError} from './error.ts'
import {noting} from './find-program.ts'
import type {PlannedList} from './journal.ts'
import type {FindPlugin, NativePlugin, Plugin, PluginConfig} from './plugin.ts'
import {NO_IPAM} from './types/config.ts'

export interface Plugins {
  readonly find: FindPlugin
  /** Whether the agent itself makes all of it, so that nothing outlives the machine's memory but what is undone by itself. */
  isNative(list: PlannedList): boolean
}

/** Types that are ours alone: there is no program to fall back on. */
const OURS: ReadonlySet<string> = new Set(['node-local'])

export function createPlugins(native: ReadonlyMap<string, NativePlugin>, programs: FindPlugin): Plugins {
  const served = (type: unknown, config: PluginConfig): NativePlugin | undefined => {
    const plugin = typeof type === 'string' ? native.get(type) : undefined
    return plugin?.knows(config) ? plugin : undefined
  }
  return {
    find: (conf, call) => {
      const {type} = conf
      const plugin = served(type, call.config)
      if (plugin) return plugin
      if (typeof type === 'string' && OURS.has(type))
        throw new CniError('unsupportedField', `a config of type ${type} has a key that it does not know`)
      const program = programs(conf, call)
      return typeof type === 'string' && native.has(type) ? inItsPlace(program, type) : program
    },
    isNative: ({name, cniVersion, plugins}) =>
      plugins.every(plugin => {
        const config = {...plugin, name, cniVersion} as PluginConfig
        const ipam = config.ipam?.type
        return (
          served(config.type, config) !== undefined &&
          (ipam === undefined || ipam === NO_IPAM || served(ipam, config) !== undefined)
        )
      }),
  }
}

/** The program of a type that the agent has, too: where it is missing, whoever wrote the config wonders what for. */
function inItsPlace(program: Plugin, type: string): Plugin {
  const note = noting(`it is needed, as the config has a key or value that the agent's own "${type}" does not serve`)
  return {
    ...program,
    present: async call => program.present?.(call).catch(note),
    add: call => program.add(call).catch(note),
    check: call => program.check(call).catch(note),
    del: call => program.del(call).catch(note),
    gc: async call => program.gc?.(call).catch(note),
    status: async call => program.status?.(call).catch(note),
  }
}
