/**
 * Wishes that could not take the place of a network that works, which was then put back. Each try takes that down for a
 * moment: they are tried again for ever, but ever more seldom.
 */
import {Backoff} from '../streams/backoff.ts'

export interface HeldWishes {
  /** Why it is not tried now: what the last try met. Undefined: it may be tried. `key`: of the attachment. */
  reason(key: string, wish: string): string | undefined
  hold(key: string, wish: string, reason: string): void
  forget(key: string): void
}

interface Held {
  readonly wish: string
  readonly backoff: Backoff
  reason: string
  /** On performance.now()'s clock. */
  until: number
}

/** Milliseconds. */
const AGAIN = {baseMs: 20_000, capMs: 600_000, jitter: 'equal'} as const
/** Of pods that have gone, too. */
const KEPT_MAX = 10_000

export function createHeldWishes(now = () => performance.now()): HeldWishes {
  const held = new Map<string, Held>()
  return {
    reason: (key, wish) => {
      const known = held.get(key)
      return known?.wish === wish && now() < known.until ? known.reason : undefined
    },
    hold: (key, wish, reason) => {
      const known = held.get(key)
      const backoff = known?.wish === wish ? known.backoff : new Backoff(AGAIN)
      held.delete(key)
      held.set(key, {wish, backoff, reason, until: now() + backoff.next()})
      if (held.size > KEPT_MAX) held.delete(held.keys().next().value!)
    },
    forget: key => void held.delete(key),
  }
}
