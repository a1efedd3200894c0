/** What a pod's packet may have, so that it fits wherever it goes. */
import {usesTunnels} from '../model/config-network.ts'
import type {Family, Ip} from '../model/ip.ts'
import type {KernelState} from '../model/kernel.ts'
import {IPV6_LEAST, VXLAN_OVERHEAD} from '../model/mtu.ts'
import type {Link} from '../model/net.ts'
import type {Problem} from './claims.ts'
import type {RouteNetwork} from './network.ts'
import {underlayMtu} from './underlay.ts'

export interface EffectiveMtu {
  readonly bytes: Readonly<Partial<Record<Family, number>>>
  readonly problems: readonly Problem[]
}

/**
 * Per family of the packet. With a backend that may use a tunnel, what fits through it: a peer may move behind one at
 * any time, a pod keeps its MTU for life.
 */
export function effectiveMtu(
  network: RouteNetwork,
  own: readonly Ip[],
  local: ReadonlySet<string>,
  tunnels: Readonly<Partial<Record<Family, Link>>>,
  kernel: KernelState,
): EffectiveMtu {
  const bytes: Partial<Record<Family, number>> = {}
  const problems: Problem[] = []
  const room = (family: Family): number | undefined => {
    const ip = own.find(address => address.family === family && local.has(`${address}`))
    const mtu = ip && underlayMtu(kernel, ip)
    return mtu === undefined ? undefined : mtu - (usesTunnels(network) ? VXLAN_OVERHEAD[family] : 0)
  }
  for (const family of [4, 6] as const) {
    const tunnel = tunnels[family] ?? tunnels[family === 4 ? 6 : 4]
    const mtu = network.mtu || (usesTunnels(network) ? tunnel?.mtu : room(family))
    if (mtu !== undefined) bytes[family] = mtu
    const most = room(family)
    if (network.mtu > 0 && most !== undefined && network.mtu > most)
      problems.push({
        kind: 'device',
        message: `network ${network.name}: an mtu of ${network.mtu} does not fit the interface with this node's IPv${family} address, which has room for ${most}; set mtu to that or less, or 0`,
      })
  }
  for (const {name, mtu} of Object.values(tunnels))
    if (mtu < IPV6_LEAST)
      problems.push({
        kind: 'device',
        message: `the MTU of ${name} is ${mtu}, and IPv6 needs ${IPV6_LEAST}: no IPv6 of pods goes through it; ${network.mtu > 0 ? 'set the mtu of the network to that or more' : "raise that of the node's interface"}`,
      })
  return {bytes, problems}
}
