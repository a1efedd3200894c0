/** How ratchet's labels call pods: by their label `ratchet.pod_name`, which need not be their name. Pure. */
import type {Declaration, Endpoint, PodKey} from '../model/pair.ts'

export interface RatchetNames {
  readonly peerOf: (declaration: Declaration) => PodKey
  /** Of one that another pod has taken the place of: that pod. */
  readonly successorOf: (pod: PodKey) => PodKey | undefined
}

/** Of several pods with one name the newest one has it: the others are on their way out, as in a Deployment's roll-out. */
export function ratchetNames(endpoints: readonly (readonly [PodKey, Endpoint])[]): RatchetNames {
  const holders = new Map<string, readonly [PodKey, Endpoint]>()
  const nameOf = ({namespace, ratchetName}: Endpoint) => `${namespace}/${ratchetName}`
  for (const entry of endpoints) {
    const [pod, endpoint] = entry
    if (endpoint.ratchetName === undefined) continue
    const name = nameOf(endpoint)
    const holder = holders.get(name)
    if (!holder || isNewer(pod, endpoint, holder)) holders.set(name, entry)
  }
  const byPod = new Map(endpoints)
  return {
    peerOf: ({by, peer}) => (by === 'labels' ? (holders.get(peer)?.[0] ?? peer) : peer),
    successorOf: pod => {
      const endpoint = byPod.get(pod)
      const holder = endpoint?.ratchetName === undefined ? undefined : holders.get(nameOf(endpoint))?.[0]
      return holder === pod ? undefined : holder
    },
  }
}

const isNewer = (
  pod: PodKey,
  {createdAt}: Endpoint,
  [other, {createdAt: before}]: readonly [PodKey, Endpoint],
): boolean => (createdAt === before ? pod < other : createdAt > before)
