/** Networks of a pod that the journal has lost, but the pod's status tells of. */
import {isResolved} from '../attach/plan.ts'
import {rememberedNetworks} from '../attach/remembered.ts'
import {statedInterfaces} from '../attach/status.ts'
import {furtherOf} from '../cni/journal.ts'
import type {Selected} from '../model/attachment.ts'
import {POD_ANNOTATIONS, type PodFacts} from '../streams/pods.ts'
import {type PodWork, planOf} from './pod-deeds.ts'
import type {Lookup} from './pod-networks.ts'
import {FIRST, isThere} from './pod-sandbox.ts'

/** Its status says that it has further networks. */
export const isTold = ({annotations}: PodFacts): boolean =>
  statedInterfaces(annotations[POD_ANNOTATIONS.networkStatus]).length > 0

/** What the journal has lost is taken on as it stands, under its name, whether it is asked for any more or not. */
export async function recall(lookup: Lookup, work: PodWork, selected: readonly Selected[]): Promise<void> {
  const {ports, pod, signal} = work
  const {containerId, netns} = work.sandbox
  const known = new Set(furtherOf(ports.attachments, containerId).map(({plan}) => plan.ifname))
  const remembered = rememberedNetworks(pod.annotations[POD_ANNOTATIONS.networkStatus], selected)
  const lost = remembered.filter(({ifname}) => ifname !== FIRST && !known.has(ifname))
  if (lost.length === 0) return
  const sandbox = await ports.namespaces.open(netns)
  try {
    for (const wish of await lookup.resolve(pod, lost, {signal})) {
      const {resolution, ifname} = wish
      if (!isResolved(resolution) || !(await isThere(sandbox, ifname))) continue
      const plan = planOf(work, sandbox, {...wish, resolution})
      const result = await ports.standing(sandbox, plan)
      if (result) await ports.attachments.adopt(plan, result, !ports.isNative(plan.list))
    }
  } finally {
    await sandbox.close()
  }
}
