/** What the stores in memory share: texts under keys, their revisions, and the changes of late. */
import {type TextObject, textObject} from './text.ts'

export interface MemoryChange {
  readonly revision: number
  readonly collection: string
  readonly object: TextObject
  readonly gone: boolean
}

export class MemoryServer {
  readonly #collections = new Map<string, Map<string, TextObject>>()
  readonly #expiries = new Map<string, NodeJS.Timeout>()
  readonly #waiting = new Set<() => void>()
  #history: MemoryChange[] = []
  #compacted = 0
  #revision = 0

  get revision(): number {
    return this.#revision
  }

  items(collection: string): ReadonlyMap<string, TextObject> {
    return this.#collections.get(collection) ?? new Map()
  }

  /** Any text under any key, as a stranger may write it; undefined deletes. `ttlMs`: what is left alone for so long goes. */
  put(collection: string, key: string, text: string | undefined, ttlMs?: number): TextObject {
    const items = this.#collections.get(collection) ?? new Map<string, TextObject>()
    this.#collections.set(collection, items)
    const revision = ++this.#revision
    const object = textObject(key, `${revision}`, text ?? items.get(key)?.text ?? '')
    if (text === undefined) items.delete(key)
    else items.set(key, object)
    this.#history.push({revision, collection, object, gone: text === undefined})
    this.prolong(collection, key, ttlMs)
    this.wake()
    return object
  }

  /** It goes after this time, and no earlier. */
  prolong(collection: string, key: string, ttlMs: number | undefined): void {
    const name = `${collection}/${key}`
    clearTimeout(this.#expiries.get(name))
    this.#expiries.delete(name)
    if (ttlMs === undefined) return
    const timer = setTimeout(() => this.put(collection, key, undefined), ttlMs)
    this.#expiries.set(name, timer.unref())
  }

  /** undefined: forgotten. */
  since(collection: string, revision: number): readonly MemoryChange[] | undefined {
    if (revision < this.#compacted) return undefined
    return this.#history.filter(change => change.revision > revision && change.collection === collection)
  }

  /** Forgets what has been. */
  compact(): void {
    this.#history = []
    this.#compacted = this.#revision
  }

  /** Whoever waits for a change looks again. */
  wake(): void {
    for (const wake of this.#waiting) wake()
  }

  /** Resolves after the next change, or when the signal aborts. */
  async changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const {promise, resolve} = Promise.withResolvers<void>()
    const wake = () => resolve()
    this.#waiting.add(wake)
    signal.addEventListener('abort', wake)
    await promise
    signal.removeEventListener('abort', wake)
    this.#waiting.delete(wake)
  }
}
