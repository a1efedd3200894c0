/**
 * Folders of leases, one for each network, used by one at a time among all programs that honour the lock.
 *
 * What a folder holds is remembered, since reading hundreds of files costs more than all the rest of an ADD. The memory
 * is right as long as the folder has not changed, and that shows in its time of modification: before it is unlocked it
 * gets one that no clock would give, so that a change by somebody else is seen even within the same tick of the clock.
 */
import {constants, open, stat, unlink, utimes} from 'node:fs/promises'
import {join} from 'node:path'
import {quoted} from '../../model/errors.ts'
import type {FileLock, FileLocks} from '../../model/file-lock.ts'
import {CniError} from '../error.ts'
import {type Draft, type Drafts, leaseDrafts, lockOf, prepareFolder, removeDrafts} from './host-local-draft.ts'
import {type Memory, readMemory} from './host-local-memory.ts'
import type {LeaseView} from './host-local-plan.ts'

/** Folders that are remembered. */
const REMEMBERED = 64
const MICROSECONDS = 1_000_000

/** A folder, locked. */
export interface LeaseFolder extends LeaseView {
  /** Reads it again. False: that has been done since it was locked. */
  reread(): Promise<boolean>
  /** Gives these addresses to the owner whom the draft names; false: not one, since one of them is taken. */
  take(addresses: readonly string[], owner: string, draft: Draft): Promise<boolean>
  /** An address that nobody has (any more) is fine. */
  release(addresses: readonly string[]): Promise<void>
  /** The address given out last of the range set of that number. Written behind the answer. */
  setLast(set: number, address: string): void
}

export interface LeaseFolders {
  readonly draft: Drafts
  /** Makes the folder if it is not there. Rejects with CniError, and with what the work throws. */
  use<T>(folder: string, signal: AbortSignal, work: (folder: LeaseFolder) => Promise<T>): Promise<T>
}

interface Known {
  /** Ends when the last user so far has unlocked. Never rejects. */
  turn: Promise<void>
  users: number
  memory?: Memory
  /** Inode and time of modification of the folder that the memory is of. */
  state?: string
}

export function leaseFolders(locks: FileLocks): LeaseFolders {
  const folders = new Map<string, Known>()
  const knownOf = (folder: string): Known => {
    const known = folders.get(folder) ?? {turn: Promise.resolve(), users: 0}
    if (folders.size >= REMEMBERED && !folders.has(folder))
      for (const [name, {users}] of folders) if (users === 0 && folders.size >= REMEMBERED) folders.delete(name)
    folders.set(folder, known)
    return known
  }

  return {
    draft: leaseDrafts(),
    use: async (folder, signal, work) => {
      const known = knownOf(folder)
      const before = known.turn
      const {promise: unlocked, resolve: pass} = Promise.withResolvers<void>()
      known.turn = before.then(() => unlocked)
      known.users++
      let lock: FileLock | undefined
      let end = async (): Promise<void> => {}
      try {
        lock = await untilAborted(before, signal).then(() => acquire(locks, folder, signal))
        const visit = await visitFolder(folder, known)
        end = visit.end
        return await work(visit.folder)
      } catch (error) {
        throw signal.aborted && !lock ? late(folder, signal) : asCniError(error, folder)
      } finally {
        const leave = async (): Promise<void> => {
          await end()
          await lock?.release().catch(() => {})
          known.users--
          pass()
        }
        // Behind the answer: what is left to do changes nothing for the caller, and whoever is next waits for it.
        setImmediate(leave)
      }
    },
  }
}

async function acquire(locks: FileLocks, folder: string, signal: AbortSignal): Promise<FileLock> {
  try {
    return await locks.acquire(lockOf(folder), signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException | undefined)?.code !== 'ENOENT') throw error
    await prepareFolder(folder)
    return locks.acquire(lockOf(folder), signal)
  }
}

async function visitFolder(path: string, known: Known): Promise<{folder: LeaseFolder; end: () => Promise<void>}> {
  const lasts = new Map<number, string>()
  let fresh = false
  let changed = false
  const read = async (): Promise<Memory> => {
    if (!known.memory) await removeDrafts(path)
    known.memory = await readMemory(path)
    fresh = true
    return known.memory
  }
  let memory = known.memory && known.state === (await stateOf(path)) ? known.memory : await read()
  /** The folder is not as it was thought to be: the next one reads it. */
  const forget = () => {
    delete known.state
    changed = false
    fresh = true
  }

  const folder: LeaseFolder = {
    get owners() {
      return memory.owners
    },
    of: owner => memory.of(owner),
    last: set => memory.last(set),
    setLast: (set, address) => void lasts.set(set, address),
    reread: async () => {
      if (fresh) return false
      memory = await read()
      return true
    },
    take: async (addresses, owner, draft) => {
      changed = true
      const outcomes = await draft.name(addresses.map(address => join(path, address)))
      const taken = addresses.filter((_, i) => outcomes[i]?.status === 'fulfilled' && outcomes[i].value)
      for (const address of taken) memory.take(address, owner)
      if (taken.length === addresses.length) return true
      await folder.release(taken)
      const failed = outcomes.find(outcome => outcome.status === 'rejected')
      if (failed) throw failed.reason
      memory = await read()
      for (const [i, outcome] of outcomes.entries())
        if (outcome.status === 'fulfilled' && !outcome.value && !memory.owners.has(addresses[i]!))
          memory.take(addresses[i]!, '')
      return false
    },
    release: async addresses => {
      if (addresses.length > 0) changed = true
      const outcomes = await Promise.allSettled(
        addresses.map(async address => {
          await unlink(join(path, address)).catch(absent)
          memory.free(address)
        }),
      )
      const failed = outcomes.find(outcome => outcome.status === 'rejected')
      if (failed) throw failed.reason
    },
  }

  const end = async (): Promise<void> => {
    try {
      await Promise.all([...lasts].map(([set, address]) => writeLast(path, memory, set, address)))
      if (changed || fresh || lasts.size > 0) known.state = await stamp(path)
    } catch {
      forget()
    }
  }
  return {folder, end}
}

/** Without cutting it first, which some filesystems answer with a write to the disk. */
async function writeLast(folder: string, memory: Memory, set: number, address: string): Promise<void> {
  const file = await open(join(folder, `last_reserved_ip.${set}`), constants.O_WRONLY | constants.O_CREAT, 0o644)
  try {
    await file.write(address, 0)
    await file.truncate(address.length)
  } finally {
    await file.close()
  }
  memory.setLast(set, address)
}

/** Gives the folder a time of modification that tells its state from any other. */
async function stamp(folder: string): Promise<string> {
  const now = Date.now() / 1000
  await utimes(folder, now, Math.floor(now) + Math.floor(Math.random() * MICROSECONDS) / MICROSECONDS)
  return stateOf(folder)
}

async function stateOf(folder: string): Promise<string> {
  const {ino, mtimeNs} = await stat(folder, {bigint: true})
  return `${ino}:${mtimeNs}`
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

const asCniError = (cause: unknown, folder: string): CniError =>
  cause instanceof CniError
    ? cause
    : new CniError('io', `the leases in ${quoted(folder)}: ${cause instanceof Error ? cause.message : cause}`, {cause})

function absent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
