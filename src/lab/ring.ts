/** A ring of pods: where they are, how each is paired with the next, and who moves. Pure. */
import {type Family, type IpWithPrefix, parseIpWithPrefix} from '../model/ip.ts'

/** How two pods are connected: within a node, or between two. */
export type LinkKind = 'veth' | 'vxlan'

export interface LinkEnd {
  readonly pod: string
  readonly ifname: string
  readonly ips: readonly IpWithPrefix[]
}

export interface PodLink {
  readonly ends: readonly [LinkEnd, LinkEnd]
}

export interface Ring {
  /** By the pods' names, in the ring's order. */
  readonly nodes: ReadonlyMap<string, string>
  readonly links: readonly PodLink[]
}

const PODS = 6
/** The interfaces to the neighbours. */
const NEXT = 'next'
const PREVIOUS = 'prev'

/** Neighbours share a node as far as may be, so that there are links of both kinds. Each link has a subnet of its own. */
export function planRing(nodes: readonly string[], families: readonly Family[]): Ring {
  const names = Array.from({length: PODS}, (_, i) => `ring-${i + 1}`)
  return {
    nodes: new Map(names.map((name, i) => [name, nodes[Math.floor((i * nodes.length) / PODS)]!])),
    links: names.map((pod, i) => {
      const ips = (host: number) => families.map(family => ADDRESS[family](i + 1, host))
      const peer = names[(i + 1) % PODS]!
      return {
        ends: [
          {pod, ifname: NEXT, ips: ips(1)},
          {pod: peer, ifname: PREVIOUS, ips: ips(2)},
        ],
      }
    }),
  }
}

const ADDRESS = {
  4: (link: number, host: number) => parseIpWithPrefix(`192.168.${60 + link}.${host}/30`),
  6: (link: number, host: number) => parseIpWithPrefix(`fd10:${60 + link}::${host}/64`),
} as const

/** The annotation `netgraft.dev/pairs` of a pod: its ends of its links. */
export function pairsOf(pod: string, links: readonly PodLink[]): string {
  const ends = links.flatMap(({ends: [a, b]}) => (a.pod === pod ? [[a, b]] : b.pod === pod ? [[b, a]] : []))
  const declarations = ends.map(([own, peer]) => ({
    peer: peer!.pod,
    interface: own!.ifname,
    peerInterface: peer!.ifname,
    ips: own!.ips.map(({ip, length}) => `${ip}/${length}`),
  }))
  return JSON.stringify(declarations)
}

/** Whose move to the second node changes the kind of both of its links. */
export const mover = ({nodes}: Ring): string => {
  const [[, first]] = [...nodes] as [[string, string]]
  return [...nodes].findLast(([, node]) => node === first)![0]
}

export const kindOf = ({ends: [a, b]}: PodLink, nodes: ReadonlyMap<string, string>): LinkKind =>
  nodes.get(a.pod) === nodes.get(b.pod) ? 'veth' : 'vxlan'

/** "ring-1 – ring-2" */
const linkText = ({ends}: PodLink): string => ends.map(({pod}) => pod).join(' – ')

/** "3 veth, 3 vxlan" */
export function countKinds(kinds: readonly LinkKind[]): string {
  const counts = (['veth', 'vxlan'] as const).map(kind => [kinds.filter(each => each === kind).length, kind] as const)
  return counts.flatMap(([count, kind]) => (count > 0 ? `${count} ${kind}` : [])).join(', ')
}

/** "ring-1 – ring-2 is vxlan instead of veth, …"; empty: none is another one. */
export function changesOf(
  links: readonly PodLink[],
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): string {
  const changed = links.filter(link => kindOf(link, before) !== kindOf(link, after))
  return changed
    .map(link => `${linkText(link)} is ${kindOf(link, after)} instead of ${kindOf(link, before)}`)
    .join(', ')
}
