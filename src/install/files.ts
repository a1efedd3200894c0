/** Files that change together: all of them, or none; and each is whole at every moment, whoever reads or is killed. */
import {randomBytes} from 'node:crypto'
import {constants} from 'node:fs'
import {lstat, open, readdir, rename, unlink} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {absent, refused} from './problem.ts'

export interface File {
  readonly content: Buffer
  /** Permission bits. */
  readonly mode: number
}

/** What stands under a path: a file, nothing, or (in words) what is no file that could be ours. */
export type Spot = (File & {readonly uid: number}) | string | undefined

/** `before`: what is there, and is put back if a later change fails. Undefined: no file. */
export interface Change {
  readonly path: string
  readonly before: File | undefined
  readonly after: File | undefined
}

/** In every folder that we write to. A name with one of the runtime's endings could be taken for a configuration. */
const TEMPORARY = /^\.netgraft-[0-9a-f]{12}\.new$/
const temporaryName = () => `.netgraft-${randomBytes(6).toString('hex')}.new`

/** Does not follow a link. Throws {@link InstallError}. */
export async function readSpot(path: string, maxBytes: number): Promise<Spot> {
  try {
    const about = await lstat(path).catch(absent)
    if (!about) return undefined
    if (about.isDirectory()) return 'a folder'
    if (about.isSymbolicLink()) return 'a symbolic link'
    if (!about.isFile()) return 'no regular file'
    if (about.size > maxBytes) return `a file of ${about.size} bytes`
    return {content: await readNoFollow(path), mode: about.mode & 0o7777, uid: about.uid}
  } catch (error) {
    throw refused(path, 'read', error)
  }
}

async function readNoFollow(path: string): Promise<Buffer> {
  // Should it have become a pipe meanwhile, it must not hold us.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** In the given order, all or none, and on the disk when it returns. Throws {@link InstallError}. */
export async function applyAll(changes: readonly Change[]): Promise<void> {
  const staged = new Map<Change, string>()
  const done: Change[] = []
  try {
    // What most likely fails, a full or read-only disk, fails here, where nothing has changed yet.
    for (const change of changes) if (change.after) staged.set(change, await stage(change.path, change.after))
    for (const change of changes) {
      const temporary = staged.get(change)
      try {
        await (temporary === undefined ? unlink(change.path).catch(absent) : rename(temporary, change.path))
        staged.delete(change)
        done.push(change)
        await syncFolder(dirname(change.path))
      } catch (error) {
        throw refused(change.path, change.after ? 'written' : 'removed', error)
      }
    }
  } catch (error) {
    for (const {path, before} of done.reverse()) await putBack(path, before)
    throw error
  } finally {
    for (const temporary of staged.values()) await unlink(temporary).catch(() => {})
  }
}

/** A new file beside the path, whole and on the disk; its name. */
async function stage(path: string, {content, mode}: File): Promise<string> {
  const temporary = join(dirname(path), temporaryName())
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(content)
      // Not at its opening, where the umask would take from it.
      await file.chmod(mode)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw refused(path, 'written', error)
  }
  return temporary
}

/** As well as it can be done on a disk that has just failed: what went wrong first is what is told. */
async function putBack(path: string, before: File | undefined): Promise<void> {
  try {
    if (before) await rename(await stage(path, before), path)
    else await unlink(path)
    await syncFolder(dirname(path))
  } catch {
    // The next install finds it, and does what is left to do.
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}

/** What killed processes have left half-written: nobody else is at work while we hold the folder's lock. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    // On a read-only disk they stay; they are in nobody's way.
    if (TEMPORARY.test(name)) await unlink(join(folder, name)).catch(() => {})
  }
}
