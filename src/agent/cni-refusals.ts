/** Why pods do not start: the last refused ADD of each pod that has not been served since. */
import type {FrontEvent} from '../cni/front.ts'
import type {PodKey} from '../streams/pods.ts'

export interface CniRefusal {
  readonly at: Date
  readonly ifname: string
  /** One sentence. */
  readonly reason: string
}

export interface CniRefusals {
  hear(event: Pick<FrontEvent, 'command' | 'error' | 'request'>): void
  of(pod: PodKey): CniRefusal | undefined
}

/** Pods of which it is kept: nobody tells of the end of one that has never started. */
const MOST = 256

export function createCniRefusals(): CniRefusals {
  const last = new Map<PodKey, CniRefusal>()
  return {
    // The DEL that follows each refused ADD says nothing.
    hear({command, error, request}) {
      if (command !== 'ADD' || !request?.pod) return
      const key = `${request.pod.namespace}/${request.pod.name}`
      last.delete(key)
      if (error) last.set(key, {at: new Date(), ifname: request.ifname, reason: error.message})
      const [oldest] = last.keys()
      if (last.size > MOST && oldest !== undefined) last.delete(oldest)
    },
    of: pod => last.get(pod),
  }
}
