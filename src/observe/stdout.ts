/** Lines to a descriptor that may stop taking them: never waits, keeps a bounded backlog, then counts what it drops. */
import {closeSync, constants, fstatSync, openSync, writeSync} from 'node:fs'
import {Socket} from 'node:net'

export interface LineSink {
  write(line: string): void
  /** Writes out what waits, as long as it is taken and no longer than the limit. */
  flushSync(): void
  close(): void
}

export interface StdoutOptions {
  /** @default 1 */
  readonly fd?: number
  /** Bytes that may wait for a reader. @default 1048576 */
  readonly backlog?: number
  /** Milliseconds that {@link LineSink.flushSync} waits for a reader. @default 500 */
  readonly flushLimit?: number
  /** A line that tells how many lines were dropped. */
  readonly droppedLine: (count: number) => string
}

/** Milliseconds between two tries while nobody reads. */
const RETRY = 50

export function openStdout({fd = 1, backlog = 1 << 20, flushLimit = 500, droppedLine}: StdoutOptions): LineSink {
  const target = nonBlocking(fd)
  let waiting: Buffer[] = []
  let waitingBytes = 0
  let dropped = 0
  let retry: NodeJS.Timeout | undefined
  let open = true

  /** True when nothing waits any more. */
  function drain(): boolean {
    while (open && waiting.length > 0) {
      const chunk = waiting.length === 1 ? waiting[0]! : Buffer.concat(waiting)
      let written = 0
      try {
        written = writeSync(target.fd, chunk)
      } catch (error) {
        const {code} = error as NodeJS.ErrnoException
        waiting = [chunk]
        if (code === 'EAGAIN' || code === 'EINTR') return false
        if (code === 'EPIPE') open = false // the reader is gone for good
        forget()
        return true
      }
      waitingBytes -= written
      waiting = written < chunk.length ? [chunk.subarray(written)] : []
      if (waiting.length === 0 && dropped > 0) {
        push(Buffer.from(droppedLine(dropped)))
        dropped = 0
      }
    }
    return true
  }

  function push(chunk: Buffer): void {
    waiting.push(chunk)
    waitingBytes += chunk.length
  }

  function forget(): void {
    waiting = []
    waitingBytes = 0
  }

  function drainOrRetry(): void {
    retry = undefined
    if (!drain()) retry = setTimeout(drainOrRetry, RETRY).unref()
  }

  return {
    write(line) {
      if (!open) return
      const chunk = Buffer.from(line)
      if (waitingBytes + chunk.length > backlog) {
        dropped++
        return
      }
      push(chunk)
      if (retry === undefined) drainOrRetry()
    },
    flushSync() {
      const until = performance.now() + flushLimit
      while (!drain() && performance.now() < until) pause(5)
    },
    close() {
      open = false
      clearTimeout(retry)
      forget()
      target.close()
    },
  }
}

/**
 * A pipe, FIFO or terminal is opened once more: O_NONBLOCK belongs to the open file description, and the one that was
 * inherited is shared with other processes. A socket cannot be opened so; it is switched by wrapping it. A regular file
 * never makes a writer wait for a reader, and its inherited description holds the offset that stderr may share.
 */
function nonBlocking(fd: number): {readonly fd: number; close(): void} {
  if (fstatSync(fd).isFile()) return {fd, close: () => {}}
  try {
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    return {fd: own, close: () => closeSync(own)}
  } catch {
    try {
      // Only its constructor's effect is wanted. Kept, as a collected one would close the descriptor.
      const socket = new Socket({fd, readable: false, writable: true}).unref()
      return {fd, close: () => void socket}
    } catch {
      return {fd, close: () => {}}
    }
  }
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
