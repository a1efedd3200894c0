/** How much of the machine others take: all but this process and what a run has started. */
import {readFile} from 'node:fs/promises'
import {markedProcesses} from '../src/lab/clean.ts'
import type {Run} from '../src/lab/run.ts'

/** The result gives their share of the machine since the call, from 0 to 1. */
export async function watchOthers(run: Run): Promise<() => Promise<number>> {
  const before = await machineTicks()
  const ownBefore = await ownTicks(run)
  return async () => {
    const now = await machineTicks()
    const others = now.busy - before.busy - ((await ownTicks(run)) - ownBefore)
    return Math.max(0, others / Math.max(1, now.all - before.all))
  }
}

/** Clock ticks of all processors. /proc/stat: user nice system idle iowait irq softirq steal. */
async function machineTicks(): Promise<{busy: number; all: number}> {
  const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n')
  const [, ...ticks] = line.split(/\s+/).map(Number)
  const all = ticks.slice(0, 8).reduce((sum, each) => sum + each, 0)
  return {busy: all - ticks[3]! - ticks[4]!, all}
}

/** Of this process, of its children that have ended, and of those that have not. */
async function ownTicks(run: Run): Promise<number> {
  const living = await Promise.all((await markedProcesses(run.id)).map(async pid => (await ticksOf(pid)).own))
  const {own, ended} = await ticksOf(process.pid)
  return living.reduce((sum, each) => sum + each, own + ended)
}

/** /proc/<pid>/stat: utime stime cutime cstime. */
async function ticksOf(pid: number): Promise<{own: number; ended: number}> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number)
  return {own: user + system, ended: endedUser + endedSystem}
}
