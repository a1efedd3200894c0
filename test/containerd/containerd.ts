/**
 * A real containerd with runc, of its own, whose pods get their network from a CNI conflist of the test's. Needs root.
 *
 *   const containerd = await startContainerd(t, {conflist, binFolders: ['/usr/lib/cni']})
 *   const a = await containerd.runPod({name: 'a'})
 *   const b = await containerd.runPod({name: 'b'})
 *   await a.exec('ping', '-c', '1', b.ip)
 *   await a.stop()
 *
 * It runs in a network namespace of its own, which plays the host: that is where bridges and veths of its pods are. All of
 * its files are in one folder, and it leaves nothing behind, however the test ends.
 */
import {type ChildProcess, spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {access, mkdir, mkdtemp, readdir, symlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {type Namespace, namespaces} from '../netlink/namespace.ts'
import {config, type Folders, foldersOf} from './config.ts'
import {type Cri, connectCri} from './cri.ts'
import {type Container, type ContainerOptions, runContainer} from './ctr.ts'
import {writeImage} from './image.ts'
import {type Pod, type PodOptions, runPod} from './pod.ts'
import {guard} from './remove.ts'
import {run} from './run.ts'

export interface ContainerdOptions {
  /**
   * What the folder of conflists holds at first, given the folder for the test's files. Without one, the runtime has no
   * network until somebody writes one there.
   */
  readonly conflist?: (folder: string) => object
  /** Where plugins are, the first that has one wins. containerd wires every pod's lo with the plugin `loopback`. */
  readonly binFolders: readonly string[]
}

export interface Containerd {
  /** Plays the host. */
  readonly namespace: Namespace
  /** For files of the test: goes with everything else. */
  readonly folder: string
  /** What the host has as /etc/cni/net.d and /opt/cni/bin. */
  readonly confFolder: string
  readonly binFolder: string
  /** The parent of all containers' cgroups: a name at the top of every hierarchy. */
  readonly cgroup: string
  /** The runtime's socket, and its client. */
  readonly socket: string
  readonly cri: Cri
  /** As the kubelet does: a sandbox with one container in it. Rejects with what the runtime says. */
  runPod(options: PodOptions): Promise<Pod>
  /** As `ctr run --cni` does. */
  runContainer(options: ContainerOptions): Promise<Container>
  /** Kills it and starts it anew; its pods go on. `meanwhile`: what is done while it is not there. */
  restart(meanwhile?: () => Promise<void>): Promise<void>
  /** What it has logged since it was started. */
  log(): string
}

const PROGRAMS = ['/usr/bin/containerd', '/usr/bin/ctr', '/usr/sbin/runc', '/bin/busybox']

export async function startContainerd(
  t: Pick<ExecutionContext<unknown>, 'teardown'>,
  {conflist, binFolders}: ContainerdOptions,
): Promise<Containerd> {
  await installed()
  const [namespace] = await namespaces(t, 1)
  const cgroup = `ng-${randomBytes(4).toString('hex')}`
  const folders = foldersOf(await mkdtemp(join(tmpdir(), 'ng-containerd-')))
  t.teardown(guard({folder: folders.folder, cgroup, namespace: namespace.name}))

  await Promise.all([folders.conf, folders.bin].map(each => mkdir(each)))
  if (conflist) await writeFile(join(folders.conf, '10-test.conflist'), JSON.stringify(conflist(folders.folder)))
  await linkPlugins(binFolders, folders.bin)
  const [image, daemon] = await Promise.all([
    writeImage(join(folders.folder, 'image')),
    startDaemon(folders, namespace),
  ])
  await run('ctr', '-a', folders.socket, '-n', 'k8s.io', 'images', 'import', '--snapshotter', 'native', image)
  const cri = connectCri(folders.socket)
  t.teardown(() => cri.close())
  let current = daemon
  return {
    namespace,
    folder: folders.folder,
    confFolder: folders.conf,
    binFolder: folders.bin,
    cgroup,
    socket: folders.socket,
    cri,
    runPod: options => runPod(cri, {cgroup, logs: join(folders.folder, 'logs')}, options),
    runContainer: options => runContainer(folders, {cgroup, namespace}, options),
    restart: async meanwhile => {
      await current.kill()
      await meanwhile?.()
      current = await startDaemon(folders, namespace)
    },
    log: () => current.log(),
  }
}

interface Daemon {
  log(): string
  /** Resolves when it is gone. */
  kill(): Promise<void>
}

async function installed(): Promise<void> {
  for (const program of PROGRAMS) {
    await access(program).catch(() => {
      throw new Error(`${program} is not there: apt-get install containerd runc busybox-static (scripts/setup does)`)
    })
  }
}

/** CRI has one folder of plugins. */
async function linkPlugins(from: readonly string[], to: string): Promise<void> {
  for (const folder of from) {
    const names = await readdir(folder)
    await Promise.all(
      names.map(name =>
        symlink(join(folder, name), join(to, name)).catch(error => {
          if (error.code !== 'EEXIST') throw error
        }),
      ),
    )
  }
}

/** Resolves when it serves. */
async function startDaemon(folders: Folders, namespace: Namespace): Promise<Daemon> {
  const file = join(folders.folder, 'config.toml')
  await writeFile(file, config(folders))
  // Not by `ip netns exec`, which would take it to a mount namespace of its own: CNI_NETNS would lead nowhere outside.
  const child = spawn('nsenter', [`--net=${namespace.path}`, 'containerd', '--config', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', text => (log += text))
  await serving(child, () => log)
  const kill = async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  return {log: () => log, kill}
}

async function serving(child: ChildProcess, log: () => string): Promise<void> {
  const settled = new AbortController()
  const ended = once(child, 'exit', settled).then(() => {
    throw new Error(`containerd does not start: ${log().trim().split('\n').at(-1)}`)
  })
  const started = (async () => {
    while (!log().includes('containerd successfully booted')) await once(child.stderr!, 'data', settled)
  })()
  try {
    await Promise.race([started, ended])
  } finally {
    settled.abort()
    await Promise.allSettled([started, ended])
  }
}
