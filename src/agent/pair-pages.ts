/** What `kubectl get pairs` shows: each pair's object, written by the node of its first end. Nobody acts upon it. */
import {isDeepStrictEqual} from 'node:util'
import type {NodeName} from '../model/facts.ts'
import type {Pair, PairKey, PairState} from '../model/pair.ts'
import type {Collection, Entry} from '../model/store.ts'
import type {PairDocument} from '../pairs/documents.ts'
import {createUnheard} from './pair-unheard.ts'

export interface PagePorts {
  readonly self: NodeName
  readonly collection: Collection<PairDocument>
  /** As the store's stream has told last. */
  readonly stored: (key: PairKey) => Entry<PairDocument> | undefined
  readonly pair: (key: PairKey) => Pair | undefined
  /** Of the end that this node tells of. Undefined: it is not known yet. */
  readonly state: (pair: Pair) => PairState | undefined
  /** Nobody else is going to take away what that node has written. */
  readonly isLost: (node: NodeName) => boolean
}

export interface PairPages {
  /** Whether this node has something to do about a pair's object. */
  isDue(key: PairKey): boolean
  /** Makes the object what it should be. again: somebody else has written. Rejects with StoreError. */
  write(key: PairKey, signal: AbortSignal): Promise<'done' | 'again'>
}

export function createPairPages(ports: PagePorts): PairPages {
  const {self, collection, stored, pair: pairOf, state, isLost} = ports
  const unheard = createUnheard<PairDocument>(key => stored(key as PairKey))

  /** 'keep': that is somebody else's business, or not known yet. undefined: it is to go. */
  const wanted = (key: PairKey, entry: Entry<PairDocument> | undefined): PairDocument | 'keep' | undefined => {
    const pair = pairOf(key)
    const node = entry?.value.status.node as NodeName | undefined
    if (!pair) return node !== undefined && node !== self && !isLost(node) ? 'keep' : undefined
    if (writerOf(pair) !== self) return 'keep'
    const now = state(pair)
    return now && now.state !== 'building' ? documentOf(pair, now, self) : 'keep'
  }

  return {
    isDue: key => {
      const entry = unheard.current(key)
      const want = wanted(key, entry)
      return want !== 'keep' && !isDeepStrictEqual(want, entry?.value)
    },
    write: async (key, signal) => {
      const entry = unheard.current(key)
      const upon = stored(key)?.revision
      const want = wanted(key, entry)
      if (want === 'keep' || isDeepStrictEqual(want, entry?.value)) return 'done'
      try {
        if (!want) {
          if ((await collection.delete(key, entry!.revision, signal)) === 'changed') return again(key)
          unheard.note(key, upon, undefined)
          return 'done'
        }
        const outcome = entry
          ? await collection.replace(key, want, entry.revision, signal)
          : await collection.create(key, want, signal)
        if (typeof outcome !== 'object') return again(key)
        unheard.note(key, upon, {...outcome, value: want})
        return 'done'
      } catch (error) {
        unheard.forget(key)
        throw error
      }
    },
  }

  /** The store's stream tells what it was. */
  function again(key: PairKey): 'again' {
    unheard.forget(key)
    return 'again'
  }
}

/** Of the first end that there is. */
const writerOf = ({ends}: Pair): NodeName | undefined => ends.find(({endpoint}) => endpoint)?.endpoint?.node

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
