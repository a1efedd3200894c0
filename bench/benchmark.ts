/** A benchmark from its start to its end: the machine, a run that leaves nothing behind, tables and a file of figures. */
import {mkdir} from 'node:fs/promises'
import {dirname} from 'node:path'
import {Run} from '../src/lab/run.ts'
import {UsageError} from './arguments.ts'
import type {Bench} from './bench.ts'
import {Calm} from './calm.ts'
import {describeOccasion, formatOccasion} from './machine.ts'
import {watchOthers} from './others.ts'
import {type SuiteName, writeReport} from './report.ts'
import {Results} from './results.ts'
import {formatTables} from './table.ts'

export interface BenchmarkOptions {
  /** Of what has a median. */
  readonly repetitions: number
  /** Milliseconds. */
  readonly patience: number
  /** Where the figures go. */
  readonly json: string
}

/** Prints what has been measured. Everything is gone when it is done, or has failed. */
export async function benchmark(
  suite: SuiteName,
  options: BenchmarkOptions,
  measure: (bench: Bench) => Promise<void>,
): Promise<void> {
  const {repetitions, patience, json} = options
  if (process.getuid?.() !== 0) throw new Error('the benchmark makes network namespaces: run it as root')
  const occasion = await describeOccasion()
  print(formatOccasion(occasion))
  const startedAt = performance.now()
  const results = new Results()
  let othersShare = 0
  // Ends everything, also when this process is killed.
  const run = await Run.start()
  const others = await watchOthers(run)
  try {
    await measure({run, results, repetitions, calm: new Calm(run, patience)})
    othersShare = await others()
  } finally {
    await run.end()
  }
  print(`\n${formatTables(results)}`)
  const missed = results.missed.map(({part, column, name}) => `${part}, ${column}: ${name}`)
  print(missed.length === 0 ? 'every target is met' : `targets missed:\n  ${missed.join('\n  ')}`)
  print(`others took ${Math.round(othersShare * 100)} % of the machine meanwhile`)
  await mkdir(dirname(json), {recursive: true})
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  await writeReport(json, {...occasion, suites: [{suite, seconds, othersShare, figures: results.all}]})
}

/** Exit status: 0 measured, 1 something failed, 2 the command line is wrong. */
export async function atTheDoor(main: (args: string[]) => Promise<void>): Promise<void> {
  try {
    await main(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  }
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** What is being done, for who waits. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}
