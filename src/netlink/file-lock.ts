/** flock(2), which Node does not have: {@link FileLocks} over the addon. */
import {open} from 'node:fs/promises'
import {setTimeout as sleep} from 'node:timers/promises'
import type {FileLocks} from '../model/file-lock.ts'
import {addon} from './addon.ts'
import {NetlinkSocketError} from './errors.ts'

const EWOULDBLOCK = 11
/** Milliseconds between two tries: holders take one or two. */
const RETRY_MS = 1

export const fileLocks: FileLocks = {
  acquire: async (path, signal) => {
    const file = await open(path, 'r')
    try {
      for (;;) {
        signal.throwIfAborted()
        const errno = addon.lock(file.fd)
        // The lock goes with the descriptor, and with the process.
        if (errno === 0) return {release: () => file.close()}
        if (errno !== EWOULDBLOCK) throw new NetlinkSocketError(errno, `locking ${path}`)
        await sleep(RETRY_MS, undefined, {signal})
      }
    } catch (error) {
      await file.close()
      throw error
    }
  },
}
