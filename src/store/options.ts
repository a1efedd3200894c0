/** What every store takes. */
import type {Notice} from '../streams/reflector.ts'

export interface StoreOptions {
  /** Milliseconds that a call may take. @default 5000 */
  readonly deadlineMs?: number
  /** Of what is kept and no document of its kind: once, until it changes. */
  readonly tell?: (unusable: Unusable) => void
  /** For logs and metrics. `what`: "pairs", "owners". */
  readonly notice?: (what: string, notice: Notice) => void
  /** A sign of life of the server has come, by the watch of these. */
  readonly heard?: (what: string) => void
}

export interface Unusable {
  /** "pairs". */
  readonly what: string
  /** As far as it can be told. */
  readonly key: string
  /** Why; one sentence part. */
  readonly reason: string
}

export const DEADLINE_MS = 5000
