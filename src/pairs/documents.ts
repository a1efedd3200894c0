/** The documents through which nodes tell each other of pods and VNIs. Whoever may write to the store may have written one. */
import {InvalidInput, quoted} from '../model/errors.ts'
import type {NodeName} from '../model/facts.ts'
import {itemOf, listOf, namespaceOf, objectOf, present, textOf, wholeOf} from '../model/fields.ts'
import {type Family, parseIp} from '../model/ip.ts'
import type {Declaration, Endpoint, PairKey, Underlay, VniClaim} from '../model/pair.ts'
import type {Kind} from '../model/store.ts'
import {isHost} from '../model/vtep.ts'
import {addressesOf, peerOf, podNameOf, readEnd} from './element.ts'
import {isLabelValue} from './labels.ts'

export interface EndpointDocument {
  readonly spec: Endpoint
}

/** For people: `kubectl get pairs`. */
export interface PairDocument {
  readonly spec: {
    readonly name?: string
    /** Bytes. What is asked for. */
    readonly mtu?: number
    readonly vni?: number
    readonly ends: readonly PairDocumentEnd[]
  }
  readonly status: {
    readonly state: string
    readonly kind?: string
    readonly reason?: string
    /** Whose agent tells of it. */
    readonly node: string
  }
}

export interface PairDocumentEnd {
  readonly namespace: string
  readonly pod: string
  readonly interface: string
  readonly ips?: readonly string[]
  readonly node?: string
}

export interface VniDocument {
  readonly spec: VniClaim
}

/** Keys: those of the pods. */
export const ENDPOINTS: Kind<EndpointDocument> = {
  plural: 'pairpods',
  kind: 'PairPod',
  namespaced: true,
  parse: value => ({spec: parseEndpoint(specOf(value))}),
}

/** Keys: the numbers. */
export const VNIS: Kind<VniDocument> = {
  plural: 'vnis',
  kind: 'Vni',
  namespaced: false,
  parse: value => ({spec: parseVniClaim(specOf(value))}),
}

/** Keys: those of the pairs. */
export const PAIRS: Kind<PairDocument> = {
  plural: 'pairs',
  kind: 'Pair',
  namespaced: true,
  parse: value => {
    const {spec, status} = itemOf(value, 'document', '"spec": …')
    const {node} = itemOf(status, 'status', '"node": "a"')
    // Nobody acts upon the rest.
    return {
      spec: itemOf(spec, 'spec', '"ends": []'),
      status: {...Object(status), node: podNameOf(node, 'status.node')},
    } as never
  },
}

/** The number that a key of {@link VNIS} is. Undefined: none. */
export const vniOf = (key: string): number | undefined =>
  /^[1-9]\d{0,7}$/.test(key) && Number(key) < 2 ** 24 ? Number(key) : undefined

/**
 * Whether what a node tells of a pod may take the place of what the store has. Who writes late, of a pod that is no more,
 * may not.
 */
export const mayReplace = (known: Endpoint, told: Endpoint): boolean =>
  known.uid === told.uid || told.createdAt >= known.createdAt

/** Throws {@link InvalidInput}. */
export function parseEndpoint(value: unknown): Endpoint {
  const spec = itemOf(value, 'spec', '"pod": "a"')
  const namespace = there(namespaceOf(spec.namespace, 'spec.namespace'), 'namespace')
  return {
    namespace,
    pod: podNameOf(spec.pod, 'spec.pod'),
    uid: there(textOf(spec.uid, 'spec.uid'), 'uid'),
    createdAt: there(wholeOf(spec.createdAt, 'spec.createdAt', 0, Number.MAX_SAFE_INTEGER), 'createdAt'),
    node: podNameOf(spec.node, 'spec.node') as NodeName,
    ...present({
      sandbox: sandboxOf(textOf(spec.sandbox, 'spec.sandbox')),
      ratchetName: ratchetNameOf(textOf(spec.ratchetName, 'spec.ratchetName')),
    }),
    underlay: underlayOf(objectOf(spec.underlay, 'spec.underlay') ?? {}),
    declarations:
      listOf(spec.declarations, 'spec.declarations', (item, at) => declarationOf(item, at, namespace)) ?? [],
  }
}

/** Throws {@link InvalidInput}. */
export function parseVniClaim(value: unknown): VniClaim {
  const spec = itemOf(value, 'spec', '"pair": "a/b"')
  const pair = there(textOf(spec.pair, 'spec.pair'), 'pair')
  const [namespace, name, ...more] = pair.split('/')
  if (more.length > 0 || !name) throw new InvalidInput(`spec.pair is ${quoted(pair)}, which is no pair's key`)
  podNameOf(name, 'spec.pair')
  there(namespaceOf(namespace, 'spec.pair'), 'pair')
  return {pair: pair as PairKey, node: podNameOf(spec.node, 'spec.node') as NodeName}
}

const specOf = (value: unknown): unknown => itemOf(value, 'document', '"spec": …').spec

function there<T>(value: T | undefined, key: string): T {
  if (value === undefined) throw new InvalidInput(`spec.${key} is missing`)
  return value
}

/** It becomes part of paths and messages elsewhere. */
function sandboxOf(text: string | undefined): string | undefined {
  if (text === undefined || /^[\w.-]{1,128}$/.test(text)) return text
  throw new InvalidInput(`spec.sandbox is ${quoted(text)}, which is no container's id`)
}

function ratchetNameOf(text: string | undefined): string | undefined {
  return text === undefined || isLabelValue(text) ? text : podNameOf(text, 'spec.ratchetName')
}

function underlayOf(json: {readonly [key: string]: unknown}): Endpoint['underlay'] {
  const read = (family: Family): Underlay | undefined => {
    const at = `spec.underlay.${family}`
    const each = objectOf(json[family], at)
    if (!each) return undefined
    const ip = parseIp(there(textOf(each.ip, `${at}.ip`), `underlay.${family}.ip`))
    const mtu = there(wholeOf(each.mtu, `${at}.mtu`, 68, 2 ** 31 - 1), `underlay.${family}.mtu`)
    if (ip.family !== family || !isHost(ip)) throw new InvalidInput(`${at}.ip is ${ip}, which no node can have`)
    return {ip: `${ip}`, mtu}
  }
  return present({4: read(4), 6: read(6)})
}

function declarationOf(value: unknown, at: string, namespace: string): Declaration {
  const item = itemOf(value, at, '"peer": "a/b"')
  const by = item.by
  if (by !== 'annotation' && by !== 'labels') throw new InvalidInput(`${at}.by is neither annotation nor labels`)
  const place = textOf(item.at, `${at}.at`) ?? ''
  // It becomes part of sentences.
  if (!/^[\w./[\]() -]{0,100}$/.test(place)) throw new InvalidInput(`${at}.at is ${quoted(place)}, which is no place`)
  const peerIps = addressesOf(item.peerIps, `${at}.peerIps`)
  return {
    by,
    at: place,
    peer: by === 'labels' ? ratchetPeerOf(item.peer, at, namespace) : peerOf(item.peer, `${at}.peer`, namespace),
    ...readEnd(item, at),
    ...(peerIps && {peerIps}),
  }
}

function ratchetPeerOf(value: unknown, at: string, namespace: string): string {
  const name = typeof value === 'string' && value.startsWith(`${namespace}/`) ? value.slice(namespace.length + 1) : ''
  if (!isLabelValue(name)) throw new InvalidInput(`${at}.peer is not a pod of ${namespace}`)
  return `${namespace}/${name}`
}
