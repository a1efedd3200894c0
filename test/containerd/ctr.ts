/** Containers by `ctr run --cni`: ctr itself, not the daemon, calls the plugins, and knows only the folders of the host. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {join} from 'node:path'
import type {Namespace} from '../netlink/namespace.ts'
import {type Folders, runcRoot} from './config.ts'
import {IDLE, IMAGE} from './image.ts'
import {run} from './run.ts'

export interface ContainerOptions {
  readonly name: string
}

export interface Container {
  /** CNI_CONTAINERID. */
  readonly id: string
  /** Runs a program in the container: its output. Rejects with what it said where it fails. */
  exec(...command: string[]): Promise<string>
  /** Ends its process; ctr then has its network taken down. Rejects with what ctr complains of. */
  stop(): Promise<void>
}

/** Said by the container when its network is ready: ctr starts it after ADD. */
const READY = 'ready'

/**
 * Shows ctr the test's folders in place of the host's, in a mount namespace of its own, where the rest of /etc and /opt is
 * as it was. Arguments: a folder to work in, the conflists, the plugins, then what to run.
 */
const IN_PLACE = `set -e
work=$1 conf=$2 bin=$3
shift 3
replace() {
  mkdir -p "$work$1"
  mount --rbind "$1" "$work$1"
  mount -t tmpfs tmpfs "$1"
  for each in "$work$1"/*; do
    [ "$each" = "$work$1/cni" ] || ln -s "$each" "$1/"
  done
  mkdir "$1/cni"
}
replace /etc
replace /opt
ln -s "$conf" /etc/cni/net.d
ln -s "$bin" /opt/cni/bin
exec "$@"`

export async function runContainer(
  folders: Folders,
  {cgroup, namespace}: {readonly cgroup: string; readonly namespace: Namespace},
  {name}: ContainerOptions,
): Promise<Container> {
  const ctr = ['ctr', '-a', folders.socket, '-n', 'k8s.io']
  const fifos = ['--fifo-dir', join(folders.folder, 'fifo')]
  // Not detached: then nobody would have the network taken down in the end.
  const child = spawn(
    'unshare',
    [
      ...['--mount', '--propagation', 'private', 'sh', '-c', IN_PLACE, 'sh'],
      ...[join(folders.folder, `host-${name}`), folders.conf, folders.bin],
      ...['nsenter', `--net=${namespace.path}`, ...ctr, 'run', '--rm', '--cni', '--snapshotter', 'native', ...fifos],
      ...['--runc-root', runcRoot(folders), '--cgroup', `/${cgroup}/${name}`, IMAGE, name],
      ...['sh', '-c', `echo ${READY}; exec ${IDLE.join(' ')}`],
    ],
    {stdio: ['ignore', 'pipe', 'pipe']},
  )
  let said = ''
  let ready = false
  let execs = 0
  const ended = once(child, 'close').then(([code]) => code as number)
  child.stderr.setEncoding('utf8').on('data', text => (said += text))
  child.stdout.setEncoding('utf8').on('data', text => (ready ||= text.includes(READY)))
  const failed = ended.then(() => {
    throw new Error(`ctr run --cni: ${said.trim()}`)
  })
  failed.catch(() => {})
  while (!ready) await Promise.race([once(child.stdout, 'data'), failed])
  return {
    id: `k8s.io-${name}`,
    exec: (...command) => {
      const [program, ...args] = [...ctr, 'task', 'exec', ...fifos, '--exec-id', `e${++execs}`, name, ...command]
      return run(program!, ...args)
    },
    stop: async () => {
      const [program, ...args] = [...ctr, 'task', 'kill', '-s', 'KILL', name]
      await run(program!, ...args)
      await ended
      // It ends with the container's own exit code, whatever became of the network.
      if (said.includes('level=error')) throw new Error(`ctr run --cni: ${said.trim()}`)
    },
  }
}
