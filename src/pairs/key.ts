/** Names that follow from a pair's ends, and from nothing else: the same on every node, before and after every restart. */
import {createHash} from 'node:crypto'
import type {Mac} from '../model/net.ts'
import type {PairKey, PodKey} from '../model/pair.ts'

export interface EndName {
  readonly pod: PodKey
  readonly interface: string
}

/** "namespace/pod:interface". */
export const endText = (end: EndName): string => `${end.pod}:${end.interface}`

/** The one whose text sorts first, then the other. */
export const inOrder = <E extends EndName>(a: E, b: E): readonly [E, E] => (endText(a) < endText(b) ? [a, b] : [b, a])

/** Characters. With the longest namespace and "netgraft:pair:" it fits an interface's alias (IFALIASZ, linux/if.h). */
const NAME_MAX = 177
/** Characters of a pod's name, or a namespace's, in a name that would be too long. */
const CUT = 36

/**
 * Readable where it can be: "<namespace>/<pod>.<interface>.<pod>.<interface>", the second namespace before the second pod
 * where it is another one. Names with other characters than those of a DNS label, and long ones, are reduced to what a
 * Kubernetes name may be, and end with a hash: of six parts, so that none is like one without.
 */
export function pairKey(one: EndName, other: EndName): PairKey {
  const [a, b] = inOrder(one, other)
  const [namespace, pod] = split(a.pod)
  const [peerNamespace, peer] = split(b.pod)
  const parts = [pod, a.interface, ...(peerNamespace === namespace ? [] : [peerNamespace]), peer, b.interface]
  const plain = parts.join('.')
  if (plain.length <= NAME_MAX && parts.every(isLabel)) return `${namespace}/${plain}` as PairKey
  const reduced = [pod, a.interface, peerNamespace, peer, b.interface].map(toLabel).join('.')
  return `${namespace}/${reduced}.${hash(`${endText(a)} ${endText(b)}`)
    .toString('hex')
    .slice(0, 16)}` as PairKey
}

/** Locally administered. Where the pods or their nodes change it does not: neighbours need not learn it anew. */
export function defaultMac(end: EndName): Mac {
  const [first = 0, ...rest] = hash(endText(end)).subarray(0, 6)
  return [(first & 0xfc) | 2, ...rest].map(byte => byte.toString(16).padStart(2, '0')).join(':') as Mac
}

/** 32 bits of the key's hash. */
export const keyHash = (key: PairKey): number => hash(key).readUInt32BE(0)

const hash = (text: string): Buffer => createHash('sha256').update(text).digest()

const split = (pod: PodKey): readonly [namespace: string, name: string] => {
  const slash = pod.indexOf('/')
  return [pod.slice(0, slash), pod.slice(slash + 1)]
}

const isLabel = (text: string): boolean => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text)

const toLabel = (text: string): string =>
  text
    .toLowerCase()
    .slice(0, CUT)
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '') || 'x'
