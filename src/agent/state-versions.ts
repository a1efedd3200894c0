/** Whether the state folder is of a newer agent: this one would misread it, or lose what it says, and so does not begin. */
import {constants} from 'node:fs'
import {open, readdir} from 'node:fs/promises'
import {join} from 'node:path'
import {JOURNAL_VERSION, NewerState, versionOf} from '../cni/journal-version.ts'
import {NETWORKS_FILE, NETWORKS_VERSION} from './network-record.ts'
import {NODES_FILE, NODES_VERSION} from './node-file.ts'

/** Bytes. A file begins with its version. */
const HEAD = 32
/** Files that are open at once. */
const AT_ONCE = 32
/** A pipe of that name must not hold us. */
const O_READ = constants.O_RDONLY | constants.O_NONBLOCK

/** Rejects with {@link NewerState}. What cannot be read is told by whoever needs it. */
export async function refuseNewerState(folder: string): Promise<void> {
  const journal = join(folder, 'journal')
  const entries = (await readdir(journal).catch(() => [])).filter(name => name.endsWith('.json'))
  const files: readonly (readonly [path: string, known: number])[] = [
    ...entries.sort().map(name => [join(journal, name), JOURNAL_VERSION] as const),
    [join(folder, NODES_FILE), NODES_VERSION],
    [join(folder, NETWORKS_FILE), NETWORKS_VERSION],
  ]
  for (let i = 0; i < files.length; i += AT_ONCE)
    await Promise.all(
      files.slice(i, i + AT_ONCE).map(async ([path, known]) => {
        const found = versionOf(await headOf(path))
        if (found !== undefined && found > known) throw new NewerState(path, found, known)
      }),
    )
}

async function headOf(path: string): Promise<string> {
  try {
    const file = await open(path, O_READ)
    try {
      const {buffer, bytesRead} = await file.read(Buffer.alloc(HEAD), 0, HEAD, 0)
      return buffer.toString('latin1', 0, bytesRead)
    } finally {
      await file.close()
    }
  } catch {
    return ''
  }
}
