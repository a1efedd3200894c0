/** Lease files, written before they have a name: a lease is whole as soon as it is there, whenever the process ends. */
import {randomBytes} from 'node:crypto'
import {constants, copyFile, link, mkdir, open, readdir, stat, unlink, writeFile} from 'node:fs/promises'
import {dirname, join} from 'node:path'

/** As the upstream plugin has them, less the umask. */
const MODE = {folder: 0o755, lock: 0o750, file: 0o644} as const
const DRAFT = /^\.[0-9a-f]{12}\.lease$/
/** Milliseconds. A younger draft may be in another process' hands. */
const LEFTOVER_AGE_MS = 60_000
/** Folders of networks that have an empty file ready. */
const SPARES = 8
/** Where a file cannot have two names, or not across these folders. */
const NO_LINKS: readonly unknown[] = ['EXDEV', 'EPERM', 'EOPNOTSUPP', 'EMLINK']

/** The file of a lease that is about to be given. */
export interface Draft {
  /** Gives it these names. False for one that stands already; rejects with what link(2) says otherwise. */
  name(paths: readonly string[]): Promise<PromiseSettledResult<boolean>[]>
  /** It has its names by now, or will not get one. */
  discard(): void
}

/** Makes drafts: for the folder of a network. */
export type Drafts = (folder: string, content: string) => Draft

/**
 * An empty file is kept ready, since making one can take longer than all the rest of an ADD. Files lie beside the folder:
 * in it, they would count as a change of the leases.
 */
export function leaseDrafts(): Drafts {
  const spares = new Map<string, Promise<string | undefined>>()
  return (folder, content) => {
    const around = dirname(folder)
    const spare = spares.get(around) ?? Promise.resolve(undefined)
    spares.delete(around)
    let written = spare.then(async path => {
      const filled = path !== undefined && (await fill(path, content))
      return filled ? path : create(folder, content)
    })
    // Whoever needs it hears of it; perhaps nobody does.
    written.catch(() => {})
    const nameAll = (draft: string, paths: readonly string[]) =>
      Promise.allSettled(paths.map(path => nameDraft(draft, path)))
    return {
      name: async paths => {
        const outcomes = await nameAll(await written, paths)
        if (!outcomes.every(outcome => outcome.status === 'rejected' && outcome.reason.code === 'ENOENT'))
          return outcomes
        // Somebody has tidied up.
        written = create(folder, content)
        return nameAll(await written, paths)
      },
      discard: () => {
        written.then(unlink).catch(() => {})
        if (spares.size < SPARES && !spares.has(around))
          spares.set(
            around,
            openDraft(around).catch(() => undefined),
          )
      },
    }
  }
}

const nameIn = (around: string): string => join(around, `.${randomBytes(6).toString('hex')}.lease`)

/** A new one, empty. */
async function openDraft(around: string): Promise<string> {
  const path = nameIn(around)
  await writeFile(path, '', {flag: 'wx', mode: MODE.file})
  return path
}

/** False: it is not there any more. */
async function fill(path: string, content: string): Promise<boolean> {
  const file = await open(path, 'r+').catch(absent)
  if (!file) return false
  try {
    await file.write(content)
    return true
  } finally {
    file.close().catch(() => {})
  }
}

async function create(folder: string, content: string): Promise<string> {
  const path = nameIn(dirname(folder))
  const write = () => writeFile(path, content, {flag: 'wx', mode: MODE.file})
  await write().catch(async error => {
    if (error.code !== 'ENOENT') throw error
    await prepareFolder(folder)
    await write()
  })
  return path
}

async function nameDraft(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path).catch(error => {
      if (!NO_LINKS.includes(error.code)) throw error
      return copyFile(draft, path, constants.COPYFILE_EXCL)
    })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  }
}

/** Makes the folder and its lock file as far as they are not there. */
export async function prepareFolder(folder: string): Promise<void> {
  await mkdir(folder, {recursive: true, mode: MODE.folder})
  const lock = await open(lockOf(folder), constants.O_RDONLY | constants.O_CREAT, MODE.lock)
  await lock.close()
}

export const lockOf = (folder: string): string => join(folder, 'lock')

/** What processes that were killed left beside the folder. Never rejects. */
export async function removeDrafts(folder: string): Promise<void> {
  const around = dirname(folder)
  for (const name of await readdir(around).catch(() => [])) {
    if (!DRAFT.test(name)) continue
    const {mtimeMs} = await stat(join(around, name)).catch(() => ({mtimeMs: Number.POSITIVE_INFINITY}))
    if (Date.now() - mtimeMs > LEFTOVER_AGE_MS) await unlink(join(around, name)).catch(() => {})
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
