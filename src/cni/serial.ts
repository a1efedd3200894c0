/** Who waits for whom: one task at a time per key, and so many at once in all. */

export interface Serial {
  /** Runs the task once those of the same key that came before have ended, and when there is room. */
  run<T>(key: string, task: (turn: Turn) => Promise<T>): Promise<T>
  /**
   * The same, in a room of its own: for what may take long, and what {@link run} must not wait for unless the key is the
   * same. The task's signal tells that it is in the way.
   */
  beside<T>(key: string, task: (inTheWay: AbortSignal) => Promise<T>): Promise<T>
  /** Tells those of the key that run or wait that they are in the way. */
  hurry(key: string): void
  /** Tasks that run or wait. */
  readonly size: number
}

export interface Turn {
  /** Somebody of the same key wants to be next soon. */
  readonly inTheWay: AbortSignal
  /** The task has its key, and leaves the room to others, for as long as this takes. */
  aside<T>(wait: () => Promise<T>): Promise<T>
}

/** `besideAtOnce`: of the other room. */
export function createSerial(atOnce: number, besideAtOnce = atOnce): Serial {
  /** The last task of each key, which never rejects. */
  const tails = new Map<string, Promise<void>>()
  const hurries = new Map<string, Set<AbortController>>()
  let size = 0

  const within =
    (room: Room) =>
    async <T>(key: string, task: (aside: Turn['aside']) => Promise<T>): Promise<T> => {
      size++
      const before = tails.get(key)
      const result = before ? before.then(() => room(task)) : room(task)
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
    }

  /** `work`: with the signal that {@link Serial.hurry} gives. */
  const hurried = async <T>(key: string, work: (inTheWay: AbortSignal) => Promise<T>): Promise<T> => {
    const own = new AbortController()
    const all = hurries.get(key) ?? new Set()
    hurries.set(key, all.add(own))
    try {
      return await work(own.signal)
    } finally {
      all.delete(own)
      if (all.size === 0 && hurries.get(key) === all) hurries.delete(key)
    }
  }

  const inOne = within(createRoom(atOnce))
  const inOther = within(createRoom(besideAtOnce))

  return {
    get size() {
      return size
    },
    run: (key, task) => hurried(key, inTheWay => inOne(key, aside => task({inTheWay, aside}))),
    beside: (key, task) => hurried(key, inTheWay => inOther(key, () => task(inTheWay))),
    hurry: key => {
      for (const each of hurries.get(key) ?? []) each.abort()
    },
  }
}

type Room = <T>(task: (aside: Turn['aside']) => Promise<T>) => Promise<T>

function createRoom(places: number): Room {
  const waiting: (() => void)[] = []
  let running = 0
  const enter = async (): Promise<void> => {
    if (running >= places) await new Promise<void>(resolve => waiting.push(resolve))
    else running++
  }
  /** A free place goes straight to who waits longest. */
  const leave = (): void => {
    const next = waiting.shift()
    if (next) next()
    else running--
  }
  const aside: Turn['aside'] = async wait => {
    leave()
    try {
      return await wait()
    } finally {
      await enter()
    }
  }
  return async task => {
    await enter()
    try {
      return await task(aside)
    } finally {
      leave()
    }
  }
}
