/** Why something cannot be installed or taken back: one sentence that says what, where and what to do. */
import {getSystemErrorMessage} from 'node:util'
import {NetgraftError} from '../model/errors.ts'

export class InstallError extends NetgraftError {
  readonly code = 'EINSTALL'
}

const HINTS: Readonly<Record<string, string>> = {
  EROFS: 'mount the folder writable',
  EACCES: 'run this as root',
  EPERM: 'run this as root, and see whether the file is protected (lsattr)',
  ENOSPC: 'make room',
  EDQUOT: 'make room',
  ENOTDIR: 'something on the way to it is no folder',
  ELOOP: 'its symbolic links lead in a circle',
  EISDIR: 'move the folder away',
  EBUSY: 'something is mounted there: mount the folder around it instead',
}

/** What the system said, in a sentence. `done`: "written", "removed". */
export function refused(path: string, done: string, error: unknown): InstallError {
  if (error instanceof InstallError) return error
  const {errno, code} = error as NodeJS.ErrnoException
  const why = errno === undefined ? String((error as Error).message ?? error) : getSystemErrorMessage(errno)
  const hint = HINTS[code ?? ''] ?? 'look into the file system'
  return new InstallError(`${path} cannot be ${done} (${why}); ${hint}`, {cause: error})
}

/** For a system call that may find nothing. */
export function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
