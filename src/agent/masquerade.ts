/** Masquerade's flow: what the facts want of the packet filter, whenever they or the packet filter change. */
import {combineLatest, debounceTime, distinctUntilChanged, filter, map, type Observable, of, startWith, tap} from 'rxjs'
import type {MasqueradeReport, Masquerading} from '../masquerade/masquerade.ts'
import {TABLE} from '../masquerade/table.ts'
import type {Config} from '../model/config.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Cidr} from '../model/ip.ts'
import type {Logger} from '../model/logger.ts'
import type {NftProgram} from '../netlink/nft.ts'
import type {RouteReport} from '../routes/pass.ts'
import type {View} from '../streams/view.ts'
import {keepTable} from './nft-table.ts'

export interface MasqueradeEdges {
  readonly config: Config
  readonly masquerading: Masquerading
  readonly program: NftProgram
  readonly nodes$: Observable<View<NodeName, NodeFacts>>
  /** Of each network, in the config's order; each replays its last one. */
  readonly reports: readonly Observable<RouteReport>[]
  readonly log: Logger
}

/** Milliseconds that changes are gathered for: nodes come in crowds, and each call of nft costs 10 ms of a processor. */
const GATHER_MS = 100

export function masquerade(edges: MasqueradeEdges): Observable<MasqueradeReport> {
  const {config, masquerading, program, nodes$, reports, log} = edges
  const masked = config.networks.flatMap(({pods}, i) => (pods.masquerade ? reports[i]! : []))
  // Where none is masqueraded, what an earlier agent wrote for one goes.
  const own$ = masked.length === 0 ? of([]) : combineLatest(masked)
  const cluster$ = nodes$.pipe(
    filter(view => view.synced),
    debounceTime(GATHER_MS),
    map(({items}) => [...items.values()].flatMap(({podCIDRs}) => podCIDRs)),
    distinctUntilChanged(sameText),
  )
  const configured = [...config.clusterCIDRs, ...config.networks.flatMap(({pods}) => pods.noMasquerade)]
  const facts$ = combineLatest([
    own$.pipe(
      map(list => list.flatMap(({ranges}) => ranges)),
      distinctUntilChanged(sameText),
    ),
    cluster$,
  ]).pipe(
    filter(([own]) => own.length > 0 || masked.length === 0),
    map(([own, cluster]) => ({own, skip: [...configured, ...cluster]})),
    startWith(undefined),
  )
  return keepTable({
    ...{config, program, facts$},
    table: TABLE,
    look: facts => masquerading.reconcile(facts),
    gatherMs: GATHER_MS,
    restMs: GATHER_MS,
    broken: refused => ({changed: 0, refused, ms: 0, own: 0, skip: 0, pods: 0}),
    told: refused => {
      if (refused === undefined) log.info('masquerade is programmed again')
      else
        log.error('masquerade cannot be programmed: pods do not reach what is outside the cluster', {reason: refused})
    },
  }).pipe(
    tap(({changed, ms, own, skip, pods}) => {
      if (changed > 0) log.info('masquerade written', {commands: changed, ms: Math.round(ms), own, skip, pods})
    }),
  )
}

const sameText = (a: readonly Cidr[], b: readonly Cidr[]): boolean =>
  a.length === b.length && a.every((cidr, i) => `${cidr}` === `${b[i]}`)
