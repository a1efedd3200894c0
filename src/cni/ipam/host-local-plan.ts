/** Which addresses an ADD gets, of what the folder of leases says. No I/O. */
import {quoted} from '../../model/errors.ts'
import {type Ip, parseIp} from '../../model/ip.ts'
import {CniError} from '../error.ts'
import type {HostLocalConfig} from './host-local-config.ts'
import {candidates, formatRange, type Range, type RangeSet, rangeWith} from './host-local-ranges.ts'

/** Of leases: as they stand on disk. */
export interface LeaseView {
  /** Address, in canonical spelling, to its owner; '' where the file does not say. */
  readonly owners: ReadonlyMap<string, string>
  /** The addresses of an owner. */
  of(owner: string): readonly string[]
  /** The address that was given out last of the range set of that number. */
  last(set: number): string | undefined
}

export interface Lease {
  /** Number of the range set. */
  readonly set: number
  readonly ip: Ip
  readonly range: Range
}

/** `leases`: one for each range set, or for those before the one that failed. */
export interface LeasePlan {
  readonly leases: readonly Lease[]
  readonly failure?: CniError
}

/** `owners`: under which names leases of the interface stand: as we write them, and as very old plugins did. */
export function planLeases(config: HostLocalConfig, owners: readonly string[], view: LeaseView): LeasePlan {
  const open = new Set(config.requested)
  const leases: Lease[] = []
  for (const [i, set] of config.sets.entries()) {
    const requested = [...open].find(ip => rangeWith(set, ip))
    if (requested) open.delete(requested)
    const found = requested ? choose(config, set, requested, view) : search(config, set, i, owners, view)
    if (found instanceof CniError) return {leases, failure: found}
    leases.push({set: i, ...found})
  }
  if (open.size === 0) return {leases}
  const rest = [...open].join(', ')
  return {
    leases,
    failure: new CniError(
      'failed',
      `network ${quoted(config.network)} cannot give out the requested ${rest}: it is in no range, or one address of its range set is requested already`,
    ),
  }
}

type Found = Omit<Lease, 'set'> | CniError

function choose({network}: HostLocalConfig, set: RangeSet, ip: Ip, {owners}: LeaseView): Found {
  const range = rangeWith(set, ip)!
  const refused = (why: string) =>
    new CniError('failed', `the requested ${ip} of network ${quoted(network)} cannot be given out: ${why}`)
  if (ip.raw === range.gateway.raw) return refused(`it is the gateway of ${range.subnet}`)
  const owner = owners.get(`${ip}`)
  if (owner !== undefined) return refused(owner === '' ? 'it is in use' : `it is in use by ${quoted(owner)}`)
  return {ip, range}
}

function search(
  {network}: HostLocalConfig,
  set: RangeSet,
  i: number,
  owners: readonly string[],
  view: LeaseView,
): Found {
  const held = owners.flatMap(owner => view.of(owner)).find(address => rangeWith(set, parseIp(address)))
  if (held !== undefined)
    return new CniError(
      'failed',
      `this interface has ${held} of network ${quoted(network)} already: it must be deleted before it is added again`,
    )
  for (const candidate of candidates(set, ipOf(view.last(i)))) if (!view.owners.has(`${candidate.ip}`)) return candidate
  const names = set.map(formatRange).join(', ')
  const used = [...view.owners].filter(([address]) => rangeWith(set, parseIp(address)))
  const nobodys = used.filter(([, owner]) => owner === '').length
  const lost = nobodys > 0 ? `, ${nobodys} of them by lease files that name no owner` : ''
  return new CniError(
    'failed',
    `no free address in ${names} of network ${quoted(network)} (${used.length} in use${lost}): delete pods, or give the network more addresses`,
  )
}

/** Somebody may have written anything there. */
function ipOf(text: string | undefined): Ip | undefined {
  try {
    return text === undefined ? undefined : parseIp(text)
  } catch {
    return undefined
  }
}
