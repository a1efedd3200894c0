/** What IPAM gave, parsed: the addresses and routes of a pod's interface. */
import {InvalidInput, quoted} from '../../model/errors.ts'
import {Cidr, type Ip, type IpWithPrefix, parseCidr, parseIp, parseIpWithPrefix} from '../../model/ip.ts'
import {CniError} from '../error.ts'
import type {PluginCall} from '../plugin.ts'
import type {CniDns, CniIp, CniResult, CniRoute} from '../result.ts'
import {ipamType} from './config.ts'
import type {TypePorts} from './ports.ts'

export interface LeasedIp extends IpWithPrefix {
  readonly gateway?: Ip
}

export interface LeasedRoute {
  readonly destination: Cidr
  readonly gateway?: Ip
  /** Of spec 1.1.0. */
  readonly mtu?: number
  readonly priority?: number
  readonly table?: number
  readonly scope?: number
}

export interface Lease {
  readonly ips: readonly LeasedIp[]
  readonly routes: readonly LeasedRoute[]
  readonly dns: CniDns
}

/** No IPAM: a link without addresses. */
export const LAYER_2: Lease = {ips: [], routes: [], dns: {}}

/** Asks the config's IPAM; undefined: it has none. Rejects with CniError, and then IPAM holds nothing. */
export async function lease(ports: TypePorts, call: PluginCall): Promise<Lease | undefined> {
  const type = ipamType(call.config)
  if (!type) return undefined
  const ipam = ports.find({type}, call)
  const result = await ipam.add(call)
  try {
    const leased = parseLease(result, type)
    if (leased.ips.length === 0)
      throw new CniError('failed', `IPAM ${quoted(type)} of network ${quoted(call.config.name)} gave no address`)
    return leased
  } catch (error) {
    await ipam.del(call)
    throw error
  }
}

/** Gives back what IPAM gave. */
export async function release(ports: TypePorts, call: PluginCall): Promise<void> {
  const type = ipamType(call.config)
  if (type) await ports.find({type}, call).del(call)
}

/** Of a result whose addresses and routes come from `who`. Throws CniError. */
export function parseLease({ips, routes, dns}: CniResult, who: string): Lease {
  try {
    return {ips: ips.map(leasedIp), routes: routes.map(leasedRoute), dns}
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error
    throw new CniError('delegateFailed', `the result of ${quoted(who)} cannot be used: ${error.message}`)
  }
}

function leasedIp({address, gateway}: CniIp): LeasedIp {
  const parsed = parseIpWithPrefix(address)
  return gateway === undefined ? parsed : {...parsed, gateway: parseIp(gateway)}
}

function leasedRoute({dst, gw, mtu, priority, table, scope, advmss}: CniRoute): LeasedRoute {
  if (advmss !== undefined)
    throw new CniError('unsupportedField', `the route to ${quoted(dst)} has an advmss, which this type cannot set`)
  return {
    destination: parseCidr(dst),
    ...(gw !== undefined && {gateway: parseIp(gw)}),
    ...(mtu !== undefined && {mtu}),
    ...(priority !== undefined && {priority}),
    ...(table !== undefined && {table}),
    ...(scope !== undefined && {scope}),
  }
}

/** As results say them. */
export const ipOf = ({ip, length, gateway}: LeasedIp, index: number): CniIp => ({
  address: `${ip}/${length}`,
  ...(gateway && {gateway: `${gateway}`}),
  interface: index,
})

export const routeOf = ({destination, gateway, ...more}: LeasedRoute): CniRoute => ({
  dst: `${destination}`,
  ...(gateway && {gw: `${gateway}`}),
  ...more,
})

/** The subnet that an address is in. */
export const subnetOf = ({ip, length}: IpWithPrefix): Cidr => new Cidr(ip, length)
