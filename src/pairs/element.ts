/** One element of the annotation `netgraft.dev/pairs`. */
import {InvalidInput} from '../model/errors.ts'
import {
  Fault,
  fieldsOf,
  interfaceOf,
  ipsOf,
  itemOf,
  labelOf,
  listOf,
  macOf,
  namespaceOf,
  present,
  shown,
  textOf,
  wholeOf,
} from '../model/fields.ts'
import {parseCidr, parseIp, parseIpWithPrefix} from '../model/ip.ts'
import {IPV6_LEAST} from '../model/mtu.ts'
import type {Declaration, DeclaredRoute, PodKey} from '../model/pair.ts'

const KEYS = ['name', 'peer', 'interface', 'peerInterface', 'ips', 'mac', 'mtu', 'routes'] as const

type Fields = {readonly [key in (typeof KEYS)[number]]?: unknown}

/** Bytes. The least that IPv4 has (linux/inetdevice.h), and the most that a device can have. */
const MTU = {min: 68, max: 65535} as const
/** Characters. Of a Kubernetes label, as names usually are. */
const NAME_MAX = 63

/** `pod`: who says it. Throws {@link Fault}. */
export function readElement(
  value: unknown,
  at: string,
  pod: {readonly namespace: string; readonly name: string},
): Declaration {
  const fields = elementFields(value, at)
  const peer = peerOf(fields.peer, `${at}.peer`, pod.namespace)
  if (peer === `${pod.namespace}/${pod.name}`)
    throw new Fault(`${at}.peer`, `is ${shown(fields.peer)}, the pod itself; name another pod`)
  return {by: 'annotation', at, peer, ...readEnd(fields, at)}
}

/** The interface that an element is about, however faulty the rest is. */
export function interfaceIn(value: unknown, at: string): string | undefined {
  try {
    return interfaceOf(elementFields(value, at).interface, at, false)
  } catch {
    return undefined
  }
}

const elementFields = (value: unknown, at: string): Fields =>
  fieldsOf(itemOf(value, at, '"peer": "b", "interface": "in1"'), KEYS)

/** What a declaration says beside the peer. Throws {@link Fault}. */
export function readEnd(fields: Fields, at: string): Omit<Declaration, 'by' | 'at' | 'peer' | 'peerIps'> {
  const where = (key: keyof Fields) => `${at}.${key}`
  const ips = addressesOf(fields.ips, where('ips'))
  const mtu = wholeOf(fields.mtu, where('mtu'), MTU.min, MTU.max)
  const routes = listOf(fields.routes, where('routes'), routeOf)
  mustBeOnce(routes, where('routes'))
  if (mtu !== undefined && mtu < IPV6_LEAST && [...(ips ?? []), ...(routes ?? []).map(({dst}) => dst)].some(isIpv6))
    throw new Fault(where('mtu'), `is ${mtu}, and IPv6 needs ${IPV6_LEAST}; write that or more, or leave IPv6 away`)
  return {
    interface: interfaceThere(fields.interface, where('interface')),
    ...present({
      name: labelOf(fields.name, where('name'), NAME_MAX),
      peerInterface: interfaceOf(fields.peerInterface, where('peerInterface'), false),
      ips,
      mac: macOf(fields.mac, where('mac')),
      mtu,
      routes,
    }),
  }
}

export function interfaceThere(value: unknown, at: string): string {
  const name = interfaceOf(value, at, false)
  if (name === undefined) throw new Fault(at, 'is missing; write the name that the interface is to have, as in "in1"')
  return name
}

/** `[<namespace>/]<pod>`. Throws {@link Fault}. */
export function peerOf(value: unknown, at: string, podNamespace: string): PodKey {
  const text = textOf(value, at)
  if (text === undefined) throw new Fault(at, 'is missing; write the name of a pod, as in "b" or "other/b"')
  const parts = text.split('/')
  if (parts.length > 2 || parts.includes('')) throw new Fault(at, `is ${shown(text)}; write [<namespace>/]<pod>`)
  const [name, namespace = podNamespace] = parts.toReversed()
  return `${namespaceOf(namespace, at)}/${podNameOf(name, at)}`
}

/** A pod's name may have dots. */
export function podNameOf(text: unknown, at: string): string {
  const labels = typeof text === 'string' && text.length <= 253 ? text.split('.') : ['']
  if (labels.every(label => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(label))) return labels.join('.')
  throw new Fault(
    at,
    `is ${shown(text)}; a pod's name has at most 253 lower-case letters, digits, inner dashes and dots`,
  )
}

export function addressesOf(value: unknown, at: string): string[] | undefined {
  const ips = ipsOf(value, at, 'with')
  for (const [i, text] of (ips ?? []).entries()) mustBeHost(text, `${at}[${i}]`)
  return ips
}

const NO_HOST = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  '::1/128',
  'ff00::/8',
  '::ffff:0:0/96',
].map(parseCidr)

function mustBeHost(text: string, at: string): void {
  const {ip} = parseIpWithPrefix(text)
  if (NO_HOST.some(range => range.contains(ip)))
    throw new Fault(at, `is ${shown(text)}, which no interface can have; write another address`)
}

function routeOf(value: unknown, at: string): DeclaredRoute {
  const fields = fieldsOf(itemOf(value, at, '"dst": "10.1.0.0/16", "gw": "10.0.0.2"'), ['dst', 'gw'])
  const text = textOf(fields.dst, `${at}.dst`)
  if (text === undefined) throw new Fault(`${at}.dst`, 'is missing; write a prefix, as in 10.1.0.0/16')
  const dst = tried(() => parseCidr(text))
  if (!dst) throw new Fault(`${at}.dst`, `is ${shown(text)}; write a prefix, as in 10.1.0.0/16 or fd00:1::/64`)
  if (dst.length === 0)
    throw new Fault(
      `${at}.dst`,
      `is ${dst}, and a pair never has the pod's default route; write the prefixes that are behind the peer`,
    )
  const gateway = textOf(fields.gw, `${at}.gw`)
  if (gateway === undefined) return {dst: `${dst}`}
  const gw = tried(() => parseIp(gateway))
  if (!gw || gw.family !== dst.family || NO_HOST.some(range => range.contains(gw)))
    throw new Fault(
      `${at}.gw`,
      `is ${shown(gateway)}; write the IPv${dst.family} address of a gateway, or leave it away`,
    )
  return {dst: `${dst}`, gw: `${gw}`}
}

function mustBeOnce(routes: readonly DeclaredRoute[] | undefined, at: string): void {
  const first = new Map<string, number>()
  routes?.forEach(({dst}, i) => {
    if (first.has(dst))
      throw new Fault(`${at}[${i}].dst`, `is ${dst}, which [${first.get(dst)}] is already; remove one`)
    first.set(dst, i)
  })
}

const isIpv6 = (text: string): boolean => text.includes(':')

function tried<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof InvalidInput) return undefined
    throw error
  }
}
