/** Pods that get and lose their network by a side's plugin. */
import {randomBytes} from 'node:crypto'
import {setTimeout as sleep} from 'node:timers/promises'
import type {Node} from './nodes.ts'
import type {Call, Job, Runtime} from './runtime.ts'
import type {Side} from './sides.ts'

/** Of one sandbox that has its network. */
export interface Pod {
  readonly containerId: string
  readonly sandbox: string
  /** Of its ADD. */
  readonly result: object
}

/** The calls are in the order of the sandboxes. */
export interface Added {
  readonly calls: readonly Call[]
  readonly pods: readonly Pod[]
}

export interface Deleted {
  readonly calls: readonly Call[]
  /** Milliseconds from the first start until the last interface has gone. */
  readonly gone: number
}

/** Milliseconds. */
const PATIENCE = 60_000
/** In which an agent does what follows from changes that it has heard of. */
const SETTLING = 250

/** Rejects with the plugin's own words if one is refused. */
export async function addPods(
  runtime: Runtime,
  side: Side,
  sandboxes: readonly string[],
  atOnce: number,
): Promise<Added> {
  const asked = sandboxes.map(sandbox => ({containerId: randomBytes(32).toString('hex'), sandbox}))
  const calls = await runtime(
    side.site,
    asked.map(pod => job(side, 'ADD', pod)),
    atOnce,
  )
  calls.forEach(refuseFailure)
  return {calls, pods: asked.map((pod, i) => ({...pod, result: JSON.parse(calls[i]!.output) as object}))}
}

/** Resolves when nothing is left of them. Rejects with the plugin's own words if one is refused. */
export async function deletePods(runtime: Runtime, side: Side, pods: readonly Pod[], atOnce: number): Promise<Deleted> {
  const before = await side.site.countLinks()
  const jobs = pods.map(pod => job(side, 'DEL', pod, {prevResult: pod.result}))
  const calls = await runtime(side.site, jobs, atOnce)
  const returnedAt = performance.now()
  calls.forEach(refuseFailure)
  await linksGone(side.site, before - pods.length)
  const whole = Math.max(...calls.map(({at, ms}) => at + ms))
  const gone = whole + performance.now() - returnedAt
  await sleep(SETTLING)
  return {calls, gone}
}

const job = (side: Side, command: 'ADD' | 'DEL', pod: Omit<Pod, 'result'>, more: object = {}): Job =>
  jobOf(side, command, pod, {...side.config, ...more})

/** Resolves when a node has so many interfaces, or less. */
export async function linksGone(site: Node, count: number): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while ((await site.countLinks()) > count) {
    if (performance.now() > deadline) throw new Error('interfaces stay after their DEL')
    await sleep(2)
  }
}

/** What a plugin is called for. */
export interface Called {
  readonly containerId: string
  readonly sandbox: string
  /** @default "eth0" */
  readonly ifname?: string
  /** Of its object. @default made of the container's */
  readonly name?: string
  readonly uid?: string
}

export function jobOf(
  {program, path}: Pick<Side, 'program' | 'path'>,
  command: 'ADD' | 'DEL',
  {containerId, sandbox, ifname = 'eth0', ...pod}: Called,
  input: object,
): Job {
  const {
    name = `pod-${containerId.slice(0, 8)}`,
    uid = containerId.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5'),
  } = pod
  return {
    program,
    input,
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: sandbox,
      CNI_IFNAME: ifname,
      CNI_PATH: path,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${containerId};K8S_POD_UID=${uid}`,
    },
  }
}

/** Throws with the plugin's own words. */
export function refuseFailure({status, output}: Call): void {
  if (status !== 0) throw new Error(`a plugin failed with exit status ${status}: ${output}`)
}
