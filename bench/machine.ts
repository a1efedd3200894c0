/** The machine that figures are measured on. */
import {execFile} from 'node:child_process'
import {readFile} from 'node:fs/promises'
import {cpus, release, totalmem} from 'node:os'
import {promisify} from 'node:util'

export interface Machine {
  readonly cores: number
  /** As the kernel names its model. */
  readonly processor: string
  /** Megabytes, as 1,000,000 bytes. */
  readonly memory: number
  readonly kernel: string
  /** PRETTY_NAME of /etc/os-release; empty where there is none. */
  readonly distribution: string
}

/** What is measured, on what, and since when. */
export interface Occasion {
  /** ISO 8601. */
  readonly at: string
  /** As git names it; empty where it cannot tell. */
  readonly commit: string
  readonly node: string
  readonly machine: Machine
}

export async function describeOccasion(): Promise<Occasion> {
  const describe = promisify(execFile)('git', ['describe', '--always', '--dirty'], {cwd: import.meta.dirname})
  const commit = await describe.then(
    ({stdout}) => stdout.trim(),
    () => '',
  )
  const system = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const machine = {
    cores: cpus().length,
    processor: cpus()[0]?.model.trim() ?? '',
    memory: Math.round(totalmem() / 1e6),
    kernel: release(),
    distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(system)?.[1] ?? '',
  }
  return {at: new Date().toISOString(), commit, node: process.version, machine}
}

/** "2 × AMD EPYC, 8.3 GB, kernel 6.12.0, Debian GNU/Linux 13 (trixie), Node v24.21.0, commit 1234567". */
export function formatOccasion({commit, node, machine}: Occasion): string {
  const {cores, processor, memory, kernel, distribution} = machine
  const words = [
    `${cores} × ${processor}`,
    `${(memory / 1000).toFixed(1)} GB`,
    `kernel ${kernel}`,
    distribution,
    `Node ${node}`,
  ]
  return [...words, commit && `commit ${commit}`].filter(word => word !== '').join(', ')
}
