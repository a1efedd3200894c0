/** The port of the store that all nodes share: small documents, their changes as they come, and which nodes are alive. */
import type {Observable} from 'rxjs'
import {NetgraftError} from './errors.ts'
import type {View} from './view.ts'

/** What is kept: JSON. `spec` is what is wanted, `status` what is; both are written at once. */
export interface Document {
  readonly spec: object
  /** An empty one is as good as none. */
  readonly status?: object
}

/** One sort of documents. */
export interface Kind<D extends Document> {
  /** The collection's name, in the plural, which is also the Kubernetes resource: "pairs". */
  readonly plural: string
  /** As Kubernetes has it: "Pair". */
  readonly kind: string
  /** Keys are "<namespace>/<name>"; of the others "<name>". */
  readonly namespaced: boolean
  /** Whoever may write to the store has written it: throws where it is no such document, with a reason to be told. */
  readonly parse: (value: unknown) => D
}

/** Of one document: another one after every write. Means something to the store that gave it, and only for equality. */
export type Revision = string & {readonly brand: 'Revision'}

export interface Entry<D> {
  readonly key: string
  readonly value: D
  readonly revision: Revision
}

/**
 * Every call rejects with a {@link StoreError}, or with the signal's reason when that aborts, and then it may have been
 * done all the same.
 */
export interface Collection<D extends Document> {
  /** Of any number of callers one makes it; all others get "exists", also for what is there and no such document. */
  create(key: string, value: D, signal: AbortSignal): Promise<Entry<D> | 'exists'>
  /** Newer than every write that was answered before the call. undefined: there is none. */
  read(key: string, signal: AbortSignal): Promise<Entry<D> | undefined>
  /** Only what has this revision; "changed": it has another one, or is another one of the same name. */
  replace(key: string, value: D, revision: Revision, signal: AbortSignal): Promise<Entry<D> | 'changed' | 'gone'>
  /** Only what has this revision. */
  delete(key: string, revision: Revision, signal: AbortSignal): Promise<'deleted' | 'changed' | 'gone'>
  /** By key. Without what is no such document. */
  list(signal: AbortSignal): Promise<ReadonlyMap<string, Entry<D>>>
  /**
   * By key, read once for all subscribers. Never ends, never fails: in an outage the last known stands. `items` is live.
   */
  readonly entries$: Observable<View<string, Entry<D>>>
}

/** A sign of life that others see, as far as we know of it. */
export type Ownership =
  | {readonly held: true}
  /** It is not, or not surely, there. One sentence. It is being tried for as long as somebody subscribes. */
  | {readonly held: false; readonly reason: string}

export interface Owner {
  /** The process: another one after a restart. */
  readonly instance: string
}

export interface Store {
  collection<D extends Document>(kind: Kind<D>): Collection<D>
  /**
   * Shows a sign of life under this name (a node's) for as long as it is subscribed to, and tells when it was lost and
   * gained again. The newest process that asks for a name has it. What is left of it at the end stays for its time, so
   * that an agent which is restarted is not missed.
   */
  own(name: string, options: OwnOptions): Observable<Ownership>
  /** Who is alive, by name, whoever they are. As for `entries$`; nobody is dead because we hear nothing. */
  readonly owners$: Observable<View<string, Owner>>
  /** The names of all signs of life, also of those that nobody has renewed for their time. */
  signs(signal: AbortSignal): Promise<ReadonlySet<string>>
  /** Takes a sign of life away, whoever shows it: of a node that is gone for good. */
  disown(name: string, signal: AbortSignal): Promise<void>
  /** Ends the connections. Calls reject from then on. */
  close(): Promise<void>
}

export interface OwnOptions {
  /** Milliseconds without a renewal until others take it for dead; a store may round it up to seconds. */
  readonly ttlMs: number
}

/**
 * - unreachable: nobody answered, and nothing was done.
 * - uncertain: a write was sent, and its answer did not come: it may have been done. Read again.
 * - busy: the answer is "not now"; nothing was done.
 * - refused: the answer is "no": somebody has to grant, install or mend something.
 * - unusable: what is kept under this key is no such document.
 * - invalid: what the caller gave cannot be kept: its key, its size.
 * - nonsense: an answer that makes no sense.
 * - closed: this store has been closed.
 */
export type StoreErrorCode =
  | 'unreachable'
  | 'uncertain'
  | 'busy'
  | 'refused'
  | 'unusable'
  | 'invalid'
  | 'nonsense'
  | 'closed'

const RETRYABLE: ReadonlySet<StoreErrorCode> = new Set(['unreachable', 'uncertain', 'busy', 'nonsense'])

/** The message is one sentence that names the server and says what to do. */
export class StoreError extends NetgraftError {
  readonly code: StoreErrorCode
  /** The same call may succeed later, without anybody's doing; after "uncertain" only read first. */
  readonly retryable: boolean

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.retryable = RETRYABLE.has(code)
  }
}
