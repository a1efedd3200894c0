/** The objects, one revision counter over all of them, and the last changes, from which watches replay. */
import type {KubeObject} from './objects.ts'

/** An object as it is kept, with its text, so that no reader has to make it again. Never changed. */
export interface Stored {
  readonly key: string
  readonly object: KubeObject
  readonly json: string
}

/** One write. No `previous`: it was created; no `next`: it was deleted. */
export interface Change {
  readonly revision: number
  readonly resource: string
  readonly key: string
  readonly previous: Stored | undefined
  readonly next: Stored | undefined
}

export const keyOf = (namespace: string | undefined, name: string): string =>
  namespace ? `${namespace}/${name}` : name

interface Collection {
  readonly items: Map<string, Stored>
  /** The items in the order of their keys; undefined when an item came, went or changed. */
  sorted: readonly Stored[] | undefined
}

export class Store {
  readonly #collections = new Map<string, Collection>()
  readonly #historySize: number
  #history: Change[] = []
  #revision = 0
  #compacted = 0
  onChange: (change: Change) => void = () => {}

  constructor(historySize: number) {
    this.#historySize = historySize
  }

  /** The newest write's resourceVersion. */
  get revision(): number {
    return this.#revision
  }

  /** Changes up to this revision are forgotten. */
  get compacted(): number {
    return this.#compacted
  }

  get(resource: string, key: string): Stored | undefined {
    return this.#collection(resource).items.get(key)
  }

  /** In the order of their keys, as etcd lists them. */
  list(resource: string): readonly Stored[] {
    const collection = this.#collection(resource)
    collection.sorted ??= inOrder(collection.items)
    return collection.sorted
  }

  /** The list as it was at a revision, made by undoing the changes since; undefined when that cannot be told any more. */
  listAt(resource: string, revision: number): readonly Stored[] | undefined {
    const changes = this.since(revision)
    if (!changes || revision > this.#revision) return undefined
    const before = new Map<string, Stored | undefined>()
    for (const change of changes) {
      if (change.resource === resource && !before.has(change.key)) before.set(change.key, change.previous)
    }
    if (before.size === 0) return this.list(resource)
    const items = new Map(this.#collection(resource).items)
    for (const [key, stored] of before) stored ? items.set(key, stored) : items.delete(key)
    return inOrder(items)
  }

  /** The changes after a revision, oldest first; undefined when some of them are forgotten. */
  since(revision: number): readonly Change[] | undefined {
    if (revision < this.#compacted) return undefined
    let [low, high] = [0, this.#history.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#history[middle]!.revision > revision) high = middle
      else low = middle + 1
    }
    return this.#history.slice(low)
  }

  /** Writes an object, or removes it. Serialises first: what cannot be written changes nothing. Returns what it was at the end. */
  write(resource: string, key: string, next: KubeObject | undefined): Stored {
    const {items} = this.#collection(resource)
    const revision = this.#revision + 1
    const previous = items.get(key)
    const stored = withRevision(key, next ?? previous!.object, revision)
    if (next) items.set(key, stored)
    else items.delete(key)
    this.#collection(resource).sorted = undefined
    this.#revision = revision
    const change = {revision, resource, key, previous, next: next && stored}
    this.#history.push(change)
    // Cut in large steps: shifting one by one would cost the whole array each time.
    if (this.#history.length > 2 * this.#historySize) this.#forget(this.#history.length - this.#historySize)
    this.onChange(change)
    return stored
  }

  compact(): void {
    this.#forget(this.#history.length)
    this.#compacted = this.#revision
  }

  #forget(count: number): void {
    const gone = this.#history.slice(0, count)
    this.#history = this.#history.slice(count)
    this.#compacted = gone.at(-1)?.revision ?? this.#compacted
  }

  #collection(resource: string): Collection {
    let collection = this.#collections.get(resource)
    if (!collection) this.#collections.set(resource, (collection = {items: new Map(), sorted: undefined}))
    return collection
  }
}

export function withRevision(key: string, object: KubeObject, revision: number): Stored {
  const stamped = {...object, metadata: {...object.metadata, resourceVersion: String(revision)}}
  return {key, object: stamped, json: JSON.stringify(stamped)}
}

function inOrder(items: ReadonlyMap<string, Stored>): readonly Stored[] {
  return [...items.keys()].sort().map(key => items.get(key)!)
}
