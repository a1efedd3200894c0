/** A node for faults: a namespace for the host, two pods that live throughout, one that is to come and go. Needs root. */
import {execFile, spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {mkdir, mkdtemp, readdir, readFile, rm, utimes} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {promisify} from 'node:util'
import type {ExecutionContext} from 'ava'
import {parseAlias} from '../../../src/cni/types/marks.ts'
import type {NamespaceKernel} from '../../../src/model/namespace.ts'
import {Kernel} from '../../../src/netlink/kernel.ts'
import {namespaceKernel} from '../../../src/netlink/namespace.ts'
import {type Namespace, namespaces} from '../../netlink/namespace.ts'
import type {Order} from './child/agent.ts'
import type {AgentOptions} from './child/front.ts'
import {type Network, RANGES} from './networks.ts'

const run = promisify(execFile)

export interface Pod {
  readonly namespace: Namespace
  readonly id: string
  /** Counts from 2. */
  readonly nth: number
}

export interface Node {
  readonly host: Namespace
  readonly folder: string
  readonly options: AgentOptions
  readonly keepers: readonly [Pod, Pod]
  /** A new sandbox, in the one namespace that is for all of them. */
  sandbox(): Pod
  removeNamespace(): void
  makeNamespace(): Promise<void>
  /** Until the host's ends of that pod, if it had any, have gone with its namespace. */
  gone(pod: Pod): Promise<void>
  /** What an agent is asked. `request`: 32 hexadecimal digits. */
  asks(verb: 'ADD' | 'CHECK' | 'DEL', pod: Pod, request?: string): Extract<Order, {op: 'handle'}>
  /** Lets a minute pass for the drafts of leases that dead agents have left: how many there were. */
  ageDrafts(): Promise<number>
  /** All that there is of pods, on the host, in pods and on disk: lines. */
  look(): Promise<string[]>
  /** From now on one pod that lives pings the other: how many of its packets were lost, when it is asked. */
  ping(address: string): () => Promise<number>
}

export async function faultyNode(t: ExecutionContext, network: Network): Promise<Node> {
  const folder = await mkdtemp(join(tmpdir(), 'ng-faults-'))
  t.teardown(() => rm(folder, {recursive: true, force: true, maxRetries: 5}))
  await mkdir(join(folder, 'tmp'))
  const [host, ...pods] = await namespaces(t, 4)
  const [first, second, victim] = pods.map((namespace, i) => ({namespace, id: randomId(), nth: i + 2}))
  if (network.master) {
    host!.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'lan')
    for (const end of ['eth0', 'lan']) host!.ip('link', 'set', end, 'up')
  }
  const kernel = namespaceKernel(await host!.kernel())
  const conf = {
    cniVersion: '1.0.0',
    name: 'netgraft',
    type: 'netgraft',
    ...(network.delegate && {delegates: [network.delegate(folder)]}),
  }
  return {
    host: host!,
    folder,
    options: {
      folder,
      ranges: RANGES,
      masquerade: network.masquerade === true,
      ...(network.further && {further: network.further(folder)}),
    },
    keepers: [first!, second!],
    sandbox: () => ({...victim!, id: randomId()}),
    removeNamespace: () => victim!.namespace.remove(),
    makeNamespace: async () => {
      await run('ip', ['netns', 'add', victim!.namespace.name])
      await run('ip', ['-n', victim!.namespace.name, 'link', 'set', 'lo', 'up'])
    },
    gone: async pod => {
      const isOf = ({alias}: {readonly alias?: string | undefined}) => parseAlias(alias)?.containerId === pod.id
      while ((await kernel.links()).some(isOf)) await sleep(10)
    },
    asks: (verb, {id, namespace, nth}, request = randomBytes(16).toString('hex')) => ({
      op: 'handle',
      id: request,
      env: {
        CNI_COMMAND: verb,
        CNI_CONTAINERID: id,
        CNI_NETNS: namespace.path,
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/usr/lib/cni',
        CNI_ARGS: network.args?.(nth) ?? '',
      },
      stdin: JSON.stringify(conf),
    }),
    ageDrafts: async () => {
      const names = await readdir(join(folder, 'ipam')).catch(() => [])
      const drafts = names.filter(name => name.endsWith('.lease'))
      const then = Date.now() / 1000 - 100
      await Promise.all(drafts.map(name => utimes(join(folder, 'ipam', name), then, then).catch(() => {})))
      return drafts.length
    },
    look: async () => [
      ...(await lookInto('host', kernel)),
      ...(network.masquerade ? await filterOf(host!) : []),
      ...(await Promise.all(pods.map((pod, i) => lookInside(`pod ${i + 2}`, pod.path)))).flat(),
      ...(await filesOf(folder)),
    ],
    ping: address => ping(t, first!.namespace, address),
  }
}

/** Throws what is more and what is less. */
export function same(have: readonly string[], want: readonly string[], where: string): void {
  const more = have.filter(line => !want.includes(line)).map(line => `+ ${line}`)
  const less = want.filter(line => !have.includes(line)).map(line => `- ${line}`)
  if (more.length + less.length > 0) throw new Error([where, ...more, ...less].join('\n'))
}

const randomId = (): string => randomBytes(32).toString('hex')

/** A namespace that is not there has nothing. */
async function lookInside(where: string, path: string): Promise<string[]> {
  const kernel = await Kernel.open({netns: path}).catch(error => {
    if (error.code !== 'ENOENT') throw error
  })
  if (!kernel) return []
  try {
    return await lookInto(where, namespaceKernel(kernel))
  } finally {
    kernel.close()
  }
}

/** What the kernel makes and takes by itself, some time after: link-local and multicast of IPv6, the table of its own. */
const BY_ITSELF = /^(fe80|ff00)/
const LOCAL = 255

async function lookInto(where: string, kernel: NamespaceKernel): Promise<string[]> {
  const [links, addresses, ...routes] = await Promise.all([
    kernel.links(),
    kernel.addresses(),
    kernel.routes({family: 4}),
    kernel.routes({family: 6}),
  ])
  const lines = [
    ...links.map(
      ({index, name, kind, mac, up, mtu, master, alias, group, hairpin, promiscuous}) =>
        `link ${index} ${name} ${kind} ${mac} ${[up, mtu, master, alias, group, hairpin, promiscuous]}`,
    ),
    ...addresses.flatMap(({index, ip, length}) =>
      BY_ITSELF.test(`${ip}`) ? [] : [`address ${index} ${ip}/${length}`],
    ),
    ...routes
      .flat()
      .filter(({destination, table}) => table !== LOCAL && !BY_ITSELF.test(`${destination}`))
      .map(({destination, type, table, protocol, metric, nextHops}) =>
        ['route', destination, type, table, protocol, metric, ...nextHops.map(hop => `${hop.dev} ${hop.gateway}`)].join(
          ' ',
        ),
      ),
  ]
  return lines.sort().map(line => `${where}: ${line}`)
}

const filterOf = async ({name}: Namespace): Promise<string[]> =>
  (await run('ip', ['netns', 'exec', name, '/usr/sbin/nft', 'list', 'ruleset'])).stdout
    .split('\n')
    .filter(line => line !== '')

/** Files that say nothing of a pod; drafts of leases go when they are old enough to be nobody's. */
const PASSED_OVER = /\/(lock|last_reserved_ip\.\d|\.[0-9a-f]{12}\.lease)$/

async function filesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder, {recursive: true, withFileTypes: true})
  const paths = names.filter(each => each.isFile()).map(({parentPath, name}) => join(parentPath, name))
  const kept = paths.filter(path => !PASSED_OVER.test(path)).sort()
  return Promise.all(kept.map(async path => `${path}: ${await readFile(path, 'utf8').catch(error => error.code)}`))
}

function ping(t: ExecutionContext, {path}: Namespace, address: string): () => Promise<number> {
  const child = spawn('nsenter', [`--net=${path}`, 'ping', '-n', '-q', '-i', '0.1', address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', chunk => {
    text += chunk
  })
  return async () => {
    child.kill('SIGINT')
    await once(child, 'close')
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(text) ?? []
    if (!Number(received)) throw new Error(`the living pods do not reach each other: ${text}`)
    return Number(sent) - Number(received)
  }
}
