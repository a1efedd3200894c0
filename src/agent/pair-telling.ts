/** When users are told of their pods' pairs, and whoever waits for them. */
import {filter, map, merge, mergeMap, type Observable, timer} from 'rxjs'
import type {PodKey} from '../model/pair.ts'
import {POD_ANNOTATIONS} from '../streams/pods.ts'
import {sparing} from '../streams/sparing.ts'
import type {PairFacts} from './pair-facts.ts'
import type {PairGate} from './pair-gate.ts'
import type {PairPod} from './pair-pods.ts'
import type {PairRecord} from './pair-record.ts'
import type {PairStore} from './pair-store.ts'
import {PAIRS_STORY, type PairPodReport} from './pair-tell.ts'
import {type TellEdges, tellPods} from './pod-tell.ts'

export interface TellingPorts extends TellEdges {
  readonly gate: PairGate
  readonly store: PairStore
  readonly facts: PairFacts
  readonly record: PairRecord
  /** Live: what is known of this node's pods. */
  readonly told: ReadonlyMap<PodKey, PairPod>
  /** Live: why other nodes are not told of a pod. */
  readonly lasting: ReadonlyMap<PodKey, string>
}

/** Milliseconds. */
const TELL_MS = 10
/** Until a pod's user is told that the store cannot be read. */
const LATE_MS = 5000

/** `due$`: pods of which something may be different. */
export function telling(ports: TellingPorts, due$: Observable<PodKey>): Observable<unknown> {
  const {pods, gate, store, facts, record, told, lasting} = ports
  let isLate = false
  const late$ = timer(LATE_MS).pipe(
    map((): Iterable<PodKey> => {
      isLate = !store.isReady
      return isLate ? [...facts.local.keys()] : []
    }),
  )

  const report = (key: PodKey): PairPodReport | undefined => {
    const pod = told.get(key)
    if (!pod?.pod) return {key, states: []}
    const states = store.isReady ? record.statesOf(pod) : undefined
    gate.tell(key, pod.sandbox?.containerId, states ?? [store.unknown()])
    const known = pods.items.get(key) ?? pod.pod
    const reason = lasting.get(key)
    if (states) return {key, pod: known, states: reason === undefined ? states : [...states, {state: 'failed', reason}]}
    // What an earlier process has told of its pairs stands.
    const isNew = pod.endpoint !== undefined && known.annotations[POD_ANNOTATIONS.pairsStatus] === undefined
    return isNew && isLate ? {key, pod: known, states: [store.unknown()]} : undefined
  }

  return merge(due$, late$.pipe(mergeMap(keys => keys))).pipe(
    // It looks at all pairs of the pod, and is heard of for each of them.
    sparing(TELL_MS),
    map(report),
    filter(each => each !== undefined),
    tellPods(ports, PAIRS_STORY),
  )
}
