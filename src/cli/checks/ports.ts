/** The UDP ports of tunnels: free, or a tunnel's. */
import {readdir, readFile, readlink} from 'node:fs/promises'
import type {Config} from '../../model/config.ts'
import {usesTunnels} from '../../model/config-network.ts'
import type {Link} from '../../model/net.ts'
import {isOwnLink} from '../../model/plans.ts'
import {type Check, failed, ok, warning} from './check.ts'

/** The kernel's tables of UDP sockets of our own network namespace. proc_pid_net(5). */
const TABLES = ['/proc/self/net/udp', '/proc/self/net/udp6']

export async function checkPorts(config: Config, links: readonly Link[]): Promise<Check[]> {
  const texts = await Promise.all(TABLES.map(path => readFile(path, 'utf8').catch(() => '')))
  const sockets = parseUdp(texts.join('\n'))
  const wanted = new Map<number, string>()
  for (const [i, network] of config.networks.entries())
    if (usesTunnels(network)) wanted.set(network.vxlan.port, `networks[${i}].vxlan.port`)
  if (config.pairs.enabled) wanted.set(config.pairs.port, 'pairs.port')
  const checks: Check[] = []
  for (const [port, key] of wanted) {
    const inodes = sockets.get(port) ?? []
    const carried = links.some(({vxlan, up}) => up && vxlan?.port === port)
    const holder = inodes.length === 0 || carried ? undefined : await findHolder(inodes)
    checks.push(judgePort({port, key, isTaken: inodes.length > 0, holder, links}))
  }
  return checks
}

/** By local port: inodes of sockets. */
export function parseUdp(text: string): ReadonlyMap<number, readonly number[]> {
  const found = new Map<number, number[]>()
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/)
    const [, hex] = /^[0-9A-F]+:([0-9A-F]{4})$/.exec(words[1] ?? '') ?? []
    if (hex === undefined) continue
    const port = Number.parseInt(hex, 16)
    found.set(port, [...(found.get(port) ?? []), Number(words[9])])
  }
  return found
}

/** "process 4711 (dnsmasq)". Undefined: no process has one of the sockets, and so the kernel itself does, as tunnels have theirs. */
async function findHolder(inodes: readonly number[]): Promise<string | undefined> {
  const names = new Set(inodes.map(inode => `socket:[${inode}]`))
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    const fds = await readdir(`/proc/${pid}/fd`).catch((): string[] => [])
    const targets = await Promise.all(fds.map(fd => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')))
    if (!targets.some(target => names.has(target))) continue
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')
    return `process ${pid} (${name.trim()})`
  }
  return undefined
}

export interface PortFacts {
  readonly port: number
  /** Of the configuration. */
  readonly key: string
  /** There is a socket. */
  readonly isTaken: boolean
  /** The process that has it. */
  readonly holder: string | undefined
  /** Of the node. Those of pairs are in pods, and have their socket here. */
  readonly links: readonly Link[]
}

export function judgePort({port, key, isTaken, holder, links}: PortFacts): Check {
  const name = `UDP ${port}`
  if (holder !== undefined)
    return failed(
      name,
      `${holder} has the port of ${key}, and no tunnel can be up; stop it, or choose another port on all nodes`,
    )
  const foreign = links.find(link => link.vxlan?.port === port && !isOwnLink(link))
  if (foreign)
    return warning(
      name,
      `${foreign.name}, which is not Netgraft's, has the port of ${key}, too; both work as long as their VNIs differ (its own is ${foreign.vxlan!.vni})`,
    )
  return ok(name, isTaken ? `tunnels have it (${key})` : `it is free (${key})`)
}
