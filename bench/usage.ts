/** What a process costs, as the kernel counts it. */
import {readdir, readFile} from 'node:fs/promises'

/** Milliseconds on a processor since the process began, over its threads. /proc/<pid>/task/<tid>/schedstat. */
export async function cpuMs(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`)
  const texts = await Promise.all(threads.map(tid => readFile(`/proc/${pid}/task/${tid}/schedstat`, 'utf8')))
  return texts.reduce((sum, text) => sum + Number(text.split(' ')[0]), 0) / 1e6
}

/**
 * The same with threads that have ended, which {@link cpuMs} forgets, but only to 10 ms. /proc/<pid>/stat: utime, stime, in
 * ticks of 10 ms on every architecture that Node runs on.
 */
export async function processorMs(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  const [user, system] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number)
  return (user! + system!) * 10
}

/** Megabytes, as 1,000,000 bytes. */
export interface Memory {
  readonly rss: number
  /** Pages that are shared with other processes count in part. */
  readonly pss: number
  /** The most that it ever was. */
  readonly peak: number
}

export async function memory(pid: number): Promise<Memory> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return {rss: megabytes(rollup, 'Rss'), pss: megabytes(rollup, 'Pss'), peak: megabytes(status, 'VmHWM')}
}

function megabytes(text: string, field: string): number {
  const [, kibibytes] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text) ?? []
  return (Number(kibibytes) * 1024) / 1e6
}
