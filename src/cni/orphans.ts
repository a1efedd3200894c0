/** Programs that a killed agent has left running: what they still do would come after the DEL of the next agent. */
import {readdir, readFile} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'
import {promisify} from 'node:util'
import {keyOf} from './journal.ts'
import type {AttachmentKey} from './request.ts'

/** In the environment of every program that we start, and of those that it starts. A runtime's plugins do not have it. */
export const STARTED_BY_US = {NETGRAFT_PLUGIN: '1'} as const

/** Milliseconds for them to end. */
const END_MS = 2000

/** Kills those that were called for one of these, and waits for their end: how many. Those of other containers stay. */
export async function killOrphans(keys: readonly AttachmentKey[]): Promise<number> {
  if (keys.length === 0) return 0
  const wanted = new Set(keys.map(keyOf))
  const killed = new Set<number>()
  for (const until = performance.now() + END_MS; performance.now() < until; await sleep(5)) {
    const found = await orphansOf(wanted)
    if (found.length === 0) break
    for (const pid of found) {
      killed.add(pid)
      try {
        process.kill(pid, 'SIGKILL')
      } catch {}
    }
  }
  return killed.size
}

async function orphansOf(wanted: ReadonlySet<string>): Promise<number[]> {
  const names = await promisify(readdir)('/proc')
  const pids = names.filter(name => /^\d+$/.test(name)).map(Number)
  const own = await Promise.all(pids.map(async pid => ((await isWanted(pid, wanted)) ? [pid] : [])))
  return own.flat()
}

/** One that has ended, and has not been waited for, has no environment any more. */
async function isWanted(pid: number, wanted: ReadonlySet<string>): Promise<boolean> {
  const text = await promisify(readFile)(`/proc/${pid}/environ`, 'latin1').catch(() => '')
  if (!text.includes('NETGRAFT_PLUGIN=')) return false
  const env = new Map(text.split('\0').map(pair => [pair.slice(0, pair.indexOf('=')), pair] as const))
  const told = (name: string) => env.get(name)?.slice(name.length + 1) ?? ''
  return wanted.has(keyOf({containerId: told('CNI_CONTAINERID'), ifname: told('CNI_IFNAME')}))
}
