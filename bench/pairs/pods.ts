/** Pods that are paired: their objects at the API server, and their starts and ends as a runtime does them. */
import {randomBytes} from 'node:crypto'
import {pathOf, setRunning} from '../attach/objects.ts'
import type {Watch} from '../attach/watch.ts'
import {jobOf, refuseFailure} from '../cni/pods.ts'
import type {Call, Job} from '../cni/runtime.ts'
import {CNI_VERSION, SHIM, UPSTREAM} from '../cni/sides.ts'
import type {ClusterNode, Session} from './session.ts'

const ANNOTATION = 'netgraft.dev/pairs'
/** Pods that a runtime starts or ends at once. */
const AT_ONCE = 8
const OURS = {program: SHIM, path: UPSTREAM} as const

export interface Pod {
  readonly name: string
  readonly node: ClusterNode
  /** The file of its namespace. */
  readonly sandbox: string
  readonly uid: string
  readonly containerId: string
  /** The annotation that it was made with. */
  readonly pairs: string
}

/** The object alone. @param pairs its annotation; '': none */
export async function createPod(
  {api}: Session,
  pod: Omit<Pod, 'uid' | 'containerId' | 'pairs'>,
  pairs = '',
): Promise<Pod> {
  const {name, node} = pod
  const annotations = pairs === '' ? {} : {[ANNOTATION]: pairs}
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {name, namespace: 'default', labels: {app: 'bench'}, annotations},
    spec: {nodeName: node.name, containers: [{name: 'main', image: 'none'}]},
  }
  const {metadata} = JSON.parse(await api.send('POST', '/api/v1/namespaces/default/pods', body)) as {
    metadata: {uid: string}
  }
  return {...pod, uid: metadata.uid, containerId: randomBytes(32).toString('hex'), pairs}
}

/** Several at once on each node. Resolves when they have their networks and are Running. */
export async function addPods(session: Session, pods: readonly Pod[]): Promise<void> {
  const calls = await callAll(session, 'ADD', pods)
  await Promise.all(
    [...calls].map(([{name}, {output}]) => {
      const {ips} = JSON.parse(output) as {ips: readonly {address: string}[]}
      return setRunning(session.api, name, ips[0]!.address.split('/')[0]!)
    }),
  )
}

/** Resolves when their interfaces and objects have gone. @param watch of their sandboxes */
export async function endPods(session: Session, watch: Watch, pods: readonly Pod[]): Promise<void> {
  const gone = pods.map(({sandbox}) => watch.expect(sandbox, 'eth0', 'gone'))
  await callAll(session, 'DEL', pods)
  await Promise.all(pods.map(({name}) => session.api.send('DELETE', pathOf(name))))
  await Promise.all(gone)
}

async function callAll(
  {runtime, nodes}: Session,
  command: 'ADD' | 'DEL',
  pods: readonly Pod[],
): Promise<ReadonlyMap<Pod, Call>> {
  const answers = await Promise.all(
    nodes.map(async node => {
      const own = pods.filter(pod => pod.node === node)
      if (own.length === 0) return []
      const jobs = own.map((pod): Job => jobOf(OURS, command, pod, configOf(pod)))
      const calls = await runtime(node.site, jobs, AT_ONCE)
      calls.forEach(refuseFailure)
      return own.map((pod, i) => [pod, calls[i]!] as const)
    }),
  )
  return new Map(answers.flat())
}

/** As containerd hands it over: with the pod's annotations. */
const configOf = ({node, pairs}: Pod): object => ({
  cniVersion: CNI_VERSION,
  name: 'bench',
  type: 'netgraft',
  ...node.agent.plugin,
  runtimeConfig: {'io.kubernetes.cri.pod-annotations': pairs === '' ? null : {[ANNOTATION]: pairs}},
})

/** Of a running pod. @param pairs '': none */
export async function edit({api}: Session, {name}: Pod, pairs: string): Promise<void> {
  const annotations = {[ANNOTATION]: pairs === '' ? null : pairs}
  await api.send('PATCH', pathOf(name), {metadata: {annotations}})
}
