/** How many ends of pairs there are in this node's pods, by what has become of them and by what they wait for. */
import type {PairState, PodKey} from '../model/pair.ts'
import type {Metrics} from '../observe/metrics.ts'
import {countStates, type PairCount} from '../pairs/states.ts'

type Counted = Pick<PairState, 'state' | 'kind' | 'waitsFor'>

export interface CountPorts {
  /** Of a pod as it is now. Empty: it is not there, or has nothing to do with pairs. */
  readonly statesOf: (pod: PodKey) => readonly Counted[]
  /** Whether all is known of which pairs follow. */
  readonly isReady: () => boolean
  /** Whether it is known which nodes are alive. */
  readonly isAliveKnown: () => boolean
  readonly metrics: Pick<Metrics, 'pairEnds'>
}

export interface PairCounter {
  /** Something of this pod may be different. */
  look(pod: PodKey): void
  /** Tells the metrics. Only pods that are different by now are looked at anew: there may be thousands of ends. */
  count(): void
}

export function pairCounter({statesOf, isReady, isAliveKnown, metrics}: CountPorts): PairCounter {
  const states = new Map<PodKey, readonly Counted[]>()
  const due = new Set<PodKey>()

  /** What seems to wait for something else, or to be under way, waits for the store as long as that has not been read. */
  const waitsForStore = ({state, waitsFor}: Counted): boolean =>
    isReady() ? waitsFor === 'node' && !isAliveKnown() : state === 'waiting' || state === 'building'

  return {
    look: pod => void due.add(pod),
    count: () => {
      for (const pod of due) {
        const now = statesOf(pod)
        if (now.length > 0) states.set(pod, now)
        else states.delete(pod)
      }
      due.clear()
      const all = [...states.values()].flat().map(each => (waitsForStore(each) ? FOR_STORE : each))
      const counts = new Map(countStates(all).map(each => [keyOf(each), each.count]))
      for (const series of SERIES) {
        const {state, kind, waitsFor} = series
        metrics.pairEnds.set({state, kind, waits_for: waitsFor}, counts.get(keyOf(series)) ?? 0)
      }
    },
  }
}

const FOR_STORE: Counted = {state: 'waiting', waitsFor: 'store'}

type Series = Omit<PairCount, 'count'>

const keyOf = ({state, kind, waitsFor}: Series): string => `${state} ${kind} ${waitsFor}`

/** All that can be: who has looked once for a series finds it from then on. */
const SERIES: readonly Series[] = [
  ...(['peer', 'node', 'sandbox', 'vni', 'ratchet', 'store'] as const).map(
    waitsFor => ({state: 'waiting', kind: '', waitsFor}) as const,
  ),
  ...(['building', 'up', 'failed'] as const).flatMap(state =>
    (['veth', 'vxlan'] as const).map(kind => ({state, kind, waitsFor: ''}) as const),
  ),
  {state: 'failed', kind: '', waitsFor: ''},
  {state: 'contradiction', kind: '', waitsFor: ''},
]
