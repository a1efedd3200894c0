/** What a world looks like from outside, without what is random in it: names of veths, MACs, indexes. */
import {setTimeout as sleep} from 'node:timers/promises'
import type {Namespace} from '../../netlink/namespace.ts'
import type {Answer, World} from './world.ts'

// biome-ignore lint/suspicious/noExplicitAny: whatever ip prints
type Json = any

/** A line for each thing. Names of veths on the host become "VETH" and a number, in the order of their indexes. */
export const stateOf = (world: World): string[] => {
  const names = new Map<string, string>()
  for (const each of links(world.host))
    if (/^veth[0-9a-f]{8,11}$/.test(each.ifname)) names.set(each.ifname, `VETH${names.size}`)
  const lines = (place: string, at: Namespace) => namespaceState(at, names).map(line => `${place}: ${line}`)
  return [...lines('host', world.host), ...lines('pod', world.pod)]
}

/** Lines that only one of them has. The kernel takes its time for the state of carriers: it is given some. */
export async function differences(ours: World, theirs: World): Promise<string[]> {
  for (let attempt = 1; ; attempt++) {
    const [our, their] = [stateOf(ours), stateOf(theirs)]
    const only = (mark: string, some: string[], others: string[]) =>
      some.filter(line => !others.includes(line)).map(line => `${mark} ${line}`)
    const found = [...only('+', our, their), ...only('-', their, our)]
    if (found.length === 0 || attempt === 20) return found
    await sleep(100)
  }
}

const links = (at: Namespace): Json[] => at.json('link', 'show').filter(each => each.ifname !== 'lo')

function namespaceState(at: Namespace, names: ReadonlyMap<string, string>): string[] {
  const named = (name: string | undefined) => (name === undefined ? undefined : (names.get(name) ?? name))
  const all = links(at)
  return [
    ...all.flatMap(each =>
      Object.entries(linkState(each, named)).map(line => `${named(each.ifname)}: ${JSON.stringify(line)}`),
    ),
    ...at
      .json('addr', 'show')
      .flatMap(link => link.addr_info.map((each: Json) => addressState(named(link.ifname), each)))
      .filter((text: string) => !text.includes('fe80:')),
    ...routesState(at, '-4', named),
    ...routesState(at, '-6', named),
    ...sysctlsOf(
      at,
      all.map(each => each.ifname),
      named,
    ),
  ]
}

/** The kernel's own numbers of the moment. */
const VOLATILE = /timer|_id$|^id$|root|designated|port_no|_addr|address|config_pending|^cost$|hash/

const plain = (data: object | undefined): object | undefined =>
  data && Object.fromEntries(Object.entries(data).filter(([key]) => !VOLATILE.test(key)))

function linkState(each: Json, named: (name?: string) => string | undefined): object {
  const {flags, mtu, operstate, promiscuity, allmulti, inet6_addr_gen_mode, linkinfo = {}, master, qdisc} = each
  return {
    // Upstream makes its links with a queue of no length (txqlen): its later releases no longer do.
    flags: flags
      .filter((flag: string) => flag !== 'M-DOWN')
      .sort()
      .join(' '),
    ...{mtu, operstate, promiscuity, allmulti, inet6_addr_gen_mode, qdisc},
    master: named(master),
    kind: linkinfo.info_kind,
    data: plain(linkinfo.info_data),
    port: plain(linkinfo.info_slave_data),
  }
}

/** Without the state of the search for duplicates, which ours leaves out. */
const addressState = (dev: string | undefined, each: Json): string =>
  `${dev} ${each.local}/${each.prefixlen} brd ${each.broadcast} scope ${each.scope} label ${named(each.label, dev)}`

const named = (label: string | undefined, dev: string | undefined) => (label === undefined ? '' : dev)

/** Without IPv6's local table and link-local routes, which come and go with the search for duplicates. */
const routesState = (at: Namespace, family: string, name: (name?: string) => string | undefined): string[] =>
  at
    .json(family, 'route', 'show', 'table', 'all')
    .filter(each => family === '-4' || (each.table !== 'local' && !/^(fe80:|ff00:)/.test(each.dst)))
    .map(each => {
      const {type, dst, gateway, dev, protocol, scope, metric, prefsrc, table, metrics} = each
      return JSON.stringify({type, dst, gateway, dev: name(dev), protocol, scope, metric, prefsrc, table, metrics})
    })

/** Interfaces' own, and whether the namespace forwards. */
function sysctlsOf(at: Namespace, all: readonly string[], name: (name?: string) => string | undefined): string[] {
  const folders = all.flatMap(each => [`/proc/sys/net/ipv4/conf/${each}`, `/proc/sys/net/ipv6/conf/${each}`])
  const files = ['/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv6/conf/all/forwarding']
  const text = at.exec('sh', '-c', `grep -rs . ${[...folders, ...files].join(' ')} || true`)
  return text
    .trim()
    .split('\n')
    .map(line => line.replace(/^(\/proc\/sys\/net\/ipv.\/conf\/)([^/]+)/, (_, path, dev) => `${path}${name(dev)}`))
    .sort()
}

/** A result without what is random in it; that every interface has a MAC of the kernel is seen to elsewhere. */
export function resultState({result, error}: Answer): object {
  if (!result) return {failed: error !== undefined}
  const interfaces = result.interfaces.map(({name, mac, sandbox}: Json) => ({
    name: /^veth[0-9a-f]{8,11}$/.test(name) ? 'VETH' : name,
    mac: /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac),
    sandbox: sandbox !== undefined,
  }))
  return {...result, interfaces, dns: result.dns ?? {}}
}

/** Every interface of a result is there, with the MAC that it says. */
export function missingOf(world: World, result: Json): string[] {
  return result.interfaces.flatMap(({name, mac, sandbox}: Json) => {
    const all = links(sandbox ? world.pod : world.host)
    return all.some(each => each.ifname === name && each.address === mac) ? [] : [`${name} ${mac}`]
  })
}
