/** The same state by other means: `ip -batch` and `bridge -batch`, and a C program that sends ready messages. */
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {Run} from '../../src/lab/run.ts'
import type {Site} from '../site.ts'

/** Bytes that go to the kernel at once. */
const FLOOR_BATCHES = [4096, 16384, 32768]

/** Compiles it; the result sends a file of messages and resolves with the milliseconds that it took. */
export async function buildFloor(run: Run): Promise<(site: Site, messages: string, turn: number) => Promise<number>> {
  const program = join(run.folder, 'floor')
  await run.exec('cc', ['-O2', '-o', program, join(import.meta.dirname, '..', 'floor.c')])
  return async (site, messages, turn) => {
    const batch = FLOOR_BATCHES[turn % FLOOR_BATCHES.length]!
    const [nanoseconds, , refused] = (await run.exec(program, [messages, `${batch}`], {netns: site.name}))
      .split(' ')
      .map(Number)
    if (refused !== 0) throw new Error(`the kernel refused ${refused} messages of the floor`)
    return nanoseconds! / 1e6
  }
}

export interface Batches {
  /** Lines for `ip -batch`, and after it for `bridge -batch`. */
  readonly ip: readonly string[]
  readonly bridge: readonly string[]
}

/** Milliseconds, less what starting the programs costs: what they take for a file without lines. */
export async function runBatches(run: Run, site: Site, {ip, bridge}: Batches): Promise<number> {
  let ms = 0
  for (const [program, lines] of [
    ['ip', ip],
    ['bridge', bridge],
  ] as const) {
    if (lines.length === 0) continue
    const empty = join(run.folder, 'empty')
    const file = join(run.folder, program)
    await writeFile(empty, '')
    await writeFile(file, `${lines.join('\n')}\n`)
    const start = await timed(() => run.exec(program, ['-n', site.name, '-batch', empty]))
    ms += (await timed(() => run.exec(program, ['-n', site.name, '-batch', file]))) - start
  }
  return ms
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}
