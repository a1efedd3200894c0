/** A client of the container runtime: where the pods' network namespaces are. Container Runtime Interface, runtime/v1. */
import {quoted} from '../model/errors.ts'
import {CriError} from './error.ts'
import {MODE_NODE, SANDBOX_READY, type SandboxItem, type SandboxStatus} from './messages.ts'
import {type Call, openPeer} from './peer.ts'

export interface CriOptions {
  /** The first one that is there is used. @default containerd's, then CRI-O's */
  readonly sockets?: readonly string[]
  /** Milliseconds for each call. @default 5000 */
  readonly deadline?: number
}

export interface PodIdentity {
  readonly namespace: string
  readonly name: string
  /** As the API says it. */
  readonly uid: string
  /**
   * Annotation `kubernetes.io/config.hash`: the uid that the kubelet gives to a static pod, whose mirror in the API has
   * another one.
   */
  readonly configHash?: string | undefined
}

export interface PodSandbox {
  /** CNI_CONTAINERID. */
  readonly id: string
  /** CNI_NETNS: a path. */
  readonly netns: string
  /** Milliseconds since the epoch. */
  readonly createdAt: number
}

export interface ListedSandbox {
  readonly id: string
  readonly uid: string
  readonly namespace: string
  readonly name: string
  readonly state: 'ready' | 'notReady'
}

/** All reject with CriError, or with the signal's reason. */
export interface Cri {
  /** The newest that is ready. undefined: none is, or it is in the node's own network. */
  findSandbox(pod: PodIdentity, signal: AbortSignal): Promise<PodSandbox | undefined>
  /** Of all pods, in any state. */
  listSandboxes(signal: AbortSignal): Promise<readonly ListedSandbox[]>
  close(): void
}

export const CRI_SOCKETS: readonly string[] = ['/run/containerd/containerd.sock', '/run/crio/crio.sock']

const LIST = '/runtime.v1.RuntimeService/ListPodSandbox'
const STATUS = '/runtime.v1.RuntimeService/PodSandboxStatus'

/** Connects when it is asked something. */
export function openCri({sockets = CRI_SOCKETS, deadline = 5000}: CriOptions = {}): Cri {
  const peer = openPeer({title: 'the container runtime', sockets, key: 'attachments.criSockets', deadline})
  return {
    findSandbox: (pod, signal) =>
      peer.use(async (call, socket) => {
        for (const uid of new Set([pod.uid, pod.configHash])) {
          if (!uid) continue
          for (const item of await ready(call, uid, pod)) {
            const answer = await call(STATUS, {pod_sandbox_id: item.id, verbose: true})
            // Stopped or removed since it was listed.
            if (answer?.status?.state !== SANDBOX_READY) continue
            const netns = netnsOf(answer, item.id, socket)
            return netns === undefined
              ? undefined
              : {id: item.id, netns, createdAt: Number(nanoseconds(item) / 1_000_000n)}
          }
        }
        return undefined
      }, signal),
    listSandboxes: signal =>
      peer.use(async call => {
        const answer = await call(LIST, {})
        return (answer?.items ?? []).map(({id, metadata, state}) => ({
          id,
          uid: metadata?.uid ?? '',
          namespace: metadata?.namespace ?? '',
          name: metadata?.name ?? '',
          state: state === SANDBOX_READY ? 'ready' : 'notReady',
        }))
      }, signal),
    close: peer.close,
  }
}

/** Newest first. */
async function ready(call: Call, uid: string, {namespace, name}: PodIdentity): Promise<readonly SandboxItem[]> {
  const answer = await call(LIST, {filter: {label_selector: {'io.kubernetes.pod.uid': uid}}})
  return (
    (answer?.items ?? [])
      .filter(({state}) => state === SANDBOX_READY)
      // Anybody can annotate a pod with the hash of another one, and would be given its namespace.
      .filter(({metadata}) => metadata?.namespace === namespace && metadata.name === name)
      .sort((a, b) => (nanoseconds(a) < nanoseconds(b) ? 1 : -1))
  )
}

const nanoseconds = ({created_at}: SandboxItem): bigint => BigInt(created_at)

/** Both containerd and CRI-O tell their OCI spec as JSON under the key "info". undefined: the node's own. */
function netnsOf({status, info}: SandboxStatus, id: string, socket: string): string | undefined {
  const options = status?.linux?.namespaces?.options
  if (options?.network === MODE_NODE) return undefined
  const namespaces = namespacesOf(info.info ?? '')
  const network = namespaces?.find(each => each?.type === 'network')
  if (typeof network?.path === 'string' && network.path.startsWith('/')) return network.path
  // A runtime that says nothing of modes leaves out the namespace of a pod that has none of its own.
  if (namespaces && !network && !options) return undefined
  throw new CriError(
    'protocol',
    `the container runtime at ${socket} does not tell the network namespace of sandbox ${quoted(id)}: is it containerd or CRI-O, and are its pods no virtual machines?`,
  )
}

type Json<T> = {readonly [K in keyof T]?: T[K] | null} | null

/** Of any text. */
function namespacesOf(info: string): readonly Json<{type: unknown; path: unknown}>[] | undefined {
  try {
    const parsed = JSON.parse(info) as Json<{runtimeSpec: Json<{linux: Json<{namespaces: unknown}>}>}>
    const namespaces = parsed?.runtimeSpec?.linux?.namespaces
    return Array.isArray(namespaces) ? namespaces : undefined
  } catch {
    return undefined
  }
}
