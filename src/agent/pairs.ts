/** Pairs of pods: what this node tells of its own, what all of them come to, and the links that follow. */
import {setImmediate} from 'node:timers/promises'
import {isDeepStrictEqual} from 'node:util'
import {
  defer,
  EMPTY,
  filter,
  first,
  map,
  merge,
  mergeMap,
  type Observable,
  retry,
  Subject,
  switchMap,
  tap,
  throttleTime,
  timer,
} from 'rxjs'
import {isFurther, type PlannedParent} from '../cni/journal.ts'
import {createSerial} from '../cni/serial.ts'
import type {KubeClient} from '../kube/client.ts'
import type {Config} from '../model/config.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Ip} from '../model/ip.ts'
import type {KernelState, KernelView} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import type {NamespaceKernel} from '../model/namespace.ts'
import type {Link} from '../model/net.ts'
import type {Endpoint, PairKey, PodKey} from '../model/pair.ts'
import {Kernel} from '../netlink/kernel.ts'
import {namespaceKernel} from '../netlink/namespace.ts'
import type {Metrics} from '../observe/metrics.ts'
import {pairOf} from '../pairs/links.ts'
import {coalesceByKey} from '../streams/keyed.ts'
import type {View} from '../streams/view.ts'
import type {AdminBoard} from './admin-board.ts'
import {listPairs} from './admin-pairs.ts'
import type {EntryChange} from './cni-entries.ts'
import type {OpenFront} from './cni-open.ts'
import {createPairPass, createStanding, type PairReport} from './pair-build.ts'
import {pairCounter} from './pair-count.ts'
import {createPairFacts} from './pair-facts.ts'
import {createFirstLook} from './pair-first-look.ts'
import type {PairGate} from './pair-gate.ts'
import {underlay$} from './pair-node.ts'
import {storeUpkeep} from './pair-objects.ts'
import {createPairPodPass, type PairPod} from './pair-pods.ts'
import {publishing} from './pair-publish.ts'
import {createPairRecord} from './pair-record.ts'
import {scan, scanAll} from './pair-scan.ts'
import {openPairStore, type PairStore} from './pair-store.ts'
import {telling} from './pair-telling.ts'
import {deviceOf, parentOf, underlayOf} from './pair-underlay.ts'
import {vniUpkeep} from './pair-vnis.ts'
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
/** Pods of other nodes that are taken in at once when there are many. */
const SLICE = 500

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
  const {port, vnis: range, parent, isolation, grants} = config.pairs
  const resyncMs = config.kernel.resyncSeconds * 1000
  const podDue = new Subject<PodKey>()
  const publishDue = new Subject<PodKey>()
  const pairDue = new Subject<PairKey>()
  const tellDue = new Subject<PodKey>()
  const forgotten = new Subject<PodKey>()
  const pageDue = new Subject<PairKey>()
  const vniDue = new Subject<undefined>()

  const mayPair = (from: string, to: string) =>
    !isolation || grants.some(grant => grant.from === from && grant.to === to)
  const facts = createPairFacts({self, rules: {mayPair}, port, vnis: range, isHere: pod => pods.items.has(pod)})
  const record = createPairRecord(facts, log, metrics)
  const standing = createStanding(namespaces, attachments.boot)
  const scanning = {standing, found: (key: PairKey) => pairDue.next(key), log}
  const told = new Map<PodKey, PairPod>()
  /** What this node is, as tunnels see it. */
  let state: KernelState | undefined
  let addresses: readonly Ip[] = []

  const isNamed = (pod: PodKey): boolean => facts.pairsOf(pod).length > 0
  /** Whether what is told of it no longer follows from whether others name it. */
  const isOutdated = (pod: PodKey): boolean => {
    const endpoint = facts.local.get(pod)
    if (isNamed(pod)) return endpoint === undefined && pods.items.get(pod)?.hostNetwork === false
    return endpoint !== undefined && endpoint.declarations.length === 0 && endpoint.ratchetName === undefined
  }
  /** `own`: the pod whose telling has touched all that. */
  const touch = (touched: {readonly pairs: ReadonlySet<PairKey>; readonly pods: ReadonlySet<PodKey>}, own?: PodKey) => {
    for (const key of touched.pairs) {
      record.look(key)
      if (facts.here.has(key) || standing.of(key).length > 0) pairDue.next(key)
      pageDue.next(key)
    }
    for (const pod of touched.pods) {
      if (!pods.items.has(pod)) continue
      tellDue.next(pod)
      if (pod !== own && isOutdated(pod)) podDue.next(pod)
    }
    if (touched.pairs.size > 0) vniDue.next(undefined)
    // Whose numbers are to be given back has to be told from a dead node.
    if (facts.local.size > 0 || facts.hasOwnClaim) store.live()
  }
  const forget = (pod: PodKey): void => {
    told.delete(pod)
    forgotten.next(pod)
    touch(facts.forget(pod), pod)
  }

  /** That are here, or of which an earlier process has told. */
  const ownPods = () => new Set([...pods.items.keys(), ...store.own()])

  const firstLook = createFirstLook(store.podsKnown)
  let [arePodsKnown, areEndpointsKnown] = [false, false]
  /** Who only is named is not known to be before all of that is. */
  const beginFirstLook = () => {
    if (firstLook.isBegun || !arePodsKnown || !areEndpointsKnown) return
    firstLook.begin(pods.items.keys())
    for (const pod of pods.items.keys()) podDue.next(pod)
  }

  const inputs$ = merge(
    store.changes$({
      endpoints: async (items, keys) => {
        const list = [...(keys ?? new Set([...items.keys(), ...facts.pods]))]
        for (let i = 0; i < list.length; i += SLICE) {
          if (i > 0) await setImmediate()
          const slice = list.slice(i, i + SLICE)
          touch(facts.takeEndpoints(items, slice))
          for (const pod of slice) if (pods.items.has(pod) || items.get(pod)?.value.spec.node === self) podDue.next(pod)
        }
        areEndpointsKnown = true
        beginFirstLook()
      },
      claims: (items, keys) =>
        touch(facts.takeClaims(items, keys ?? [...items.keys(), ...[...facts.claims.keys()].map(String)])),
      alive: nodes => {
        touch(facts.takeAlive(nodes))
        vniDue.next(undefined)
      },
    }),
    pods.changed$.pipe(
      tap(key => {
        arePodsKnown = true
        const keys = key === undefined ? new Set([...pods.items.keys(), ...told.keys()]) : [key]
        for (const pod of keys) {
          if (!pods.items.has(pod)) forget(pod)
          podDue.next(pod)
        }
        firstLook.onlyOf(pod => pods.items.has(pod))
        beginFirstLook()
      }),
    ),
    changes$.pipe(
      tap(({before, entry}) => {
        const plan = (entry ?? before)?.plan
        if (!plan?.pod || isFurther(plan)) return
        podDue.next(`${plan.pod.namespace}/${plan.pod.name}`)
      }),
    ),
    underlay$(self, edges).pipe(
      tap(known => {
        state = known.state
        addresses = known.addresses
        for (const pod of known.changed ? ownPods() : movedElsewhere()) podDue.next(pod)
      }),
    ),
    edges.vanished$.pipe(
      mergeMap((gone): Iterable<PairKey> => {
        if (gone === 'some') return facts.here
        const key = pairOf(gone)
        return key === undefined ? [] : [key]
      }),
      // With a pod that is taken down its links go first.
      mergeMap(key => timer(REST_MS).pipe(map(() => key))),
      tap(key => facts.here.has(key) && pairDue.next(key)),
    ),
    store.ready$.pipe(
      tap(() => {
        for (const key of [...facts.here, ...standing.pairs]) pairDue.next(key)
        for (const pod of ownPods()) podDue.next(pod)
        vniDue.next(undefined)
      }),
    ),
    timer(resyncMs, resyncMs).pipe(
      tap(() => {
        for (const key of facts.here) pairDue.next(key)
        for (const pod of new Set([...facts.local.keys(), ...store.own()])) podDue.next(pod)
        vniDue.next(undefined)
      }),
    ),
    scanAll(open, scanning),
  )

  const underlay = (own: PlannedParent | undefined): Endpoint['underlay'] =>
    state ? underlayOf(state, addresses, own ? parentOf(own) : parent) : {}
  /** Pods of which tunnels start from somewhere of their own that is no longer as they have been told of it. */
  const movedElsewhere = (): readonly PodKey[] => {
    const found = new Map<string, Endpoint['underlay']>()
    return [...told].flatMap(([key, {sandbox, endpoint}]) => {
      const own = sandbox?.first?.plan.parent
      if (!own || !endpoint) return []
      const text = JSON.stringify(own)
      const now = found.get(text) ?? underlay(own)
      found.set(text, now)
      return isDeepStrictEqual(now, endpoint.underlay) ? [] : [key]
    })
  }
  const podPass = createPairPodPass({
    attachments,
    namespaces,
    self,
    log,
    isNamed,
    collection: store.endpoints,
    pod: key => pods.items.get(key),
    underlay: plan => underlay(plan?.parent),
    stored: key => store.endpoint(key),
    before: key => facts.local.get(key),
    findSandbox: edges.findSandbox,
    known: pod => {
      const {key, sandbox, endpoint} = pod
      // It may have gone while it was looked at, and have been told of after that.
      if (!pod.pod) {
        forget(key)
        return publishDue.next(key)
      }
      const before = told.get(key)?.sandbox
      told.set(key, pod)
      // Only the journal's sandboxes are looked through from the start.
      if (sandbox && !sandbox.first && before?.containerId !== sandbox.containerId) scan(sandbox, scanning)
      touch(facts.tell(key, endpoint), key)
      firstLook.ends(key)
      publishDue.next(key)
    },
  })
  const lookAt = (key: PodKey, signal: AbortSignal): Promise<PairPod> => {
    firstLook.starts(key)
    return podPass(key, signal).finally(() => firstLook.ends(key))
  }
  /** Why. */
  const unseen = new Map<PodKey, string>()
  const pods$ = podDue.pipe(
    // What is told of a pod is not to change because of what is only not known yet.
    filter(() => state !== undefined && arePodsKnown),
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
    changed: key => tellDue.next(key),
    log,
  })
  const published$ = publishDue.pipe(publication.publish)

  const room = createSerial(AT_ONCE)
  const pairPass = createPairPass({
    attachments,
    namespaces,
    host,
    standing,
    room,
    planOf: facts.planOf,
    isReady: () => store.isReady,
    sandboxOf: pod => told.get(pod)?.sandbox,
    device: local => state && deviceOf(state, local),
  })
  const pairs$ = pairDue.pipe(
    coalesceByKey<PairKey, PairReport>(pairPass, {
      failed: ({failed}) => failed,
      over: ({plan, failed}) => plan === undefined && !failed,
      onThrow: error => ({key: '' as PairKey, plan: undefined, error: error as Error, failed: true, ms: 0}),
      backoff: RETRY,
      restMs: REST_MS,
    }),
    tap(report => {
      record.hear(report)
      for (const {pod} of report.plan?.ends ?? []) tellDue.next(pod)
      pageDue.next(report.key)
    }),
  )

  const vnis$ = vniDue.pipe(
    vniUpkeep({facts, self, range, store, note: (vni, claim) => touch(facts.noteClaim(vni, claim)), log, metrics}),
  )

  const unknown = (): string | undefined => (store.isReady ? undefined : store.unknown().reason)
  edges.board.pairs = {
    list: () =>
      listPairs({facts, told, progressOf: record.progressOf, untold: publication.troubles, unknown: unknown()}),
    store: () => ({ready: store.isReady, reason: unknown() ?? store.trouble}),
  }

  const pages$ = storeUpkeep(
    {self, store, facts, record, resyncMs, nodes$: edges.nodes$, ask: pods.ask, log, metrics},
    pageDue,
  )

  gate.onWait(key => {
    podDue.next(key)
    tellDue.next(key)
  })
  const tell$ = telling({...edges, store, facts, record, told, lasting: publication.lasting}, tellDue)

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
  const counted$ = merge(podDue, tellDue, forgotten).pipe(
    tap(counter.look),
    throttleTime(COUNT_MS, undefined, {trailing: true}),
    tap(counter.count),
  )

  return merge(counted$, tell$, pages$, vnis$, pairs$, published$, pods$, inputs$)
}
