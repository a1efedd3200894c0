/** The agent's process: reads what it needs of the world once, wires the streams, and stays until it is told to stop. */
import {readFile} from 'node:fs/promises'
import {
  concatMap,
  EMPTY,
  first,
  ignoreElements,
  merge,
  type Observable,
  ReplaySubject,
  retry,
  share,
  takeUntil,
  tap,
  timer,
} from 'rxjs'
import {KubeClient} from '../kube/client.ts'
import {Credentials, findCredentials} from '../kube/credentials.ts'
import type {Config} from '../model/config.ts'
import type {KernelView} from '../model/kernel.ts'
import type {Logger} from '../model/logger.ts'
import {Kernel} from '../netlink/kernel.ts'
import {routeWriter} from '../netlink/route-writer.ts'
import {kernelSource} from '../netlink/source.ts'
import {type ListenError, serveHealth} from '../observe/health.ts'
import {createLogger} from '../observe/log.ts'
import {createMetrics, type Metrics} from '../observe/metrics.ts'
import {enableForwarding} from '../routes/forwarding.ts'
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
  const nodes$ = nodeStream(client.listWatch({group: '', version: 'v1', resource: 'nodes'}), {
    notice: reflectorReporter('nodes', log, metrics),
  }).pipe(tap(view => status.set('nodes', view.synced ? undefined : view.reason)))
  const kernel$ = mirror.view$.pipe(tap(view => status.set('kernel', view.synced ? undefined : view.reason)))
  const wakes$ = wakes({nodes$, kernel$}).pipe(share({connector: () => new ReplaySubject(1)}))
  const ports = {writer: routeWriter(kernel, mirror.settle), passing: (domain: string) => status.passing(domain)}

  const passes = config.networks.map(network => {
    status.set(`network ${network.name}`, 'its first pass has not ended yet')
    const report = routeReporter(log, metrics)
    return routes(wakes$, network, identity, ports).pipe(
      tap(result => {
        report(result)
        if (result.error === undefined) status.set(`network ${network.name}`, undefined)
      }),
    )
  })
  return merge(health(config, status, metrics, log), forwarding(kernel, mirror.view$, log), ...passes)
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

/** Once, as soon as the links are known. What cannot be set is told; routes are programmed all the same. */
function forwarding(kernel: Kernel, kernel$: Observable<KernelView>, log: Logger): Observable<never> {
  const sysctls = {
    read: (name: string) => kernel.readSysctl(name),
    write: (name: string, value: string) => kernel.writeSysctl(name, value),
  }
  return kernel$.pipe(
    first(view => view.synced),
    concatMap(async view => {
      try {
        const written = await enableForwarding(sysctls, view.state.links.values())
        if (written.length > 0) log.info('forwarding switched on', {sysctls: written.join(' ')})
      } catch (error) {
        log.error('forwarding cannot be switched on: pods of other nodes are not reached; set the sysctl by hand', {
          err: error,
        })
      }
    }),
    ignoreElements(),
  )
}

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
