/** Folders with those above them, as `mkdir -p` makes them. */
import {mkdir, stat} from 'node:fs/promises'
import {dirname} from 'node:path'

/**
 * Rejects with what the kernel says: of a read-only file system, say, Node's own way with `recursive` has it that there is
 * no such folder (ENOENT).
 */
export async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, {recursive: true, mode})
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await mkdir(await firstMissing(path), {mode})
    await mkdir(path, {recursive: true, mode})
  }
}

async function firstMissing(path: string): Promise<string> {
  const above = dirname(path)
  if (above === path) return path
  const isThere = await stat(above).then(
    () => true,
    ({code}: NodeJS.ErrnoException) => code !== 'ENOENT',
  )
  return isThere ? path : firstMissing(above)
}
