/** Pods that get and lose their network by a side's plugin. */
import {randomBytes} from 'node:crypto'
import {setTimeout as sleep} from 'node:timers/promises'
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
  while ((await side.site.countLinks()) > before - pods.length) {
    if (performance.now() > returnedAt + PATIENCE) throw new Error(`${side.name}: interfaces stay after their DEL`)
    await sleep(2)
  }
  const whole = Math.max(...calls.map(({at, ms}) => at + ms))
  const gone = whole + performance.now() - returnedAt
  await sleep(SETTLING)
  return {calls, gone}
}

function job(side: Side, command: 'ADD' | 'DEL', pod: Omit<Pod, 'result'>, more: object = {}): Job {
  const {containerId, sandbox} = pod
  const uid = containerId.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5')
  return {
    program: side.program,
    input: {...side.config, ...more},
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: sandbox,
      CNI_IFNAME: 'eth0',
      CNI_PATH: side.path,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-${containerId.slice(0, 8)};K8S_POD_INFRA_CONTAINER_ID=${containerId};K8S_POD_UID=${uid}`,
    },
  }
}

function refuseFailure({status, output}: Call): void {
  if (status !== 0) throw new Error(`a plugin failed with exit status ${status}: ${output}`)
}
