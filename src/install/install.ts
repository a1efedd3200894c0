/** Puts the shim and the conflist on the host, and takes back exactly that. */
import {join} from 'node:path'
import type {FileLocks} from '../model/file-lock.ts'
import {NAME} from './conflist.ts'
import {applyAll, type Change, readSpot, removeLeftovers} from './files.ts'
import {holding, isFolder, makeFolder, unmakeFolders} from './folders.ts'
import {checkConfName, isFile, ownConflists, type PlanOptions, planInstall} from './plan.ts'
import {isShim, readShim, SHIM_MAX} from './shim.ts'

export interface InstallOptions extends PlanOptions {
  /** The program to install. */
  readonly shim: string
  readonly locks: FileLocks
}

export type UninstallOptions = Pick<InstallOptions, 'binFolder' | 'confFolder' | 'locks'>

export interface Outcome {
  /** What became of each file: "installed /opt/cni/bin/netgraft". */
  readonly files: readonly string[]
  /** What an operator should know besides. */
  readonly notes: readonly string[]
}

/**
 * May be repeated at every start: what is there already is not written again, and nothing is ever away for a moment.
 * A failure leaves everything as it was. Folders that are missing are made. Throws InstallError.
 */
export async function install(options: InstallOptions): Promise<Outcome> {
  const {binFolder, confFolder, locks} = options
  checkConfName(options.confName)
  const shim = await readShim(options.shim)
  const made: string[] = []
  try {
    for (const folder of [binFolder, confFolder]) await makeFolder(folder, made)
    return await holding(locks, [binFolder, confFolder], async () => {
      for (const folder of [binFolder, confFolder]) await removeLeftovers(folder)
      const {changes, same, notes} = await planInstall(options, shim)
      await applyAll(changes)
      return {files: [...changes.map(tell), ...same.map(path => `unchanged ${path}`)], notes}
    })
  } catch (error) {
    await unmakeFolders(made)
    throw error
  }
}

/**
 * The conflists first: no runtime is to be sent to a program that has gone. The folders stay, also those that
 * {@link install} made: a runtime that watches them would not see them come again. Throws InstallError.
 */
export async function uninstall({binFolder, confFolder, locks}: UninstallOptions): Promise<Outcome> {
  const bin = await isFolder(binFolder)
  const conf = await isFolder(confFolder)
  const folders = [...(bin ? [binFolder] : []), ...(conf ? [confFolder] : [])]
  return holding(locks, folders, async () => {
    for (const folder of folders) await removeLeftovers(folder)
    const own = conf ? await ownConflists(confFolder) : []
    const path = join(binFolder, NAME)
    const spot = bin ? await readSpot(path, SHIM_MAX) : undefined
    if (isFile(spot) && isShim(spot.content)) own.push({path, file: spot})
    const notes =
      spot === undefined || own.at(-1)?.path === path ? [] : [`left ${path}: it is not the shim of Netgraft`]
    const changes = own.map((each): Change => ({path: each.path, before: each.file, after: undefined}))
    await applyAll(changes)
    return {files: changes.map(tell), notes}
  })
}

const tell = ({path, before, after}: Change): string =>
  `${after === undefined ? 'removed' : before === undefined ? 'installed' : 'replaced'} ${path}`
