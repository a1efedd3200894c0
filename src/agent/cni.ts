/** The CNI front's flow: what an earlier agent has left is put in order, then requests are answered for as long as we run. */
import {watch} from 'node:fs'
import {
  concatMap,
  debounceTime,
  defer,
  exhaustMap,
  filter,
  firstValueFrom,
  map,
  merge,
  mergeMap,
  Observable,
  raceWith,
  retry,
  share,
  switchMap,
  tap,
  throwError,
  timer,
} from 'rxjs'
import type {PodSite} from '../cni/default-network.ts'
import {CniError} from '../cni/error.ts'
import {hostMountNeeded} from '../cni/exec.ts'
import type {FrontEvent} from '../cni/front.ts'
import {type Entry, isFurther} from '../cni/journal.ts'
import type {PodNetworks} from '../cni/networks.ts'
import {decodeRequest} from '../cni/protocol.ts'
import {recover, removeDead} from '../cni/recovery.ts'
import {type Incoming, serve} from '../cni/server.ts'
import {drainSpool} from '../cni/spool.ts'
import {aliasOf} from '../cni/types/marks.ts'
import type {Masquerading} from '../masquerade/masquerade.ts'
import type {Config} from '../model/config.ts'
import {Cidr, type Ip, parseIpWithPrefix} from '../model/ip.ts'
import type {KernelState, KernelView} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import type {Link} from '../model/net.ts'
import {addon} from '../netlink/addon.ts'
import type {Metrics} from '../observe/metrics.ts'
import type {RouteReport} from '../routes/pass.ts'
import {aborted$} from '../streams/lifetime.ts'
import {counted, type EntryChange, entryChanges} from './cni-entries.ts'
import {socketPath, spoolFolder} from './cni-folders.ts'
import {heal} from './cni-heal.ts'
import {type OpenFront, openFront} from './cni-open.ts'
import {deedReporter, frontReporter} from './cni-report.ts'
import {vanished} from './cni-vanished.ts'
import type {Status} from './status.ts'

export interface CniEdges {
  readonly config: Config
  /** Of the first network. */
  readonly reports$: Observable<RouteReport>
  readonly kernel$: Observable<KernelView>
  /** When something of a pod's link has changed. */
  readonly pods$: Observable<KernelState>
  readonly masquerading: Masquerading
  /** What is known of pods' further networks. */
  readonly networks: PodNetworks
  /** What runs beside the front, with what it has open. */
  readonly beside: (
    open: OpenFront,
    changes$: Observable<EntryChange>,
    vanished$: Observable<Link | 'some'>,
  ) => Observable<unknown>
  /** Hears of each request that has been answered. */
  readonly answered: (event: FrontEvent) => void
  readonly searchPath: string
  readonly status: Status
  readonly log: Logger
  readonly metrics: Metrics
  /** Of the agent's life. */
  readonly signal: AbortSignal
  /** To be waited for when the agent stops. */
  readonly closing: (() => Promise<void>)[]
}

/** Milliseconds. */
const OPEN_RETRY_MS = 2000
/** How long an ADD waits for what is not known of this node yet; the runtime tries again by itself. */
const SITE_MS = 10_000
const SPOOL = {firstMs: 3000, settleMs: 20, lookMs: 30_000} as const

/** One stream that never ends by itself, and never fails. `reports$` replays the last one. */
export function cni(edges: CniEdges): Observable<unknown> {
  const {config, log, status, metrics, signal, closing} = edges
  const hostRoot = hostMountNeeded().then(needed => (needed ? '/proc/1/root' : ''))
  const report = frontReporter(log, metrics, hostRoot)
  status.set('cni', 'it is not open yet')
  return defer(() =>
    openFront({
      config,
      log,
      signal,
      searchPath: edges.searchPath,
      masquerade: edges.masquerading,
      site: siteOf(edges.reports$, signal),
      networks: edges.networks,
      done: event => {
        report(event)
        edges.answered(event)
      },
      waiting: folder => {
        status.set('cni', `another process works with ${folder}: we wait until it has ended`)
        log.warn('another process works with the state folder; waiting until it has ended', {folder})
      },
      did: deedReporter(metrics),
    }),
  ).pipe(
    tap({
      error: error => {
        if (signal.aborted) return
        status.set('cni', `it cannot be opened: ${error.message}`)
        log.error('the CNI front cannot be opened; trying again', {err: error})
      },
    }),
    retry({delay: () => timer(OPEN_RETRY_MS)}),
    tap(open => {
      closing.push(open.close)
      edges.masquerading.restore(masked(open.attachments.entries.values()))
      tellOtherMode(open.attachments.entries.values(), edges)
    }),
    switchMap(open => {
      const drain = drainer(open, edges)
      return defer(() => recover(open).then(() => soon(drain()))).pipe(switchMap(() => work(open, edges, drain)))
    }),
  )
}

function work(open: OpenFront, edges: CniEdges, drain: () => Promise<void>): Observable<unknown> {
  const changes$ = entryChanges(open)
  const vanished$ = vanished(edges.log).pipe(share())
  return merge(
    changes$.pipe(counted(open, edges.metrics)),
    edges.beside(open, changes$, vanished$),
    requests(open, edges),
    spool(edges, drain),
    dead(open, edges),
    heal({...open, ...edges, vanished$, resyncMs: edges.config.kernel.resyncSeconds * 1000}),
  )
}

function requests({front}: OpenFront, {config, status, log, signal}: CniEdges): Observable<unknown> {
  const path = socketPath(config)
  return serve({
    path,
    credentials: addon.peerCredentials,
    tell: problem => log.warn('a request on the CNI socket is refused', {problem}),
    listening: () => {
      status.set('cni', undefined)
      log.info('serving CNI requests', {socket: path})
    },
  }).pipe(
    tap({
      error: error => {
        status.set('cni', `its socket cannot be served: ${error.message}`)
        log.error('the CNI socket cannot be served; trying again', {err: error})
      },
    }),
    retry({delay: () => timer(OPEN_RETRY_MS)}),
    mergeMap(incoming => answer(front, incoming, signal)),
  )
}

export async function answer(
  front: Pick<OpenFront['front'], 'handle'>,
  {request, answer, leave}: Incoming,
  life?: AbortSignal,
): Promise<void> {
  const {status, body, unheard} = await front.handle(request)
  // What was given up because we end is done by the next agent: the shim waits for it.
  if (status === 1 && life?.aborted) return leave()
  const heard = await answer({status, body})
  if (!heard) await unheard?.()
}

/** Carries out what the shim has left while nobody answered. */
function drainer({front}: OpenFront, {config, log}: CniEdges): () => Promise<void> {
  const tell = (problem: string) => log.warn('a spooled DEL is not carried out', {problem})
  return async () => {
    try {
      const count = await drainSpool(spoolFolder(config), {decode: decodeRequest, run: front.spooled, tell})
      if (count > 0) log.info('spooled DELs carried out', {count})
    } catch (error) {
      tell((error as Error).message)
    }
  }
}

/** Who asks now may ask for what is in the spool to be gone. But nobody waits for long. */
const soon = (work: Promise<void>): Promise<void> =>
  Promise.race([work, new Promise<void>(resolve => setTimeout(resolve, SPOOL.firstMs).unref())])

/** As it comes, and once in a while. */
const spool = ({config}: CniEdges, drain: () => Promise<void>): Observable<unknown> =>
  merge(timer(0, SPOOL.lookMs), changes(spoolFolder(config)).pipe(retry({delay: () => timer(SPOOL.lookMs)}))).pipe(
    debounceTime(SPOOL.settleMs),
    concatMap(drain),
  )

/** Whenever something in the folder changes. Fails where it cannot be watched. */
const changes = (folder: string): Observable<void> =>
  new Observable(subscriber => {
    const watcher = watch(folder, {persistent: false}, () => subscriber.next())
    watcher.on('error', error => subscriber.error(error))
    return () => watcher.close()
  })

/** Sandboxes that were taken down without a DEL. */
const dead = (open: OpenFront, {config, log}: CniEdges): Observable<unknown> =>
  timer(0, config.kernel.resyncSeconds * 1000).pipe(
    exhaustMap(() =>
      removeDead(open).catch(error => log.warn('attachments could not be looked through', {err: error})),
    ),
  )

/** Pods keep what they have; a pod on the bridge asks for its neighbours there, and one of the other mode does not answer. */
function tellOtherMode(entries: Iterable<Entry>, {config, log}: CniEdges): void {
  const {mode} = config.networks[0]!.pods
  const others = [...entries].filter(({plan, state}) => {
    const [first] = plan.list.plugins
    const isOurs = (first?.ipam as {type?: unknown} | undefined)?.type === 'node-local'
    return state === 'added' && !isFurther(plan) && isOurs && first?.type !== mode
  })
  if (others.length > 0)
    log.warn(
      'pods of this node have been started with another networks[].pods.mode and keep it: until they are made anew, they and newer pods of this node do not reach each other',
      {pods: others.length, mode},
    )
}

/** Attachments that are masqueraded by themselves, by their owner's name. */
export const masked = (entries: Iterable<Entry>): Map<string, readonly {ip: Ip; subnet: Cidr}[]> =>
  new Map(
    [...entries].flatMap(({plan, result}) => {
      const asked = plan.list.plugins.some(({ipMasq}) => ipMasq === true)
      if (!asked || !result) return []
      const ips = result.ips.map(({address}) => parseIpWithPrefix(address))
      return [[aliasOf(plan), ips.map(({ip, length}) => ({ip, subnet: new Cidr(ip, length)}))] as const]
    }),
  )

/** Waits for what ADD needs of the node. Rejects with CniError (11), and with the signal's reason. */
function siteOf(reports$: Observable<RouteReport>, life: AbortSignal): (signal: AbortSignal) => Promise<PodSite> {
  const known$ = reports$.pipe(
    filter(({ranges, error}) => ranges.length > 0 && error === undefined),
    map(({ranges, mtu}): PodSite => ({ranges, mtu})),
  )
  const late$ = timer(SITE_MS).pipe(switchMap(() => throwError(unknownSite)))
  return signal => {
    const over$ = merge(aborted$(signal), aborted$(life)).pipe(switchMap(() => throwError(unknownSite)))
    return firstValueFrom(known$.pipe(raceWith(late$, over$)))
  }
}

const unknownSite = (): CniError =>
  new CniError(
    'tryAgainLater',
    'this node has no pod range yet: spec.podCIDRs of its Node object is empty, or the API server has not answered; the pod starts once it is known',
  )
