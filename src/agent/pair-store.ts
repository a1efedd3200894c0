/** The store, as pairs use it: what all nodes tell each other, and when enough of it is known. */
import {
  BehaviorSubject,
  concatMap,
  defer,
  distinctUntilChanged,
  EMPTY,
  filter,
  map,
  merge,
  type Observable,
  Subject,
  switchMap,
  take,
  tap,
} from 'rxjs'
import type {KubeClient} from '../kube/client.ts'
import type {Config} from '../model/config.ts'
import type {NodeName} from '../model/facts.ts'
import type {Logger} from '../model/logger.ts'
import type {PairKey, PairState, PodKey} from '../model/pair.ts'
import type {Collection, Document, Entry, Kind, Store} from '../model/store.ts'
import type {Metrics} from '../observe/metrics.ts'
import {ENDPOINTS, type EndpointDocument, PAIRS, type PairDocument, VNIS, type VniDocument} from '../pairs/documents.ts'
import {openStore} from '../store/open.ts'
import {viewChanges} from '../streams/changed-keys.ts'
import type {View} from '../streams/view.ts'
import {watchStore} from './pair-store-watch.ts'

type Items<D> = ReadonlyMap<string, Entry<D>>

/** Who hears of changes. `keys`: undefined: anything may have changed. */
export interface PairStoreEars {
  endpoints(items: Items<EndpointDocument>, keys: ReadonlySet<string> | undefined): Promise<void>
  claims(items: Items<VniDocument>, keys: ReadonlySet<string> | undefined): void
  alive(nodes: ReadonlySet<NodeName>): void
}

export interface PairStore {
  readonly endpoints: Collection<EndpointDocument>
  readonly vnis: Collection<VniDocument>
  readonly pages: Collection<PairDocument>
  /** Live, as the store's stream has told last. */
  readonly allEndpoints: Items<EndpointDocument>
  endpoint(pod: PodKey): Entry<EndpointDocument> | undefined
  vni(key: string): Entry<VniDocument> | undefined
  /** Live: pairs' objects. Of a node that tells of a pod, or has told. */
  readonly allPages: Items<PairDocument>
  page(pair: PairKey): Entry<PairDocument> | undefined
  readonly arePagesKnown: boolean
  /** Whose objects have changed; all: they are known from now on. */
  readonly pages$: Observable<ReadonlySet<PairKey> | 'all'>
  /** Pods of which this node tells, or an earlier process has told. */
  own(): readonly PodKey[]
  /** Everything that is heard, for as long as it is subscribed to. */
  changes$(ears: PairStoreEars): Observable<unknown>
  /** The pods of this node are known. */
  podsKnown(): void
  /** There is something to tell: from now on this node shows a sign of life, and looks for those of others. */
  live(): void
  /** Whether all is known of which pairs follow. */
  readonly isReady: boolean
  /** Once it is. */
  readonly ready$: Observable<unknown>
  /** Whether it is known which nodes are alive. */
  readonly isLive: boolean
  /** Whenever that changes. */
  readonly alive$: Observable<unknown>
  /** Why this node's sign of life is not told, or the store not heard of. Undefined: none is to be told, or it is. */
  readonly trouble: string | undefined
  /** What a pod is told while it is not known. */
  unknown(): PairState
  /** Of other nodes. As those of {@link Store}. */
  readonly signs: Store['signs']
  readonly disown: Store['disown']
  close(): Promise<void>
}

interface Edges {
  readonly config: Config
  readonly client: KubeClient
  readonly log: Logger
  readonly metrics: Metrics
}

export function openPairStore(self: NodeName, {config, client, log, metrics}: Edges): PairStore {
  const watch = watchStore(config.store, log, metrics)
  const store = openStore(config.store, {
    kube: client,
    tell: ({what, key, reason}) =>
      log.warn('what somebody has written into the store cannot be used, and is left alone', {what, key, reason}),
    ...watch.ears,
  })
  const open = <D extends Document>(kind: Kind<D>): Collection<D> => watch.counted(kind.plural, store.collection(kind))
  const [endpoints, vnis, pages] = [open(ENDPOINTS), open(VNIS), open(PAIRS)]
  let allEndpoints: Items<EndpointDocument> = new Map()
  let allVnis: Items<VniDocument> = new Map()
  const waitsFor = new Map([
    ['pods', 'the pods of this node are not known yet'],
    [ENDPOINTS.plural, 'what other nodes tell of their pods is not known yet'],
    [VNIS.plural, 'which network identifiers are taken is not known yet'],
  ])
  const ready = new BehaviorSubject(false)
  const alive = new Subject<void>()
  const live = new BehaviorSubject(false)
  let isLive = false
  let trouble: string | undefined
  let allPages: Items<PairDocument> = new Map()
  let arePagesKnown = false
  const pageChanges = new Subject<ReadonlySet<PairKey> | 'all'>()

  const known = (what: string): void => {
    if (waitsFor.delete(what) && waitsFor.size === 0) ready.next(true)
  }
  const whyNot = (what: string, view: View<unknown, unknown>): void => {
    watch.saw(what, view)
    if (!view.synced && waitsFor.has(what)) waitsFor.set(what, view.reason)
  }

  const signs = ({alive: tell}: PairStoreEars): Observable<unknown> =>
    merge(
      pages.entries$.pipe(
        tap(view => watch.saw(PAIRS.plural, view)),
        viewChanges(),
        tap(({view, keys}) => {
          allPages = view.items
          const first = !arePagesKnown
          arePagesKnown = true
          pageChanges.next(first ? 'all' : ((keys ?? new Set(view.items.keys())) as ReadonlySet<PairKey>))
        }),
      ),
      store.own(self, {ttlMs: config.pairs.aliveSeconds * 1000}).pipe(
        tap(told => {
          trouble = told.held ? undefined : told.reason
          watch.held(told.held)
          if (!told.held) log.warn('other nodes may take this one for dead; trying again', {reason: told.reason})
        }),
      ),
      store.owners$.pipe(
        tap(view => {
          watch.saw('owners', view)
          if (!view.synced) return
          isLive = true
          tell(new Set(view.items.keys() as Iterable<NodeName>))
          alive.next()
        }),
      ),
    )

  return {
    endpoints,
    vnis,
    pages,
    get allEndpoints() {
      return allEndpoints
    },
    endpoint: pod => allEndpoints.get(pod),
    vni: key => allVnis.get(key),
    get allPages() {
      return allPages
    },
    page: pair => allPages.get(pair),
    get arePagesKnown() {
      return arePagesKnown
    },
    pages$: pageChanges,
    own: () => [...allEndpoints].flatMap(([key, {value}]) => (value.spec.node === self ? key : [])),
    changes$: ears =>
      merge(
        endpoints.entries$.pipe(
          tap(view => whyNot(ENDPOINTS.plural, view)),
          viewChanges(),
          concatMap(async ({view, keys}) => {
            allEndpoints = view.items
            await ears.endpoints(view.items, keys)
            known(ENDPOINTS.plural)
          }),
        ),
        vnis.entries$.pipe(
          tap(view => whyNot(VNIS.plural, view)),
          viewChanges(),
          tap(({view, keys}) => {
            allVnis = view.items
            ears.claims(view.items, keys)
            known(VNIS.plural)
          }),
        ),
        live.pipe(
          distinctUntilChanged(),
          switchMap(on => (on ? signs(ears) : EMPTY)),
        ),
      ),
    podsKnown: () => known('pods'),
    live: () => live.next(true),
    get isReady() {
      return ready.value
    },
    ready$: defer(() => ready).pipe(
      filter(Boolean),
      take(1),
      map(() => undefined),
    ),
    get isLive() {
      return isLive
    },
    alive$: alive,
    get trouble() {
      return trouble ?? watch.trouble
    },
    unknown: () => ({
      state: 'waiting',
      waitsFor: 'store',
      reason: reasonOf(waitsFor) || 'which nodes are alive is not known yet',
    }),
    signs: store.signs,
    disown: store.disown,
    close: () => store.close(),
  }
}

/** Of what is not known, by name. Pods are looked at only when the rest is known; one trouble may be that of several. */
function reasonOf(waitsFor: ReadonlyMap<string, string>): string {
  const first = [...waitsFor].filter(([what]) => what !== 'pods' || waitsFor.size === 1)
  const byTrouble = new Map(first.map(([, reason]) => [reason.replace(/; next try in \d+ s$/, ''), reason]))
  return [...byTrouble.values()].join('; ')
}
