/** What can be changed of a standing attachment in place: its MTU, its MAC, and addresses and routes that IPAM `static` gives. */
import {isDeepStrictEqual} from 'node:util'
import {quoted} from '../../model/errors.ts'
import type {IpWithPrefix} from '../../model/ip.ts'
import type {NamespaceKernel, Step} from '../../model/namespace.ts'
import type {IfIndex, Link, Mac} from '../../model/net.ts'
import {CniError} from '../error.ts'
import type {PluginCall} from '../plugin.ts'
import {isRecord} from '../record.ts'
import {ipamType} from './config.ts'
import {changeAll, trySysctl} from './kernel.ts'
import {type Lease, lease} from './lease.ts'
import {type Inside, switchOnIpv6} from './pod.ts'
import type {TypePorts} from './ports.ts'
import {undone} from './undo.ts'
import {addAddress, gatewayFor, podRoute, type Wiring} from './wiring.ts'

/** What an attachment is made of. */
export type Made = Pick<PluginCall, 'config' | 'args'>

/** Keys that may differ: those that are looked at one by one, and those that change nothing of what stands. */
const IN_PLACE: ReadonlySet<string> = new Set([
  ...['mtu', 'mac', 'ipam', 'args', 'runtimeConfig'],
  ...['cniVersions', 'disableCheck', 'capabilities', 'dns', 'prevResult'],
])

/** The lease that the new config comes to, `had` being the old one's. Undefined: only an ADD could tell. */
export async function leaseInPlace(
  ports: TypePorts,
  call: PluginCall,
  before: Made,
  had: Lease,
): Promise<Lease | undefined> {
  const {config} = call
  const keys = new Set([...Object.keys(config), ...Object.keys(before.config)])
  for (const key of keys)
    if (!IN_PLACE.has(key) && !isDeepStrictEqual(config[key], before.config[key])) return undefined
  const type = ipamType(config)
  if (type !== ipamType(before.config)) return undefined
  // It holds nothing: to ask it is to know.
  if (type === 'static') return lease(ports, call)
  return type === undefined || isDeepStrictEqual(askedOf(call), askedOf(before)) ? had : undefined
}

/** Whatever IPAM may look at. */
function askedOf({config, args}: Made): unknown {
  const {ipam, runtimeConfig, args: ofConfig} = config
  const cni = isRecord(ofConfig?.cni) ? withoutMac(ofConfig.cni) : undefined
  const others = args.split(';').filter(pair => pair !== '' && !/^(MAC|CNI_IFMAC|IgnoreUnknown)=/.test(pair))
  return [ipam, withoutMac(runtimeConfig), {...ofConfig, cni}, others]
}

const withoutMac = ({mac: _, ...others}: {readonly [key: string]: unknown} = {}): object => others

export interface Change {
  readonly kernel: NamespaceKernel
  /** As in "… cannot be changed". */
  readonly what: string
  readonly steps: readonly Step[]
  /** What makes it as it was. */
  readonly back: readonly Step[]
}

/** One after the other; when one is refused, all is put back. Rejects with CniError. */
export async function carryOut(changes: readonly Change[]): Promise<void> {
  const undo: (() => Promise<void>)[] = []
  try {
    for (const {kernel, what, steps, back} of changes) {
      undo.push(() => changeAll(kernel, `${what} cannot be put back`, back, isSo).then(() => {}))
      await changeAll(kernel, `${what} cannot be changed`, steps, isSo)
    }
  } catch (error) {
    throw await undone(error, undo)
  }
}

/** What is there already, or gone already. */
const isSo = ({op, object}: Step, {code}: {readonly code: string}): boolean =>
  (op === 'delete' && GONE.has(code)) || ((op === 'add' || op === 'prepend') && object !== 'link' && code === 'EEXIST')

const GONE: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'ESRCH', 'ENOENT'])

/** Neighbours are told of it, as far as they listen. `was`: what a result says. */
export async function macChange({pod, link}: Inside, mac: Mac, was: string | undefined): Promise<Change> {
  await trySysctl(pod.kernel, `ipv6/conf/${pod.ifname}/ndisc_notify`, '1')
  const set = (to: Mac): Step => ({op: 'set', object: 'link', item: link.index, to: {mac: to}})
  const what = `the MAC of ${quoted(pod.ifname)}`
  return {kernel: pod.kernel, what, steps: [set(mac)], back: was === undefined ? [] : [set(was.toLowerCase() as Mac)]}
}

/** Bytes. RFC 8200: with less, the kernel takes everything of IPv6 from an interface. */
const IPV6_MIN_MTU = 1280

/** Of each end. Throws CniError where IPv6 would go with it. */
export function mtuChanges(
  {pod, addresses}: Inside,
  mtu: number,
  {ips}: Wiring,
  ends: readonly {readonly kernel: NamespaceKernel; readonly link: Link}[],
): Change[] {
  const hasIpv6 =
    ips.some(({ip}) => ip.family === 6) || addresses.some(each => each.scope !== 'link' && each.ip.family === 6)
  if (mtu < IPV6_MIN_MTU && hasIpv6)
    throw new CniError(
      'invalidConfig',
      `an mtu of ${mtu} would take the addresses of IPv6 from ${quoted(pod.ifname)}: give it at least ${IPV6_MIN_MTU}`,
    )
  const set = (index: IfIndex, to: number): Step => ({op: 'set', object: 'link', item: index, to: {mtu: to}})
  return ends
    .filter(({link}) => link.mtu !== mtu)
    .map(({kernel, link: {name, index, mtu: was}}) => ({
      kernel,
      what: `the MTU of ${quoted(name)}`,
      steps: [set(index, mtu)],
      back: [set(index, was)],
    }))
}

/** Undefined: they are the same. */
export async function wiringChange({pod, link}: Inside, from: Wiring, to: Wiring): Promise<Change | undefined> {
  if (isDeepStrictEqual(textsOf(from), textsOf(to))) return undefined
  if (to.ips.some(({ip}) => ip.family === 6)) await switchOnIpv6(pod.kernel, pod.ifname)
  return {
    kernel: pod.kernel,
    what: `what ${quoted(pod.ifname)} has of addresses and routes`,
    steps: wiringSteps(link.index, from, to),
    back: wiringSteps(link.index, to, from),
  }
}

const textOf = ({ip, length}: IpWithPrefix): string => `${ip}/${length}`

/** With a route's gateway as it comes to. */
const routeText = (wiring: Wiring, route: Wiring['routes'][number]): string =>
  JSON.stringify({...route, destination: `${route.destination}`, gateway: `${gatewayFor(wiring, route)}`})

export const textsOf = (wiring: Wiring): {readonly ips: readonly string[]; readonly routes: readonly string[]} => ({
  ips: wiring.ips.map(ip => `${textOf(ip)} ${ip.gateway}`),
  routes: wiring.routes.map(route => routeText(wiring, route)),
})

/** In one batch: nobody sees what is between. */
function wiringSteps(index: IfIndex, from: Wiring, to: Wiring): Step[] {
  const wanted = new Set(to.routes.map(route => routeText(to, route)))
  const gone = from.routes.filter(route => !wanted.has(routeText(from, route)))
  const seen = new Set<string>()
  return [
    ...gone.map(
      (route): Step => ({op: 'delete', object: 'route', item: podRoute(route, gatewayFor(from, route), index)}),
    ),
    ...leaving(from.ips, to.ips).map(
      ({ip, length}): Step => ({op: 'delete', object: 'address', item: {index, ip, length}}),
    ),
    // A primary address of IPv4 takes others along, and the last one takes the routes.
    ...to.ips.map(ip => addAddress(index, ip, ip.length)),
    ...to.routes.map((route): Step => {
      const item = podRoute(route, gatewayFor(to, route), index)
      const key = `${item.destination} ${item.metric} ${item.table}`
      const op = seen.has(key) ? 'prepend' : 'replace'
      seen.add(key)
      return {op, object: 'route', item}
    }),
  ]
}

/** Their order says which is the primary one: from where it differs on, all of a family go, to come again. */
const leaving = <T extends IpWithPrefix>(from: readonly T[], to: readonly T[]): T[] =>
  ([4, 6] as const).flatMap(family => {
    const [old, now] = [from, to].map(ips => ips.filter(({ip}) => ip.family === family)) as [T[], T[]]
    const same = old.findIndex((ip, i) => !now[i] || textOf(now[i]) !== textOf(ip))
    return same < 0 ? [] : old.slice(same)
  })
