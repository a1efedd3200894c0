/** The pods of one node, as attachments see them. */
import {type Observable, ReplaySubject, share} from 'rxjs'
import type {ListWatchTransport} from './list-watch.ts'
import {type ReflectOptions, reflect} from './reflector.ts'
import type {View} from './view.ts'

/** "namespace/name". */
export type PodKey = string

/** What is kept of a Pod. */
export interface PodFacts {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** Those of {@link POD_ANNOTATIONS} that it has. */
  readonly annotations: Readonly<Record<string, string>>
  /** Those of ratchet that it has. */
  readonly labels: Readonly<Record<string, string>>
  /** `metadata.creationTimestamp`, milliseconds since the epoch. 0: unknown. */
  readonly createdAt: number
  readonly hostNetwork: boolean
  /** It is to go: its networks stay until the runtime takes them down. */
  readonly ending: boolean
  /** It has an address: its first interface was there once. */
  readonly hasAddress: boolean
}

/** All that the agent reads or writes. */
export const POD_ANNOTATIONS = {
  npwg: 'k8s.v1.cni.cncf.io/networks',
  kaloom: 'networks',
  defaultNetwork: 'v1.multus-cni.io/default-network',
  networkStatus: 'k8s.v1.cni.cncf.io/network-status',
  attachmentsStatus: 'netgraft.dev/attachments-status',
  pairs: 'netgraft.dev/pairs',
  pairsRequired: 'netgraft.dev/pairs-required',
  pairsStatus: 'netgraft.dev/pairs-status',
  /** Of the API's object for a static pod: the UID that the runtime has. */
  configHash: 'kubernetes.io/config.hash',
} as const

/** Of systems that pair pods by labels. */
export const POD_LABELS = [
  'ratchet',
  'ratchet.pod_name',
  'ratchet.local_ip',
  'ratchet.local_ifname',
  'ratchet.pair_name',
  'ratchet.pair_ip',
  'ratchet.pair_ifname',
  'ratchet.primary',
] as const

const KEPT: readonly string[] = Object.values(POD_ANNOTATIONS)

export interface PodStreamOptions
  extends Omit<ReflectOptions<PodFacts>, 'what' | 'project' | 'key' | 'equal' | 'labelSelector' | 'fieldSelector'> {
  /** Its Node object's name. */
  readonly node: string
}

/** Of `transport`'s pods those of the node, read once for all subscribers. `items` is live, as the reflector's. */
export function podStream(
  transport: ListWatchTransport,
  {node, ...options}: PodStreamOptions,
): Observable<View<PodKey, PodFacts>> {
  const what = {what: 'pods', fieldSelector: `spec.nodeName=${node}`, project: projectPod, equal: equalPods}
  return reflect<PodFacts>(transport, {...options, ...what}).pipe(share({connector: () => new ReplaySubject(1)}))
}

/** Throws TypeError where it is no pod. */
export function projectPod(object: unknown): PodFacts {
  const {metadata, spec, status} = object as PodObject
  const {namespace, name, uid, annotations, labels, creationTimestamp, deletionTimestamp} = metadata
  return {
    namespace,
    name,
    uid,
    annotations: keptOf(annotations, KEPT),
    labels: keptOf(labels, POD_LABELS),
    createdAt: Date.parse(`${creationTimestamp ?? ''}`) || 0,
    hostNetwork: spec?.hostNetwork === true,
    ending: Boolean(deletionTimestamp) || status?.phase === 'Succeeded' || status?.phase === 'Failed',
    hasAddress: typeof status?.podIP === 'string' && status.podIP !== '',
  }
}

const NONE = {}

function keptOf(
  texts: Readonly<Record<string, unknown>> | null | undefined,
  names: readonly string[],
): Readonly<Record<string, string>> {
  const kept = names.flatMap(name => {
    const value = texts?.[name]
    return typeof value === 'string' ? [[name, value] as const] : []
  })
  return kept.length === 0 ? NONE : Object.fromEntries(kept)
}

interface PodObject {
  readonly metadata: {
    readonly namespace: string
    readonly name: string
    readonly uid: string
    readonly annotations?: Readonly<Record<string, unknown>> | null
    readonly labels?: Readonly<Record<string, unknown>> | null
    readonly creationTimestamp?: unknown
    readonly deletionTimestamp?: unknown
  }
  readonly spec?: {readonly hostNetwork?: unknown}
  readonly status?: {readonly phase?: unknown; readonly podIP?: unknown}
}

const equalPods = (a: PodFacts, b: PodFacts): boolean =>
  a.uid === b.uid &&
  a.ending === b.ending &&
  a.hasAddress === b.hasAddress &&
  a.hostNetwork === b.hostNetwork &&
  KEPT.every(name => a.annotations[name] === b.annotations[name]) &&
  POD_LABELS.every(name => a.labels[name] === b.labels[name])
