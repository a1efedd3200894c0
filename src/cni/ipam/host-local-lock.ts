/** The lock of a folder of leases, which the program of that name honours, too. */
import {constants, open} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import type {FileOutcome, FileStep, Files} from '../../model/files.ts'
import {makeFolder} from '../../model/make-folder.ts'
import {FileStepError} from './host-local-trip.ts'

/** As the upstream plugin has them, less the umask. */
const MODE = {folder: 0o755, lock: 0o750} as const
/** Milliseconds between two tries: holders take one or two. */
const RETRY_MS = 1

export interface Locked {
  /** For the step that closes it. */
  readonly fd: number
  /** Of the folder, as it was when it was locked. */
  readonly about: FileOutcome
  /** Of the steps that came with it; none where the folder had to be made. */
  readonly outcomes: readonly FileOutcome[]
}

/**
 * Waits until the holder lets go. The steps are done in the trip that locks, if the folder is there. Rejects with what
 * open(2) and mkdir(2) say, and with the signal's reason.
 */
export async function lockFolder(
  files: Files,
  folder: string,
  signal: AbortSignal,
  steps: readonly FileStep[],
): Promise<Locked> {
  const lock = {do: 'lock', path: join(folder, 'lock')} as const
  const look = {do: 'stat', path: folder} as const
  let [made, also] = [false, steps]
  for (;;) {
    signal.throwIfAborted()
    const [held, about, ...outcomes] = await files.run([lock, look, ...also])
    if (held?.fd !== undefined) return {fd: held.fd, about: about!, outcomes}
    if (held?.code === 'EAGAIN') await sleep(RETRY_MS, undefined, {signal})
    else if (held?.code === 'ENOENT' && !made) {
      await prepareFolder(folder, lock.path)
      made = true
      also = []
    } else throw new FileStepError(lock, held?.code ?? 'EIO')
  }
}

/** Makes the folder and its lock file as far as they are not there. */
async function prepareFolder(folder: string, lock: string): Promise<void> {
  await makeFolder(folder, MODE.folder)
  const file = await open(lock, constants.O_RDONLY | constants.O_CREAT, MODE.lock)
  await file.close()
}
