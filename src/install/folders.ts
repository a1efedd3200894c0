/** The host's two folders: made where they are missing, held while we work in them, and what they hold. */
import {chmod, lstat, mkdir, readdir, rmdir, stat} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import type {FileLock, FileLocks} from '../model/file-lock.ts'
import {absent, InstallError, refused} from './problem.ts'

/** Milliseconds. Another install takes a few. */
const LOCK_PATIENCE = 30_000
/** rwxr-xr-x: both folders are read by whoever looks for the reason of something. */
const FOLDER_MODE = 0o755
/** Permission bits of which a program has one. */
const EXECUTABLE = 0o111

/** Pushes what it makes, the outermost first. Throws {@link InstallError}. */
export async function makeFolder(path: string, made: string[]): Promise<void> {
  try {
    if (await isFolder(path)) return
    if (dirname(path) !== path) await makeFolder(dirname(path), made)
    await mkdir(path).then(
      () => made.push(path),
      // Another install may have been faster.
      async error => {
        if (error.code !== 'EEXIST') throw error
        if (!(await isFolder(path))) throw new InstallError(`${path} is a symbolic link that leads nowhere; mend it`)
      },
    )
    if (made.at(-1) === path) await chmod(path, FOLDER_MODE)
  } catch (error) {
    throw refused(path, 'made', error)
  }
}

/** Follows links. Throws {@link InstallError}, also where something else stands. */
export async function isFolder(path: string): Promise<boolean> {
  const about = await stat(path)
    .catch(absent)
    .catch(error => {
      throw refused(path, 'read', error)
    })
  if (about && !about.isDirectory())
    throw new InstallError(`${path} is not a folder; move it away or name another folder`)
  return about !== undefined
}

/** Only what is empty goes. */
export async function unmakeFolders(made: readonly string[]): Promise<void> {
  for (const path of made.toReversed()) await rmdir(path).catch(() => {})
}

/** One install or uninstall at a time in a folder. Throws {@link InstallError}. */
export async function holding<T>(locks: FileLocks, folders: readonly string[], work: () => Promise<T>): Promise<T> {
  const held: FileLock[] = []
  try {
    for (const folder of await onceEach(folders)) held.push(await acquire(locks, folder))
    return await work()
  } finally {
    // It goes with the process at the latest.
    for (const lock of held.reverse()) await lock.release().catch(() => {})
  }
}

async function acquire(locks: FileLocks, folder: string): Promise<FileLock> {
  const patience = AbortSignal.timeout(LOCK_PATIENCE)
  try {
    return await locks.acquire(folder, patience)
  } catch (error) {
    if (!patience.aborted) throw refused(folder, 'locked', error)
    throw new InstallError(`another install or uninstall has held ${folder} for too long; end it and try again`, {
      cause: error,
    })
  }
}

/** In the same order for everybody, so that two never wait for each other. */
async function onceEach(folders: readonly string[]): Promise<string[]> {
  const byIdentity = new Map<string, string>()
  for (const folder of folders) {
    const {dev, ino} = await stat(folder).catch(error => {
      throw refused(folder, 'read', error)
    })
    byIdentity.set(`${dev} ${ino}`, folder)
  }
  return [...byIdentity].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, folder]) => folder)
}

/** The names that a runtime takes for configurations, as libcni's ConfFiles lists and sorts them: by their bytes. */
export async function configurations(folder: string): Promise<string[]> {
  const entries = await readdir(folder, {withFileTypes: true}).catch(error => {
    throw refused(folder, 'read', error)
  })
  return entries
    .filter(entry => !entry.isDirectory() && /\.(conf|conflist|json)$/.test(entry.name))
    .map(({name}) => name)
    .sort(inByteOrder)
}

export const inByteOrder = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** Which of the programs are in the folder. */
export async function programsOf(folder: string, names: readonly string[]): Promise<string[]> {
  const there = await Promise.all(names.map(name => isProgram(join(folder, name))))
  return names.filter((_, i) => there[i])
}

async function isProgram(path: string): Promise<boolean> {
  try {
    const about = await stat(path)
    return about.isFile() && (about.mode & EXECUTABLE) !== 0
  } catch {
    // From inside a container, a link may lead to where only the host can follow.
    return lstat(path).then(
      about => about.isSymbolicLink(),
      () => false,
    )
  }
}
