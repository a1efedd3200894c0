/** What is there of pairs, in the store, in the pods' annotations and in the kernel, as the model's lines. */
import {existsSync} from 'node:fs'
import type {Pod} from './cni.ts'
import {run} from './node.ts'
import {type Cluster, STATUS} from './pairs.ts'
import {NODES, type Node} from './pairs-ops.ts'

interface Claim {
  readonly pair: string
}

interface ToldSpec {
  readonly node: string
  readonly uid: string
  readonly sandbox?: string
}

interface Status {
  readonly state: string
  readonly interface?: string
  readonly peer?: string
  readonly kind?: string
  readonly mtu?: number
  readonly vni?: number
  readonly waitsFor?: string
  readonly pair?: string
}

interface Shown {
  readonly ifname?: string
  readonly ifalias?: string
  readonly mtu: number
  readonly group: string
  readonly flags: readonly string[]
  readonly linkinfo?: {readonly info_kind?: string; readonly info_data?: {id?: number; remote?: string; port?: number}}
  readonly addr_info?: readonly {readonly scope: string; readonly local: string; readonly prefixlen: number}[]
}

/** Of pods that are gone, too, whose namespaces are still there. */
export type Sandboxes = readonly (Pod & {readonly node: Node})[]

/** "vni <pair>", "told …", "pair …", "status …". */
export function stored({api}: Cluster): string[] {
  const vnis = vnisByPair(api)
  const vniNote = (pair: string | undefined, vni: number | undefined): string =>
    vni === undefined || vnis.get(pair ?? '')?.includes(vni) ? '' : ` with vni ${vni} of nobody`
  return [
    ...[...vnis].flatMap(([pair, numbers]) => numbers.map(() => `vni ${pair}`)),
    ...api.list('pairpods.netgraft.dev').map(({metadata, spec}) => {
      const {node, uid, sandbox = 'none'} = spec as unknown as ToldSpec
      return `told ${metadata.namespace}/${metadata.name} on ${node} uid ${uid} sandbox ${sandbox}`
    }),
    ...api.list('pairs.netgraft.dev').map(({metadata, spec, status}) => {
      const {vni} = spec as {vni?: number}
      const {state, kind, node} = status as {state: string; kind?: string; node: string}
      const key = `${metadata.namespace}/${metadata.name}`
      const is = state === 'up' ? `up ${kind}${vniNote(key, vni)}` : state
      return `pair ${key} by ${node} ${is}`
    }),
    ...api.list('pods').flatMap(({metadata}) =>
      (JSON.parse(metadata.annotations?.[STATUS] ?? '[]') as Status[]).map(each => {
        const {state, interface: ifname, kind, mtu, vni, waitsFor, peer, pair} = each
        const start = `status ${metadata.name} ${ifname} ${state}`
        if (state === 'up') return `${start} ${kind} ${mtu} ${peer} ${pair}${vniNote(pair, vni)}`
        return state === 'waiting' ? `${start} ${waitsFor} ${peer} ${pair}` : start
      }),
    ),
  ].sort()
}

function vnisByPair(api: Cluster['api']): Map<string, number[]> {
  const vnis = new Map<string, number[]>()
  for (const {metadata, spec} of api.list('vnis.netgraft.dev')) {
    const {pair} = spec as unknown as Claim
    vnis.set(pair, [...(vnis.get(pair) ?? []), Number(metadata.name)])
  }
  return vnis
}

/** "link …" of sandboxes, "node …" of the nodes' own namespaces. */
export async function inKernel(cluster: Cluster, sandboxes: Sandboxes): Promise<string[]> {
  const vnis = vnisByPair(cluster.api)
  const all = await Promise.all([
    ...sandboxes.map(async ({id, namespace}) =>
      (await shown(namespace.name)).flatMap(link => linkLine(id, link, vnis) ?? []),
    ),
    ...NODES.map(async node => nodeLines(node, await shown(cluster.at(node).node.namespace.name))),
  ])
  return all.flat().sort()
}

async function shown(namespace: string): Promise<Shown[]> {
  if (!existsSync(`/run/netns/${namespace}`)) return []
  const {stdout} = await run('ip', ['-n', namespace, '-j', '-d', 'addr', 'show'])
  return JSON.parse(stdout)
}

/** Of what is neither eth0 nor lo. */
function linkLine(id: string, link: Shown, vnis: ReadonlyMap<string, readonly number[]>): string | undefined {
  const {ifname, ifalias, mtu, flags, linkinfo, addr_info = []} = link
  if (ifname === undefined || ifname === 'lo' || ifname === 'eth0') return undefined
  const {info_kind: kind, info_data: {id: vni, remote} = {}} = linkinfo ?? {}
  const addresses = addr_info.filter(({scope}) => scope !== 'link').map(({local, prefixlen}) => `${local}/${prefixlen}`)
  const pair = ifalias?.replace('netgraft:pair:', '') ?? ''
  const stray = vni === undefined || vnis.get(pair)?.includes(vni) ? '' : ` with vni ${vni} of nobody`
  return [
    `link ${id} ${ifname} ${kind}${remote === undefined ? '' : ` to ${remote}`}`,
    `${flags.includes('UP') ? 'up' : 'down'} mtu ${mtu} [${addresses.sort()}] ${ifalias}${stray}`,
  ].join(' ')
}

/** Every pod has the other end of its eth0 there, and nothing else of ours is there. */
function nodeLines(node: Node, links: readonly Shown[]): string[] {
  const own = links.filter(({ifname}) => ifname !== undefined && ifname !== 'lo' && ifname !== 'eth0')
  const ends = own.filter(({ifname, linkinfo}) => /^veth/.test(ifname!) && linkinfo?.info_kind === 'veth')
  const others = own.filter(link => !ends.includes(link))
  return [
    `node ${node} sandboxes ${ends.length}`,
    ...others.map(({ifname, ifalias, linkinfo}) => `node ${node} has ${linkinfo?.info_kind} ${ifname} ${ifalias}`),
  ]
}
