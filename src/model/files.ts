/** Small files, changed by several steps in one trip to a thread of their own: each trip costs more than most steps. */

/** One system call or a few. What has been made by a step that failed is taken back. `text` is written as UTF-8. */
export type FileStep = {
  /** A failure of this one is no reason to leave out those behind it. @default false */
  readonly mayFail?: boolean
} & (
  | {
      /** create: fails with EEXIST where something has the name. write: in the place of what the file held. */
      readonly do: 'create' | 'write'
      readonly path: string
      readonly text: string
      /** Less the umask. @default 0o600 */
      readonly mode?: number
    }
  /** Of a file that is there. `at`: bytes from its beginning. */
  | {readonly do: 'write at'; readonly path: string; readonly text: string; readonly at: number}
  /** A second name. link(2). */
  | {readonly do: 'link'; readonly path: string; readonly to: string}
  | {readonly do: 'unlink'; readonly path: string}
  /** Time of modification, nanoseconds since the epoch. */
  | {readonly do: 'stamp'; readonly path: string; readonly ns: bigint}
  /** Waits until the disk has a file, or a folder's names. */
  | {readonly do: 'sync'; readonly path: string}
  | {readonly do: 'stat'; readonly path: string}
  /** flock(2), exclusive, without waiting: EAGAIN while another holds it. */
  | {readonly do: 'lock'; readonly path: string}
  /** Ends a lock. `path`: what it was, for the reader. */
  | {readonly do: 'close'; readonly path: string; readonly fd: number}
)

export interface FileOutcome {
  /** The name of the errno it failed with; ECANCELED: one before it failed, and it was not tried. */
  readonly code?: string
  /** Of stat: "<inode>:<time of modification>", which tells one state of a folder from another. */
  readonly state?: string
  /** Of lock: the descriptor for close. */
  readonly fd?: number
}

export interface Files {
  /** In order; stops at the first that fails. Rejects only when the outcome is unknown. */
  run(steps: readonly FileStep[]): Promise<readonly FileOutcome[]>
  close(): void
}
