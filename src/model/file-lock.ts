/** Locks that other programs on the node honour, too. */

export interface FileLocks {
  /**
   * flock(2), exclusive, of the file or folder, which must exist; waits until the holder lets go. Rejects with what
   * open(2) says, and with the signal's reason.
   */
  acquire(path: string, signal: AbortSignal): Promise<FileLock>
}

export interface FileLock {
  release(): Promise<void>
}
