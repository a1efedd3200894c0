/** The machine that figures are measured on. */
import {execFile} from 'node:child_process'
import {cpus, release} from 'node:os'
import {promisify} from 'node:util'

export interface Machine {
  /** ISO 8601. */
  readonly at: string
  readonly kernel: string
  readonly processors: string
  readonly node: string
  /** As git names what is measured; empty where it cannot tell. */
  readonly commit: string
}

export async function describeMachine(): Promise<Machine> {
  const describe = promisify(execFile)('git', ['describe', '--always', '--dirty'], {cwd: import.meta.dirname})
  const commit = await describe.then(
    ({stdout}) => stdout.trim(),
    () => '',
  )
  const processors = `${cpus().length} × ${cpus()[0]?.model.trim()}`
  return {at: new Date().toISOString(), kernel: release(), processors, node: process.version, commit}
}
