/** Steps on lease files, each with what is to be done about its outcome. */
import {constants} from 'node:os'
import {getSystemErrorMessage} from 'node:util'
import {NetgraftError, quoted} from '../../model/errors.ts'
import type {FileOutcome, FileStep, Files} from '../../model/files.ts'

export type Errand = readonly [step: FileStep, told?: (outcome: FileOutcome) => void]

export async function runErrands(files: Files, errands: readonly Errand[]): Promise<void> {
  if (errands.length === 0) return
  const outcomes = await files.run(errands.map(([step]) => step))
  for (const [i, [, told]] of errands.entries()) told?.(outcomes[i]!)
}

/** `code`: the name of the errno that the step failed with. */
export class FileStepError extends NetgraftError {
  readonly code: string

  constructor(step: FileStep, code: string) {
    const errno = constants.errno[code as keyof typeof constants.errno]
    const says = errno === undefined ? 'it failed' : getSystemErrorMessage(-errno)
    super(`${code}: ${says}, ${step.do} ${quoted(step.path)}`)
    this.code = code
  }
}
