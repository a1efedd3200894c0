/** Holds the start of pods that ask for it until their pairs are up. */
import {CniError} from '../cni/error.ts'
import type {PodRef} from '../cni/request.ts'
import {quoted} from '../model/errors.ts'
import type {PairState, PodKey} from '../model/pair.ts'

export interface PairGate {
  /** Resolves when all pairs of the pod are up in the sandbox. Rejects with CniError (11): what it waits for. */
  wait(pod: PodRef, containerId: string, signal: AbortSignal): Promise<void>
  /** What is known of a pod of this node. `containerId`: undefined: it has no sandbox. */
  tell(pod: PodKey, containerId: string | undefined, states: readonly PairState[]): void
  /** Called when somebody waits for a pod. One listener. */
  onWait(listener: (pod: PodKey) => void): void
}

interface Known {
  readonly containerId: string | undefined
  readonly states: readonly PairState[]
}

/** `life`: the agent's: when it ends, whoever waits is left to the next one. */
export function createPairGate(timeoutMs: number, life: AbortSignal): PairGate {
  const known = new Map<PodKey, Known>()
  const waiting = new Map<PodKey, Set<() => void>>()
  let asked: (pod: PodKey) => void = () => {}

  const isUp = (pod: PodKey, containerId: string): boolean => {
    const told = known.get(pod)
    // Whoever asks to wait wants to have one.
    return told?.containerId === containerId && told.states.length > 0 && told.states.every(({state}) => state === 'up')
  }

  return {
    onWait: listener => {
      asked = listener
    },
    tell: (pod, containerId, states) => {
      if (!waiting.has(pod)) return
      known.set(pod, {containerId, states})
      for (const look of waiting.get(pod) ?? []) look()
    },
    wait: async ({namespace, name}, containerId, signal) => {
      const pod = `${namespace}/${name}`
      const limit = AbortSignal.any([signal, life, AbortSignal.timeout(timeoutMs)])
      let look = () => {}
      let over = () => {}
      const all = waiting.get(pod) ?? new Set()
      try {
        await new Promise<void>((resolve, reject) => {
          look = () => {
            if (isUp(pod, containerId)) resolve()
          }
          over = () => reject(new CniError('tryAgainLater', `pod ${quoted(pod)} ${whatFor(known.get(pod))}`))
          if (limit.aborted) return over()
          limit.addEventListener('abort', over, {once: true})
          waiting.set(pod, all.add(look))
          asked(pod)
        })
      } finally {
        limit.removeEventListener('abort', over)
        all.delete(look)
        if (all.size === 0) {
          waiting.delete(pod)
          known.delete(pod)
        }
      }
    },
  }
}

function whatFor(told: Known | undefined): string {
  if (told?.states.length === 0)
    return 'is to start with its pairs, and neither its annotation netgraft.dev/pairs nor another pod names one yet'
  const left = (told?.states ?? []).filter(({state}) => state !== 'up')
  const [first] = left
  if (!first) return 'is to start with its pairs, and nothing is known of them yet; it starts once they are up'
  const {interface: ifname, peer, reason, state} = first
  const which = ifname === undefined ? 'its pairs' : `its pair ${ifname}${peer === undefined ? '' : ` with ${peer}`}`
  const more = left.length > 1 ? ` (and ${left.length - 1} more)` : ''
  return `waits for ${which}${more}: ${reason || state}`
}
