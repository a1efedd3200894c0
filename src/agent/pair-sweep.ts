/** What nodes have left in the store that show no sign of life: one living node takes away what is of no pod any more. */
import type {NodeName} from '../model/facts.ts'
import type {Collection, Entry} from '../model/store.ts'
import type {EndpointDocument} from '../pairs/documents.ts'
import type {Pods} from './pods.ts'

export interface SweepPorts {
  readonly self: NodeName
  readonly collection: Collection<EndpointDocument>
  readonly stored: ReadonlyMap<string, Entry<EndpointDocument>>
  readonly alive: ReadonlySet<NodeName>
  readonly ask: Pods['ask']
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
