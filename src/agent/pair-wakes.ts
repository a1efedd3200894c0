/** What of pairs has to be looked at again: the queues, and all that puts something into them. */
import {setImmediate} from 'node:timers/promises'
import {map, merge, mergeMap, type Observable, Subject, tap, timer} from 'rxjs'
import {isFurther} from '../cni/journal.ts'
import type {NodeName} from '../model/facts.ts'
import type {Link} from '../model/net.ts'
import type {PairKey, PodKey} from '../model/pair.ts'
import {pairOf} from '../pairs/links.ts'
import type {EntryChange} from './cni-entries.ts'
import type {Standing} from './pair-build.ts'
import type {PairFacts} from './pair-facts.ts'
import {createFirstLook, type FirstLook} from './pair-first-look.ts'
import type {OwnNode} from './pair-node.ts'
import type {PairPod} from './pair-pods.ts'
import type {PairRecord} from './pair-record.ts'
import type {PairStore} from './pair-store.ts'
import type {Pods} from './pods.ts'

export interface PairQueues {
  /** Pods of this node: what they have to do with pairs. */
  readonly pods: Subject<PodKey>
  /** Pods of this node: what the store is told of them. */
  readonly publications: Subject<PodKey>
  /** The links of pairs. */
  readonly pairs: Subject<PairKey>
  /** Pods of this node: what they are told. */
  readonly tellings: Subject<PodKey>
  /** Pairs' objects for people. */
  readonly pages: Subject<PairKey>
  /** The VNIs that this node has. */
  readonly vnis: Subject<undefined>
  /** Pods that have gone. */
  readonly forgotten: Subject<PodKey>
}

export interface WakePorts {
  readonly self: NodeName
  readonly pods: Pods
  readonly store: PairStore
  readonly facts: PairFacts
  readonly record: PairRecord
  readonly standing: Standing
  readonly node: OwnNode
  /** As they were last looked at. */
  readonly told: Map<PodKey, PairPod>
  /** Of the journal's entries. */
  readonly changes$: Observable<EntryChange>
  /** Links that have gone inside of pods; 'some': it cannot be told which. */
  readonly vanished$: Observable<Link | 'some'>
  readonly resyncMs: number
}

export interface PairWakes {
  readonly queues: PairQueues
  readonly firstLook: FirstLook
  /** Whether this node's pods are known. */
  readonly arePodsKnown: boolean
  /** What has changed is looked at again. `own`: the pod whose telling has touched all that. */
  touch(touched: Touched, own?: PodKey): void
  forget(pod: PodKey): void
  /** Puts into the queues. */
  readonly inputs$: Observable<unknown>
}

interface Touched {
  readonly pairs: ReadonlySet<PairKey>
  readonly pods: ReadonlySet<PodKey>
}

/** Milliseconds: with a pod that is taken down its links go first. */
const REST_MS = 20
/** Pods of other nodes that are taken in at once when there are many. */
const SLICE = 500

export function createPairWakes(ports: WakePorts): PairWakes {
  const {self, pods, store, facts, record, standing, node, told, resyncMs} = ports
  const queues: PairQueues = {
    pods: new Subject(),
    publications: new Subject(),
    pairs: new Subject(),
    tellings: new Subject(),
    pages: new Subject(),
    vnis: new Subject(),
    forgotten: new Subject(),
  }
  const firstLook = createFirstLook(store.podsKnown)
  let [arePodsKnown, areEndpointsKnown] = [false, false]

  /** Whether what is told of it no longer follows from whether others name it. */
  const isOutdated = (pod: PodKey): boolean => {
    const endpoint = facts.local.get(pod)
    if (facts.pairsOf(pod).length > 0) return endpoint === undefined && pods.items.get(pod)?.hostNetwork === false
    return endpoint !== undefined && endpoint.declarations.length === 0 && endpoint.ratchetName === undefined
  }
  const touch = (touched: Touched, own?: PodKey): void => {
    for (const key of touched.pairs) {
      record.look(key)
      if (facts.here.has(key) || standing.of(key).length > 0) queues.pairs.next(key)
      queues.pages.next(key)
    }
    for (const pod of touched.pods) {
      if (!pods.items.has(pod)) continue
      queues.tellings.next(pod)
      if (pod !== own && isOutdated(pod)) queues.pods.next(pod)
    }
    if (touched.pairs.size > 0) queues.vnis.next(undefined)
    // Whose numbers are to be given back has to be told from a dead node.
    if (facts.local.size > 0 || facts.hasOwnClaim) store.live()
  }
  const forget = (pod: PodKey): void => {
    told.delete(pod)
    queues.forgotten.next(pod)
    touch(facts.forget(pod), pod)
  }
  const look = (keys: Iterable<PodKey>): void => {
    for (const key of keys) queues.pods.next(key)
  }
  const build = (keys: Iterable<PairKey>): void => {
    for (const key of keys) queues.pairs.next(key)
  }
  /** That are here, or of which an earlier process has told. */
  const ownPods = () => new Set([...pods.items.keys(), ...store.own()])
  /** Who only is named is not known to be before all of that is. */
  const beginFirstLook = (): void => {
    if (firstLook.isBegun || !arePodsKnown || !areEndpointsKnown) return
    firstLook.begin(pods.items.keys())
    look(pods.items.keys())
  }

  const stored$ = store.changes$({
    endpoints: async (items, keys) => {
      const list = [...(keys ?? new Set([...items.keys(), ...facts.pods]))]
      for (let i = 0; i < list.length; i += SLICE) {
        if (i > 0) await setImmediate()
        const slice = list.slice(i, i + SLICE)
        touch(facts.takeEndpoints(items, slice))
        look(slice.filter(pod => pods.items.has(pod) || items.get(pod)?.value.spec.node === self))
      }
      areEndpointsKnown = true
      beginFirstLook()
    },
    claims: (items, keys) =>
      touch(facts.takeClaims(items, keys ?? [...items.keys(), ...[...facts.claims.keys()].map(String)])),
    alive: nodes => {
      touch(facts.takeAlive(nodes))
      queues.vnis.next(undefined)
    },
  })
  const pods$ = pods.changed$.pipe(
    tap(key => {
      arePodsKnown = true
      for (const pod of key === undefined ? new Set([...pods.items.keys(), ...told.keys()]) : [key]) {
        if (!pods.items.has(pod)) forget(pod)
        queues.pods.next(pod)
      }
      firstLook.onlyOf(pod => pods.items.has(pod))
      beginFirstLook()
    }),
  )
  const sandboxes$ = ports.changes$.pipe(
    tap(({before, entry}) => {
      const plan = (entry ?? before)?.plan
      if (plan?.pod && !isFurther(plan)) queues.pods.next(`${plan.pod.namespace}/${plan.pod.name}`)
    }),
  )
  const node$ = node.changed$.pipe(
    tap(changed => {
      if (node.state) look(changed ? ownPods() : node.moved(told))
    }),
  )
  const vanished$ = ports.vanished$.pipe(
    mergeMap((gone): Iterable<PairKey> => {
      if (gone === 'some') return facts.here
      const key = pairOf(gone)
      return key === undefined ? [] : [key]
    }),
    mergeMap(key => timer(REST_MS).pipe(map(() => key))),
    tap(key => facts.here.has(key) && queues.pairs.next(key)),
  )
  const ready$ = store.ready$.pipe(
    tap(() => {
      build([...facts.here, ...standing.pairs])
      look(ownPods())
      queues.vnis.next(undefined)
    }),
  )
  const resync$ = timer(resyncMs, resyncMs).pipe(
    tap(() => {
      build(facts.here)
      look(new Set([...facts.local.keys(), ...store.own()]))
      queues.vnis.next(undefined)
    }),
  )
  return {
    queues,
    firstLook,
    get arePodsKnown() {
      return arePodsKnown
    },
    touch,
    forget,
    inputs$: merge(stored$, pods$, sandboxes$, node$, vanished$, ready$, resync$),
  }
}
