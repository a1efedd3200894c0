/** A fold of a source's events: nothing until it has been read whole once; never prune before that. */
import type {ChangeLog} from './change-log.ts'

export type View<K, V> = Unsynced | Synced<K, V>

export interface Unsynced {
  readonly synced: false
  /** Why not yet: one sentence for /readyz. */
  readonly reason: string
}

export interface Synced<K, V> {
  readonly synced: true
  readonly items: ReadonlyMap<K, V>
  /** Of `items`. */
  readonly log?: ChangeLog<K>
  /** When the newest change arrived at this process: `performance.now()`, milliseconds. */
  readonly at: number
  /** Only where nothing live is known yet: what is missing may be added for its sake, what stands knows better. */
  readonly stale?: Stale
}

/** The items are what an earlier process saved. */
export interface Stale {
  /** Milliseconds since the epoch. */
  readonly savedAt: number
}
