/** The whole flow: what arrives, what is wanted of it, and who carries it out. */
import {
  defer,
  filter,
  first,
  forkJoin,
  map,
  merge,
  type Observable,
  ReplaySubject,
  scan,
  share,
  switchMap,
  tap,
} from 'rxjs'
import type {KubeClient} from '../kube/client.ts'
import type {Config} from '../model/config.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {KernelState, KernelView} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import type {KernelWriter} from '../model/plans.ts'
import type {Kernel} from '../netlink/kernel.ts'
import {kernelWriter} from '../netlink/kernel-writer.ts'
import {kernelSource} from '../netlink/source.ts'
import type {Metrics} from '../observe/metrics.ts'
import type {RouteNetwork} from '../routes/network.ts'
import {brokenReport, hasFailed, type PassInput, type RouteReport, routePass} from '../routes/pass.ts'
import {coalesce} from '../streams/coalesce.ts'
import {saveChanges, standIn} from '../streams/last-good.ts'
import {createMirror} from '../streams/mirror.ts'
import {nodeStream} from '../streams/nodes.ts'
import type {View} from '../streams/view.ts'
import {forwarding} from './forwarding.ts'
import {contactReporter, mirrorReporter, reflectorReporter, snapshotReporter} from './notices.ts'
import {publish} from './publish.ts'
import {routeReporter} from './report.ts'
import type {SavedNodes} from './saved-nodes.ts'
import {health} from './serve.ts'
import {Status} from './status.ts'

export interface Edges {
  readonly kernel: Kernel
  readonly client: KubeClient
  readonly saved: SavedNodes
  readonly log: Logger
  readonly metrics: Metrics
}

/** Everything that runs, as one stream that never ends by itself. */
export function flow(
  config: Config,
  identity: Identity,
  {kernel, client, saved, log, metrics}: Edges,
): Observable<unknown> {
  const status = new Status()
  const mirror = createMirror(kernelSource(kernel), {
    resyncMs: config.kernel.resyncSeconds * 1000,
    ...mirrorReporter(log, metrics),
  })
  const kernel$ = mirror.view$.pipe(
    tap(view => status.set('kernel', view.synced ? undefined : view.reason)),
    share({connector: () => new ReplaySubject(1)}),
  )
  // Only then: what an earlier process left in the kernel and on disk tells how many nodes there must be.
  const nodes$ = forkJoin([kernel$.pipe(first(view => view.synced)), defer(() => saved.load())]).pipe(
    switchMap(([{state}, lastGood]) =>
      nodeStream(client.listWatch({group: '', version: 'v1', resource: 'nodes'}), {
        notice: reflectorReporter('nodes', log, metrics),
        heard: contactReporter('nodes', metrics),
        expected: () => Math.max(countNodes(state, config.networks), saved.count),
      }).pipe(
        saveChanges(nodes => saved.save(nodes)),
        standIn(lastGood),
      ),
    ),
    tap(view => status.set('nodes', view.synced ? undefined : view.reason)),
    tap(snapshotReporter('nodes', log, metrics)),
  )
  const wakes$ = wakes({nodes$, kernel$}).pipe(share({connector: () => new ReplaySubject(1)}))
  const ports = {writer: kernelWriter(kernel, mirror.settle), passing: (domain: string) => status.passing(domain)}

  const passes = config.networks.map(network => {
    status.set(`network ${network.name}`, 'its first pass has not ended yet')
    const report = routeReporter(log, metrics)
    return routes(wakes$, network, identity, ports).pipe(
      tap(result => {
        report(result)
        if (result.error === undefined) status.set(`network ${network.name}`, whyUnready(result))
      }),
      publish(client, log, metrics),
    )
  })
  return merge(health(config, status, metrics, log), forwarding(kernel, kernel$, status, log), ...passes)
}

/** How many nodes the routes that carry our marks lead to, at least. */
function countNodes({routes}: KernelState, networks: Config['networks']): number {
  const counts = new Map<string, number>()
  for (const {protocol, destination} of [...routes.values()].flat()) {
    if (!networks.some(network => network.protocol === protocol)) continue
    const key = `${protocol} ${destination.family}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return Math.max(0, ...counts.values())
}

/** Some refused routes are a trouble to tell; when not one route stands, pods cannot rely on the network. */
function whyUnready({routes, refused}: RouteReport): string | undefined {
  const [first] = refused
  return first && routes[4] + routes[6] === 0 ? `the kernel refuses every route: ${first.refusal.message}` : undefined
}

export interface Sources {
  readonly nodes$: Observable<View<NodeName, NodeFacts>>
  readonly kernel$: Observable<KernelView>
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
export function wakes({nodes$, kernel$}: Sources): Observable<PassInput> {
  return merge(
    nodes$.pipe(map(nodes => ({nodes, source: 'node' as const}))),
    kernel$.pipe(map(kernel => ({kernel, source: 'kernel' as const}))),
  ).pipe(
    scan((known: Known, news): Known => ({...known, ...news}), {source: 'node'}),
    filter(isComplete),
    map(({nodes, kernel, source}) => ({
      nodes,
      kernel: kernel.state,
      source,
      since: source === 'node' ? nodes.at : kernel.at,
    })),
  )
}

/** One network's routes: a pass at a time, always over the newest facts, again until the kernel has them. */
export function routes(
  wakes$: Observable<PassInput>,
  network: RouteNetwork,
  who: Identity,
  ports: Ports,
): Observable<RouteReport> {
  const pass = routePass({network, writer: ports.writer, ...who})
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
      {failed: hasFailed, onThrow: error => brokenReport(network, error), merge: earlier},
    ),
  )
}

interface Known {
  readonly nodes?: View<NodeName, NodeFacts>
  readonly kernel?: KernelView
  readonly source: PassInput['source']
}

type Complete = Known & {
  readonly nodes: Extract<View<NodeName, NodeFacts>, {synced: true}>
  readonly kernel: Extract<KernelView, {synced: true}>
}

const isComplete = (known: Known): known is Complete => known.nodes?.synced === true && known.kernel?.synced === true

/** The newest facts, with the time of the event that has waited longest. */
const earlier = (waiting: PassInput, newest: PassInput): PassInput => ({
  ...newest,
  source: waiting.source,
  since: waiting.since,
})
