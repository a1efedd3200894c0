/** What pairs have to say when a pod starts. */
import type {PodNetworks} from '../cni/networks.ts'
import type {Config} from '../model/config.ts'
import {isEligible} from '../pairs/labels.ts'
import {POD_ANNOTATIONS} from '../streams/pods.ts'
import type {PairGate} from './pair-gate.ts'
import type {StartingPods} from './starting-pods.ts'

export interface PairStartPorts {
  readonly config: Config
  readonly starting: StartingPods
  readonly gate: PairGate
}

/** The same networks, and pods that ask for it wait for their pairs. */
export function withPairs(
  networks: Pick<PodNetworks, 'atStart' | 'one'>,
  {config, starting, gate}: PairStartPorts,
): PodNetworks {
  return {
    one: networks.one,
    atStart: async (request, own, signal) => {
      const start = await networks.atStart(request, own, signal)
      const {pod, containerId} = request
      if (!pod || !config.pairs.enabled) return start
      const annotations = await starting.annotations(pod, own, signal)
      // Whoever writes something there does not want the pod to run without.
      if (['false', ''].includes((annotations[POD_ANNOTATIONS.pairsRequired] ?? '').trim())) return start
      return {...start, ready: limit => gate.wait(pod, containerId, limit)}
    },
    eligible: async ({pod}, signal) => pod !== undefined && isEligible(await starting.labels(pod, signal)),
  }
}
