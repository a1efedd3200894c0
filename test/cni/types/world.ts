/**
 * Two equal worlds for one config: a host-like namespace with a pod's in each, upstream's plugins at work in the one
 * and ours in the other. What they leave there can be compared. Needs root and Debian's containernetworking-plugins.
 */
import {execFile} from 'node:child_process'
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {CniError} from '../../../src/cni/error.ts'
import type {FindPlugin, NativePlugin, Plugin, PluginCall, PluginConfig} from '../../../src/cni/plugin.ts'
import {createRemovals, type Removals} from '../../../src/cni/removals.ts'
import type {CniResult} from '../../../src/cni/result.ts'
import {bridge} from '../../../src/cni/types/bridge.ts'
import {macvlan} from '../../../src/cni/types/macvlan.ts'
import type {TypePorts} from '../../../src/cni/types/ports.ts'
import {ptp} from '../../../src/cni/types/ptp.ts'
import {formatResult, parseResult} from '../../../src/cni/versions.ts'
import type {Masquerade} from '../../../src/model/masquerade.ts'
import type {NamespaceKernel} from '../../../src/model/namespace.ts'
import {namespaceKernel, namespaces as openNamespaces} from '../../../src/netlink/namespace.ts'
import {type Namespace, namespaces} from '../../netlink/namespace.ts'

export const PLUGINS = '/usr/lib/cni'

/** One call, in whichever world. */
export interface Call {
  readonly config: {readonly type: string; readonly ipam?: object; readonly [key: string]: unknown}
  readonly ifname?: string
  readonly args?: string
  readonly containerId?: string
  /** The namespace has gone: as the runtime then says it. */
  readonly netns?: string
  readonly prevResult?: unknown
}

export type Verb = 'add' | 'check' | 'del'

/** What came of a call: a result of 1.0.0 as JSON, nothing, or an error's message. */
export interface Answer {
  // biome-ignore lint/suspicious/noExplicitAny: whatever came
  readonly result?: any
  readonly error?: string
}

export interface World {
  readonly host: Namespace
  readonly pod: Namespace
  /** IPAM's files. */
  readonly dataDir: string
  run(verb: Verb, call: Call): Promise<Answer>
}

/** What our world has beside. */
export interface OurWorld extends World {
  readonly ports: TypePorts
  readonly masked: Map<string, string>
  readonly plugin: (type: string) => NativePlugin
  readonly callOf: (call: Call) => Promise<PluginCall>
  /** Work that a DEL has left behind: waited for by `run`. */
  repair(call: Call): Promise<readonly string[] | string>
  rebuild(call: Call): Promise<Answer>
  /** No result and no error: it cannot be done in place. `call.prevResult` is that of `before`. */
  update(call: Call, before: Call): Promise<Answer>
}

export async function twins(t: ExecutionContext): Promise<{theirs: World; ours: OurWorld}> {
  const [theirHost, theirPod, ourHost, ourPod] = await namespaces(t, 4)
  return {theirs: theirWorld(t, theirHost!, theirPod!), ours: await ourWorld(t, ourHost!, ourPod!)}
}

const folder = (t: ExecutionContext): string => {
  const path = mkdtempSync(join(tmpdir(), 'ng-types-'))
  t.teardown(() => rmSync(path, {recursive: true, force: true, maxRetries: 5}))
  return path
}

const configOf = ({config, prevResult}: Call, dataDir: string): PluginConfig =>
  ({
    cniVersion: '1.0.0',
    name: 'net',
    ...config,
    ...('ipam' in config && {
      ipam: {...((config.ipam as {type?: string}).type === 'host-local' && {dataDir}), ...config.ipam},
    }),
    ...(prevResult !== undefined && {prevResult}),
  }) as PluginConfig

function theirWorld(t: ExecutionContext, host: Namespace, pod: Namespace): World {
  const dataDir = folder(t)
  const run = async (verb: Verb, call: Call): Promise<Answer> => {
    const environment = environmentOf(verb, {netns: pod.path, containerId: 'c1', ifname: 'eth0', args: '', ...call})
    const program = join(PLUGINS, call.config.type)
    return execute(['ip', 'netns', 'exec', host.name, program], environment, configOf(call, dataDir))
  }
  return {host, pod, dataDir, run}
}

type Environment = Readonly<Record<string, string>>

const environmentOf = (
  verb: Verb,
  call: Pick<PluginCall, 'netns' | 'containerId' | 'ifname' | 'args'>,
): Environment => ({
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  CNI_COMMAND: verb.toUpperCase(),
  CNI_CONTAINERID: call.containerId,
  CNI_NETNS: call.netns,
  CNI_IFNAME: call.ifname,
  CNI_ARGS: call.args,
  CNI_PATH: PLUGINS,
})

function execute([program, ...args]: readonly string[], env: Environment, config: object): Promise<Answer> {
  return new Promise(resolve => {
    const child = execFile(program!, args, {env}, (error, stdout) => {
      if (error) resolve({error: messageOf(stdout) ?? String(error)})
      else resolve(stdout.trim() === '' ? {} : {result: JSON.parse(stdout)})
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(JSON.stringify(config))
  })
}

const messageOf = (stdout: string): string | undefined => {
  try {
    return JSON.parse(stdout).msg
  } catch {
    return undefined
  }
}

/** IPAM of upstream, as a plugin of ours. */
export const upstream: FindPlugin = ({type}) => {
  const run = async (verb: Verb, call: PluginCall): Promise<unknown> => {
    const {result, error} = await execute([join(PLUGINS, `${type}`)], environmentOf(verb, call), call.config)
    if (error !== undefined) throw new CniError('failed', error)
    return result
  }
  const plugin: Plugin = {
    add: async call => parseResult(await run('add', call), call.config.cniVersion),
    check: async call => void (await run('check', call)),
    del: async call => void (await run('del', call)),
  }
  return plugin
}

export async function ourWorld(
  t: ExecutionContext,
  host: Namespace,
  pod: Namespace,
  options: {readonly find?: FindPlugin; readonly wrap?: (kernel: NamespaceKernel) => NamespaceKernel} = {},
): Promise<OurWorld> {
  const {find = upstream, wrap = kernel => kernel} = options
  const dataDir = folder(t)
  const removals: Removals = createRemovals(namespaceKernel(await host.kernel()))
  const masked = new Map<string, string>()
  const masquerade: Masquerade = {
    add: async (owner, pods) => void masked.set(owner, pods.map(({ip, subnet}) => `${ip} in ${subnet}`).join(', ')),
    remove: async owner => void masked.delete(owner),
  }
  const ports: TypePorts = {host: wrap(namespaceKernel(await host.kernel())), removals, find, masquerade}
  const plugins: Readonly<Record<string, NativePlugin>> = {
    bridge: bridge(ports),
    ptp: ptp(ports),
    macvlan: macvlan(ports),
  }
  const callOf = async (call: Call): Promise<PluginCall> => {
    const {netns = pod.path, containerId = 'c1', ifname = 'eth0', args = ''} = call
    const opened = await openNamespaces()
      .open(netns)
      .catch(() => undefined)
    const sandbox = opened && {...opened, kernel: async () => wrap(await opened.kernel())}
    const config = configOf(call, dataDir)
    const later = () => {}
    return {
      netns,
      containerId,
      ifname,
      args,
      path: [PLUGINS],
      config,
      sandbox,
      signal: AbortSignal.timeout(300_000),
      later,
    }
  }
  const within = async <T>(call: Call, work: (call: PluginCall) => Promise<T>): Promise<T> => {
    const late: Promise<unknown>[] = []
    const made = await callOf(call)
    try {
      const done = await work({...made, later: promise => void late.push(promise)})
      await Promise.all(late)
      return done
    } finally {
      await Promise.allSettled(late)
      await made.sandbox?.close()
    }
  }
  const plugin = (type: string): NativePlugin => plugins[type]!
  const answer = async (
    call: Call,
    work: (plugin: NativePlugin, call: PluginCall) => Promise<unknown>,
  ): Promise<Answer> => {
    try {
      const result = await within<unknown>(call, made => work(plugin(call.config.type), made))
      return result ? {result: formatResult(result as CniResult, '1.0.0')} : {}
    } catch (error) {
      if (!(error instanceof CniError)) throw error
      return {error: error.message}
    }
  }
  const run = (verb: Verb, call: Call) => answer(call, (plugin, made) => plugin[verb](made))
  const rebuild = (call: Call) => answer(call, (plugin, made) => plugin.rebuild!(made))
  const update = (call: Call, before: Call) =>
    answer(call, (plugin, made) => plugin.update!(made, {config: configOf(before, dataDir), args: before.args ?? ''}))
  const repair = async (call: Call): Promise<readonly string[] | string> => {
    try {
      return await within(call, made => plugin(call.config.type).repair!(made))
    } catch (error) {
      if (!(error instanceof CniError)) throw error
      return error.message
    }
  }
  return {host, pod, dataDir, run, ports, masked, plugin, callOf, repair, rebuild, update}
}

/** What IPAM has on disk. */
export const leasesOf = ({dataDir}: World): string[] => {
  const path = join(dataDir, 'net')
  try {
    const files = readdirSync(path).filter(file => file !== 'lock')
    return files.sort().map(file => `${file}: ${readFileSync(join(path, file), 'utf8').replaceAll('\r', '').trim()}`)
  } catch {
    return []
  }
}
