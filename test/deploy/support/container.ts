/** A container of our manifests, run as a container runtime runs it: from the image's files, with what the manifest mounts. */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import type {Container, Manifest, PodSpec, Volume} from './manifests.ts'
import type {Image} from './tree.ts'

export interface Host {
  /** Of the node. */
  readonly netns: string
  /** What the node has at a path that a manifest mounts; others are made, empty, in `folder`. */
  readonly paths: Readonly<Record<string, string>>
  readonly folder: string
  readonly manifests: readonly Manifest[]
  readonly image: Image
  readonly env?: Readonly<Record<string, string>>
  /** Files of the service account. @default none */
  readonly serviceAccount?: string
}

const SECRETS = '/run/secrets/kubernetes.io/serviceaccount'

/** By `t` it is killed at the latest. */
export function startContainer(t: ExecutionContext, host: Host, pod: PodSpec, container: Container): ChildProcess {
  const {image, netns, env = {}, serviceAccount} = host
  const {securityContext, command = image.entrypoint, args = [], volumeMounts = []} = container
  const {privileged, readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities} = securityContext
  t.deepEqual(
    {privileged, readOnlyRootFilesystem, allowPrivilegeEscalation, drop: capabilities.drop},
    {privileged: undefined, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, drop: ['ALL']},
    'this is how the container is run here',
  )
  const mounts = volumeMounts.map(({name, mountPath, readOnly = false, mountPropagation}) => {
    const volume = pod.volumes.find(each => each.name === name)
    if (!volume) throw new Error(`${container.name} mounts ${name}, which is no volume`)
    const source = sourceOf(volume, host)
    const kind = source === undefined ? 'tmpfs' : mountPropagation === 'HostToContainer' ? 'rslave' : 'bind'
    return [kind, readOnly ? 'ro' : 'rw', mountPath, source ?? 'none'].join(' ')
  })
  if (serviceAccount !== undefined) mounts.push(`bind ro ${SECRETS} ${serviceAccount}`)
  // With its process 1 a node is a process namespace; the container shares it, as with hostPID.
  const node = ['unshare', '--pid', '--fork', '--kill-child', '--mount', '--propagation', 'slave', '--mount-proc']
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'nsenter', `--net=${netns}`, ...node, 'sh', join(import.meta.dirname, 'host.sh')],
      ...[image.folder, dropped(capabilities.add ?? []), mounts.join('\n'), ...command, ...args],
    ],
    {env: {...image.env, ...env}, stdio: ['ignore', 'pipe', 'pipe']},
  )
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

/** As the kubelet stops it. Resolves with its exit status. */
export async function stopContainer(child: ChildProcess): Promise<number | null> {
  const ended = once(child, 'close')
  // The child is unshare; its child is process 1 of the node; and that one's is the container's.
  process.kill(childOf(childOf(child.pid!)), 'SIGTERM')
  const [status] = await ended
  return status
}

const childOf = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0])

/** Its exit status and what it has printed. */
export async function runContainer(t: ExecutionContext, host: Host, pod: PodSpec, container: Container) {
  const child = startContainer(t, host, pod, container)
  let [stdout, stderr] = ['', '']
  child.stdout!.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr!.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const [status] = await once(child, 'close')
  return {status: status as number | null, stdout, stderr}
}

/** Where the kubelet would have put it, or what it is on the node. Undefined: in memory. */
function sourceOf({name, hostPath, configMap, emptyDir}: Volume, {paths, folder, manifests}: Host): string | undefined {
  if (emptyDir) return undefined
  const place = join(folder, 'volumes', name)
  if (hostPath) {
    const known = paths[hostPath.path]
    mkdirSync(known ?? place, {recursive: true})
    return known ?? place
  }
  const map = manifests.find(({kind, metadata}) => kind === 'ConfigMap' && metadata.name === configMap?.name)
  if (!map) throw new Error(`there is nothing for volume ${name}`)
  for (const [key, text] of Object.entries(map.data as Record<string, string>)) {
    mkdirSync(place, {recursive: true})
    writeFileSync(join(place, key), text)
  }
  return place
}

/** Every capability that there is but these, for capsh. linux/capability.h. */
function dropped(kept: readonly string[]): string {
  const header = readFileSync('/usr/include/linux/capability.h', 'utf8')
  const names = [...header.matchAll(/^#define (CAP_[A-Z_]+)\s+\d+$/gm)].map(([, name]) => name!)
  const unknown = kept.find(name => !names.includes(`CAP_${name}`))
  if (unknown !== undefined) throw new Error(`${unknown} is no capability`)
  return names
    .filter(name => !kept.includes(name.slice('CAP_'.length)))
    .join()
    .toLowerCase()
}
