/** The agent's process: reads what it needs of the world once, wires the streams, and stays until it is told to stop. */
import {readFile} from 'node:fs/promises'
import {type Observable, takeUntil} from 'rxjs'
import {KubeClient} from '../kube/client.ts'
import {Credentials, findCredentials} from '../kube/credentials.ts'
import {Kernel} from '../netlink/kernel.ts'
import {createLogger} from '../observe/log.ts'
import {createMetrics} from '../observe/metrics.ts'
import {aborted$} from '../streams/lifetime.ts'
import {loadConfig} from './config.ts'
import {retireNetworks} from './retired.ts'
import {SavedNodes} from './saved-nodes.ts'
import {refuseNewerState} from './state-versions.ts'
import {flow} from './wire.ts'

export interface AgentOptions {
  readonly configFile: string
  readonly env: NodeJS.ProcessEnv
  readonly version: string
  /** Aborts: stop, and leave the kernel as it is. */
  readonly signal: AbortSignal
}

/** Resolves when it has been stopped. Rejects with ConfigError, NewerState, NetlinkSocketError, or what broke a stream. */
export async function runAgent({configFile, env, version, signal}: AgentOptions): Promise<void> {
  const config = await loadConfig(configFile, env)
  const log = createLogger({level: config.log.level})
  const metrics = createMetrics({version, process: true})
  await requireNetAdmin()
  await refuseNewerState(config.folders.state).catch(error => {
    log.fatal('not starting: the state folder is of a newer agent', {detail: error.message})
    log.close()
    throw error
  })
  const kernel = await Kernel.open()
  const credentials = new Credentials(findCredentials(config.kubernetes.kubeconfig ?? '', env))
  const client = new KubeClient(credentials)
  const saved = new SavedNodes({folder: config.folders.state, cluster: () => credentials.cluster(), log, metrics})
  const closing: (() => Promise<void>)[] = []
  log.info('starting', {version, node: config.node, networks: config.networks.map(network => network.name).join(' ')})
  try {
    await retireNetworks({config, kernel, log})
    const identity = {self: config.node, machineId: await readMachineId()}
    const searchPath = env.PATH ?? ''
    const edges = {version, kernel, client, saved, log, said: log.recent, metrics, searchPath, signal, closing}
    await run(flow(config, identity, edges), signal)
    log.info('stopping; the routes stay')
  } catch (error) {
    log.fatal('stopping: a stream broke', {err: error})
    throw error
  } finally {
    await Promise.allSettled(closing.map(close => close()))
    await saved.close()
    kernel.close()
    credentials.close()
    log.close()
  }
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

/** CAP_NET_ADMIN's bit in /proc/self/status. linux/capability.h. */
const NET_ADMIN = 1n << 12n

async function requireNetAdmin(): Promise<void> {
  const [, effective = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8')) ?? []
  if (!(BigInt(`0x${effective}`) & NET_ADMIN))
    throw new Error('the agent lacks CAP_NET_ADMIN: run it as root, or grant its container that capability')
}
