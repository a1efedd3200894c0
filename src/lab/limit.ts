/** Does the same for many, a few at a time. */

/** Results in the items' order. Rejects with the first failure, after those under way have ended. */
export async function mapLimited<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length)
  let next = 0
  let failed = false
  const worker = async () => {
    while (next < items.length && !failed) {
      const i = next++
      try {
        results[i] = await work(items[i]!)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({length: Math.min(limit, items.length)}, worker))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  return results
}

/** Does what it is given, so many at once, in the order in which it was given. */
export type Slots = <T>(work: () => Promise<T>) => Promise<T>

export function createSlots(limit: number): Slots {
  const waiting: (() => void)[] = []
  let free = limit
  return async work => {
    if (free > 0) free--
    else await new Promise<void>(resolve => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}
