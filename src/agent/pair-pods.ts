/** What a pod of this node has to do with pairs: level-triggered, one pod at a time. */
import type {Attachments} from '../cni/attachments.ts'
import type {Plan} from '../cni/journal.ts'
import type {NodeName} from '../model/facts.ts'
import type {Namespaces} from '../model/namespace.ts'
import type {Endpoint, PairProblem} from '../model/pair.ts'
import {type Collection, type Entry, StoreError} from '../model/store.ts'
import {type ParsedPairs, parsePairs, withStanding} from '../pairs/declarations.ts'
import type {EndpointDocument} from '../pairs/documents.ts'
import type {PodFacts, PodKey} from '../streams/pods.ts'
import {createSandboxSearch, firstOf, hasFirst, type PodSandbox, type SandboxPorts, sandboxOf} from './pod-sandbox.ts'

export interface PairPod {
  readonly key: PodKey
  /** Undefined: it has gone. */
  readonly pod?: PodFacts | undefined
  /** Of what it says itself. */
  readonly problems: readonly PairProblem[]
  /** Undefined: it has nothing to do with a pair. */
  readonly endpoint?: Endpoint | undefined
  readonly sandbox?: PodSandbox | undefined
  /** What is not known of it. To be tried again. */
  readonly error?: Error | undefined
}

export interface PairPodPorts extends SandboxPorts {
  readonly attachments: Attachments
  readonly namespaces: Namespaces
  readonly self: NodeName
  readonly pod: (key: PodKey) => PodFacts | undefined
  /** Another pod names it. */
  readonly isNamed: (key: PodKey) => boolean
  readonly underlay: (plan: Plan | undefined) => Endpoint['underlay']
  readonly collection: Collection<EndpointDocument>
  /** As the store's stream has told last. */
  readonly stored: (key: PodKey) => Entry<EndpointDocument> | undefined
  /** What it was told to be before by this process. */
  readonly before: (key: PodKey) => Endpoint | undefined
  /** It has been looked at. */
  readonly known: (told: PairPod) => void
}

export function createPairPodPass(ports: PairPodPorts): (key: PodKey, signal: AbortSignal) => Promise<PairPod> {
  const {self} = ports
  const search = createSandboxSearch(ports)
  const parsed = new WeakMap<PodFacts, ParsedPairs>()
  const parse = (pod: PodFacts): ParsedPairs => {
    const known = parsed.get(pod) ?? parsePairs(pod.annotations, pod.labels, pod)
    parsed.set(pod, known)
    return known
  }

  const sandboxOfPod = async (pod: PodFacts, required: boolean, signal: AbortSignal) => {
    const first = firstOf(ports.attachments, pod)
    // Who waits for its pairs has its namespace already.
    if (first?.state === 'added' || (first?.state === 'adding' && required)) return {sandbox: sandboxOf(first)}
    if (first || !pod.hasAddress || pod.ending) return {}
    const found = await search(pod, signal)
    // The runtime calls a sandbox ready from which it has taken the network already.
    const lives = found.sandbox !== undefined && (await hasFirst(ports.namespaces, found.sandbox))
    return lives ? {sandbox: found.sandbox} : {unknown: new Error(`its sandbox is not known${found.why}`)}
  }

  const look = async (key: PodKey, signal: AbortSignal): Promise<PairPod> => {
    const pod = ports.pod(key)
    if (!pod) return {key, problems: []}
    const said = parse(pod)
    const {declarations, problems, required, ratchetName} = said
    const asks = declarations.length > 0 || ratchetName !== undefined || problems.length > 0
    if (pod.hostNetwork) return {key, pod, problems: asks ? [HOST_NETWORK] : []}
    if (!asks && !ports.isNamed(key)) return {key, pod, problems}
    const {sandbox, unknown} = await sandboxOfPod(pod, required, signal)
    // What ends keeps its pairs until the runtime takes it down.
    if (pod.ending && !sandbox) return {key, pod, problems}
    // What an earlier process has told need not have been heard of yet, and what stands may hang on it.
    const earlier = async () => (problems.length > 0 || unknown ? read(ports.collection, key, signal) : undefined)
    const known = ports.before(key) ?? (ports.stored(key) ?? (await earlier()))?.value.spec
    const before = known?.uid === pod.uid ? known : undefined
    const container = sandbox?.containerId ?? (unknown && before?.sandbox)
    const {namespace, name, uid, createdAt} = pod
    const endpoint: Endpoint = {
      ...{namespace, pod: name, uid, createdAt, node: self},
      ...(container !== undefined && {sandbox: container}),
      ...(ratchetName !== undefined && {ratchetName}),
      underlay: ports.underlay(sandbox?.first?.plan),
      declarations: withStanding(said, before?.declarations ?? []),
    }
    return {key, pod, problems, endpoint, sandbox, error: unknown}
  }

  return async (key, signal) => {
    try {
      const told = await look(key, signal)
      // It may have gone, or been edited, meanwhile: then there is another pass.
      ports.known(told)
      return told
    } catch (error) {
      signal.throwIfAborted()
      return {key, problems: [], error: error as Error}
    }
  }
}

const HOST_NETWORK: PairProblem = {
  kind: 'refused',
  at: '',
  message: "the pod uses the host's network, which pairs must not change; remove hostNetwork, or what it says of pairs",
}

/** What is no such document is as good as none. Rejects with StoreError. */
const read = (collection: PairPodPorts['collection'], key: PodKey, signal: AbortSignal) =>
  collection.read(key, signal).catch(error => {
    if (error instanceof StoreError && error.code === 'unusable') return undefined
    throw error
  })
