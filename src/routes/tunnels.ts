/** The network's own tunnel devices: which there should be, and what is to be done to have them. Pure. */
import {createHash} from 'node:crypto'
import {OVER_IPV6, usesTunnels} from '../model/config-network.ts'
import type {NodeFacts} from '../model/facts.ts'
import {type Family, type Ip, parseCidr} from '../model/ip.ts'
import type {KernelState} from '../model/kernel.ts'
import {VXLAN_OVERHEAD} from '../model/mtu.ts'
import type {IfIndex, Link, Mac} from '../model/net.ts'
import {type Devices, isOwnLink, type LinkChange, OWN_ALIAS, OWN_GROUP, type OwnLinkSpec} from '../model/plans.ts'
import type {Vtep} from '../model/vtep.ts'
import type {Problem} from './claims.ts'
import type {RouteNetwork} from './network.ts'
import {underlayMtu} from './underlay.ts'

/** Bytes. The least that IPv4 allows a link to have. RFC 791. */
const LEAST_MTU = 68

export type TunnelSpec = OwnLinkSpec & {readonly kind: {readonly type: 'vxlan'; readonly local: Ip}}

/**
 * One device per family of the node's addresses. `undefined`: nothing is known of them (yet); all stays as it is.
 *
 * An address that is gone for a moment, as when an interface flaps, leaves the device alone: it works again when the
 * address is back.
 */
export function wantedTunnels(
  network: RouteNetwork,
  own: NodeFacts | undefined,
  addresses: readonly Ip[],
  state: KernelState,
  local: ReadonlySet<string>,
): readonly TunnelSpec[] | undefined {
  if (!usesTunnels(network)) return []
  if (!own || addresses.length === 0) return undefined
  return ([4, 6] as const).flatMap(family => {
    const candidates = addresses.filter(address => address.family === family && !isLinkLocal(address))
    const standing = linkNamed(state, deviceName(network, family))
    const kept = candidates.find(address => `${address}` === `${standing?.vxlan?.local}`)
    const here = (address: Ip | undefined) => (address && local.has(`${address}`) ? address : undefined)
    // At last what stands: an interface may get an address after the object tells of it.
    const ip =
      here(kept) ?? candidates.find(here) ?? kept ?? (candidates.length > 0 ? here(standing?.vxlan?.local) : undefined)
    return ip ? [specOf(network, own, ip, mtuOver(network, state, ip) ?? standing?.mtu)] : []
  })
}

/** fe80::/10: the same on every link, and no address to send a tunnel's packets from. */
const isLinkLocal = (ip: Ip): boolean => LINK_LOCAL.contains(ip)

const LINK_LOCAL = parseCidr('fe80::/10')

function mtuOver(network: RouteNetwork, state: KernelState, ip: Ip): number | undefined {
  if (network.mtu > 0) return network.mtu
  const mtu = underlayMtu(state, ip)
  return mtu === undefined ? undefined : Math.max(LEAST_MTU, mtu - VXLAN_OVERHEAD[ip.family])
}

function specOf(network: RouteNetwork, own: NodeFacts, local: Ip, mtu: number | undefined): TunnelSpec {
  const {vni, port} = network.vxlan
  return {
    name: deviceName(network, local.family),
    alias: aliasOf(network),
    group: OWN_GROUP,
    mac: tunnelMac(network, local.family, own),
    up: true,
    kind: {type: 'vxlan', vni, port, local, learning: false},
    ...(mtu !== undefined && {mtu}),
  }
}

const deviceName = ({vxlan}: RouteNetwork, family: Family): string =>
  family === 4 ? vxlan.device : `${vxlan.device}${OVER_IPV6}`

const aliasOf = ({name}: RouteNetwork): string => `${OWN_ALIAS}network ${name}`

/** The same after every restart and reboot, and no other node's: a locally administered unicast MAC. */
export function tunnelMac({name}: Pick<RouteNetwork, 'name'>, family: Family, own: Pick<NodeFacts, 'name'>): Mac {
  const hash = createHash('sha256').update(`${name}/${family}/${own.name}`).digest()
  hash[0] = (hash[0]! & 0xfc) | 2
  return [...hash.subarray(0, 6)].map(byte => byte.toString(16).padStart(2, '0')).join(':') as Mac
}

/** `wanted` undefined: nothing is to be done. */
export function diffTunnels(
  network: RouteNetwork,
  wanted: readonly TunnelSpec[] | undefined,
  state: KernelState,
): {readonly changes: readonly LinkChange[]; readonly problems: readonly Problem[]} {
  const changes: LinkChange[] = []
  const problems: Problem[] = []
  if (!wanted) return {changes, problems}
  // First what goes: it may hold the identifier and port of what comes.
  for (const link of state.links.values())
    if (link.alias === aliasOf(network) && link.kind === 'vxlan' && !wanted.some(({name}) => name === link.name))
      changes.push({object: 'link', op: 'delete', item: link})
  for (const spec of wanted) {
    const link = linkNamed(state, spec.name)
    if (!link) changes.push({object: 'link', op: 'add', item: spec})
    else if (!isOwnLink(link))
      problems.push({
        kind: 'device',
        message: `a link named ${spec.name} stands here that is not ours; rename it, or choose another name for vxlan.device`,
      })
    else if (!sameTunnel(link, spec))
      changes.push({object: 'link', op: 'delete', item: link}, {object: 'link', op: 'add', item: spec})
    else {
      const to = settingsOf(link, spec)
      if (Object.keys(to).length > 0) changes.push({object: 'link', op: 'set', item: link, to})
    }
  }
  return {changes, problems}
}

/** What cannot be changed in place. */
const sameTunnel = ({kind, vxlan}: Link, {kind: want}: TunnelSpec): boolean =>
  kind === 'vxlan' &&
  vxlan?.vni === want.vni &&
  vxlan.port === want.port &&
  `${vxlan.local}` === `${want.local}` &&
  !vxlan.remote &&
  !vxlan.dev &&
  !vxlan.learning

const settingsOf = (link: Link, spec: TunnelSpec) => ({
  ...(spec.mtu !== undefined && link.mtu !== spec.mtu && {mtu: spec.mtu}),
  ...(link.mac !== spec.mac && {mac: spec.mac}),
  ...(link.alias !== spec.alias && {alias: spec.alias}),
  ...(link.group !== spec.group && {group: spec.group}),
  ...(!link.up && {up: true as const}),
})

const linkNamed = (state: KernelState, name: string): Link | undefined => {
  for (const link of state.links.values()) if (link.name === name) return link
  return undefined
}

/** The devices that stand and work, of those wanted; of those ours that stand, while nothing is known. */
export function standingTunnels(
  network: RouteNetwork,
  wanted: readonly TunnelSpec[] | undefined,
  state: KernelState,
): Partial<Record<Family, Link>> {
  const devices: Partial<Record<Family, Link>> = {}
  for (const family of [4, 6] as const) {
    const name = deviceName(network, family)
    const link = linkNamed(state, name)
    const spec = wanted?.find(each => each.name === name)
    if (!link?.up || !isOwnLink(link) || link.vxlan?.local?.family !== family) continue
    if (wanted === undefined || (spec && sameTunnel(link, spec))) devices[family] = link
  }
  return devices
}

export const indexesOf = (links: Partial<Record<Family, Link>>): Devices =>
  Object.fromEntries(Object.entries(links).map(([family, link]) => [family, link.index as IfIndex]))

/** What this node is to publish; undefined: nothing. */
export function vtepOf(network: RouteNetwork, links: Partial<Record<Family, Link>>): Vtep | undefined {
  const {name, vxlan} = network
  const ends = ([4, 6] as const).flatMap(family => {
    const {mac, vxlan: info} = links[family] ?? {}
    return mac && info?.local ? [{ip: info.local, mac}] : []
  })
  return ends.length > 0 ? {network: name, vni: vxlan.vni, port: vxlan.port, ends} : undefined
}
