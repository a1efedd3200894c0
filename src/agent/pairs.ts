/** Pairs of pods: what this node tells of its own, what all of them come to, and the links that follow. */
import {defer, EMPTY, filter, first, merge, type Observable, retry, switchMap, tap, throttleTime, timer} from 'rxjs'
import {createSerial} from '../cni/serial.ts'
import type {KubeClient} from '../kube/client.ts'
import type {Config} from '../model/config.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {KernelView} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import type {NamespaceKernel} from '../model/namespace.ts'
import type {Link} from '../model/net.ts'
import type {PairKey, PodKey} from '../model/pair.ts'
import {Kernel} from '../netlink/kernel.ts'
import {namespaceKernel} from '../netlink/namespace.ts'
import type {Metrics} from '../observe/metrics.ts'
import {coalesceByKey} from '../streams/keyed.ts'
import type {View} from '../streams/view.ts'
import type {AdminBoard} from './admin-board.ts'
import {listPairs} from './admin-pairs.ts'
import type {EntryChange} from './cni-entries.ts'
import type {OpenFront} from './cni-open.ts'
import {createPairPass, createStanding, type PairReport} from './pair-build.ts'
import {pairCounter} from './pair-count.ts'
import {createPairFacts} from './pair-facts.ts'
import type {PairGate} from './pair-gate.ts'
import {createOwnNode} from './pair-node.ts'
import {storeUpkeep} from './pair-objects.ts'
import {createPairPodPass, type PairPod} from './pair-pods.ts'
import {publishing} from './pair-publish.ts'
import {createPairRecord} from './pair-record.ts'
import {scan, scanAll} from './pair-scan.ts'
import {openPairStore, type PairStore} from './pair-store.ts'
import {telling} from './pair-telling.ts'
import {deviceOf} from './pair-underlay.ts'
import {vniUpkeep} from './pair-vnis.ts'
import {createPairWakes} from './pair-wakes.ts'
import type {SandboxPorts} from './pod-sandbox.ts'
import type {Pods} from './pods.ts'

export interface PairEdges {
  readonly config: Config
  readonly client: KubeClient
  readonly pods: Pods
  readonly nodes$: Observable<View<NodeName, NodeFacts>>
  readonly kernel$: Observable<KernelView>
  /** Links that have gone inside of pods; 'some': it cannot be told which. */
  readonly vanished$: Observable<Link | 'some'>
  readonly findSandbox: SandboxPorts['findSandbox']
  readonly gate: PairGate
  readonly board: AdminBoard
  readonly log: Logger
  readonly metrics: Metrics
  /** To be waited for when the agent stops. */
  readonly closing: (() => Promise<void>)[]
}

/** Milliseconds. */
const OPEN_RETRY_MS = 2000
const RETRY = {baseMs: 50, capMs: 30_000} as const
const REST_MS = 20
const COUNT_MS = 1000
/** Pairs that are worked on at once, and pods that are looked through: each holds threads of the kernel's sockets. */
const AT_ONCE = 8

/** `changes$`: entries of the journal. One stream that never ends by itself, and never fails. */
export function pairs(open: OpenFront, changes$: Observable<EntryChange>, edges: PairEdges): Observable<unknown> {
  const {config, pods, log, closing} = edges
  if (!config.pairs.enabled) return EMPTY
  const kernel$ = defer(async () => namespaceKernel(await Kernel.open())).pipe(
    tap({error: error => log.error('pairs of pods cannot be served; trying again', {err: error})}),
    retry({delay: () => timer(OPEN_RETRY_MS)}),
    tap(kernel => closing.push(async () => kernel.close())),
  )
  return kernel$.pipe(
    switchMap(host =>
      pods.self$.pipe(
        first(),
        switchMap(self => {
          const store = openPairStore(self, edges)
          closing.push(store.close)
          return flow(self, host, store, open, changes$, edges)
        }),
      ),
    ),
  )
}

function flow(
  self: NodeName,
  host: NamespaceKernel,
  store: PairStore,
  open: OpenFront,
  changes$: Observable<EntryChange>,
  edges: PairEdges,
): Observable<unknown> {
  const {config, pods, gate, log, metrics} = edges
  const {attachments, namespaces} = open
  const {port, vnis: range, isolation, grants} = config.pairs
  const resyncMs = config.kernel.resyncSeconds * 1000

  const mayPair = (from: string, to: string) =>
    !isolation || grants.some(grant => grant.from === from && grant.to === to)
  const facts = createPairFacts({self, rules: {mayPair}, port, vnis: range, isHere: pod => pods.items.has(pod)})
  const record = createPairRecord(facts, log, metrics)
  const standing = createStanding(namespaces, attachments.boot)
  const node = createOwnNode(self, edges)
  const told = new Map<PodKey, PairPod>()
  const wakes = createPairWakes({...edges, self, store, facts, record, standing, node, told, changes$, resyncMs})
  const {queues, firstLook, touch, forget} = wakes
  const scanning = {standing, found: (key: PairKey) => queues.pairs.next(key), log}

  const podPass = createPairPodPass({
    attachments,
    namespaces,
    self,
    log,
    isNamed: pod => facts.pairsOf(pod).length > 0,
    collection: store.endpoints,
    pod: key => pods.items.get(key),
    underlay: plan => node.underlay(plan?.parent),
    stored: key => store.endpoint(key),
    before: key => facts.local.get(key),
    findSandbox: edges.findSandbox,
    known: pod => {
      const {key, sandbox, endpoint} = pod
      // It may have gone while it was looked at, and have been told of after that.
      if (!pod.pod) {
        forget(key)
        return queues.publications.next(key)
      }
      const before = told.get(key)?.sandbox
      told.set(key, pod)
      // Only the journal's sandboxes are looked through from the start.
      if (sandbox && !sandbox.first && before?.containerId !== sandbox.containerId) scan(sandbox, scanning)
      touch(facts.tell(key, endpoint), key)
      firstLook.ends(key)
      queues.publications.next(key)
    },
  })
  const lookAt = (key: PodKey, signal: AbortSignal): Promise<PairPod> => {
    firstLook.starts(key)
    return podPass(key, signal).finally(() => firstLook.ends(key))
  }
  /** Why. */
  const unseen = new Map<PodKey, string>()
  const pods$ = queues.pods.pipe(
    // What is told of a pod is not to change because of what is only not known yet.
    filter(() => node.state !== undefined && wakes.arePodsKnown),
    coalesceByKey<PodKey, PairPod>(lookAt, {
      failed: ({error}) => error !== undefined,
      over: ({pod, error}) => pod === undefined && error === undefined,
      onThrow: error => ({key: '', problems: [], error: error as Error}),
      backoff: RETRY,
      restMs: REST_MS,
    }),
    tap(({key, error}) => {
      const reason = error?.message
      if (reason !== undefined && reason !== unseen.get(key))
        log.warn('what a pod has to do with pairs is not known; trying again', {pod: key, reason})
      if (reason === undefined) unseen.delete(key)
      else unseen.set(key, reason)
    }),
  )

  const publication = publishing({
    self,
    store,
    wanted: key => facts.local.get(key),
    changed: key => queues.tellings.next(key),
    log,
  })

  const pairPass = createPairPass({
    attachments,
    namespaces,
    host,
    standing,
    room: createSerial(AT_ONCE),
    planOf: facts.planOf,
    isReady: () => store.isReady,
    sandboxOf: pod => told.get(pod)?.sandbox,
    device: local => node.state && deviceOf(node.state, local),
  })
  const pairs$ = queues.pairs.pipe(
    coalesceByKey<PairKey, PairReport>(pairPass, {
      failed: ({failed}) => failed,
      over: ({plan, failed}) => plan === undefined && !failed,
      onThrow: error => ({key: '' as PairKey, plan: undefined, error: error as Error, failed: true, ms: 0}),
      backoff: RETRY,
      restMs: REST_MS,
    }),
    tap(report => {
      record.hear(report)
      for (const {pod} of report.plan?.ends ?? []) queues.tellings.next(pod)
      queues.pages.next(report.key)
    }),
  )

  const counter = pairCounter({
    statesOf: key => {
      const pod = told.get(key)
      if (!pod) return []
      const states = record.allStatesOf(pod)
      return publication.lasting.has(key) ? [...states, {state: 'failed'}] : states
    },
    isReady: () => store.isReady,
    isAliveKnown: () => facts.isAliveKnown,
    metrics,
  })

  const unknown = (): string | undefined => (store.isReady ? undefined : store.unknown().reason)
  edges.board.pairs = {
    list: () =>
      listPairs({facts, told, progressOf: record.progressOf, untold: publication.troubles, unknown: unknown()}),
    store: () => ({ready: store.isReady, reason: unknown() ?? store.trouble}),
  }
  gate.onWait(key => {
    queues.pods.next(key)
    queues.tellings.next(key)
  })

  // Who takes out of the queues goes before who puts in.
  return merge(
    merge(queues.pods, queues.tellings, queues.forgotten).pipe(
      tap(counter.look),
      throttleTime(COUNT_MS, undefined, {trailing: true}),
      tap(counter.count),
    ),
    telling({...edges, store, facts, record, told, lasting: publication.lasting}, queues.tellings),
    storeUpkeep({...edges, self, store, facts, record, resyncMs, ask: pods.ask}, queues.pages),
    queues.vnis.pipe(
      vniUpkeep({facts, self, range, store, note: (vni, claim) => touch(facts.noteClaim(vni, claim)), log, metrics}),
    ),
    pairs$,
    queues.publications.pipe(publication.publish),
    pods$,
    wakes.inputs$,
    scanAll(open, scanning),
  )
}
