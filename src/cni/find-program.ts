/** Where a plugin's program is: the first of the folders that has it. */
import {lstat, readlink, stat} from 'node:fs/promises'
import {dirname, isAbsolute, join} from 'node:path'
import {quoted} from '../model/errors.ts'
import {CniError} from './error.ts'

/** Undefined: it has all the programs that we see ourselves. Else the root of another mount namespace ("/proc/1/root"). */
export type Root = string | undefined

export interface Program {
  /** As it is called in the root. */
  readonly path: string
  /** Differs when another program takes its place. */
  readonly version: string
}

/** Nothing was run. */
export class ProgramMissing extends CniError {}

/** For `catch`: says more of why a program is asked for, or is not found. Rejects with what it is given. */
export const noting =
  (note: string) =>
  (error: unknown): never => {
    if (!(error instanceof ProgramMissing)) throw error
    throw new ProgramMissing('delegateFailed', `${error.message}; ${note}`, {cause: error})
  }

/** `type` is a plain file name. Rejects with {@link ProgramMissing}, which says where was looked. */
export async function findProgram(type: string, folders: readonly string[], root?: Root): Promise<Program> {
  const passed: string[] = []
  for (const folder of folders) {
    // A relative one would depend on where the agent happens to run.
    if (!isAbsolute(folder)) continue
    const path = join(folder, type)
    const found = await look(path, root)
    if (typeof found === 'object') return found
    if (found) passed.push(`${quoted(path)} ${found}`)
  }
  const where = folders.length > 0 ? folders.map(folder => quoted(folder)).join(', ') : 'no folder: CNI_PATH is empty'
  const but = passed.length > 0 ? ` (${passed.join('; ')})` : ''
  throw new ProgramMissing(
    'delegateFailed',
    `there is no program ${quoted(type)} in ${where}${but}; install the plugin, or name its folder in CNI_PATH`,
  )
}

/** Undefined: it is not there. A text: why it cannot be the program. */
async function look(path: string, root: Root): Promise<Program | string | undefined> {
  try {
    const file = await stat(root === undefined ? path : await resolveIn(root, path), {bigint: true})
    if (!file.isFile()) return 'is not a file'
    if ((file.mode & 0o111n) === 0n) return 'is not executable'
    return {path, version: [file.dev, file.ino, file.size, file.mtimeNs].join(':')}
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    return `cannot be looked at (${code})`
  }
}

/** Symbolic links that the kernel follows for one path. linux/namei.h: MAXSYMLINKS. */
const LINKS_MAX = 40

/** What the kernel would find with the root as its root: absolute links stay inside. */
async function resolveIn(root: string, path: string): Promise<string> {
  let links = 0
  const rest = path.split('/').filter(part => part !== '')
  let at = '/'
  while (rest.length > 0) {
    const part = rest.shift()!
    const next = part === '..' ? dirname(at) : join(at, part)
    const isLink = (await lstat(join(root, next))).isSymbolicLink()
    if (!isLink) {
      at = next
      continue
    }
    if (++links > LINKS_MAX) throw Object.assign(new Error(`too many links: ${path}`), {code: 'ELOOP'})
    const target = await readlink(join(root, next))
    if (isAbsolute(target)) at = '/'
    rest.unshift(...target.split('/').filter(each => each !== '' && each !== '.'))
  }
  return join(root, at)
}
