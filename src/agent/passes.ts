/** When a network's pass runs, and over what. */
import {filter, map, merge, type Observable, scan} from 'rxjs'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Ip} from '../model/ip.ts'
import type {KernelView} from '../model/kernel.ts'
import type {KernelWriter} from '../model/plans.ts'
import type {RouteNetwork} from '../routes/network.ts'
import {
  brokenReport,
  type HostPodsView,
  hasFailed,
  type PassInput,
  type RouteReport,
  routePass,
} from '../routes/pass.ts'
import {coalesce} from '../streams/coalesce.ts'
import {inTurns} from '../streams/turns.ts'
import type {View} from '../streams/view.ts'

export interface Sources {
  readonly nodes$: Observable<View<NodeName, NodeFacts>>
  readonly kernel$: Observable<KernelView>
  /** Unsynced ones hold nothing up. */
  readonly hostPods$: Observable<View<NodeName, readonly Ip[]>>
}

export interface Ports {
  readonly writer: KernelWriter
  /** Brackets every pass, so that one which never comes back is seen. Calls the result when it has come back. */
  readonly passing: (domain: string) => () => void
}

export interface Identity {
  readonly self: NodeName | undefined
  readonly machineId: string
}

/** Facts and the kernel's state, whenever one of them changes and both are known: nothing is pruned before that. */
export function wakes({nodes$, kernel$, hostPods$}: Sources): Observable<PassInput> {
  return merge(
    hostPods$.pipe(map(view => ({hostPods: hostPodsView(view), source: 'node' as const, since: momentOf(view)}))),
    nodes$.pipe(map(nodes => ({nodes, source: 'node' as const, since: momentOf(nodes)}))),
    kernel$.pipe(map(kernel => ({kernel, source: 'kernel' as const, since: momentOf(kernel)}))),
  ).pipe(
    scan((known: Known, news): Known => ({...known, ...news}), {source: 'node', since: 0}),
    filter(isComplete),
    map(({nodes, hostPods, kernel, source, since}) => ({nodes, hostPods, kernel: kernel.state, source, since})),
  )
}

/** When its newest change arrived. */
const momentOf = (view: {readonly synced: boolean; readonly at?: number}): number => view.at ?? performance.now()

const hostPodsView = (view: View<NodeName, readonly Ip[]>): HostPodsView => ({
  synced: view.synced,
  items: view.synced ? view.items : new Map(),
})

/** One network's routes: a pass at a time, always over the newest facts, again until the kernel has them. */
export function routes(
  wakes$: Observable<PassInput>,
  network: RouteNetwork,
  who: Identity,
  ports: Ports,
): Observable<RouteReport> {
  const pass = routePass({network, writer: ports.writer, sliced: inTurns, ...who})
  return wakes$.pipe(
    coalesce(
      async input => {
        const passed = ports.passing('routes')
        try {
          return await pass(input)
        } finally {
          passed()
        }
      },
      {
        failed: hasFailed,
        rest: ({restMs}) => restMs,
        again: ({unresolved}) => (unresolved > 0 ? UNRESOLVED_MS : undefined),
        onThrow: error => brokenReport(network, error),
        merge: earlier,
      },
    ),
  )
}

/** Milliseconds after which a neighbour that did not answer is asked again; the answer itself asks for a pass. */
const UNRESOLVED_MS = 30_000

interface Known {
  readonly nodes?: View<NodeName, NodeFacts>
  readonly kernel?: KernelView
  readonly hostPods?: HostPodsView
  readonly source: PassInput['source']
  readonly since: number
}

type Complete = Known & {
  readonly nodes: Extract<View<NodeName, NodeFacts>, {synced: true}>
  readonly kernel: Extract<KernelView, {synced: true}>
  readonly hostPods: HostPodsView
}

const isComplete = (known: Known): known is Complete =>
  known.nodes?.synced === true && known.kernel?.synced === true && known.hostPods !== undefined

/** The newest facts, with the time of the event that has waited longest. */
const earlier = (waiting: PassInput, newest: PassInput): PassInput => ({
  ...newest,
  source: waiting.source,
  since: waiting.since,
})
