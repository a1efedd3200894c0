/** The last good nodes on disk: `nodes.json` in the folder of what must outlive the agent. Its troubles cost nothing else. */
import {createHash} from 'node:crypto'
import {join} from 'node:path'
import type {NodeFacts, NodeName} from '../model/facts.ts'
import type {Logger} from '../model/logger.ts'
import type {Metrics} from '../observe/metrics.ts'
import type {LastGood} from '../streams/last-good.ts'
import {sleep} from '../streams/lifetime.ts'
import {checkNodeFile, formatBody, formatHead, type Head, NODES_FILE, type NodeFile, parseBody} from './node-file.ts'
import {readWhole, removeLeftovers, replaceFile} from './whole-file.ts'

/** Bytes. 5,000 nodes with tunnels of three networks are 4 MB. */
const MAX_BYTES = 16 * 1024 * 1024
/** The first line is shorter. */
const HEAD_BYTES = 4096
/** Milliseconds that a disk may take at the start, and at the end. */
const PATIENCE_MS = {start: 1000, stop: 2000} as const
const RESOURCE = {resource: 'nodes'} as const

export interface SavedNodesOptions {
  readonly folder: string
  /** What tells this cluster from others; undefined while that is not known. */
  readonly cluster: () => string | undefined
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'snapshotErrors' | 'snapshotSavedAt'>
}

export class SavedNodes {
  /** How many nodes an earlier agent knew, as far as is known. */
  count = 0
  readonly #path: string
  readonly #options: SavedNodesOptions
  /** Until it is of no more use: it may be large. */
  #file: Promise<NodeFile | undefined> | undefined
  /** What the file says. */
  #written: Pick<Head, 'cluster' | 'sha256'> | undefined
  #begun = false
  #failing = false
  /** Resolves when the last saving that was asked for has ended. */
  #last: Promise<boolean> = Promise.resolve(true)

  constructor(options: SavedNodesOptions) {
    this.#path = join(options.folder, NODES_FILE)
    this.#options = options
    for (const op of ['read', 'write'] as const) options.metrics.snapshotErrors.inc({...RESOURCE, op}, 0)
  }

  /** Resolves when {@link count} is known, or takes so long that nothing should wait for it. Never rejects. */
  async counted(): Promise<void> {
    const done = new AbortController()
    const late = sleep(PATIENCE_MS.start, done.signal).then(() => 'late' as const)
    this.#file ??= this.#load().catch(error => this.#useless(error))
    if ((await Promise.race([this.#file, late])) === 'late')
      this.#options.log.warn('the saved nodes take long to be read; not waiting for them', {path: this.#path})
    done.abort()
  }

  /** Undefined: there is nothing that can be used; if there should be, that has been told. Never rejects. */
  async lastGood(): Promise<LastGood<NodeName, NodeFacts> | undefined> {
    const file = await this.#file
    this.#file = undefined
    if (!file) return undefined
    try {
      return {items: await parseBody(file.body), savedAt: file.savedAt}
    } catch (error) {
      return this.#useless(error)
    }
  }

  async #load(): Promise<NodeFile | undefined> {
    const bytes = await readWhole(this.#path, MAX_BYTES)
    if (!bytes) return undefined
    const file = checkNodeFile(bytes)
    const cluster = this.#options.cluster()
    if (cluster !== undefined && file.cluster !== undefined && cluster !== file.cluster)
      throw new Error('it is of another cluster')
    // A slow disk: something newer has been saved meanwhile.
    if (this.#written) return undefined
    this.#written = {cluster: file.cluster, sha256: file.sha256}
    this.count = file.count
    this.#tellTime(file.savedAt)
    return file
  }

  #useless(error: unknown): undefined {
    const {log, metrics} = this.#options
    metrics.snapshotErrors.inc({...RESOURCE, op: 'read'})
    log.warn('the saved nodes cannot be used; going on without them', this.#fields(error))
  }

  /** One after the other. False: they could not be saved, which has been told. Never rejects. */
  save(nodes: ReadonlyMap<NodeName, NodeFacts>): Promise<boolean> {
    // There are live ones.
    this.#file = undefined
    this.#last = this.#last.then(() => this.#save([...nodes.values()]))
    return this.#last
  }

  async #save(nodes: readonly NodeFacts[]): Promise<boolean> {
    const {log, metrics} = this.#options
    try {
      await this.#write(nodes)
    } catch (error) {
      metrics.snapshotErrors.inc({...RESOURCE, op: 'write'})
      if (!this.#failing) log.warn('the nodes cannot be saved; trying again', this.#fields(error))
      this.#failing = true
      return false
    }
    if (this.#failing) log.info('the nodes are saved again', {path: this.#path})
    this.#failing = false
    return true
  }

  /** The text is made twice, so that it is never there as a whole: at first to see whether the file says the same already. */
  async #write(nodes: readonly NodeFacts[]): Promise<void> {
    const cluster = this.#options.cluster()
    const hash = createHash('sha256')
    let bytes = 0
    for await (const piece of formatBody(nodes)) {
      hash.update(piece)
      bytes += Buffer.byteLength(piece)
    }
    const sha256 = hash.digest('hex')
    if (this.#written?.sha256 === sha256 && this.#written.cluster === cluster) return
    if (bytes > MAX_BYTES - HEAD_BYTES) throw new Error(`they are ${bytes} bytes, and ${MAX_BYTES} are the most`)
    if (!this.#begun) await removeLeftovers(this.#path)
    this.#begun = true
    const savedAt = Date.now()
    await replaceFile(this.#path, textOf({cluster, savedAt, sha256}, nodes))
    this.#written = {cluster, sha256}
    this.#tellTime(savedAt)
  }

  /** Resolves when nothing is being saved any more, or the disk takes too long. */
  async close(): Promise<void> {
    const done = new AbortController()
    await Promise.race([this.#last, sleep(PATIENCE_MS.stop, done.signal)])
    done.abort()
  }

  #tellTime(savedAt: number): void {
    this.#options.metrics.snapshotSavedAt.set(RESOURCE, savedAt / 1000)
  }

  #fields(error: unknown) {
    const {message, code} = error as NodeJS.ErrnoException
    return {path: this.#path, code, detail: message}
  }
}

async function* textOf(head: Head, nodes: readonly NodeFacts[]): AsyncGenerator<string, void, undefined> {
  yield formatHead(head)
  yield* formatBody(nodes)
}
