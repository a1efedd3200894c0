/** The CNI plugin as the container runtime finds it: program, conflist, what that names, and the socket. */
import {readFile} from 'node:fs/promises'
import {connect} from 'node:net'
import {join} from 'node:path'
import {socketPath, spoolFolder} from '../../agent/cni-folders.ts'
import {hostMountNeeded} from '../../cni/exec.ts'
import {NAME, SHIM_DEFAULTS} from '../../install/conflist.ts'
import {configurations, isFolder, programsOf} from '../../install/folders.ts'
import {ownConflists} from '../../install/plan.ts'
import {isShim} from '../../install/shim.ts'
import type {Config} from '../../model/config.ts'
import {type Check, failed, ok, skipped, warning} from './check.ts'

export interface CniPlace {
  /** As the host sees them. */
  readonly binFolder: string
  readonly confFolder: string
  /** Of this version. */
  readonly shim: string
}

/** In front of the host's paths: from inside a container they are reached through its process 1. */
export const hostRoot = async (): Promise<string> => ((await hostMountNeeded()) ? '/proc/1/root' : '')

export async function checkCni(
  config: Config,
  {binFolder, confFolder, shim}: CniPlace,
  root: string,
): Promise<Check[]> {
  const bin = join(root, binFolder)
  return [
    await checkProgram(bin, binFolder, shim),
    ...(await checkConflist(config, join(root, confFolder), confFolder, bin).catch(error => [
      failed('conflist', `${(error as Error).message}; mend that, then: netgraft install`),
    ])),
    await checkSocket(socketPath(config)),
  ]
}

async function checkProgram(bin: string, shown: string, shim: string): Promise<Check> {
  const path = join(shown, NAME)
  const found = await readFile(join(bin, NAME)).catch((error: NodeJS.ErrnoException) => error)
  if (found instanceof Error) {
    return found.code === 'ENOENT'
      ? failed('plugin', `${path} is not there, and no pod can start; run: netgraft install`)
      : skipped('plugin', `${path} cannot be read from here (${found.code}); run this on the node as root`)
  }
  if (!isShim(found)) return failed('plugin', `${path} is not Netgraft's; move it away and run: netgraft install`)
  if ((await programsOf(bin, [NAME])).length === 0)
    return failed('plugin', `${path} is not executable, and no pod can start; run: netgraft install`)
  const own = await readFile(shim).catch(() => undefined)
  return own && !own.equals(found)
    ? warning('plugin', `${path} is of another version than this program; run: netgraft install`)
    : ok('plugin', `${path} is installed`)
}

type Plugin = {readonly [key: string]: unknown}

/** Rejects with InstallError. */
async function checkConflist(config: Config, folder: string, shown: string, bin: string): Promise<Check[]> {
  const [own] = (await isFolder(folder)) ? await ownConflists(folder) : []
  if (!own)
    return [
      failed(
        'conflist',
        `${shown} has no conflist of Netgraft, and pods get another network or none; run: netgraft install`,
      ),
    ]
  const name = own.path.slice(folder.length + 1)
  const path = join(shown, name)
  const [first] = await configurations(folder)
  const order =
    first === name
      ? ok('conflist', `${path} comes first`)
      : warning(
          'conflist',
          `${join(shown, first!)} comes before ${path}, and a runtime that does not choose by name takes that; remove it, or run: netgraft install --keep-default`,
        )
  const {plugins} = JSON.parse(own.file.content.toString()) as {readonly plugins: readonly [Plugin]}
  const [plugin] = plugins
  const places = (
    [
      ['socket', socketPath(config)],
      ['spool', spoolFolder(config)],
    ] as const
  ).flatMap(([key, wanted]) => {
    const has = plugin[key] ?? SHIM_DEFAULTS[key]
    return has === wanted
      ? []
      : [
          failed(
            'conflist',
            `${path} sends the plugin to ${has}, and the agent's ${key} is ${wanted}; run: netgraft install --config FILE`,
          ),
        ]
  })
  const types = [...new Set([...listIn(plugin.chain), ...listIn(plugin.delegates).flatMap(pluginsOf)].flatMap(typeOf))]
  const there = new Set(await programsOf(bin, types))
  const missing = types.filter(type => !there.has(type) && !BUILT_IN.has(type))
  const delegates =
    missing.length > 0
      ? [
          failed(
            'delegates',
            `${path} names ${missing.join(', ')}, which the plugins' folder does not have, and pods cannot start; install them`,
          ),
        ]
      : types.length > 0
        ? [ok('delegates', `${types.join(', ')}: there`)]
        : []
  return [order, ...places, ...delegates]
}

/** Types that the agent serves itself. */
const BUILT_IN = new Set(['ptp', 'bridge', 'macvlan'])

const listIn = (value: unknown): readonly Plugin[] => (Array.isArray(value) ? (value as Plugin[]) : [])
const pluginsOf = (delegate: Plugin): readonly Plugin[] =>
  Array.isArray(delegate.plugins) ? listIn(delegate.plugins) : [delegate]
const typeOf = ({type}: Plugin): readonly string[] => (typeof type === 'string' ? [type] : [])

/** Milliseconds. */
const CONNECT_MS = 5000

/** It is left again without a question. */
function checkSocket(path: string): Promise<Check> {
  return new Promise(resolve => {
    const fail = (why: string) =>
      resolve(failed('CNI socket', `nobody answers at ${path} (${why}), and starting pods wait; start the agent`))
    const socket = connect(path)
    socket.setTimeout(CONNECT_MS, () => socket.destroy(new Error('no answer')))
    socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message))
    socket.on('connect', () => {
      socket.destroy()
      resolve(ok('CNI socket', `the agent listens at ${path}`))
    })
  })
}
