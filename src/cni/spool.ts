/** DELs that were answered while the agent was away: the shim has left each as a file, to be carried out now. */
import {mkdir, readdir, readFile, rename, stat, unlink} from 'node:fs/promises'
import {join} from 'node:path'
import {NewerRequest, type ShimRequest} from './protocol.ts'

const SUFFIX = '.del'
/** What cannot be read is put aside under this name, for a person to look at. */
const ASIDE = '.unreadable'

export interface SpoolPorts {
  readonly decode: (bytes: Buffer) => ShimRequest
  /** Carries it out. `at`: when it was asked for, milliseconds since the epoch. Rejects: it stays, and is tried again. */
  readonly run: (request: ShimRequest, at: number) => Promise<void>
  readonly tell: (problem: string) => void
}

/** Carries out what is there, the oldest first: how many. Makes the folder if it is not there, so that it can be watched. */
export async function drainSpool(folder: string, {decode, run, tell}: SpoolPorts): Promise<number> {
  await mkdir(folder, {recursive: true, mode: 0o700})
  const all = (await readdir(folder)).filter(name => name.endsWith(SUFFIX)).sort()
  await removeDrafts(folder, all.filter(isDraft))
  const names = all.filter(name => !isDraft(name))
  let done = 0
  for (const name of names) {
    const path = join(folder, name)
    try {
      // Somebody else has carried it out.
      const bytes = await unlessGone(readFile(path))
      if (bytes === undefined) continue
      const request = readRequest(bytes, decode)
      if (request === undefined) {
        await unlessGone(rename(path, `${path}${ASIDE}`))
        tell(`${path} holds no request that can be read; it is kept as ${name}${ASIDE}`)
        continue
      }
      await run(request, spooledAt(name))
      await unlessGone(unlink(path))
      done++
    } catch (error) {
      tell(`the DEL in ${path} could not be carried out and stays: ${(error as Error).message}`)
    }
  }
  return done
}

/** Not whole yet, or never to be: of a shim that was killed, whose runtime has seen it fail. */
const isDraft = (name: string): boolean => name.startsWith('.')
/** Milliseconds. A shim writes in one. */
const DRAFT_AGE_MS = 60_000

async function removeDrafts(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found && Date.now() - found.mtimeMs > DRAFT_AGE_MS) await unlink(path).catch(() => {})
  }
}

const unlessGone = <T>(work: Promise<T>): Promise<T | undefined> =>
  work.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })

function readRequest(bytes: Buffer, decode: SpoolPorts['decode']): ShimRequest | undefined {
  try {
    return decode(bytes)
  } catch (error) {
    // A newer agent will carry it out.
    if (error instanceof NewerRequest) throw error
    return undefined
  }
}

/** The name begins with 20 digits of nanoseconds since the epoch. */
function spooledAt(name: string): number {
  const digits = /^\d{20}/.exec(name)?.[0]
  return digits === undefined ? Date.now() : Number(BigInt(digits) / 1_000_000n)
}
