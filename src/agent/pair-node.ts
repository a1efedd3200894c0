/** What of this node tunnels depend on, as it changes. */
import {isDeepStrictEqual} from 'node:util'
import {map, merge, type Observable, tap, throttleTime} from 'rxjs'
import type {PlannedParent} from '../cni/journal.ts'
import type {Config} from '../model/config.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Ip} from '../model/ip.ts'
import type {KernelState, KernelView} from '../model/kernel.ts'
import type {Endpoint, PodKey} from '../model/pair.ts'
import type {View} from '../streams/view.ts'
import type {PairPod} from './pair-pods.ts'
import {parentOf, underlayOf} from './pair-underlay.ts'

export interface NodeEdges {
  readonly config: Config
  readonly nodes$: Observable<View<NodeName, NodeFacts>>
  readonly kernel$: Observable<KernelView>
}

export interface OwnNode {
  /** Undefined: the kernel, or the Node object, is not known yet. */
  readonly state: KernelState | undefined
  /** Where tunnels start; `own`: that a pod has of its own. Nothing before `state` is known. */
  underlay(own: PlannedParent | undefined): Endpoint['underlay']
  /** Pods whose tunnels start from somewhere of their own that is no longer as they have been told of it. */
  moved(told: ReadonlyMap<PodKey, PairPod>): readonly PodKey[]
  /** Whenever any of it may have changed: whether what all tunnels depend on has. Keeps all of the above up to date. */
  readonly changed$: Observable<boolean>
}

export function createOwnNode(self: NodeName, {nodes$, kernel$, config}: NodeEdges): OwnNode {
  const {parent} = config.pairs
  let addresses: readonly Ip[] | undefined
  let newest: KernelState | undefined
  let state: KernelState | undefined
  let text = ''
  const underlay = (own: PlannedParent | undefined) =>
    state && addresses ? underlayOf(state, addresses, own ? parentOf(own) : parent) : {}
  return {
    get state() {
      return state
    },
    underlay,
    moved: told => {
      const found = new Map<string, Endpoint['underlay']>()
      return [...told].flatMap(([key, {sandbox, endpoint}]) => {
        const own = sandbox?.first?.plan.parent
        if (!own || !endpoint) return []
        const name = JSON.stringify(own)
        const now = found.get(name) ?? underlay(own)
        found.set(name, now)
        return isDeepStrictEqual(now, endpoint.underlay) ? [] : [key]
      })
    },
    changed$: merge(
      nodes$.pipe(
        tap(view => {
          if (view.synced) addresses = view.items.get(self)?.addresses ?? []
        }),
      ),
      kernel$.pipe(
        tap(view => {
          if (view.synced) newest = view.state
        }),
      ),
    ).pipe(
      throttleTime(UNDERLAY_MS, undefined, {leading: true, trailing: true}),
      map(() => {
        if (!newest || !addresses) return false
        state = newest
        const before = text
        text = JSON.stringify(underlay(undefined))
        return text !== before
      }),
    ),
  }
}

/** Milliseconds. Routes come and go by the thousand. */
const UNDERLAY_MS = 100
