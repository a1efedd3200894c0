/** So many at once, the others in the order of their coming. */

/** Waiting rejects with the signal's reason when that aborts; what has begun is not interrupted. */
export type Slots = <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>

export function createSlots(count: number): Slots {
  const waiting = new Set<() => void>()
  let free = count

  const enter = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      if (free > 0) {
        free--
        return resolve()
      }
      const give = () => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        waiting.delete(give)
        reject(signal.reason)
      }
      waiting.add(give)
      signal.addEventListener('abort', leave, {once: true})
    })

  const leave = (): void => {
    const [next] = waiting
    if (!next) free++
    else {
      waiting.delete(next)
      next()
    }
  }

  return async (signal, work) => {
    await enter(signal)
    try {
      return await work()
    } finally {
      leave()
    }
  }
}
