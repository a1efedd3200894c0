/**
 * Folders of leases, one for each network, used by one at a time among all programs that honour the lock.
 *
 * What a folder holds is remembered, since reading hundreds of files costs more than all the rest of an ADD. The memory
 * is right as long as the folder has not changed, and that shows in its time of modification: before it is unlocked it
 * gets one that no clock would give, so that a change by somebody else is seen even within the same tick of the clock.
 */
import {quoted} from '../../model/errors.ts'
import type {Files} from '../../model/files.ts'
import {CniError} from '../error.ts'
import {leaseDrafts} from './host-local-draft.ts'
import {type Foresee, type LeaseFolder, type Remembered, visitFolder} from './host-local-visit.ts'

/** Folders that are remembered. */
const REMEMBERED = 64

export interface LeaseFolders {
  /** Makes the folder if it is not there. Rejects with CniError, and with what the work throws. */
  use<T>(folder: string, signal: AbortSignal, work: (folder: LeaseFolder) => Promise<T>, foresee?: Foresee): Promise<T>
}

interface Known extends Remembered {
  /** Ends when the last user so far has unlocked. Never rejects. */
  turn: Promise<void>
  users: number
}

export function leaseFolders(files: Files): LeaseFolders {
  const drafts = leaseDrafts(files)
  const folders = new Map<string, Known>()
  const knownOf = (folder: string): Known => {
    const known = folders.get(folder) ?? {turn: Promise.resolve(), users: 0}
    if (folders.size >= REMEMBERED && !folders.has(folder))
      for (const [name, {users}] of folders) if (users === 0 && folders.size >= REMEMBERED) folders.delete(name)
    folders.set(folder, known)
    return known
  }

  return {
    use: async (folder, signal, work, foresee = () => undefined) => {
      const known = knownOf(folder)
      const before = known.turn
      const {promise: unlocked, resolve: pass} = Promise.withResolvers<void>()
      known.turn = before.then(() => unlocked)
      known.users++
      const visit = visitFolder(files, drafts, folder, known)
      try {
        await untilAborted(before, signal)
        return await work(await visit.enter(signal, foresee))
      } catch (error) {
        throw signal.aborted && !visit.entered ? late(folder, signal) : asCniError(error, folder)
      } finally {
        const leave = async (): Promise<void> => {
          await visit.leave()
          known.users--
          pass()
        }
        // Behind the answer: what is left to do changes nothing for the caller, and whoever is next waits for it.
        setImmediate(leave)
      }
    },
  }
}

function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const {promise: result, resolve, reject} = Promise.withResolvers<void>()
  const abort = () => reject(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort)
  promise.then(resolve, reject)
  return result.finally(() => signal.removeEventListener('abort', abort))
}

const late = (folder: string, signal: AbortSignal): CniError =>
  new CniError('tryAgainLater', `gave up waiting for the lock of ${quoted(folder)}: somebody holds it for too long`, {
    cause: signal.reason,
  })

/** What to do about an errno, by its name. */
const CURES: Readonly<Record<string, string>> = {
  EROFS: 'mount the folder into the agent, writable and under the same path, or choose another ipam.dataDir',
  EPERM: 'choose another ipam.dataDir',
  EACCES: 'see whether the agent may write there (mode, SELinux, AppArmor)',
  ENOSPC: 'its disk is full: make room',
  EDQUOT: 'its quota is used up: make room',
}

function asCniError(cause: unknown, folder: string): CniError {
  if (cause instanceof CniError) return cause
  const cure = CURES[(cause as NodeJS.ErrnoException).code ?? '']
  const why = `${cause instanceof Error ? cause.message : cause}${cure === undefined ? '' : `; ${cure}`}`
  return new CniError('io', `the leases in ${quoted(folder)}: ${why}`, {cause})
}
