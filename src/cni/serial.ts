/** Who waits for whom: one task at a time per key, and so many at once in all. */

export interface Serial {
  /** Runs the task once those of the same key that came before have ended, and when there is room. */
  run<T>(key: string, task: () => Promise<T>): Promise<T>
  /** Tasks that run or wait. */
  readonly size: number
}

export function createSerial(atOnce: number): Serial {
  /** The last task of each key, which never rejects. */
  const tails = new Map<string, Promise<void>>()
  const waiting: (() => void)[] = []
  let running = 0
  let size = 0

  const enter = async (): Promise<void> => {
    if (running >= atOnce) await new Promise<void>(resolve => waiting.push(resolve))
    else running++
  }
  /** A free place goes straight to who waits longest. */
  const leave = (): void => {
    const next = waiting.shift()
    if (next) next()
    else running--
  }
  const inRoom = async <T>(task: () => Promise<T>): Promise<T> => {
    await enter()
    try {
      return await task()
    } finally {
      leave()
    }
  }

  return {
    get size() {
      return size
    },
    run: async (key, task) => {
      size++
      const before = tails.get(key)
      const result = before ? before.then(() => inRoom(task)) : inRoom(task)
      const tail = result.then(
        () => {},
        () => {},
      )
      tails.set(key, tail)
      try {
        return await result
      } finally {
        size--
        if (tails.get(key) === tail) tails.delete(key)
      }
    },
  }
}
