/** The admin API: what the agent knows and does, read-only, for root on the node. */
import {ignoreElements, type Observable, retry, tap, timer} from 'rxjs'
import type {
  AdminAnswers,
  AdminAttachments,
  AdminExplanation,
  AdminNetworkPlan,
  AdminNetworkRoutes,
  AdminNodes,
  AdminPairs,
  AdminPlan,
} from '../model/admin.ts'
import type {Config} from '../model/config.ts'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {KernelState} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'
import {inTurns} from '../streams/turns.ts'
import {listAttachments} from './admin-attachments.ts'
import type {AdminBoard} from './admin-board.ts'
import {plainConfig} from './admin-config.ts'
import {explain, parseSubject, type Subject} from './admin-explain.ts'
import {explainBeyond} from './admin-explain-nodes.ts'
import {listNodes} from './admin-nodes.ts'
import {planRoutes} from './admin-plan.ts'
import {listRoutes, type RoutesAsked} from './admin-routes.ts'
import {AdminRefusal, serveAdmin} from './admin-server.ts'
import {adminStatus} from './admin-status.ts'
import {adminSocketPath} from './cni-folders.ts'
import type {Pods} from './pods.ts'
import type {Status} from './status.ts'

export interface AdminEdges {
  readonly config: Config
  readonly version: string
  readonly status: Status
  readonly board: AdminBoard
  /** The newest. Undefined: it has not been read yet. */
  readonly kernel: () => Promise<KernelState | undefined>
  readonly pods: Pods
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'expose'>
  /** What the log has last said. */
  readonly said: () => readonly string[]
}

/** Milliseconds. */
const LISTEN_RETRY_MS = 2000

/** A socket that cannot be made costs nobody anything but the sight of it: it is tried again. */
export function admin(edges: AdminEdges): Observable<never> {
  const {config, log} = edges
  const path = adminSocketPath(config)
  return serveAdmin({path, answers: answers(edges)}).pipe(
    tap({
      next: () => log.info('serving the admin API', {socket: path}),
      error: error => log.error('the admin socket cannot be served; trying again', {err: error}),
    }),
    retry({delay: () => timer(LISTEN_RETRY_MS)}),
    ignoreElements(),
  )
}

export type AdminHandlers = {
  readonly [K in keyof AdminAnswers]: (query: URLSearchParams) => Promise<AdminAnswers[K]>
}

function answers({config, version, status, board, kernel, pods, metrics, said}: AdminEdges): AdminHandlers {
  /** Why nothing is known of a network's routes. */
  const whyNot = (network: string): string => {
    const conditions = new Map(status.conditions)
    const reasons = ['kernel', 'nodes', `network ${network}`].map(name => conditions.get(name)?.reason)
    return reasons.find(reason => reason !== undefined) ?? 'its first pass has not ended yet'
  }
  const eachNetwork = async <T>(
    known: (asked: RoutesAsked) => Generator<void, T, undefined>,
    unknown: (network: Config['networks'][number]) => T,
    only?: RoutesAsked['only'],
  ): Promise<T[]> => {
    const state = await kernel()
    const found: T[] = []
    for (const network of config.networks) {
      const {basis, report} = board.routes.get(network.name) ?? {}
      const isKnown = state && basis && report
      found.push(isKnown ? await inTurns(known({basis, report, kernel: state, ...(only && {only})})) : unknown(network))
    }
    return found
  }
  const routes = (only?: RoutesAsked['only']): Promise<AdminNetworkRoutes[]> =>
    eachNetwork(
      listRoutes,
      ({name, protocol}) => ({network: name, protocol, tunnels: [], routes: [], unknown: whyNot(name)}),
      only,
    )
  const attachments = (): AdminAttachments => {
    const {open} = board
    if (!open) return {attachments: [], unknown: new Map(status.conditions).get('cni')?.reason ?? 'it is not open yet'}
    const {entries, trouble} = open.attachments
    return {
      attachments: listAttachments({
        entries: entries.values(),
        reports: board.pods,
        trouble,
        refusal: board.refusals.of,
      }),
    }
  }
  const pairs = (): AdminPairs => {
    if (board.pairs) return board.pairs.list()
    return {ends: [], unknown: config.pairs.enabled ? 'pairs are not served yet' : 'pairs are switched off'}
  }
  const nodes = (): AdminNodes => {
    const [basis] = [...board.routes.values()].flatMap(known => known.basis ?? [])
    return basis ? listNodes(basis) : {nodes: [], unknown: whyNot(config.networks[0]!.name)}
  }

  return {
    status: () => adminStatus({config, version, status, board}),
    routes: async () => ({networks: await routes()}),
    attachments: async () => attachments(),
    pairs: async () => pairs(),
    nodes: async () => nodes(),
    metrics: async () => ({text: (await metrics.expose()).body}),
    config: async () => ({config: plainConfig(config)}),
    log: async () => ({lines: said()}),
    plan: async (): Promise<AdminPlan> => ({
      networks: await eachNetwork<AdminNetworkPlan>(planRoutes, ({name}) => ({
        network: name,
        changes: [],
        conflicts: [],
        heldBack: whyNot(name),
      })),
      attachments: attachments().attachments.filter(
        ({state, trouble}) => state !== 'attached' || trouble !== undefined,
      ),
      pairs: pairs().ends.filter(({state}) => state !== 'up'),
    }),
    explain: async (query): Promise<AdminExplanation> => {
      const text = query.get('subject') ?? ''
      if (text === '')
        throw new AdminRefusal(
          'the query has no subject; add ?subject= and an address, a range, a pod, a node or an interface',
        )
      const {nodes} = [...board.routes.values()].find(({basis}) => basis)?.basis?.cluster ?? {
        nodes: new Map<NodeName, NodeFacts>(),
      }
      const subject = parseSubject(text, name => nodes.has(name as NodeName))
      const ip = subject.kind === 'address' ? subject.ip : undefined
      const only = onlyOf(subject)
      const found = only ? await routes(only) : []
      const ways = found.flatMap(({network, routes}) => routes.map(route => ({...route, network})))
      const [{attachments: list, unknown: noJournal}, {ends, unknown: noPairs}] = [attachments(), pairs()]
      const unknown = [
        ...found.flatMap(each =>
          each.unknown ? [`routes of network ${each.network} are not known: ${each.unknown}`] : [],
        ),
        ...(noJournal === undefined ? [] : [`pods' networks are not known: ${noJournal}`]),
        ...(noPairs === undefined || !config.pairs.enabled ? [] : [`not all is known of pairs: ${noPairs}`]),
      ]
      return explain(subject, {
        kernel: await kernel(),
        routes: ways.sort((a, b) => lengthOf(b.range) - lengthOf(a.range)),
        hosts: [...nodes.values()].filter(({name, addresses}) =>
          ip ? addresses.some(each => `${each}` === `${ip}`) : subject.kind === 'node' && name === subject.text,
        ),
        beyond: seen => {
          const ranges = [...nodes.values()].flatMap(({podCIDRs}) => podCIDRs)
          return ip ? explainBeyond(ip, {config, ranges, ...seen}) : []
        },
        attachments: list,
        pairs: ends,
        pod: key => pods.items.get(key),
        refusal: board.refusals.of,
        unknown,
      })
    },
  }
}

/** Which routes speak of it. Undefined: none do. */
function onlyOf(subject: Subject): RoutesAsked['only'] {
  if (subject.kind === 'address') return (_, range) => range?.contains(subject.ip) === true
  if (subject.kind === 'range') return (_, range) => range?.overlaps(subject.cidr) === true
  return subject.kind === 'node' ? ({name}) => name === subject.text : undefined
}

const lengthOf = (range: string | undefined): number => Number(range?.split('/')[1] ?? 0)
