/** Where a pod's networks are to be made: the sandbox that the journal knows, or else the container runtime. */
import type {Attachments} from '../cni/attachments.ts'
import {type Entry, isFurther} from '../cni/journal.ts'
import type {Logger} from '../model/logger.ts'
import type {Namespaces, Sandbox} from '../model/namespace.ts'
import type {PodFacts} from '../streams/pods.ts'
import {isSamePod} from './starting-pods.ts'

export interface PodSandbox {
  readonly containerId: string
  readonly netns: string
  /** CNI_PATH. */
  readonly path: readonly string[]
  readonly network: string
  /** Undefined: the journal does not know it. */
  readonly first?: Entry
}

export interface SandboxPorts {
  /** Of a running pod that the journal does not know. Rejects where that cannot be asked. */
  readonly findSandbox: (pod: PodFacts, signal: AbortSignal) => Promise<PodSandbox | undefined>
  readonly log: Logger
}

export interface FoundSandbox {
  readonly sandbox?: PodSandbox | undefined
  /** What the question met, after a colon. Empty: the runtime knows none. */
  readonly why: string
}

/** What every runtime calls a pod's first interface. */
export const FIRST = 'eth0'

/** Asks the runtime. Rejects when aborted only. */
export function createSandboxSearch({
  findSandbox,
  log,
}: SandboxPorts): (pod: PodFacts, signal: AbortSignal) => Promise<FoundSandbox> {
  let unasked = false
  return async (pod, signal) => {
    try {
      const sandbox = await findSandbox(pod, signal)
      unasked = false
      return {sandbox, why: ''}
    } catch (error) {
      signal.throwIfAborted()
      const {message} = error as Error
      // It is the same for all pods.
      if (!unasked) log.warn('sandboxes of running pods cannot be found; trying again', {reason: message})
      unasked = true
      return {why: `: ${message}`}
    }
  }
}

/** That of a first interface. */
export const sandboxOf = (first: Entry): PodSandbox => {
  const {containerId, netns, path, network} = first.plan
  return {containerId, netns, path, network, first}
}

/** Of the newest of its sandboxes. */
export function firstOf({ofPod}: Attachments, pod: PodFacts): Entry | undefined {
  let newest: Entry | undefined
  for (const entry of ofPod(pod))
    if (isOf(entry, pod) && !isFurther(entry.plan) && (!newest || newest.plan.at < entry.plan.at)) newest = entry
  return newest
}

/** Whether it has something that its annotations could have asked for, its first interface be known or not. */
export const hasFurther = ({ofPod}: Attachments, pod: PodFacts): boolean =>
  ofPod(pod).some(entry => isFurther(entry.plan) && isOf(entry, pod))

/** Of several of its name. */
const isOf = ({plan}: Entry, pod: PodFacts): boolean => plan.pod !== undefined && isSamePod(plan.pod, pod)

/** Whether its namespace is still one of a pod that has its network. */
export async function hasFirst(namespaces: Namespaces, {netns}: PodSandbox): Promise<boolean> {
  const sandbox = await namespaces.open(netns).catch(() => undefined)
  if (!sandbox) return false
  try {
    return await isThere(sandbox, FIRST)
  } finally {
    await sandbox.close()
  }
}

/** Asked without the lock that every question about links takes. */
export async function isThere(sandbox: Sandbox, ifname: string): Promise<boolean> {
  const kernel = await sandbox.kernel()
  return kernel.readSysctl(`ipv4/conf/${ifname}/forwarding`).then(
    () => true,
    () => false,
  )
}
