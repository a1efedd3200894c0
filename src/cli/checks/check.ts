/** What `netgraft check` finds, one thing at a time. */

export interface Check {
  readonly name: string
  /** warning: it works, but not all of it, or not for long. skipped: it cannot be told from here. */
  readonly state: 'ok' | 'warning' | 'failed' | 'skipped'
  /** A sentence; of what is not ok, with what to do. */
  readonly says: string
}

export const ok = (name: string, says: string): Check => ({name, state: 'ok', says})
export const warning = (name: string, says: string): Check => ({name, state: 'warning', says})
export const failed = (name: string, says: string): Check => ({name, state: 'failed', says})
export const skipped = (name: string, says: string): Check => ({name, state: 'skipped', says})
