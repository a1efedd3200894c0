/** Pods with their objects at the API server, started and ended as a runtime does it: by the plugin that asks the agent. */
import {randomBytes} from 'node:crypto'
import {setTimeout as sleep} from 'node:timers/promises'
import {jobOf, linksGone, refuseFailure} from '../cni/pods.ts'
import type {Call} from '../cni/runtime.ts'
import {CNI_VERSION, SHIM, UPSTREAM} from '../cni/sides.ts'
import {ANNOTATION, firstConf} from './networks.ts'
import {createPod, pathOf, setRunning} from './objects.ts'
import type {Session} from './session.ts'

export interface Pod {
  readonly name: string
  readonly uid: string
  readonly containerId: string
  /** The file of its namespace. */
  readonly sandbox: string
}

/** Milliseconds. */
const SETTLING = 300

const OURS = {program: SHIM, path: UPSTREAM} as const

/**
 * One after the other; the next one starts at once, while the agent still tells the API server of the last. The calls are
 * in the order of the sandboxes.
 * @param networks the annotation of each
 */
export async function startPods(
  session: Session,
  sandboxes: readonly string[],
  networks: string,
): Promise<{readonly pods: readonly Pod[]; readonly calls: readonly Call[]}> {
  const {api, node, runtime} = session
  const pods: Pod[] = []
  for (const sandbox of sandboxes) {
    const containerId = randomBytes(32).toString('hex')
    const {metadata} = await createPod(api, `pod-${containerId.slice(0, 8)}`, networks)
    pods.push({name: metadata.name, uid: metadata.uid, containerId, sandbox})
  }
  // The agent says of them that they have not started yet.
  await sleep(SETTLING)
  const config = configOf(session, networks)
  const jobs = pods.map(pod => jobOf(OURS, 'ADD', pod, config))
  const calls = await runtime(node, jobs, 1)
  calls.forEach(refuseFailure)
  await Promise.all(
    pods.map((pod, i) => {
      const {ips} = JSON.parse(calls[i]!.output) as {ips: readonly {address: string}[]}
      return setRunning(api, pod.name, ips[0]!.address.split('/')[0]!)
    }),
  )
  return {pods, calls}
}

/**
 * One after the other, until nothing is left of them. `gone`: milliseconds from the first start until the last interface
 * has gone.
 */
export async function endPods(
  session: Session,
  pods: readonly Pod[],
  {networks, links}: {readonly networks: string; readonly links: number},
): Promise<{readonly calls: readonly Call[]; readonly gone: number}> {
  const {api, node, runtime} = session
  const before = await node.countLinks()
  const config = configOf(session, networks)
  const began = performance.now()
  const calls = await runtime(
    node,
    pods.map(pod => jobOf(OURS, 'DEL', pod, config)),
    1,
  )
  calls.forEach(refuseFailure)
  await linksGone(node, before - pods.length * links)
  const gone = performance.now() - began
  await Promise.all(pods.map(({name}) => api.send('DELETE', pathOf(name))))
  return {calls, gone}
}

/** As containerd hands it over: with the pod's annotations. */
const configOf = ({node, leases}: Session, networks: string): object => ({
  cniVersion: CNI_VERSION,
  name: 'bench',
  type: 'netgraft',
  ...node.agent!.plugin,
  runtimeConfig: {'io.kubernetes.cri.pod-annotations': networks === '' ? null : {[ANNOTATION]: networks}},
  delegates: [firstConf(leases.ours)],
})
