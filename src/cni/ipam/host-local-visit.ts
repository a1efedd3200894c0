/**
 * One visit to a folder of leases: locked, read unless it is as it is remembered, changed, unlocked; in as few trips to
 * the thread of files as can be.
 */
import {join} from 'node:path'
import type {FileStep, Files} from '../../model/files.ts'
import {type Draft, type Drafts, type Named, removeDrafts} from './host-local-draft.ts'
import {lockFolder} from './host-local-lock.ts'
import {type Memory, readMemory} from './host-local-memory.ts'
import type {LeaseView} from './host-local-plan.ts'
import {type Errand, FileStepError, runErrands} from './host-local-trip.ts'

const MODE = 0o644
const MICROSECONDS = 1_000_000

/** A folder, locked. */
export interface LeaseFolder extends LeaseView {
  /** Reads it again. False: that has been done since it was locked. */
  reread(): Promise<boolean>
  /** Gives these addresses to the owner; false: not one, since one of them is taken. */
  take(addresses: readonly string[], owner: string): Promise<boolean>
  /** An address that nobody has (any more) is fine. The last that is done: the folder is unlocked in the same trip. */
  release(addresses: readonly string[]): Promise<void>
  /** The address given out last of the range set of that number. Written behind the answer. */
  setLast(set: number, address: string): void
}

/** What is known of a folder between visits. */
export interface Remembered {
  memory?: Memory
  /** Inode and time of modification of the folder that the memory is of. Absent: it must be read. */
  state?: string
}

export interface Taking {
  readonly addresses: readonly string[]
  readonly owner: string
}

/** What will be taken if the folder is as it is remembered: that is then done in the trip that locks. */
export type Foresee = (view: LeaseView) => Taking | undefined

export interface Visit {
  /** Rejects with the signal's reason when that aborts before it is locked. */
  enter(signal: AbortSignal, foresee: Foresee): Promise<LeaseFolder>
  /** It was locked once. */
  readonly entered: boolean
  /** Unlocks, unless that has been done. Never rejects. */
  leave(): Promise<void>
}

export function visitFolder(files: Files, drafts: Drafts, path: string, known: Remembered): Visit {
  const lasts = new Map<number, string>()
  let fd: number | undefined
  let entered = false
  let memory: Memory
  /** Nothing was known of it. */
  let tidy = false
  let fresh = false
  let changed = false
  let draft: Draft | undefined
  /** What was taken in the trip that locked, and has not been asked for yet. */
  let early: {readonly addresses: readonly string[]; readonly named: Named} | undefined
  const inside = (name: string): string => join(path, name)

  const unlink = async (addresses: readonly string[], also: readonly Errand[] = []): Promise<void> => {
    let failure: FileStepError | undefined
    const errands = addresses.map((address): Errand => {
      const step = {do: 'unlink', path: inside(address), mayFail: true} as const
      return [
        step,
        ({code}) => {
          if (code === undefined || code === 'ENOENT') memory.free(address)
          else failure ??= new FileStepError(step, code)
        },
      ]
    })
    await runErrands(files, [...errands, ...also])
    if (failure) throw failure
  }

  const giveBack = async (): Promise<void> => {
    const {addresses = [], named = []} = early ?? {}
    early = undefined
    await unlink(addresses.filter((_, i) => isNamed(named[i])))
  }

  const read = async (): Promise<void> => {
    await giveBack()
    // Should it fail, what was remembered is not taken for what is there now.
    delete known.memory
    if (tidy) await removeDrafts(path)
    memory = known.memory = await readMemory(path)
    fresh = true
  }

  const name = async (addresses: readonly string[], owner: string): Promise<Named> => {
    draft ??= drafts(path, owner)
    const paths = addresses.map(inside)
    return draft.named(paths, await files.run(draft.steps(paths)))
  }

  const leaving = (): Errand[] => {
    const errands: Errand[] = [...(draft?.discard() ?? [])]
    if (fd !== undefined) errands.unshift(...ending({path, fd, known, memory, lasts, touched: changed || fresh}))
    fd = undefined
    draft = undefined
    return errands
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
      await read()
      return true
    },
    take: async (addresses, owner) => {
      changed = true
      const foreseen = early?.addresses.join() === addresses.join() ? early.named : undefined
      if (foreseen) early = undefined
      else await giveBack()
      const named = foreseen ?? (await name(addresses, owner))
      const taken = addresses.filter((_, i) => isNamed(named[i]))
      for (const address of taken) memory.take(address, owner)
      if (taken.length === addresses.length) return true
      await unlink(taken)
      const failed = named.find(outcome => outcome.status === 'rejected')
      if (failed) throw failed.reason
      await read()
      for (const [i, address] of addresses.entries())
        if (!isNamed(named[i]) && !memory.owners.has(address)) memory.take(address, '')
      return false
    },
    release: async addresses => {
      if (addresses.length === 0) return
      changed = true
      await unlink(addresses, leaving())
    },
  }

  return {
    get entered() {
      return entered
    },
    enter: async (signal, foresee) => {
      const taking = known.memory && known.state !== undefined ? foresee(known.memory) : undefined
      const paths = taking?.addresses.map(inside) ?? []
      if (taking) draft = drafts(path, taking.owner)
      const locked = await lockFolder(files, path, signal, draft?.steps(paths) ?? [])
      fd = locked.fd
      entered = true
      const {code, state} = locked.about
      if (state === undefined) throw new FileStepError({do: 'stat', path}, code ?? 'EIO')
      tidy = !known.memory
      if (known.memory) memory = known.memory
      if (known.state !== state) delete known.memory
      if (draft && taking && locked.outcomes.length > 0) {
        changed = true
        early = {addresses: taking.addresses, named: await draft.named(paths, locked.outcomes)}
      }
      if (!known.memory) await read()
      return folder
    },
    leave: async () => {
      const forget = () => {
        delete known.memory
      }
      if (early) await giveBack().catch(forget)
      await runErrands(files, leaving()).catch(forget)
    },
  }
}

interface Ending {
  readonly path: string
  readonly fd: number
  readonly known: Remembered
  readonly memory: Memory
  readonly lasts: ReadonlyMap<number, string>
  /** It is not as it was, or was not known. */
  readonly touched: boolean
}

/** All of it is done even if one fails, since the lock must go; the state is then unknown, and the next one reads. */
function ending({path, fd, known, memory, lasts, touched}: Ending): Errand[] {
  let sure = true
  const must = (step: FileStep, done = () => {}): Errand => [
    {...step, mayFail: true},
    ({code}) => {
      if (code === undefined) done()
      else sure = false
    },
  ]
  const writes = [...lasts].map(([set, text]) => {
    // Not cut before it is written, which some filesystems answer with a write to the disk.
    const step = {do: 'write', path: join(path, `last_reserved_ip.${set}`), text, mode: MODE} as const
    return must(step, () => memory.setLast(set, text))
  })
  const close: Errand = [{do: 'close', path, fd, mayFail: true}]
  if (!touched && lasts.size === 0) return [close]
  delete known.state
  const look: Errand = [
    {do: 'stat', path, mayFail: true},
    ({state}) => {
      if (sure && state !== undefined) known.state = state
    },
  ]
  return [...writes, must({do: 'stamp', path, ns: momentOfNoClock()}), look, close]
}

const isNamed = (outcome: PromiseSettledResult<boolean> | undefined): boolean =>
  outcome?.status === 'fulfilled' && outcome.value

/** Nanoseconds since the epoch, about now: a time of modification that tells this state of a folder from any other. */
const momentOfNoClock = (): bigint =>
  BigInt(Math.floor(Date.now() / 1000)) * 1_000_000_000n + BigInt(Math.floor(Math.random() * MICROSECONDS)) * 1000n
