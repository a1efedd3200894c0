/** Lease files, written before they have a name: a lease is whole as soon as it is there, whenever the process ends. */
import {randomBytes} from 'node:crypto'
import {constants, copyFile, readdir, stat, unlink} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import type {FileOutcome, FileStep, Files} from '../../model/files.ts'
import {type Errand, FileStepError} from './host-local-trip.ts'

/** As the upstream plugin has it, less the umask. */
const MODE = 0o644
const DRAFT = /^\.[0-9a-f]{12}\.lease$/
/** Milliseconds. A younger draft may be in another process' hands. */
const LEFTOVER_AGE_MS = 60_000
/** Folders of networks that have an empty file ready. */
const SPARES = 8
/** Where a file cannot have two names, or not across these folders. */
const NO_LINKS: readonly unknown[] = ['EXDEV', 'EPERM', 'EOPNOTSUPP', 'EMLINK']

/** Of each name: whether the lease has it now; false where something has that name already. */
export type Named = readonly PromiseSettledResult<boolean>[]

/** The file of a lease that is about to be given. */
export interface Draft {
  /** Write it, unless that has been done, and give it these names. */
  steps(paths: readonly string[]): readonly FileStep[]
  /** What came of `steps(paths)`, and of what single steps cannot do. */
  named(paths: readonly string[], outcomes: readonly FileOutcome[]): Promise<Named>
  /** It has its names by now, or will not get one. */
  discard(): readonly Errand[]
}

/** Makes drafts: for the folder of a network. */
export type Drafts = (folder: string, content: string) => Draft

/**
 * An empty file is kept ready, since making one can take longer than all the rest of an ADD. Files lie beside the folder:
 * in it, they would count as a change of the leases.
 */
export function leaseDrafts(files: Files): Drafts {
  const spares = new Map<string, string>()
  return (folder, content) => {
    const around = dirname(folder)
    const create = (): FileStep => ({do: 'create', path: nameIn(around), text: content, mode: MODE})
    const spare = spares.get(around)
    spares.delete(around)
    let write: FileStep = spare === undefined ? create() : {do: 'write at', path: spare, text: content, at: 0}
    let written = false
    const used = [write.path]

    const steps = (paths: readonly string[]): FileStep[] => [
      ...(written ? [] : [write]),
      ...paths.map(to => ({do: 'link', path: write.path, to, mayFail: true}) as const),
    ]
    const named = async (paths: readonly string[], outcomes: readonly FileOutcome[]): Promise<Named> => {
      const links = outcomes.slice(outcomes.length - paths.length)
      const failure = written ? undefined : outcomes[0]?.code
      written = failure === undefined
      const gone = written ? links.every(({code}) => code === 'ENOENT') : failure === 'ENOENT'
      if (gone && used.length === 1) {
        // Somebody has tidied up.
        write = create()
        written = false
        used.push(write.path)
        return named(paths, await files.run(steps(paths)))
      }
      if (failure !== undefined)
        return paths.map(() => ({status: 'rejected', reason: new FileStepError(write, failure)}))
      return Promise.allSettled(links.map(({code}, i) => nameOf(write.path, paths[i]!, code)))
    }
    return {
      steps,
      named,
      discard: () => [
        ...used.map((path): Errand => [{do: 'unlink', path, mayFail: true}]),
        ...(spares.size < SPARES && !spares.has(around) ? [makeSpare(spares, around)] : []),
      ],
    }
  }
}

function makeSpare(spares: Map<string, string>, around: string): Errand {
  const path = nameIn(around)
  spares.set(around, path)
  return [
    {do: 'create', path, text: '', mode: MODE, mayFail: true},
    ({code}) => {
      if (code !== undefined && spares.get(around) === path) spares.delete(around)
    },
  ]
}

const nameIn = (around: string): string => join(around, `.${randomBytes(6).toString('hex')}.lease`)

/** `code`: what link(2) said. */
async function nameOf(draft: string, path: string, code: string | undefined): Promise<boolean> {
  if (code === undefined) return true
  if (code === 'EEXIST') return false
  if (!NO_LINKS.includes(code)) throw new FileStepError({do: 'link', path, to: path}, code)
  try {
    await copyFile(draft, path, constants.COPYFILE_EXCL)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  }
}

/** What processes that were killed left beside the folder. Never rejects. */
export async function removeDrafts(folder: string): Promise<void> {
  const around = dirname(folder)
  for (const name of await readdir(around).catch(() => [])) {
    if (!DRAFT.test(name)) continue
    const {mtimeMs} = await stat(join(around, name)).catch(() => ({mtimeMs: Number.POSITIVE_INFINITY}))
    if (Date.now() - mtimeMs > LEFTOVER_AGE_MS) await unlink(join(around, name)).catch(() => {})
  }
}
