/** What the kernel's mirror shows of attachments on the host: a text for each, that changes when somebody has been at it. Pure. */
import type {KernelState} from '../model/kernel.ts'
import type {IfIndex, Link} from '../model/net.ts'
import {type Entry, keyOf} from './journal.ts'
import {parseAlias} from './types/marks.ts'

/** Of what stands, by the attachment's key. Those whose plugins are programs have none: only they know what they made. */
export function looks(entries: Iterable<Entry>, state: KernelState): Map<string, string> {
  const ends = new Map<string, Link>()
  const names = new Map<string, Link>()
  for (const link of state.links.values()) {
    names.set(link.name, link)
    const attached = parseAlias(link.alias)
    if (attached) ends.set(keyOf(attached), link)
  }
  const result = new Map<string, string>()
  for (const entry of entries) {
    if (entry.state !== 'added') continue
    const look = lookOf(entry, state, ends.get(keyOf(entry.plan)), names)
    if (look !== undefined) result.set(keyOf(entry.plan), look)
  }
  return result
}

function lookOf({plan, result}: Entry, state: KernelState, end: Link | undefined, names: ReadonlyMap<string, Link>) {
  const [{type, bridge, master} = {type: ''}] = plan.list.plugins as readonly Conf[]
  if (type === 'macvlan') return parentLook(names.get(`${master}`))
  if (type !== 'ptp' && type !== 'bridge') return undefined
  if (!end) return 'no host end'
  const own = `${end.up} ${end.master} ${end.hairpin} ${end.group}`
  if (type === 'bridge') return `${own}; ${bridgeLook(state, names.get(bridge ?? 'cni0'))}`
  const routed = (result?.ips ?? []).map(({address}) => hasRoute(state, address, end.index))
  return `${own} ${routed.join()}; ${addressesOf(state, end.index)}`
}

interface Conf {
  readonly type: string
  readonly bridge?: string
  readonly master?: string
}

const parentLook = (parent: Link | undefined): string => (parent ? `${parent.index} ${parent.up}` : 'no parent')

const bridgeLook = (state: KernelState, bridge: Link | undefined): string =>
  bridge ? `${bridge.index} ${bridge.up} ${addressesOf(state, bridge.index)}` : 'no bridge'

/** Without those that the kernel gives by itself. */
const addressesOf = ({addresses}: KernelState, index: IfIndex): string =>
  (addresses.get(index) ?? [])
    .filter(({scope}) => scope !== 'link')
    .map(({ip, length}) => `${ip}/${length}`)
    .sort()
    .join()

const hasRoute = ({routes}: KernelState, address: string, index: IfIndex): boolean => {
  const ip = address.split('/')[0]!
  const known = routes.get(`${ip}/${ip.includes(':') ? 128 : 32}`)
  return known?.some(({nextHops}) => nextHops.some(({dev}) => dev === index)) ?? false
}
