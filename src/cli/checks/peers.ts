/** The nodes that this one sends to, as its kernel has them: where their packets go, and how large these get. Pure. */
import type {AdminNodes, AdminPairs, AdminStatus} from '../../model/admin.ts'
import type {Config} from '../../model/config.ts'
import {OVER_IPV6} from '../../model/config-network.ts'
import {type Ip, parseIp} from '../../model/ip.ts'
import type {KernelState} from '../../model/kernel.ts'
import {VXLAN_OVERHEAD} from '../../model/mtu.ts'
import type {Link, Route} from '../../model/net.ts'
import {isOwnLink} from '../../model/plans.ts'

export interface Peer {
  /** Of its node: where packets go, those in tunnels in their outer header. */
  readonly address: Ip
  /** Undefined: the agent, which knows it, does not answer. */
  readonly node?: string
  /** Bytes: the largest packet that is sent there. */
  readonly needs: number
  /** What does not leave through a tunnel is the packet itself. */
  readonly tunnel?: PeerTunnel
  /** What says how large packets get: a key of the configuration, or a sentence's part. */
  readonly key: string
  /** Bytes that are added to what the key says. */
  readonly overhead: number
}

export interface PeerTunnel {
  readonly device: string
  /** UDP. */
  readonly port: number
  /** Bytes. */
  readonly mtu: number
  /** An address that the peer has in it. */
  readonly inside: Ip
}

export interface PeersKnown {
  readonly config: Config
  readonly state: KernelState
  /** What the agent says; undefined: it does not answer. */
  readonly status: AdminStatus | undefined
  readonly nodes: AdminNodes | undefined
  readonly pairs: AdminPairs | undefined
}

/** Each address once, with the largest packet. The nodes that were there first come first. */
export function peersOf(known: PeersKnown): Peer[] {
  const {nodes = []} = known.nodes ?? {}
  const ages = new Map(nodes.map(({node}, i) => [node, i]))
  const byRange = new Map(nodes.flatMap(({node, ranges}) => ranges.map(range => [range, node] as const)))
  const byAddress = new Map(nodes.flatMap(({node, addresses}) => addresses.map(each => [each, node] as const)))
  const found = new Map<string, Peer>()
  const add = (peer: Peer, range?: string): void => {
    const name = `${peer.address}`
    const node = byRange.get(range ?? '') ?? byAddress.get(name)
    const before = found.get(name)
    const tunnel = before?.tunnel ?? peer.tunnel
    const most = before && before.needs >= peer.needs ? before : peer
    found.set(name, {...most, ...(node !== undefined && {node}), ...(tunnel && {tunnel})})
  }
  for (const [i, network] of known.config.networks.entries())
    for (const routes of known.state.routes.values())
      for (const route of routes)
        if (route.protocol === network.protocol) {
          const peer = ofRoute(route, i, known)
          if (peer) add(peer, `${route.destination}`)
        }
  for (const {kind, state, remote, mtu} of known.pairs?.ends ?? []) {
    if (kind !== 'vxlan' || state !== 'up' || remote === undefined || mtu === undefined) continue
    const address = parseIp(remote)
    const overhead = VXLAN_OVERHEAD[address.family]
    add({address, needs: mtu + overhead, overhead, key: 'the mtu of the pair'})
  }
  const ageOf = ({node}: Peer): number => ages.get(node ?? '') ?? nodes.length
  return [...found.values()].sort((a, b) => ageOf(a) - ageOf(b) || (a.address.raw < b.address.raw ? -1 : 1))
}

function ofRoute(route: Route, index: number, known: PeersKnown): Peer | undefined {
  const {state, config, status} = known
  const network = config.networks[index]!
  const [hop, second] = route.nextHops
  const link = hop?.dev === undefined ? undefined : state.links.get(hop.dev)
  if (route.type !== 'unicast' || !hop?.gateway || !link || second) return undefined
  const key = `networks[${index}].mtu`
  if (link.vxlan) {
    const address = endOf(state, link, hop.gateway)
    if (!isOwnLink(link) || !address) return undefined
    const overhead = VXLAN_OVERHEAD[address.family]
    const tunnel = {device: link.name, port: link.vxlan.port, mtu: link.mtu, inside: route.destination.address}
    return {address, needs: link.mtu + overhead, tunnel, key, overhead}
  }
  // Its socket would have to be bound to the interface, and what is on the same link needs no look.
  if (isLinkLocal(hop.gateway)) return undefined
  const {4: ipv4, 6: ipv6} = tunnelMtus(state, network.vxlan.device)
  const {mtu} = status?.networks.find(each => each.network === network.name) ?? {}
  const needs = mtu?.[route.destination.family === 4 ? 'ipv4' : 'ipv6'] ?? (network.mtu || (ipv4 ?? ipv6 ?? link.mtu))
  return {address: hop.gateway, needs: Math.min(needs, link.mtu), key, overhead: 0}
}

/** Where a tunnel leads: the gateway's MAC, and the node behind that. */
function endOf({neighbours, fdb}: KernelState, {index}: Link, gateway: Ip): Ip | undefined {
  const mac = neighbours.get(index)?.get(`${gateway}`)?.mac
  return (
    mac &&
    fdb
      .get(index)
      ?.get(mac)
      ?.find(({remote}) => remote)?.remote
  )
}

function tunnelMtus({links}: KernelState, device: string): {readonly 4: number | undefined; 6: number | undefined} {
  const mtuOf = (name: string) => [...links.values()].find(each => each.name === name && isOwnLink(each))?.mtu
  return {4: mtuOf(device), 6: mtuOf(`${device}${OVER_IPV6}`)}
}

const isLinkLocal = ({family, raw}: Ip): boolean =>
  family === 6 && raw.charCodeAt(0) === 0xfe && (raw.charCodeAt(1) & 0xc0) === 0x80
