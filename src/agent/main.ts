/** The agent's process: reads what it needs of the world once, wires the streams, and stays until it is told to stop. */
import {readFile} from 'node:fs/promises'
import {
  combineLatest,
  distinctUntilKeyChanged,
  EMPTY,
  exhaustMap,
  filter,
  first,
  ignoreElements,
  map,
  merge,
  type Observable,
  ReplaySubject,
  retry,
  share,
  switchMap,
  takeUntil,
  tap,
  timer,
} from 'rxjs'
import {KubeClient} from '../kube/client.ts'
import {Credentials, findCredentials} from '../kube/credentials.ts'
import type {Config} from '../model/config.ts'
import type {KernelState, KernelView} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import {Kernel} from '../netlink/kernel.ts'
import {routeWriter} from '../netlink/route-writer.ts'
import {kernelSource} from '../netlink/source.ts'
import {type ListenError, serveHealth} from '../observe/health.ts'
import {createLogger} from '../observe/log.ts'
import {createMetrics, type Metrics} from '../observe/metrics.ts'
import {forwardingKeeper} from '../routes/forwarding.ts'
import type {RouteReport} from '../routes/pass.ts'
import {aborted$} from '../streams/lifetime.ts'
import {createMirror} from '../streams/mirror.ts'
import {nodeStream} from '../streams/nodes.ts'
import {loadConfig} from './config.ts'
import {mirrorReporter, reflectorReporter} from './notices.ts'
import {routeReporter} from './report.ts'
import {Status} from './status.ts'
import {routes, wakes} from './wire.ts'

export interface AgentOptions {
  readonly configFile: string
  readonly env: NodeJS.ProcessEnv
  readonly version: string
  /** Aborts: stop, and leave the kernel as it is. */
  readonly signal: AbortSignal
}

/** Resolves when it has been stopped. Rejects with ConfigError, NetlinkSocketError, or what broke a stream. */
export async function runAgent({configFile, env, version, signal}: AgentOptions): Promise<void> {
  const config = await loadConfig(configFile, env)
  const log = createLogger({level: config.log.level})
  const metrics = createMetrics({version, process: true})
  await requireNetAdmin()
  const kernel = await Kernel.open()
  const credentials = new Credentials(findCredentials(config.kubernetes.kubeconfig ?? '', env))
  const client = new KubeClient(credentials)
  log.info('starting', {version, node: config.node, networks: config.networks.map(network => network.name).join(' ')})
  try {
    const identity = {self: config.node, machineId: await readMachineId()}
    await run(flow(config, identity, {kernel, client, log, metrics}), signal)
    log.info('stopping; the routes stay')
  } catch (error) {
    log.fatal('stopping: a stream broke', {err: error})
    throw error
  } finally {
    kernel.close()
    credentials.close()
    log.close()
  }
}

interface Edges {
  readonly kernel: Kernel
  readonly client: KubeClient
  readonly log: Logger
  readonly metrics: Metrics
}

/** Everything that runs, as one stream that never ends by itself. */
function flow(
  config: Config,
  identity: Parameters<typeof routes>[2],
  {kernel, client, log, metrics}: Edges,
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
  // Only then: what an earlier process left in the kernel tells how many nodes there must be.
  const nodes$ = kernel$.pipe(
    first(view => view.synced),
    switchMap(({state}) =>
      nodeStream(client.listWatch({group: '', version: 'v1', resource: 'nodes'}), {
        notice: reflectorReporter('nodes', log, metrics),
        expected: () => countNodes(state, config.networks),
      }),
    ),
    tap(view => status.set('nodes', view.synced ? undefined : view.reason)),
  )
  const wakes$ = wakes({nodes$, kernel$}).pipe(share({connector: () => new ReplaySubject(1)}))
  const ports = {writer: routeWriter(kernel, mirror.settle), passing: (domain: string) => status.passing(domain)}

  const passes = config.networks.map(network => {
    status.set(`network ${network.name}`, 'its first pass has not ended yet')
    const report = routeReporter(log, metrics)
    return routes(wakes$, network, identity, ports).pipe(
      tap(result => {
        report(result)
        if (result.error === undefined) status.set(`network ${network.name}`, whyUnready(result))
      }),
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

/** A port that is taken (by the agent that this one replaces, say) costs no route: it is tried again. */
function health(config: Config, status: Status, metrics: Metrics, log: Logger): Observable<never> {
  const {listen} = config.metrics
  if (listen === undefined) return EMPTY
  return serveHealth({
    listen,
    metrics: () => metrics.expose(),
    conditions: () => status.conditions,
    runningPasses: () => status.passes,
  }).pipe(
    tap(({port}) => log.info('serving /metrics, /healthz and /readyz', {port})),
    retry({
      delay: (error: ListenError) => {
        log.error('metrics and health are not served; trying again', {code: error.errno, detail: error.message})
        return timer(LISTEN_RETRY_MS)
      },
    }),
    ignoreElements(),
  )
}

const LISTEN_RETRY_MS = 2000

/** At start, whenever links come and go, and once in a while: somebody else may have switched it off. */
function forwarding(kernel: Kernel, kernel$: Observable<KernelView>, status: Status, log: Logger): Observable<unknown> {
  const keep = forwardingKeeper({
    read: name => kernel.readSysctl(name),
    write: (name, value) => kernel.writeSysctl(name, value),
  })
  const links$ = kernel$.pipe(
    filter(view => view.synced),
    map(({state}) => ({state, names: [...state.links.values()].map(({index, name}) => `${index} ${name}`).join()})),
    distinctUntilKeyChanged('names'),
  )
  let told = ''
  return combineLatest([links$, timer(0, FORWARDING_MS)]).pipe(
    exhaustMap(([{state}]) => keep(state)),
    tap(({written, failed}) => {
      if (written.length > 0) log.info('forwarding switched on', {sysctls: written.join(' ')})
      const reason = failed.join('; ')
      if (reason !== told && reason !== '')
        log.error('forwarding cannot be switched on: pods of other nodes are not reached; set the sysctl by hand', {
          reason,
        })
      told = reason
      status.set('forwarding', reason === '' ? undefined : `it cannot be switched on: ${reason}`)
    }),
  )
}

const FORWARDING_MS = 30_000

/** The one subscription: until the signal aborts, or a stream breaks. */
function run(stream$: Observable<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    stream$.pipe(takeUntil(aborted$(signal))).subscribe({complete: resolve, error: reject})
  })
}

/** As the kubelet reports it in `status.nodeInfo.machineID`. */
const readMachineId = (): Promise<string> =>
  readFile('/etc/machine-id', 'utf8').then(
    text => text.trim(),
    () => '',
  )

/** CAP_NET_ADMIN's bit in /proc/self/status. linux/capability.h. */
const NET_ADMIN = 1n << 12n

async function requireNetAdmin(): Promise<void> {
  const [, effective = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8')) ?? []
  if (!(BigInt(`0x${effective}`) & NET_ADMIN))
    throw new Error('the agent lacks CAP_NET_ADMIN: run it as root, or grant its container that capability')
}
