/** Keeps the store in order: the objects that people read, and what others have left there. */
import {debounceTime, filter, map, merge, mergeMap, type Observable, pipe, tap, timer} from 'rxjs'
import {createSlots} from '../cni/slots.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Logger} from '../model/logger.ts'
import type {PairKey} from '../model/pair.ts'
import type {Metrics} from '../observe/metrics.ts'
import {coalesce} from '../streams/coalesce.ts'
import {coalesceByKey} from '../streams/keyed.ts'
import type {View} from '../streams/view.ts'
import type {PairFacts} from './pair-facts.ts'
import {createPairPages} from './pair-pages.ts'
import type {PairRecord} from './pair-record.ts'
import type {PairStore} from './pair-store.ts'
import {disownRemoved, isSweeper, sweepDead} from './pair-sweep.ts'
import type {Pods} from './pods.ts'

export interface UpkeepPorts {
  readonly self: NodeName
  readonly store: PairStore
  readonly facts: PairFacts
  readonly record: PairRecord
  readonly resyncMs: number
  readonly nodes$: Observable<View<NodeName, NodeFacts>>
  readonly ask: Pods['ask']
  readonly log: Logger
  readonly metrics: Metrics
}

/** Milliseconds. */
const SWEEP_MS = 15_000

/** Milliseconds. */
const REST_MS = 200

/** Objects that are written at once: nobody waits for them, and what is told to other nodes goes to the same server. */
const AT_ONCE = 8

/** `due$`: pairs whose object may have to change. */
export function storeUpkeep(
  {self, store, facts, record, resyncMs, nodes$, ask, log, metrics}: UpkeepPorts,
  due$: Observable<PairKey>,
): Observable<unknown> {
  const pages = createPairPages({
    self,
    collection: store.pages,
    stored: key => store.page(key),
    pair: key => facts.pairs.get(key),
    state: record.stateOf,
    isLost: node => store.isLive && !facts.alive.has(node) && isSweeper(self, facts.alive),
  })
  const slots = createSlots(AT_ONCE)
  /** Those that the API server has told of. */
  let nodes: ReadonlySet<NodeName> = new Set()
  const fewer$ = nodes$.pipe(
    // What was read from disk may be older than a node that has come since.
    filter(view => view.synced && view.stale === undefined),
    filter(view => {
      const before = nodes
      if (view.synced) nodes = new Set(view.items.keys())
      return [...before].some(node => !nodes.has(node))
    }),
    tap(() => {
      const [least] = [...nodes].sort()
      // Whoever has told of something may have been the only one who showed a sign of life.
      if (least === self && isLeft(store, facts, nodes)) store.live()
    }),
  )
  const told$ = merge(
    store.pages$.pipe(
      map(
        (keys): Iterable<PairKey> =>
          keys === 'all' ? [...facts.here, ...(store.allPages.keys() as Iterable<PairKey>)] : keys,
      ),
    ),
    merge(store.ready$, store.alive$.pipe(debounceTime(SWEEP_MS)), timer(resyncMs, resyncMs)).pipe(
      map((): Iterable<PairKey> => store.allPages.keys() as Iterable<PairKey>),
    ),
  ).pipe(mergeMap(keys => keys))
  return merge(
    merge(due$, told$).pipe(
      // Those that there are already have been read by then: they need not be written again.
      filter(key => store.arePagesKnown && store.isReady && pages.isDue(key)),
      coalesceByKey<PairKey, {key: PairKey; done: boolean; error?: unknown}>(
        async (key, signal) =>
          slots(signal, () => pages.write(key, signal)).then(
            outcome => ({key, done: outcome === 'done'}),
            error => ({key, done: false, error}),
          ),
        {
          failed: ({done}) => !done,
          over: ({key, done}) => done && !facts.here.has(key),
          onThrow: error => ({key: '' as PairKey, done: false, error}),
          backoff: {baseMs: 500, capMs: 60_000},
          // For people: states that pass quickly need not be written.
          rest: () => REST_MS,
        },
      ),
      tap(({key, error}) => {
        if (error) log.warn("a pair's object cannot be written; trying again", {pair: key, err: error as Error})
      }),
    ),
    merge(merge(store.alive$, fewer$).pipe(debounceTime(SWEEP_MS)), timer(resyncMs, resyncMs)).pipe(
      swept(store, log, async signal => {
        if (!store.isLive) return
        const {endpoints: collection, allEndpoints: stored} = store
        const keys = await sweepDead({self, collection, stored, alive: facts.alive, ask}, signal)
        metrics.storeLeftovers.inc({resource: 'pairpods'}, keys.length)
        if (keys.length > 0)
          log.info('what dead nodes have told of pods that are gone is removed', {count: keys.length})
        if (nodes.size === 0) return
        const removed = await disownRemoved({self, store, alive: facts.alive, nodes}, signal)
        metrics.storeLeftovers.inc({resource: 'owners'}, removed.length)
        if (removed.length > 0)
          log.info('signs of life of nodes that are no more are removed', {nodes: removed.join(' ')})
      }),
    ),
    // What an earlier process has written and nobody needs any more has to be told from a dead node's.
    store.ready$.pipe(
      swept(store, log, async signal => {
        const left = await store.pages.list(signal)
        if ([...left.values()].some(({value}) => value.status.node === self)) store.live()
      }),
    ),
  )
}

/** Whether there is anything in the store of nodes other than these. */
const isLeft = (store: PairStore, {claims}: PairFacts, nodes: ReadonlySet<NodeName>): boolean =>
  [...store.allEndpoints.values()].some(({value}) => !nodes.has(value.spec.node)) ||
  [...claims.values()].some(({node}) => !nodes.has(node))

/** Looks through the store, again until that succeeds. */
const swept = (store: PairStore, log: Logger, work: (signal: AbortSignal) => Promise<void>) =>
  pipe(
    filter(() => store.isReady),
    coalesce<unknown, unknown>(
      async (_, signal) =>
        work(AbortSignal.any([signal, AbortSignal.timeout(SWEEP_MS)])).then(
          () => undefined,
          error => error,
        ),
      {failed: error => error !== undefined, onThrow: error => error, backoff: {baseMs: 500, capMs: 60_000}},
    ),
    tap(error => {
      if (error)
        log.warn('what others have left in the store cannot be looked through; trying again', {err: error as Error})
    }),
  )
