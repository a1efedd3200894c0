/** What the kernel's mirror shows of attachments on the host: a text for each, that changes when somebody has been at it. Pure. */
import type {KernelState} from '../model/kernel.ts'
import type {IfIndex, Link} from '../model/net.ts'
import {OWN_GROUP} from '../model/plans.ts'
import {type Entry, keyOf} from './journal.ts'
import type {CniIp} from './result.ts'
import {parseAlias} from './types/marks.ts'

export interface Look {
  readonly text: string
  /** As ADD leaves it. */
  readonly inOrder: boolean
}

/** Of what stands, by the attachment's key. A program alone knows what it has made: of that only the parent is looked at. */
export function looks(entries: Iterable<Entry>, state: KernelState): Map<string, Look> {
  const ends = new Map<string, Link>()
  const names = new Map<string, Link>()
  for (const link of state.links.values()) {
    names.set(link.name, link)
    const attached = parseAlias(link.alias)
    if (attached) ends.set(keyOf(attached), link)
  }
  const result = new Map<string, Look>()
  for (const entry of entries) {
    if (entry.state !== 'added') continue
    const look = lookOf(entry, state, ends.get(keyOf(entry.plan)), names)
    if (look !== undefined) result.set(keyOf(entry.plan), look)
  }
  return result
}

interface Conf {
  readonly type: string
  readonly bridge?: string
  readonly master?: string
  readonly hairpinMode?: boolean
  readonly isGateway?: boolean
  readonly isDefaultGateway?: boolean
}

function lookOf(
  {plan, result}: Entry,
  state: KernelState,
  end: Link | undefined,
  names: ReadonlyMap<string, Link>,
): Look | undefined {
  const [conf = {type: ''}] = plan.list.plugins as readonly Conf[]
  const ips = result?.ips ?? []
  if (conf.type !== 'ptp' && conf.type !== 'bridge') {
    if (typeof conf.master === 'string' && conf.master !== '') return parentLook(names.get(conf.master))
    return conf.type === 'macvlan' ? {text: '', inOrder: true} : undefined
  }
  if (!end) return {text: 'no host end', inOrder: false}
  const isMarked = end.up && end.group === OWN_GROUP
  const own = `${end.up} ${end.master} ${end.hairpin} ${end.group}`
  if (conf.type === 'bridge') {
    const bridge = names.get(conf.bridge ?? 'cni0')
    if (!bridge) return {text: `${own}; no bridge`, inOrder: false}
    const have = addressesOf(state, bridge.index)
    const isPort = end.master === bridge.index && (end.hairpin ?? false) === (conf.hairpinMode ?? false)
    const gateways = conf.isGateway || conf.isDefaultGateway ? ips.map(ip => gatewayOf(ip, lengthOf(ip))) : []
    return {
      text: `${own}; ${bridge.index} ${bridge.up} ${have.join()}`,
      inOrder: isMarked && isPort && bridge.up && gateways.every(gateway => have.includes(gateway)),
    }
  }
  const routed = ips.map(({address}) => hasRoute(state, address, end.index))
  const have = addressesOf(state, end.index)
  const gateways = ips.map(ip => gatewayOf(ip, ip.address.includes(':') ? '128' : '32'))
  return {
    text: `${own} ${routed.join()}; ${have.join()}`,
    inOrder: isMarked && !routed.includes(false) && gateways.every(gateway => have.includes(gateway)),
  }
}

const lengthOf = ({address}: CniIp): string => address.split('/')[1]!

const gatewayOf = ({gateway = ''}: CniIp, length: string): string => `${gateway}/${length}`

/** A parent that is down is its owner's business. */
const parentLook = (parent: Link | undefined): Look =>
  parent ? {text: `${parent.index} ${parent.up}`, inOrder: true} : {text: 'no parent', inOrder: false}

/** Without those that the kernel gives by itself. */
const addressesOf = ({addresses}: KernelState, index: IfIndex): string[] =>
  (addresses.get(index) ?? [])
    .filter(({scope}) => scope !== 'link')
    .map(({ip, length}) => `${ip}/${length}`)
    .sort()

const hasRoute = ({routes}: KernelState, address: string, index: IfIndex): boolean => {
  const ip = address.split('/')[0]!
  const known = routes.get(`${ip}/${ip.includes(':') ? 128 : 32}`)
  return known?.some(({nextHops}) => nextHops.some(({dev}) => dev === index)) ?? false
}
