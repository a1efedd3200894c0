/** The machine that figures are measured on, and who else is busy on it. */
import {execFile} from 'node:child_process'
import {readFile} from 'node:fs/promises'
import {cpus, release} from 'node:os'
import {setTimeout as sleep} from 'node:timers/promises'
import {promisify} from 'node:util'

export interface Machine {
  /** ISO 8601. */
  readonly at: string
  readonly kernel: string
  readonly processors: string
  readonly node: string
  /** As git names what is measured; empty where it cannot tell. */
  readonly commit: string
}

export async function describeMachine(): Promise<Machine> {
  const describe = promisify(execFile)('git', ['describe', '--always', '--dirty'], {cwd: import.meta.dirname})
  const commit = await describe.then(
    ({stdout}) => stdout.trim(),
    () => '',
  )
  const processors = `${cpus().length} × ${cpus()[0]?.model.trim()}`
  return {at: new Date().toISOString(), kernel: release(), processors, node: process.version, commit}
}

/** Milliseconds that one look takes. */
const LOOK = 200
/** Of the machine, from 0 to 1: less is calm. */
const CALM = 0.15

export class Calm {
  /** Milliseconds. */
  #patience: number

  /** How many milliseconds are to be spent on waiting, altogether. */
  constructor(patience: number) {
    this.#patience = patience
  }

  /** Resolves when nobody is busy, or when the patience has run out: to be awaited before what others would disturb. */
  async wait(): Promise<void> {
    while (this.#patience > 0) {
      const before = await processorTime()
      await sleep(LOOK)
      const now = await processorTime()
      if ((now.busy - before.busy) / (now.all - before.all) < CALM) return
      this.#patience -= LOOK
    }
  }
}

/** The share of the machine, from 0 to 1, that others have taken until the result is called. */
export async function watchOthers(): Promise<() => Promise<number>> {
  const before = await processorTime()
  const ownBefore = await ownTime()
  return async () => {
    const now = await processorTime()
    const others = now.busy - before.busy - ((await ownTime()) - ownBefore)
    return Math.max(0, others / (now.all - before.all))
  }
}

/** Clock ticks of all processors. /proc/stat: user nice system idle iowait irq softirq steal. */
async function processorTime(): Promise<{busy: number; all: number}> {
  const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n')
  const [, ...ticks] = line.split(/\s+/).map(Number)
  const all = ticks.slice(0, 8).reduce((sum, each) => sum + each, 0)
  return {busy: all - ticks[3]! - ticks[4]!, all}
}

/** Clock ticks of this process and of its children that have ended. /proc/self/stat: utime stime cutime cstime. */
async function ownTime(): Promise<number> {
  const text = await readFile('/proc/self/stat', 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0)
}
