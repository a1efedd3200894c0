/** Removes everything that a run has made: its processes, its namespaces, its folder. Nothing else, and all of it. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {readdir, readFile, rm} from 'node:fs/promises'
import {setTimeout as delay} from 'node:timers/promises'
import {namespacePrefix} from './plan.ts'

/** Every process of a run, and whatever they start, has `NETGRAFT_LAB_RUN=<id>` in its environment: its mark. */
export const MARK = 'NETGRAFT_LAB_RUN'
/** What a run's processes get instead of the caller's environment. */
export const ENVIRONMENT = {PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C'} as const

/** Milliseconds until what cannot be removed is an error. */
const PATIENCE = 15_000
const NAMESPACES = '/run/netns'

/** Repeats itself until there is nothing left to do: a process that is on its way may still make a namespace. */
export async function removeRun(id: string, folder: string): Promise<void> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const processes = await markedProcesses(id)
    for (const pid of processes) kill(pid)
    const namespaces = await namespacesOf(id)
    if (namespaces.length > 0) await removeNamespaces(namespaces)
    if (processes.length === 0 && namespaces.length === 0) break
    if (performance.now() > deadline)
      throw new Error(`still there: ${[...namespaces, ...processes.map(pid => `process ${pid}`)].join(', ')}`)
    await delay(20)
  }
  await rm(folder, {recursive: true, force: true, maxRetries: 3})
}

export async function namespacesOf(id: string): Promise<string[]> {
  const names = await readdir(NAMESPACES).catch(() => [])
  return names.filter(name => name.startsWith(namespacePrefix(id)))
}

/** Zombies have no environment any more and do not count. */
export async function markedProcesses(id: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const marked: number[] = []
  for (const pid of pids) {
    if (pid === process.pid) continue
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
    if (environment.split('\0').includes(`${MARK}=${id}`)) marked.push(pid)
  }
  return marked
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

async function removeNamespaces(names: readonly string[]): Promise<void> {
  const ip = spawn('ip', ['-force', '-batch', '-'], {env: ENVIRONMENT, stdio: ['pipe', 'ignore', 'ignore']})
  ip.stdin.on('error', () => {})
  ip.stdin.end(names.map(name => `netns del ${name}\n`).join(''))
  await once(ip, 'close')
}
