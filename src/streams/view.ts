/** A fold of a source's events: nothing until it has been read whole once; never prune before that. */
export type View<K, V> = Unsynced | Synced<K, V>

export interface Unsynced {
  readonly synced: false
  /** Why not yet: one sentence for /readyz. */
  readonly reason: string
}

export interface Synced<K, V> {
  readonly synced: true
  readonly items: ReadonlyMap<K, V>
  /** When the newest change arrived at this process: `performance.now()`, milliseconds. */
  readonly at: number
}
