/** A node with the real agent: a namespace, an API server of its own, and the production bundle as a process. Needs root. */
import {type ChildProcess, execFile, spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {get} from 'node:http'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {promisify} from 'node:util'
import type {ExecutionContext} from 'ava'
import type {NewObject} from '../../../src/lab/apiserver/direct.ts'
import {type ApiServer, type ApiServerOptions, startApiServer} from '../../../src/lab/apiserver/server.ts'
import {NODE_FLAGS} from '../../../src/lab/node-flags.ts'
import {type Namespace, namespaces} from '../../netlink/namespace.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
export const BUNDLE = join(ROOT, 'dist', 'netgraft.js')
const API_PORT = 6443
const METRICS_PORT = 9464
/** Milliseconds. How long a condition may take to come true on a busy machine. */
const PATIENCE = 30_000

export const run = promisify(execFile)

export interface NodeOptions {
  /** As {@link nodeObject} takes them. */
  readonly nodes?: readonly string[]
  /** @default DIRECT */
  readonly config?: object
  readonly env?: Readonly<Record<string, string>>
  readonly api?: ApiServerOptions
  /** Another node of the same cluster: its API server is this one's, too. */
  readonly beside?: TestNode
  /** `ip` commands that make the node's network. @default eth0 with 192.168.0.1/16 and fd00:100::1/64 */
  readonly network?: readonly string[]
  /** To run in. @default one of its own */
  readonly namespace?: Namespace
  /** @default true */
  readonly start?: boolean
}

export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

/** eth0 is up and its other end plays the network. */
const NETWORK = [
  'link add eth0 type veth peer name sw0',
  'link set eth0 up',
  'link set sw0 up',
  'addr add 192.168.0.1/16 dev eth0',
  'addr add fd00:100::1/64 dev eth0 nodad',
]

/**
 * "b 10.64.2.0/24 fd00:64:2::/64 via 192.168.0.2 fd00:100::2": a node, its pod ranges, its addresses; where it says so
 * "ends 192.168.0.2/02:00:00:00:00:02": the ends of its tunnels.
 */
export function nodeObject(text: string, more: {metadata?: object; status?: object} = {}): NewObject {
  const [head = '', ends] = text.split(' ends ')
  const [before = '', after = ''] = head.split(/ via ?/)
  const [name, ...podCIDRs] = before.split(' ').filter(Boolean)
  const addresses = after
    .split(' ')
    .filter(Boolean)
    .map(address => ({type: 'InternalIP', address}))
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {name: name!, ...(ends !== undefined && {annotations: vtep(...ends.split(' '))}), ...more.metadata},
    spec: {podCIDRs},
    status: {addresses, ...more.status},
  }
}

export const VTEP = 'netgraft.dev/vtep-default'

/** The annotation that publishes these ends, each given as "192.168.0.2/02:00:00:00:00:02". */
export function vtep(...ends: string[]): Record<string, string> {
  const list = ends.map(end => ({ip: end.split('/')[0], mac: end.split('/')[1]}))
  return {[VTEP]: JSON.stringify({vni: 1, port: 8472, ends: list})}
}

/** Routes to peers and nothing else. */
export const DIRECT = {
  networks: [{backend: 'direct', pods: {mode: 'bridge'}}],
  attachments: {enabled: false},
  pairs: {enabled: false},
}

/** The own node of every test. */
export const SELF = 'a 10.64.1.0/24 fd00:64:1::/64 via 192.168.0.1 fd00:100::1'

/** Everything through tunnels. */
export const VXLAN = {networks: [{backend: 'vxlan'}], attachments: {enabled: false}, pairs: {enabled: false}}

/** What {@link SELF} has of its own with {@link VXLAN}, as {@link TestNode.tunnels} writes it. */
export const OWN_TUNNELS = [
  'link ng-vx0 up mtu 1450 mac fe:13:d4:48:ff:f4 group 28263 alias netgraft:network default, vni 1 from 192.168.0.1 port 8472',
  'link ng-vx0-6 up mtu 1430 mac b2:5b:53:89:76:6a group 28263 alias netgraft:network default, vni 1 from fd00:100::1 port 8472',
  ...['ng-vx0', 'ng-vx0-6'].flatMap(dev => [
    `addr 10.64.1.0/32 dev ${dev}`,
    `addr fd00:64:1::/128 dev ${dev} nodad noprefixroute`,
  ]),
  'route unreachable 10.64.1.0/24 metric 2048',
  'route unreachable fd00:64:1::/64 metric 2048',
]

/** And what it publishes. */
export const OWN_VTEP = vtep('192.168.0.1/fe:13:d4:48:ff:f4', 'fd00:100::1/b2:5b:53:89:76:6a')[VTEP]!

export class TestNode {
  readonly api: ApiServer
  readonly agent: Agent
  readonly namespace: Namespace
  readonly #t: ExecutionContext

  /** Use {@link startNode}. */
  constructor(t: ExecutionContext, namespace: Namespace, api: ApiServer, agent: Agent) {
    this.#t = t
    this.namespace = namespace
    this.api = api
    this.agent = agent
  }

  kubeconfig(): string {
    return this.api.kubeconfig(`http://127.0.0.1:${API_PORT}`)
  }

  /** Writes the configuration that the next agent starts with. */
  configure(config: object): void {
    const {config: file, state} = this.agent
    const kubeconfig = join(dirname(file), 'kubeconfig')
    writeFileSync(file, JSON.stringify({kubernetes: {kubeconfig}, folders: {state, run: `${state}.run`}, ...config}))
  }

  /** Another agent with the same configuration, not started. */
  secondAgent(): Agent {
    const agent = this.agent.sibling()
    this.#t.teardown(() => agent.kill())
    return agent
  }

  /** `ip -n <namespace> …words`: its output. */
  async ip(words: string): Promise<string> {
    const {stdout} = await run('ip', ['-n', this.namespace.name, ...words.split(' ')], {maxBuffer: 64 << 20})
    return stdout
  }

  /** `bridge -n <namespace> …words`: its output. */
  async bridge(words: string): Promise<string> {
    const {stdout} = await run('bridge', ['-n', this.namespace.name, ...words.split(' ')], {maxBuffer: 64 << 20})
    return stdout
  }

  /**
   * Every vxlan device with all that is on it but what the kernel gives it by itself, and the agent's routes, in the
   * words of `ip` and `bridge`, sorted: "link ng-vx0 up mtu 1450 …", "addr …", "fdb …", "neigh …", "route …".
   */
  async tunnels(): Promise<string[]> {
    const inside = [`--net=${this.namespace.path}`, 'sh', '-c', TUNNELS]
    const {stdout} = await run('nsenter', inside, {maxBuffer: 64 << 20})
    const [links = '', addresses = '', neighbours = '', entries = '', routes = ''] = stdout.split('%\n')
    const devices = (JSON.parse(links || '[]') as VxlanDevice[]).filter(({ifname}) => ifname !== undefined)
    const isOfDevice = (line: string) => devices.some(({ifname}) => ` ${line} `.includes(` ${ifname} `))
    const linesOf = (kind: string, text: string, change: (line: string) => string) =>
      text
        .split('\n')
        .filter(line => line !== '' && (kind === 'route' || isOfDevice(line)))
        .map(line => `${kind} ${change(line).trim()}`)
    return [
      ...devices.map(deviceText),
      ...linesOf('addr', addresses, line => {
        const [, name, , address, ...rest] = line.split(/[ \\]+/)
        return [address, 'dev', name, ...rest.filter(word => word.startsWith('no'))].join(' ')
      }),
      ...linesOf('neigh', neighbours, line => line.replace(' PERMANENT', '')),
      ...linesOf('fdb', entries, line => line.replace(' self permanent', '')),
      ...linesOf('route', routes, line =>
        line.replace(/^7 /, 'unreachable ').replace(/ pref medium| linkdown| dead| dev lo/g, ''),
      ),
    ].sort()
  }

  /** Waits until {@link tunnels} are these, no more and no less. */
  async holds(...wanted: (string | readonly string[])[]): Promise<void> {
    const want = wanted.flat().sort()
    let have: string[] = []
    await this.until(
      async () => {
        have = await this.tunnels()
        return have.join('\n') === want.join('\n')
      },
      () => {
        const only = (some: string[], others: string[]) => some.filter(line => !others.includes(line)).join('\n  ')
        return `missing\n  ${only(want, have)}\ntoo much\n  ${only(have, want)}`
      },
      100,
    )
    this.#t.deepEqual(have, want)
  }

  /** The text of the own node's annotation that publishes the ends of its tunnels. */
  published(name = 'a'): string | undefined {
    return this.api.get({resource: 'nodes', name})?.metadata.annotations?.[VTEP]
  }

  /** Every route of the main table, in the order of the kernel. */
  async allRoutes(family: 4 | 6): Promise<string[]> {
    const text = await this.ip(`-N -${family} route show`)
    return text
      .split('\n')
      .map(line => line.replace(/ pref medium| linkdown| dead/g, '').trim())
      .filter(line => line !== '')
  }

  /** Those to peers with the agent's mark: "10.64.2.0/24 via 192.168.0.2 dev eth0 metric 2048". */
  async routes(family: 4 | 6 = 4): Promise<string[]> {
    const marked = (await this.allRoutes(family)).filter(line => line.includes(' proto 107 '))
    return marked
      .filter(line => !/^(unreachable|7) /.test(line))
      .map(line => line.replace(' proto 107', ''))
      .sort()
  }

  /** Waits until these are the agent's routes, no more and no less, each given as "10.64.2.0/24 via 192.168.0.2". */
  async has(...wanted: string[]): Promise<void> {
    const want = wanted.map(each => (each.includes(' dev ') ? each : `${each} dev eth0 metric 2048`)).sort()
    const families = [4, 6] as const
    let have: string[] = []
    await this.until(
      async () => {
        have = (await Promise.all(families.map(family => this.routes(family)))).flat().sort()
        return have.join('\n') === want.join('\n')
      },
      () => `routes\n  ${want.join('\n  ')}\nbut there are\n  ${have.join('\n  ')}`,
    )
    this.#t.deepEqual(have, want)
  }

  /** Waits until the log has a line that says all of this. */
  async says(...words: string[]): Promise<LogLine> {
    const find = () => this.agent.logs.find(line => words.every(word => JSON.stringify(line).includes(word)))
    await this.until(find, () => `a log line with ${words.join(', ')}`)
    this.#t.pass()
    return find()!
  }

  /** Polls until it is so. */
  async until(
    condition: () => unknown,
    what: string | (() => string) = String(condition),
    everyMs = 25,
  ): Promise<void> {
    const deadline = performance.now() + PATIENCE
    for (;;) {
      if (await condition()) return
      if (performance.now() > deadline) {
        const tail = this.agent.logs.slice(-15).map(line => JSON.stringify(line))
        throw new Error(`never came true: ${typeof what === 'string' ? what : what()}\n${tail.join('\n')}`)
      }
      await sleep(everyMs)
    }
  }

  /**
   * What the kernel tells of IPv4 and IPv6 routes (and of these objects, or of "all") from now on, as `ip monitor`
   * writes it, until the result is called.
   */
  async monitor(...objects: string[]): Promise<() => Promise<string[]>> {
    const all = objects.includes('all') ? objects : ['route', ...objects]
    const child = spawn('ip', ['-n', this.namespace.name, '-N', 'monitor', ...all], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.#t.teardown(() => child.kill('SIGKILL'))
    let text = ''
    child.stdout.setEncoding('utf8').on('data', more => {
      text += more
    })
    /** A route of nobody's, until it has been heard of. */
    const mark = async (destination: string) => {
      await this.until(async () => {
        await this.ip(`route add blackhole ${destination}`)
        await this.ip(`route del blackhole ${destination}`)
        return text.includes(destination)
      })
    }
    await mark('198.51.100.1')
    return async () => {
      await mark('198.51.100.2')
      child.kill()
      return text.split('\n').filter(line => line !== '' && !line.includes('198.51.100.'))
    }
  }

  /** Adds or changes nodes: as {@link nodeObject} takes them. */
  put(...nodes: string[]): void {
    for (const text of nodes) {
      const object = nodeObject(text)
      const known = this.api.get({resource: 'nodes', name: object.metadata.name!})
      if (known) {
        const {annotations = {}} = object.metadata
        const news = {metadata: {annotations}, spec: object.spec as object}
        this.api.patch({resource: 'nodes', name: object.metadata.name!}, news)
        this.api.patch(
          {resource: 'nodes', name: object.metadata.name!, status: true},
          {status: object.status as object},
        )
      } else this.api.create(object)
    }
  }

  remove(...names: string[]): void {
    for (const name of names) this.api.delete({resource: 'nodes', name})
  }
}

/** Prints what {@link TestNode.tunnels} reads, part by part. */
const TUNNELS = [
  'ip -j -d link show type vxlan',
  'ip -o addr show scope global',
  'ip neigh show',
  'bridge fdb show',
  'ip -N -4 route show proto 107; ip -N -6 route show proto 107',
].join('; echo %; ')

interface VxlanDevice {
  readonly ifname?: string
  readonly flags: readonly string[]
  readonly mtu: number
  readonly address: string
  readonly group: string
  readonly ifalias?: string
  readonly linkinfo: {readonly info_data: Readonly<Record<string, unknown>>}
}

/** What `ip -d link` says of every device, and is nobody's choice. */
const COMMON = /^(port_range|ageing|ttl|udp_|df|tos)/

function deviceText({ifname, flags, mtu, address, group, ifalias, linkinfo}: VxlanDevice): string {
  const {id, port, local, local6, learning, ...others} = linkinfo.info_data
  const rest = Object.entries(others).filter(([key, value]) => !COMMON.test(key) && value !== false)
  return [
    `link ${ifname} ${flags.includes('UP') ? 'up' : 'down'} mtu ${mtu} mac ${address} group ${group}`,
    `alias ${ifalias ?? 'none'}, vni ${id} from ${local ?? local6} port ${port}`,
    ...(learning ? ['learning'] : []),
    ...rest.map(([key, value]) => `${key} ${value}`),
  ].join(' ')
}

/** The agent's process, one after the other. */
export class Agent {
  readonly config: string
  /** The folder of what outlives it. */
  readonly state: string
  readonly #folder: string
  readonly #namespace: string
  readonly #env: Readonly<Record<string, string>>
  /** What the next process runs: `dist/netgraft.js`, or a copy of it. */
  bundle = BUNDLE
  /** Of the process that runs or ran last. */
  logs: LogLine[] = []
  stderr = ''
  process: ChildProcess | undefined
  #exit: Promise<number | string> = Promise.resolve('not started')

  constructor(folder: string, namespace: string, env: Readonly<Record<string, string>>) {
    this.#folder = folder
    this.#namespace = namespace
    this.#env = env
    this.config = join(folder, 'config.yaml')
    this.state = join(folder, 'state')
  }

  sibling(): Agent {
    return new Agent(this.#folder, this.#namespace, this.#env)
  }

  start(...args: string[]): void {
    const words = args.length > 0 ? args : ['agent', '--config', this.config]
    const child = spawnInside(this.#namespace, [...NODE_FLAGS, this.bundle, ...words], this.#env)
    const logs: LogLine[] = []
    this.logs = logs
    this.stderr = ''
    let rest = ''
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) logs.push(parseLine(line))
    })
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.process = child
    this.#exit = once(child, 'close').then(([code, signal]) => code ?? signal)
  }

  /** The exit status, or the signal that ended it. */
  ended(): Promise<number | string> {
    return this.#exit
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | string> {
    this.process?.kill(signal)
    return this.#exit
  }

  stop(): Promise<number | string> {
    return this.kill('SIGTERM')
  }

  async restart(): Promise<void> {
    await this.stop()
    this.start()
  }

  /** What a path of its HTTP server answers; undefined while nobody answers. */
  http(path: string): Promise<{status: number; body: string} | undefined> {
    return new Promise(resolve => {
      const request = get({socketPath: join(this.#folder, 'metrics.sock'), path, agent: false}, response => {
        let body = ''
        response.setEncoding('utf8').on('data', text => {
          body += text
        })
        response.on('end', () => resolve({status: response.statusCode!, body}))
        response.on('error', () => resolve(undefined))
      })
      request.on('error', () => resolve(undefined))
    })
  }

  /** The value of a series ("netgraft_routes{family="4"}": every label given must be there), or the sum of all that match. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number | undefined> {
    const answer = await this.http('/metrics')
    const values = (answer?.body ?? '').split('\n').flatMap(line => {
      const [, series, text = '', value] = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      const has = Object.entries(labels).every(([label, wanted]) => text.includes(`${label}="${wanted}"`))
      return series === name && has ? [Number(value)] : []
    })
    return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) : undefined
  }

  async ready(): Promise<boolean> {
    return (await this.http('/readyz'))?.status === 200
  }
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return {level: 'none', msg: line}
  }
}

/** A Node program in a namespace, which ends with its starter. setpriv and nsenter become it, so that signals reach it. */
function spawnInside(namespace: string, words: string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const {PATH, HOME = '/'} = process.env
  const inside = ['--pdeathsig', 'KILL', 'nsenter', `--net=/run/netns/${namespace}`]
  return spawn('setpriv', [...inside, process.execPath, ...words], {
    env: {PATH, HOME, ...env},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Builds the bundle if there is none: for `test.before`. */
export async function built(): Promise<void> {
  if (!existsSync(BUNDLE)) await run(join(ROOT, 'scripts', 'build'))
}

/** A node whose agent runs, with an API server for it alone; removed with the test, however it ends. */
export async function startNode(t: ExecutionContext, options: NodeOptions = {}): Promise<TestNode> {
  const {nodes = [SELF], config = DIRECT, env = {NODE_NAME: 'a'}, network = NETWORK, start = true} = options
  const namespace = options.namespace ?? (await namespaces(t, 1))[0]
  await run('ip', ['netns', 'exec', namespace.name, 'sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0'])
  const folder = mkdtempSync(join(tmpdir(), 'ng-agent-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  for (const command of network) await run('ip', ['-n', namespace.name, ...command.split(' ')])

  const sockets = {api: join(folder, 'api.sock'), metrics: join(folder, 'metrics.sock')}
  const api = options.beside?.api ?? (await startApiServer({socketPath: sockets.api, ...options.api}))
  if (!options.beside) t.teardown(() => api.close())
  for (const text of nodes) api.create(nodeObject(text))
  const ports = [api.url.replace('unix:', ''), String(API_PORT), sockets.metrics, String(METRICS_PORT)]
  const relay = spawnInside(namespace.name, [join(import.meta.dirname, 'relay.ts'), ...ports])
  t.teardown(() => relay.kill('SIGKILL'))
  await once(relay.stdout!, 'data')

  const kubeconfig = join(folder, 'kubeconfig')
  const agent = new Agent(folder, namespace.name, env)
  t.teardown(() => agent.kill())
  const node = new TestNode(t, namespace, api, agent)
  writeFileSync(kubeconfig, node.kubeconfig())
  node.configure(config)
  if (start) agent.start()
  return node
}

export const machineId = (): string => readFileSync('/etc/machine-id', 'utf8').trim()
