/** The port between the reflector and an API server: one resource's list and watch, and how they fail. */
import {NetgraftError} from '../model/errors.ts'

export interface ListWatchTransport {
  /**
   * One page. Each object is handed to `take` as soon as it is read, so nobody ever holds a whole page: `take` keeps
   * what it needs and lets go. Rejects with an {@link ApiError}, possibly after some objects have been handed over.
   */
  list(query: ListQuery, take: (object: unknown) => void, signal: AbortSignal): Promise<ListEnd>
  /**
   * Ends when the server closes the connection. Throws an {@link ApiError} if that breaks or an ERROR event comes, and
   * ends or throws anything as soon as the signal aborts.
   */
  watch(query: WatchQuery, signal: AbortSignal): AsyncIterable<WatchEvent>
}

export interface Selectors {
  /** As in `kubectl get -l`. */
  readonly labelSelector?: string | undefined
  /** As in `kubectl get --field-selector`. */
  readonly fieldSelector?: string | undefined
}

/** Keys are the API's own query parameters. */
export interface ListQuery extends Selectors {
  /** Objects per page; none: everything at once. */
  readonly limit?: number | undefined
  /** The next page of an earlier list. */
  readonly continue?: string | undefined
  /** "0": whatever the server has in its cache. None: at least as new as this moment. */
  readonly resourceVersion?: string | undefined
}

/** Keys are the API's own query parameters. */
export interface WatchQuery extends Selectors {
  /** Changes after this one. Empty with `sendInitialEvents`: everything there is at this moment, then its changes. */
  readonly resourceVersion: string
  readonly allowWatchBookmarks: true
  /** Seconds after which the server ends the watch. */
  readonly timeoutSeconds: number
  readonly sendInitialEvents?: true
  readonly resourceVersionMatch?: 'NotOlderThan'
}

export interface ListEnd {
  readonly resourceVersion: string
  /** There is another page. */
  readonly continue?: string | undefined
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  /** As it is after the change, before it if DELETED. Of a bookmark only the metadata. */
  readonly object: unknown
  /** When its bytes arrived: `performance.now()`, milliseconds. */
  readonly at: number
}

/**
 * EUNREACHABLE: no answer (refused, no such host, TLS). ETIMEDOUT: an answer that stopped. ECREDENTIALS: ours cannot be
 * read, nothing was sent. EPROTOCOL: an answer that is not what the API promises. ESTATUS: a refusal, with its status.
 */
export type ApiErrorCode = 'EUNREACHABLE' | 'ETIMEDOUT' | 'ECREDENTIALS' | 'EPROTOCOL' | 'ESTATUS'

/** The message is one sentence that names the server and what to do. */
export class ApiError extends NetgraftError {
  readonly code: ApiErrorCode
  /** HTTP status or Status.code: 410 means "list again". */
  readonly status: number | undefined
  /** Status.reason: "Expired", "AlreadyExists", "Conflict"… */
  readonly reason: string | undefined
  /** Milliseconds. Retry-After. */
  readonly retryAfterMs: number | undefined

  constructor(
    code: ApiErrorCode,
    message: string,
    data: {status?: number; reason?: string | undefined; retryAfterMs?: number | undefined; cause?: unknown} = {},
  ) {
    super(message, {cause: data.cause})
    this.code = code
    this.status = data.status
    this.reason = data.reason
    this.retryAfterMs = data.retryAfterMs
  }
}
