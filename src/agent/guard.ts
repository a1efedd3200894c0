/** The guard of tunnels: what nodes there are, and who changes the table, say when it is looked at. */
import {debounceTime, distinctUntilChanged, filter, map, type Observable, tap} from 'rxjs'
import {createGuard, type GuardReport} from '../guard/guard.ts'
import {GUARD_TABLE, type GuardFacts} from '../guard/table.ts'
import type {Config} from '../model/config.ts'
import {usesTunnels} from '../model/config-network.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Logger} from '../model/logger.ts'
import type {NftProgram} from '../netlink/nft.ts'
import type {View} from '../streams/view.ts'
import {keepTable} from './nft-table.ts'

export interface GuardEdges {
  readonly config: Config
  readonly program: NftProgram
  readonly nodes$: Observable<View<NodeName, NodeFacts>>
  readonly log: Logger
}

/** Milliseconds that changes are gathered for, and between two looks: each call of nft costs 10 ms of a processor. */
const GATHER_MS = 200
const REST_MS = 1000

export function guard({config, program, nodes$, log}: GuardEdges): Observable<GuardReport> {
  const look = createGuard(program)
  const facts$ = nodes$.pipe(
    filter(view => view.synced),
    debounceTime(GATHER_MS),
    map(({items}) => factsOf(config, [...items.values()])),
    distinctUntilChanged(isSame),
  )
  return keepTable({
    ...{config, program, facts$, look},
    table: GUARD_TABLE,
    gatherMs: GATHER_MS,
    restMs: REST_MS,
    broken: refused => ({changed: false, refused}),
    told: refused => {
      if (refused === undefined) log.info('tunnels are guarded again')
      else log.warn("tunnels cannot be guarded: pods can send into them, under anybody's name", {reason: refused})
    },
  }).pipe(
    tap(({changed}) => {
      if (changed) log.info('guard of tunnels written')
    }),
  )
}

/** Of other tunnels than ours nothing is known. */
export function factsOf({networks, pairs, clusterCIDRs}: Config, nodes: readonly NodeFacts[]): GuardFacts {
  const tunnelled = networks.filter(usesTunnels).map(({vxlan}) => vxlan.port)
  const masquerades = networks.some(({pods}) => pods.masquerade)
  return {
    ports: [...tunnelled, ...(pairs.enabled ? [pairs.port] : [])],
    pods: nodes.flatMap(({podCIDRs}) => podCIDRs),
    nodes: nodes.flatMap(({addresses, vteps}) => [...addresses, ...vteps.flatMap(({ends}) => ends.map(({ip}) => ip))]),
    inside: masquerades ? [...clusterCIDRs, ...networks.flatMap(({pods}) => pods.noMasquerade)] : undefined,
  }
}

const isSame = (a: GuardFacts, b: GuardFacts): boolean =>
  a.pods.map(String).join() === b.pods.map(String).join() && a.nodes.map(String).join() === b.nodes.map(String).join()
