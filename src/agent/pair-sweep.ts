/** What nodes have left in the store that show no sign of life: one living node takes away what is of no pod any more. */
import type {NodeName} from '../model/facts.ts'
import type {Collection, Entry, Store} from '../model/store.ts'
import type {EndpointDocument} from '../pairs/documents.ts'
import type {Pods} from './pods.ts'

export interface SweepPorts {
  readonly self: NodeName
  readonly collection: Collection<EndpointDocument>
  readonly stored: ReadonlyMap<string, Entry<EndpointDocument>>
  readonly alive: ReadonlySet<NodeName>
  readonly ask: Pods['ask']
}

export interface DisownPorts {
  readonly self: NodeName
  readonly store: Pick<Store, 'signs' | 'disown'>
  readonly alive: ReadonlySet<NodeName>
  readonly nodes: ReadonlySet<NodeName>
}

/**
 * Takes away the signs of life that nobody renews, of nodes that the API server has no object of: their names. `nodes`: of
 * which it has one. A node that comes again makes its sign anew. Rejects with StoreError.
 */
export async function disownRemoved(
  {self, store, alive, nodes}: DisownPorts,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const removed: string[] = []
  if (!isSweeper(self, alive)) return removed
  for (const name of await store.signs(signal)) {
    if (alive.has(name as NodeName) || nodes.has(name as NodeName)) continue
    await store.disown(name, signal)
    removed.push(name)
  }
  return removed
}

/** Whether it is this node's turn: that of the least name. */
export const isSweeper = (self: NodeName, alive: ReadonlySet<NodeName>): boolean =>
  [...alive].every(node => self <= node)

/** The keys of what was taken away. Rejects with ApiError and StoreError. */
export async function sweepDead(
  {self, collection, stored, alive, ask}: SweepPorts,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const swept: string[] = []
  if (!isSweeper(self, alive)) return swept
  for (const [key, {value, revision}] of [...stored]) {
    const {namespace, pod: name, uid, node} = value.spec
    if (alive.has(node)) continue
    // The node may only be cut off: its pods are there then, and their pairs stay.
    const pod = await ask({namespace, name}, signal)
    if (pod?.uid === uid) continue
    if ((await collection.delete(key, revision, signal)) === 'deleted') swept.push(key)
  }
  return swept
}
