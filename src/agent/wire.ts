/** The whole flow: what arrives, what is wanted of it, and who carries it out. */
import {defer, first, forkJoin, merge, type Observable, of, ReplaySubject, share, switchMap, tap} from 'rxjs'
import type {KubeClient} from '../kube/client.ts'
import {createMasquerade} from '../masquerade/masquerade.ts'
import type {Config} from '../model/config.ts'
import type {KernelState} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import type {Kernel} from '../netlink/kernel.ts'
import {kernelWriter} from '../netlink/kernel-writer.ts'
import {nftProgram} from '../netlink/nft.ts'
import {kernelSource} from '../netlink/source.ts'
import type {Metrics} from '../observe/metrics.ts'
import type {RouteReport} from '../routes/pass.ts'
import {hostPodStream} from '../streams/host-pods.ts'
import {saveChanges, standIn} from '../streams/last-good.ts'
import {createMirror} from '../streams/mirror.ts'
import {nodeStream} from '../streams/nodes.ts'
import {admin} from './admin.ts'
import {AdminBoard} from './admin-board.ts'
import {attach} from './attach.ts'
import {cni} from './cni.ts'
import {contactsWith} from './contacts.ts'
import {createDefinitions} from './definitions.ts'
import {endedSandboxes} from './ended-sandboxes.ts'
import {forwarding} from './forwarding.ts'
import {guard} from './guard.ts'
import {masquerade} from './masquerade.ts'
import {mirrorReporter, reflectorReporter, snapshotReporter} from './notices.ts'
import {createPairGate} from './pair-gate.ts'
import {withPairs} from './pair-start.ts'
import {pairs} from './pairs.ts'
import {type Identity, routes, type Sources, wakes} from './passes.ts'
import {createLookup} from './pod-networks.ts'
import {createPods} from './pods.ts'
import {publish} from './publish.ts'
import {routeReporter} from './report.ts'
import {createRuntime} from './runtime.ts'
import type {SavedNodes} from './saved-nodes.ts'
import {health} from './serve.ts'
import {startingPods} from './starting-pods.ts'
import {Status} from './status.ts'
import {unpublish} from './unpublish.ts'

export interface Edges {
  readonly version: string
  readonly kernel: Kernel
  readonly client: KubeClient
  readonly saved: SavedNodes
  readonly log: Logger
  /** What it has last said. */
  readonly said: () => readonly string[]
  readonly metrics: Metrics
  /** Where the agent's own programs are found: PATH. */
  readonly searchPath: string
  /** Of the agent's life. */
  readonly signal: AbortSignal
  /** To be waited for when the agent stops. */
  readonly closing: (() => Promise<void>)[]
}

/** Everything that runs, as one stream that never ends by itself. */
export function flow(config: Config, identity: Identity, edges: Edges): Observable<unknown> {
  const {kernel, client, saved, log, metrics} = edges
  const status = new Status((condition, ready) => metrics.ready.set({condition}, ready ? 1 : 0))
  const board = new AdminBoard()
  const mirror = createMirror(kernelSource(kernel), {
    resyncMs: config.kernel.resyncSeconds * 1000,
    ...mirrorReporter(log, metrics),
  })
  const kernel$ = mirror.view$.pipe(
    tap(view => status.set('kernel', view.synced ? undefined : view.reason)),
    share({connector: () => new ReplaySubject(1)}),
  )
  // Only then: what an earlier process left in the kernel and on disk tells how many nodes there must be.
  const nodes$ = forkJoin([kernel$.pipe(first(view => view.synced)), defer(() => saved.counted())]).pipe(
    switchMap(([{state}]) =>
      nodeStream(client.listWatch({group: '', version: 'v1', resource: 'nodes'}), {
        notice: board.noticed(reflectorReporter('nodes', log, metrics)),
        heard: board.heard(contactsWith('nodes', metrics).watch().heard),
        expected: () => Math.max(countNodes(state, config.networks), saved.count),
      }).pipe(
        saveChanges(nodes => saved.save(nodes)),
        standIn(() => saved.lastGood()),
      ),
    ),
    tap(view => status.set('nodes', view.synced ? undefined : view.reason)),
    tap(snapshotReporter('nodes', log, metrics)),
    tap(view => board.hearNodes(view)),
    share({connector: () => new ReplaySubject(1)}),
  )
  const hostPodContacts = contactsWith('hostpods', metrics)
  const hostPods = (network: Config['networks'][number]): Sources['hostPods$'] => {
    const {selector, namespace} = network.nodeAddresses.hostPods
    if (selector === undefined) return of({synced: true, items: new Map(), at: 0})
    return hostPodStream(client.listWatch({group: '', version: 'v1', resource: 'pods', namespace}), {
      selector,
      notice: reflectorReporter('pods', log, metrics),
      heard: hostPodContacts.watch().heard,
    })
  }
  const ports = {writer: kernelWriter(kernel, mirror.settle), passing: (domain: string) => status.passing(domain)}

  const reports = config.networks.map(network => {
    status.set(`network ${network.name}`, 'its first pass has not ended yet')
    const report = routeReporter(log, metrics)
    return routes(wakes({nodes$, kernel$, hostPods$: hostPods(network)}), network, identity, ports).pipe(
      tap(result => {
        report(result)
        board.hearRoutes(result)
        if (result.error === undefined || !board.routes.get(network.name)?.basis)
          status.set(`network ${network.name}`, whyUnready(result))
      }),
      share({connector: () => new ReplaySubject(1)}),
    )
  })
  const program = nftProgram({path: edges.searchPath})
  const masquerading = createMasquerade(program)
  const pods = createPods({...edges, identity, nodes$})
  const definitions = createDefinitions({...edges, config})
  const runtime = createRuntime({config, closing: edges.closing})
  const starting = startingPods(pods)
  const lookup = createLookup({config, pods, starting, definitions, devices: runtime.devices})
  const gate = createPairGate(config.pairs.requiredSeconds * 1000, edges.signal)
  const ended = endedSandboxes()
  const findSandbox = ended.without(runtime.findSandbox)
  return merge(
    health(config, status, metrics, log),
    admin({...edges, config, status, board, kernel: mirror.settle, pods}),
    forwarding(kernel, kernel$, status, log),
    ...reports.map(report$ => report$.pipe(publish(client, log, metrics))),
    unpublish({...edges, config, identity, nodes$}),
    masquerade({config, masquerading, program, nodes$, reports, log}),
    guard({config, program, nodes$, log}),
    cni({
      ...edges,
      config,
      reports$: reports[0]!,
      kernel$,
      pods$: mirror.pods$,
      masquerading,
      status,
      answered: board.refusals.hear,
      networks: withPairs(lookup, {config, starting, gate}),
      beside: (open, entries$, vanished$) => {
        board.open = open
        const changes$ = ended.watch(entries$).pipe(share())
        return merge(
          attach(open, changes$, {...edges, config, pods, definitions, lookup, findSandbox, board}),
          pairs(open, changes$, {...edges, config, pods, nodes$, kernel$, vanished$, findSandbox, gate, board}),
        )
      },
    }),
  )
}

/** How many nodes the routes that carry our marks lead to, at least: each is behind a gateway of its own. */
function countNodes({routes}: KernelState, networks: Config['networks']): number {
  const gateways = new Map<string, Set<string>>()
  for (const {protocol, destination, nextHops} of [...routes.values()].flat()) {
    const gateway = nextHops[0]?.gateway
    if (!gateway || !networks.some(network => network.protocol === protocol)) continue
    const key = `${protocol} ${destination.family}`
    gateways.set(key, (gateways.get(key) ?? new Set()).add(`${gateway}`))
  }
  return Math.max(0, ...[...gateways.values()].map(({size}) => size))
}

/** Some refused routes are a trouble to tell; when not one route stands, pods cannot rely on the network. */
function whyUnready({routes, peers, refused, error}: RouteReport): string | undefined {
  if (error !== undefined) return `its first pass broke: ${(error as Error)?.message ?? error}`
  const [first] = refused
  return first && peers > 0 && routes[4] + routes[6] === 0
    ? `the kernel refuses every route: ${first.refusal.message}`
    : undefined
}
