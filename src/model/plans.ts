/** What the domains ask the edges to do. */
import type {Route} from './net.ts'

/**
 * add: only where no route of that destination and metric stands. replace: over one that is known as ours.
 * delete: exactly this one; one that has gone already is a success.
 */
export interface RouteChange {
  readonly op: 'add' | 'replace' | 'delete'
  readonly route: Route
}

/** A change that the kernel refused. */
export interface Refusal {
  /** The errno's name. */
  readonly code: string
  /** One sentence part: what was asked, and the kernel's own words. */
  readonly message: string
}

/** Carries route changes out. */
export interface RouteWriter {
  /** Per change, in order: the refusal, or undefined. Rejects only when the outcome is unknown. */
  write(changes: readonly RouteChange[]): Promise<readonly (Refusal | undefined)[]>
  /** Resolves once the kernel's state, as the next pass will see it, holds what was written. */
  settle(): Promise<void>
}
