/**
 * Takes away a containerd and everything that it has made, without asking it: `node remove.ts <what, as JSON>` waits until
 * its standard input ends, and so outlives a test that is killed. What is gone already is a success.
 */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, readdirSync, readFileSync, rmdirSync, rmSync} from 'node:fs'
import {basename, dirname, join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {run} from './run.ts'

export interface Leftovers {
  /** All of containerd's own folders, its socket, its containers' roots and namespaces. */
  readonly folder: string
  /** The parent of all containers' cgroups, a name at the top of every hierarchy. */
  readonly cgroup: string
  /** The network namespace that it runs in, as `ip netns` knows it. */
  readonly namespace: string
}

const CGROUPS = '/sys/fs/cgroup'
/** Where libcni keeps the results of ADD, whoever calls it: `<network>-<container id>-<interface>`. */
const RESULTS = '/var/lib/cni/results'
/** Where the sockets of shims are, wherever containerd's own state is. */
const SHIM_SOCKETS = '/run/containerd/s'
/** Milliseconds. Processes die and cgroups empty themselves in their own time. */
const PATIENCE = 20_000

export async function remove({folder, cgroup, namespace}: Leftovers): Promise<void> {
  await until('a process does not end', () => {
    const pids = processesOf(folder, cgroup)
    for (const pid of pids) kill(pid)
    return pids.length === 0
  })
  // Read before anything is unmounted or deleted.
  const sockets = shimSockets(folder)
  const containers = containerIds(folder)

  await until('something stays mounted', async () => {
    const mounts = mountsUnder(folder)
    for (const each of mounts.reverse()) await run('umount', '-l', each).catch(() => {})
    return mounts.length === 0
  })
  await until('a cgroup stays in use', () => cgroupsOf(cgroup).every(removeCgroup))
  for (const each of sockets) rmSync(each, {force: true})
  for (const each of entries(RESULTS)) {
    if (containers.some(id => each.includes(`-${id}-`))) rmSync(join(RESULTS, each), {force: true})
  }
  if (existsSync(join('/run/netns', namespace))) await run('ip', 'netns', 'del', namespace)
  rmSync(folder, {recursive: true, force: true, maxRetries: 5})
}

/** Those that were started with a path of the folder (containerd, its shims, ctr), and those in the cgroup (containers). */
function processesOf(folder: string, cgroup: string): number[] {
  const mentions = entries('/proc').filter(pid => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false
    const words = textOf(join('/proc', pid, 'cmdline')).split('\0')
    return words.some(word => word === folder || word.startsWith(`${folder}/`))
  })
  const contained = cgroupsOf(cgroup).flatMap(each => textOf(join(each, 'cgroup.procs')).split('\n'))
  return [...new Set([...mentions, ...contained.filter(Boolean)].map(Number))]
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** In the order in which they were made. */
const mountsUnder = (folder: string): string[] =>
  textOf('/proc/self/mountinfo')
    .split('\n')
    .map(line => unescaped(line.split(' ')[4] ?? ''))
    .filter(each => each.startsWith(`${folder}/`))

/** A space is "\040" there. */
const unescaped = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)))

/** The cgroup and those in it, children first, of every hierarchy of version 1, and of version 2. */
function cgroupsOf(name: string): string[] {
  const tops = [CGROUPS, ...entries(CGROUPS).map(each => join(CGROUPS, each))].map(each => join(each, name))
  return [...new Set(tops.filter(each => existsSync(each)))].flatMap(descend)
}

const descend = (folder: string): string[] => [
  ...entries(folder, 'folders').flatMap(each => descend(join(folder, each))),
  folder,
]

function removeCgroup(folder: string): boolean {
  try {
    rmdirSync(folder)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

const bundlesOf = (folder: string): string[] => {
  const tasks = join(folder, 'state', 'io.containerd.runtime.v2.task')
  return entries(tasks).flatMap(space => entries(join(tasks, space)).map(id => join(tasks, space, id)))
}

const shimSockets = (folder: string): string[] =>
  bundlesOf(folder)
    .map(bundle => textOf(join(bundle, 'address')).replace('unix://', ''))
    .filter(address => dirname(address) === SHIM_SOCKETS)

/** Sandboxes are known to CNI by their id, ctr's containers by "<namespace>-<id>". */
const containerIds = (folder: string): string[] => [
  ...entries(join(folder, 'root', 'io.containerd.grpc.v1.cri', 'sandboxes')),
  ...bundlesOf(folder).map(bundle => `${basename(dirname(bundle))}-${basename(bundle)}`),
]

function entries(folder: string, which: 'all' | 'folders' = 'all'): string[] {
  try {
    const found = readdirSync(folder, {withFileTypes: true})
    return found.filter(each => which === 'all' || each.isDirectory()).map(each => each.name)
  } catch {
    return []
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

async function until(failure: string, done: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + PATIENCE; !(await done()); await sleep(20)) {
    if (Date.now() > deadline) throw new Error(`containerd cannot be taken away: ${failure}`)
  }
}

/** Starts the guard. The function that it returns has everything taken away, and waits for it. */
export function guard(what: Leftovers): () => Promise<void> {
  const child = spawn(process.execPath, [import.meta.filename, JSON.stringify(what)], {
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true,
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', text => (said += text))
  const ended = once(child, 'close')
  return async () => {
    child.stdin.end()
    const [code] = await ended
    if (code !== 0) throw new Error(`containerd's leftovers: ${said}`)
  }
}

if (import.meta.main) {
  for await (const _ of process.stdin);
  await remove(JSON.parse(process.argv[2]!))
}
