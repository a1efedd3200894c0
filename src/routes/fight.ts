/** Notices that somebody else undoes what we do, again and again, and makes the passes rest. */
import type {Problem} from './claims.ts'

/** Repairing passes that are no fight, however fast they come. */
const BURST = 500
/** Of them, forgotten every second. */
const FORGOTTEN = 10
/** Milliseconds between two passes of a fight. */
const REST_MS = 200

export class Fight {
  #level = 0
  #at = performance.now()

  /** To be told of every pass, and how much it repaired. */
  note(repaired: number): void {
    const now = performance.now()
    this.#level = Math.max(0, this.#level - ((now - this.#at) / 1000) * FORGOTTEN)
    this.#at = now
    if (repaired > 0) this.#level = Math.min(this.#level + 1, BURST + FORGOTTEN)
  }

  /** Milliseconds before the next pass. */
  get restMs(): number {
    return this.#level > BURST ? REST_MS : 0
  }

  get problems(): readonly Problem[] {
    return this.restMs > 0 ? [FOUGHT] : []
  }
}

const FOUGHT: Problem = {
  kind: 'fight',
  message:
    'somebody on this node removes or changes what is ours as often as it is put right; repairs are slowed down: find out who with "ip monitor", and let only one of the two manage it',
}
