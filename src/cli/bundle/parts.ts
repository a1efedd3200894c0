/** The parts of a support bundle: each is read beside the others, and none keeps the rest waiting. */
import {Cidr, Ip} from '../../model/ip.ts'
import {hideIn} from './secrets.ts'
import type {TarFile} from './tar.ts'

/** By the file's name. What it comes to: a text is written as it is, all else as JSON. */
export type Parts = Readonly<Record<string, () => Promise<unknown>>>

export interface Collected {
  readonly files: readonly TarFile[]
  /** What is not there, by why. */
  readonly missing: ReadonlyMap<string, readonly string[]>
}

/** Milliseconds for each part: twice what an agent has that does not answer. */
const PATIENCE_MS = 20_000

export async function collect(parts: Parts, secrets: readonly string[], patienceMs = PATIENCE_MS): Promise<Collected> {
  const files: TarFile[] = []
  const missing = new Map<string, string[]>()
  const read = async ([name, part]: [string, () => Promise<unknown>]): Promise<void> => {
    try {
      const value = await within(part, patienceMs)
      const text = typeof value === 'string' ? value : `${JSON.stringify(value, plain, 2)}\n`
      files.push({name, bytes: Buffer.from(hideIn(text, secrets))})
    } catch (error) {
      const why = hideIn(error instanceof Error ? error.message : String(error), secrets)
      missing.set(why, [...(missing.get(why) ?? []), name].sort())
    }
  }
  await Promise.all(Object.entries(parts).map(read))
  return {files: files.sort((a, b) => (a.name < b.name ? -1 : 1)), missing}
}

async function within<T>(part: () => Promise<T>, patienceMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it has not come within ${patienceMs / 1000} s`)), patienceMs)
  })
  try {
    return await Promise.race([part(), late])
  } finally {
    clearTimeout(timer)
  }
}

function plain(_: string, value: unknown): unknown {
  if (value instanceof Ip || value instanceof Cidr) return `${value}`
  if (value instanceof Map) return Object.fromEntries(value)
  return typeof value === 'bigint' ? `${value}` : value
}
