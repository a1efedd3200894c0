/** What `kubectl get pairs` shows: each pair's object, written by the node of its first end. Nobody acts upon it. */
import {isDeepStrictEqual} from 'node:util'
import type {NodeName} from '../model/facts.ts'
import type {Pair, PairKey, PairState} from '../model/pair.ts'
import type {Collection, Entry, Revision} from '../model/store.ts'
import type {PairDocument} from '../pairs/documents.ts'

export interface PagePorts {
  readonly self: NodeName
  readonly collection: Collection<PairDocument>
  readonly pair: (key: PairKey) => Pair | undefined
  /** Of the end that this node tells of. Undefined: it is not known yet. */
  readonly state: (pair: Pair) => PairState | undefined
}

export interface PairPages {
  /** Whether there is an object that this node has written. */
  has(key: PairKey): boolean
  /** Makes the object what it should be. again: not yet. Rejects with StoreError. */
  write(key: PairKey, signal: AbortSignal): Promise<'done' | 'again'>
  /** Takes away what earlier processes have left, and what nodes for which that is so have left. Rejects with StoreError. */
  sweep(isLost: (node: NodeName) => boolean, signal: AbortSignal): Promise<void>
}

/** Tries of what somebody else writes at the same time. */
const TRIES = 3

export function createPairPages({self, collection, pair: pairOf, state}: PagePorts): PairPages {
  /** What is ours. */
  const written = new Map<PairKey, Entry<PairDocument>>()
  /** What another node is to write from now on. Until it has, nobody else can take it away. */
  const left = new Map<PairKey, Entry<PairDocument>>()
  /** Which were to be made, and nobody has answered. */
  const perhaps = new Set<PairKey>()
  /** What other nodes have written, as it was when last seen. */
  const others = new Map<PairKey, Revision>()

  /** Of what may have been made. */
  const ownOf = async (key: PairKey, signal: AbortSignal): Promise<Entry<PairDocument> | undefined> => {
    const entry = perhaps.has(key) ? await collection.read(key, signal) : undefined
    return entry?.value.status.node === self ? entry : undefined
  }

  const remove = async (key: PairKey, entry: Entry<PairDocument>, signal: AbortSignal): Promise<void> => {
    let last: Entry<PairDocument> | undefined = entry
    for (let n = 0; last && n < TRIES; n++) {
      if ((await collection.delete(key, last.revision, signal)) !== 'changed') break
      const now: Entry<PairDocument> | undefined = await collection.read(key, signal)
      last = now?.value.status.node === self ? now : undefined
    }
    written.delete(key)
    left.delete(key)
  }

  return {
    has: key => written.has(key) || left.has(key) || perhaps.has(key),
    write: async (key, signal) => {
      const pair = pairOf(key)
      let entry = written.get(key)
      if (!pair) {
        const ours = entry ?? left.get(key) ?? (await ownOf(key, signal))
        if (ours) await remove(key, ours, signal)
        perhaps.delete(key)
        others.delete(key)
        return 'done'
      }
      if (writerOf(pair) !== self) {
        if (entry) left.set(key, entry)
        written.delete(key)
        others.delete(key)
        return 'done'
      }
      left.delete(key)
      const now = state(pair)
      if (!now || now.state === 'building') return 'done'
      const document = documentOf(pair, now, self)
      for (let n = 0; n < TRIES; n++) {
        if (entry && isDeepStrictEqual(entry.value, document)) break
        if (!entry) perhaps.add(key)
        const outcome = entry
          ? await collection.replace(key, document, entry.revision, signal)
          : await collection.create(key, document, signal)
        if (typeof outcome === 'object') entry = {...outcome, value: document}
        else entry = await collection.read(key, signal)
        // Who writes at the same time may have heard of a pod that has moved before us: first what it says of it is waited for.
        if (entry && entry.value.status.node !== self && others.get(key) !== entry.revision) {
          others.set(key, entry.revision)
          written.delete(key)
          return 'again'
        }
      }
      others.delete(key)
      perhaps.delete(key)
      if (!entry) return 'again'
      written.set(key, entry)
      // It may have gone in the meantime, when there was nothing of ours yet.
      if (!pairOf(key)) await remove(key, entry, signal)
      return 'done'
    },
    sweep: async (isLost, signal) => {
      for (const [key, entry] of await collection.list(signal)) {
        const node = entry.value.status.node as NodeName
        const pair = pairOf(key as PairKey)
        if (pair && node === self && !written.has(pair.key)) written.set(pair.key, entry)
        else if (!pair && (node === self || isLost(node))) await remove(key as PairKey, entry, signal)
      }
    },
  }
}

/** Of the first end that there is. */
export const writerOf = ({ends}: Pair): NodeName | undefined => ends.find(({endpoint}) => endpoint)?.endpoint?.node

function documentOf({name, mtu, ends}: Pair, state: PairState, node: NodeName): PairDocument {
  const {kind, reason, vni} = state
  return {
    spec: {
      ...(name !== undefined && {name}),
      ...(mtu !== undefined && {mtu}),
      ...(vni !== undefined && {vni}),
      ends: ends.map(({pod, interface: ifname, ips, endpoint}) => ({
        namespace: pod.slice(0, pod.indexOf('/')),
        pod: pod.slice(pod.indexOf('/') + 1),
        interface: ifname,
        ...(ips.length > 0 && {ips}),
        ...(endpoint && {node: endpoint.node}),
      })),
    },
    status: {state: state.state, ...(kind && {kind}), ...(reason !== undefined && {reason}), node},
  }
}
