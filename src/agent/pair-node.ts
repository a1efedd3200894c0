/** What of this node tunnels depend on, as it changes. */
import {merge, mergeMap, type Observable, tap, throttleTime} from 'rxjs'
import type {Config} from '../model/config.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Ip} from '../model/ip.ts'
import type {KernelState, KernelView} from '../model/kernel.ts'
import type {View} from '../streams/view.ts'
import {underlayOf} from './pair-underlay.ts'

export interface NodeEdges {
  readonly config: Config
  readonly nodes$: Observable<View<NodeName, NodeFacts>>
  readonly kernel$: Observable<KernelView>
}

export interface NodeAsSeen {
  readonly state: KernelState
  /** Of the Node object. */
  readonly addresses: readonly Ip[]
  /** In what tunnels depend on. */
  readonly changed: boolean
}

/** Addresses and MTUs, whenever they may have changed. */
export function underlay$(self: NodeName, {nodes$, kernel$, config}: NodeEdges): Observable<NodeAsSeen> {
  let addresses: readonly Ip[] | undefined
  let state: KernelState | undefined
  let text = ''
  return merge(
    nodes$.pipe(
      tap(view => {
        if (view.synced) addresses = view.items.get(self)?.addresses ?? []
      }),
    ),
    kernel$.pipe(
      tap(view => {
        if (view.synced) state = view.state
      }),
    ),
  ).pipe(
    throttleTime(UNDERLAY_MS, undefined, {leading: true, trailing: true}),
    mergeMap(() => {
      if (!state || !addresses) return []
      const before = text
      text = JSON.stringify(underlayOf(state, addresses, config.pairs.parent))
      return [{state, addresses, changed: text !== before}]
    }),
  )
}

/** Milliseconds. Routes come and go by the thousand. */
const UNDERLAY_MS = 100
