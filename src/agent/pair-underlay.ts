/** What tunnels to other nodes start from: this node's addresses, and the interfaces that have them. Pure. */
import {type Ip, parseIp} from '../model/ip.ts'
import type {KernelState} from '../model/kernel.ts'
import type {IfIndex} from '../model/net.ts'
import type {Endpoint} from '../model/pair.ts'
import {underlayMtu} from '../routes/underlay.ts'

/** Where something else than the node's own address is asked for. */
export interface Parent {
  readonly interface?: string | undefined
  readonly address?: Ip | undefined
}

/** As the journal has it. */
export const parentOf = ({
  interface: name,
  address,
}: {
  readonly interface?: string
  readonly address?: string
}): Parent => ({
  interface: name,
  address: address === undefined ? undefined : parseIp(address),
})

/** `addresses`: those of the Node object. */
export function underlayOf(state: KernelState, addresses: readonly Ip[], parent: Parent): Endpoint['underlay'] {
  const underlay: {-readonly [F in 4 | 6]?: {ip: string; mtu: number}} = {}
  for (const ip of candidates(state, addresses, parent)) {
    const mtu = underlayMtu(state, ip)
    if (mtu !== undefined) underlay[ip.family] ??= {ip: `${ip}`, mtu}
  }
  return underlay
}

/** An address that is asked for is the only one of its family, and of all where no interface is named. */
function candidates(state: KernelState, addresses: readonly Ip[], {interface: name, address}: Parent): readonly Ip[] {
  if (name === undefined) return address ? [address] : addresses
  const [index] = [...state.links].find(([_, link]) => link.name === name) ?? []
  const own = (index === undefined ? [] : (state.addresses.get(index) ?? []))
    .filter(({scope}) => scope === 'global')
    .map(({ip}) => ip)
  const known = new Set(addresses.map(String))
  const ranked = own.toSorted((a, b) => Number(known.has(`${b}`)) - Number(known.has(`${a}`)))
  return address ? [address, ...ranked.filter(({family}) => family !== address.family)] : ranked
}

/** The interface that has the address; undefined: none, or loopback, which no tunnel leads through. */
export function deviceOf({addresses, links}: KernelState, ip: Ip): IfIndex | undefined {
  for (const [index, list] of addresses)
    if (list.some(each => `${each.ip}` === `${ip}`)) return links.get(index)?.loopback ? undefined : index
  return undefined
}
