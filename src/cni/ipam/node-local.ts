/**
 * IPAM `node-local`: one address from each pod range of this node. What is given out is known from the journal, which has
 * every attachment before its address is used; there is nothing of its own to keep on disk, to lock, or to leak.
 */
import {isIP} from 'node:net'
import {Cidr, hostLength, Ip, parseIp, parseIpWithPrefix} from '../../model/ip.ts'
import {CniError} from '../error.ts'
import type {NativePlugin, PluginCall} from '../plugin.ts'
import type {CniResult, CniRoute} from '../result.ts'

export interface NodeLocal extends NativePlugin {
  /** What an attachment that stands has: not given to anybody else. */
  restore(owner: string, addresses: readonly string[]): void
  /** Given out, of all ranges. */
  readonly size: number
}

/** The pod ranges of this node; rejects with CniError (11) when they are not known in time. */
export type Ranges = (network: string | undefined, signal: AbortSignal) => Promise<readonly Cidr[]>

const KNOWN: ReadonlySet<string> = new Set(['type', 'network', 'routes'])

/** As an owner of addresses. */
export const ownerOf = ({containerId, ifname}: Pick<PluginCall, 'containerId' | 'ifname'>): string =>
  `${containerId} ${ifname}`

export function nodeLocal(ranges: Ranges): NodeLocal {
  /** Address to owner, and back. */
  const given = new Map<string, string>()
  const owned = new Map<string, string[]>()
  /** The last one given of each range: the next search begins behind it, so that an address rests before it is used again. */
  const last = new Map<string, bigint>()

  const take = (owner: string, address: string): void => {
    given.set(address, owner)
    owned.set(owner, [...(owned.get(owner) ?? []), address])
  }
  const free = (owner: string): void => {
    for (const address of owned.get(owner) ?? []) if (given.get(address) === owner) given.delete(address)
    owned.delete(owner)
  }
  const next = (range: Cidr): string => {
    const {first, count} = usable(range)
    const start = last.get(`${range}`) ?? -1n
    // One more than are given out: among so many one is free, however large the range.
    const tries = count < BigInt(given.size + 1) ? count : BigInt(given.size + 1)
    for (let n = 1n; n <= tries; n++) {
      const offset = (start + n) % count
      const address = `${at(range, first + offset)}`
      if (given.has(address)) continue
      last.set(`${range}`, offset)
      return address
    }
    throw new CniError('failed', `no address is free in this node's pod range ${range}: all ${count} are in use`)
  }

  return {
    get size() {
      return given.size
    },
    knows: ({ipam = {}}) => Object.keys(ipam).every(key => KNOWN.has(key)),
    restore: (owner, addresses) => {
      for (const text of addresses) {
        const [address = ''] = text.split('/')
        take(owner, isIP(address) > 0 ? `${parseIp(address)}` : address)
        // What was given last is not known any more: the highest is as good a place to go on from.
        try {
          const {ip, length} = parseIpWithPrefix(text)
          const range = new Cidr(ip, length)
          const offset = offsetOf(range, ip) - usable(range).first
          if (offset > (last.get(`${range}`) ?? -1n)) last.set(`${range}`, offset)
        } catch {}
      }
    },
    add: async call => {
      const {ipam = {}} = call.config
      const network = ipam.network
      if (network !== undefined && typeof network !== 'string')
        throw new CniError('invalidConfig', 'ipam.network must be the name of a pod network')
      const cidrs = await ranges(network, call.signal)
      const owner = ownerOf(call)
      if (owned.has(owner))
        throw new CniError(
          'failed',
          `${call.ifname} of container ${call.containerId} has an address of this node already`,
        )
      try {
        const ips = cidrs.map(range => {
          const address = next(range)
          take(owner, address)
          return {address: `${address}/${range.length}`, gateway: `${gatewayOf(range)}`}
        })
        return {interfaces: [], ips, routes: routesOf(ipam.routes), dns: {}} satisfies CniResult
      } catch (error) {
        free(owner)
        throw error
      }
    },
    check: async call => {
      if (!owned.has(ownerOf(call)))
        throw new CniError('failed', `${call.ifname} of container ${call.containerId} has no address of this node`)
    },
    del: async call => free(ownerOf(call)),
  }
}

/** The first host's: a bridge's own address, or that of every pod's cable. */
export const gatewayOf = (range: Cidr): Ip => at(range, 1n)

/** Offsets behind the gateway, without IPv4's broadcast address. */
function usable(range: Cidr): {first: bigint; count: bigint} {
  const size = 1n << BigInt(hostLength(range.family) - range.length)
  const count = size - (range.family === 4 ? 3n : 2n)
  if (count < 1n)
    throw new CniError(
      'failed',
      `this node's pod range ${range} is too small for a gateway and a pod; give it a wider one`,
    )
  return {first: 2n, count}
}

const numberOf = ({raw}: Ip): bigint => BigInt(`0x${Buffer.from(raw, 'latin1').toString('hex')}`)

const offsetOf = ({address}: Cidr, ip: Ip): bigint => numberOf(ip) - numberOf(address)

function at(range: Cidr, offset: bigint): Ip {
  const bytes = range.address.bytes
  let carry = offset
  for (let i = bytes.length - 1; i >= 0 && carry > 0n; i--) {
    const sum = BigInt(bytes[i]!) + carry
    bytes[i] = Number(sum & 0xffn)
    carry = sum >> 8n
  }
  return new Ip(bytes)
}

function routesOf(value: unknown): CniRoute[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new CniError('invalidConfig', 'ipam.routes must be a list')
  return value.map((route, i) => {
    const {dst, gw} = (route ?? {}) as {dst?: unknown; gw?: unknown}
    if (typeof dst !== 'string') throw new CniError('invalidConfig', `ipam.routes[${i}].dst must be a prefix`)
    if (gw !== undefined && typeof gw !== 'string')
      throw new CniError('invalidConfig', `ipam.routes[${i}].gw must be an address`)
    return {dst, ...(gw !== undefined && {gw})}
  })
}
