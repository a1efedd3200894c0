/** The points of time of a run: before everything that is asked of the world, and behind everything that changes it. */
import {setImmediate} from 'node:timers/promises'

/**
 * What a call does to the world. Before one that does nothing at all to it, and is alone with a file, nobody need die: the
 * point before has shown that state. creation: a change that cannot be made and fail, as that of a file's name.
 */
export type Effect = 'change' | 'creation' | 'look' | 'none'

/**
 * What happens at one of them. refuse: the call is not made, and rejects. lose: it is made, and rejects all the same; only
 * what changes something counts.
 */
export type Deed =
  | {readonly at: number; readonly what: 'kill'}
  | {readonly at: number; readonly what: 'refuse' | 'lose'; readonly code: string}

/** The calls of which a deed counts the points. */
const COUNTS: Readonly<Record<Deed['what'], (when: 'before' | 'after', effect: Effect) => boolean>> = {
  kill: (when, effect) => (when === 'before' ? effect !== 'none' : effect === 'change' || effect === 'creation'),
  refuse: when => when === 'before',
  lose: (when, effect) => when === 'after' && effect === 'change',
}

/** What a call rejects with that has been struck. */
export class Struck extends Error {
  readonly what: Deed['what']
  readonly code: string

  constructor(what: Deed['what'], code: string, message: string) {
    super(message)
    this.what = what
    this.code = code
  }
}

export interface Points {
  /** From here on, points are counted anew. */
  begin(deed: Deed | undefined): void
  /** So many have been passed. */
  readonly passed: number
  /** Of the deed: what it was done to. */
  readonly struck: string | undefined
  /** Resolves when nothing is under way any more, also of what is done behind an answer. */
  idle(): Promise<void>
  /** One call. */
  call<T>(name: string, effect: Effect, work: () => Promise<T>): Promise<T>
  /** The same of one that does not wait. */
  callNow<T>(name: string, work: () => T): T
}

export function createPoints(kill: () => void): Points {
  let deed: Deed | undefined
  let counting = false
  let passed = 0
  let underWay = 0
  let struck: string | undefined

  const point = (when: 'before' | 'after', name: string, effect: Effect): void => {
    if (!counting || !COUNTS[deed?.what ?? 'kill'](when, effect)) return
    passed++
    if (passed !== deed?.at) return
    struck = `${when} ${name}`
    if (deed.what !== 'kill') throw new Struck(deed.what, deed.code, `${deed.code}: ${name}, made to fail`)
    kill()
  }

  return {
    get passed() {
      return passed
    },
    get struck() {
      return struck
    },
    begin: next => {
      ;[deed, passed, struck, counting] = [next, 0, undefined, true]
    },
    idle: async () => {
      for (let turns = 0; turns < 3; turns = underWay > 0 ? 0 : turns + 1) await setImmediate()
    },
    call: async (name, effect, work) => {
      underWay++
      try {
        point('before', name, effect)
        const result = await work()
        point('after', name, effect)
        return result
      } finally {
        underWay--
      }
    },
    callNow: (name, work) => {
      point('before', name, 'change')
      const result = work()
      point('after', name, 'change')
      return result
    },
  }
}
