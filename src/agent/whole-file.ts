/** Files that are whole whenever the process or the machine ends: the old content, or the new one. */
import {randomBytes} from 'node:crypto'
import {constants} from 'node:fs'
import {open, readdir, rename, stat, unlink} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import {InvalidInput} from '../model/errors.ts'
import {makeFolder} from '../model/make-folder.ts'

/** For root alone: what is kept is nobody else's business, and believed when it is read again. */
const MODE = {folder: 0o700, file: 0o600} as const
/** Milliseconds. What another process writes at this moment is younger. */
const LEFTOVER_AGE_MS = 60_000

/** Makes the folder if it is not there. A name of its own, so that two processes never write into one file. */
export async function replaceFile(path: string, content: AsyncIterable<string> | readonly string[]): Promise<void> {
  const folder = dirname(path)
  await makeFolder(folder, MODE.folder)
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`
  try {
    await writeDown(temporary, content)
    await rename(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
  // The new name, too, is to outlast a power failure.
  const opened = await open(folder, 'r')
  await opened.sync().finally(() => opened.close())
}

async function writeDown(path: string, content: AsyncIterable<string> | readonly string[]): Promise<void> {
  const file = await open(path, 'wx', MODE.file)
  try {
    for await (const chunk of content) await file.writeFile(chunk)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** What processes that were killed in the middle of {@link replaceFile} have left. */
export async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path)
  for (const name of await readdir(folder).catch(() => [])) {
    if (!name.startsWith(`${basename(path)}.`) || !name.endsWith('.new')) continue
    const leftover = join(folder, name)
    const age = await stat(leftover).then(
      ({mtimeMs}) => Date.now() - mtimeMs,
      () => 0,
    )
    if (age > LEFTOVER_AGE_MS) await unlink(leftover).catch(() => {})
  }
}

/** Undefined: there is none. Throws {@link InvalidInput}, or what the system says. */
export async function readWhole(path: string, maxBytes: number): Promise<Buffer | undefined> {
  // A pipe of that name must not hold us.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(absent)
  if (!file) return undefined
  try {
    const about = await file.stat()
    if (!about.isFile()) throw new InvalidInput('it is not a file')
    if (about.size > maxBytes) throw new InvalidInput(`it has ${about.size} bytes, and ${maxBytes} are the most`)
    return await file.readFile()
  } finally {
    await file.close()
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
