/** Holds back what is said too often, and says once per window how often that was. */

export interface RepeatOptions {
  /** Milliseconds. @default 60000 */
  readonly window?: number
  /** Occurrences of one key that pass in a window. @default 5 */
  readonly limit?: number
  /** Keys remembered; the oldest one is told and forgotten for a new one. @default 1000 */
  readonly keys?: number
}

export interface Repeats<T> {
  /** True: say it now. False: it is counted. */
  pass(key: string, occurrence: T): boolean
  /** Tells what was counted so far, and stops the clock. */
  close(): void
}

interface Window<T> {
  readonly since: number
  seen: number
  /** The newest occurrence that was held back. */
  last?: T
}

/** `tell` gets the newest occurrence that was held back, how many there were, and in how many milliseconds. */
export function limitRepeats<T>(
  tell: (last: T, count: number, elapsed: number) => void,
  {window = 60_000, limit = 5, keys = 1000}: RepeatOptions = {},
): Repeats<T> {
  /** In the order in which they began, so the first one is the first to end. */
  const windows = new Map<string, Window<T>>()
  let timer: NodeJS.Timeout | undefined

  function end(key: string, {since, seen, last}: Window<T>, now: number): void {
    windows.delete(key)
    if (seen > limit) tell(last as T, seen - limit, now - since)
  }

  function endDue(): void {
    timer = undefined
    const now = performance.now()
    for (const [key, opened] of windows) {
      if (now - opened.since < window) {
        timer = setTimeout(endDue, opened.since + window - now).unref()
        return
      }
      end(key, opened, now)
    }
  }

  return {
    pass(key, occurrence) {
      const now = performance.now()
      let opened = windows.get(key)
      if (opened && now - opened.since >= window) {
        end(key, opened, now)
        opened = undefined
      }
      if (!opened) {
        const [oldest] = windows.size >= keys ? windows : []
        if (oldest) end(...oldest, now)
        opened = {since: now, seen: 0}
        windows.set(key, opened)
        timer ??= setTimeout(endDue, window).unref()
      }
      opened.seen++
      if (opened.seen <= limit) return true
      opened.last = occurrence
      return false
    },
    close() {
      clearTimeout(timer)
      timer = undefined
      const now = performance.now()
      for (const [key, opened] of windows) end(key, opened, now)
    },
  }
}
