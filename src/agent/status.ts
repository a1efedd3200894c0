/** What /readyz and /healthz answer with: fed by the streams, asked by the server. */
import type {Condition, RunningPass} from '../observe/health.ts'

export class Status {
  readonly #conditions = new Map<string, Condition>()
  readonly #passes = new Set<RunningPass>()
  readonly #tell: (name: string, ready: boolean) => void

  /** `tell`: of each condition, whenever something is said of it. */
  constructor(tell: (name: string, ready: boolean) => void) {
    this.#tell = tell
  }

  get conditions(): Iterable<readonly [string, Condition]> {
    return this.#conditions
  }

  get passes(): Iterable<RunningPass> {
    return this.#passes
  }

  /** `reason` undefined: ready. */
  set(name: string, reason: string | undefined): void {
    this.#conditions.set(name, reason === undefined ? {ready: true} : {ready: false, reason})
    this.#tell(name, reason === undefined)
  }

  /** Call the result when the pass has come back. */
  passing(domain: string): () => void {
    const pass = {domain, startedAt: performance.now()}
    this.#passes.add(pass)
    return () => this.#passes.delete(pass)
  }
}
