/** Of files in the state folder: each begins with its version, and what an older agent does with one that it does not know. */
import {NetgraftError} from '../model/errors.ts'

/** Of a journal file's first line. To be raised when an agent that knows only the one before would misread what is written. */
export const JOURNAL_VERSION = 1

/** A file is of a newer agent than this one. Nothing has been changed. */
export class NewerState extends NetgraftError {
  readonly code = 'ENEWERSTATE'
  readonly path: string
  readonly found: number
  readonly known: number

  constructor(path: string, found: number, known: number) {
    super(
      `${path} has version ${found}, and this agent knows versions up to ${known}: a newer agent has run here; ` +
        'run that one again, or drain the node and empty the state folder before this one runs',
    )
    this.path = path
    this.found = found
    this.known = known
  }
}

/** As it stands at a file's beginning. Undefined: no agent has written it. */
export function versionOf(head: string): number | undefined {
  const [, version] = /^\{"version":(\d{1,9})[,}]/.exec(head) ?? []
  return version === undefined ? undefined : Number(version)
}
