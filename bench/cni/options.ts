/** The command line. */
import {commonOptions, readArguments, wholeNumber} from '../arguments.ts'
import type {BenchmarkOptions} from '../benchmark.ts'

export const PARTS = ['floor', 'serial', 'parallel', 'burst', 'scale', 'footprint', 'loop'] as const
export type Part = (typeof PARTS)[number]

export const USAGE = `Usage: npm run bench:cni -- [options]

  --only PART,...      ${PARTS.join(', ')} (default: all)
  --pods N             pods of part footprint, 1 to 900 (default 500); those of a burst are at most 200 of them
  --repetitions N      rounds, in each of which everything that is compared has its turn (default 3)
  --patience SECONDS   for waiting while others are busy, and measuring again, altogether (default 45)
  --json FILE          where the figures go (default bench/results/cni.json)
  --help               print this

Figures depend on what else the machine does: rounds are measured when nobody else is busy as far as the patience allows,
and within a round each side has its turn, so that what disturbs disturbs all of them. The last line tells how much
others were.
`

export interface Options extends BenchmarkOptions {
  readonly parts: ReadonlySet<Part>
  readonly pods: number
  readonly help: boolean
}

/** Throws UsageError. */
export function parseOptions(args: string[], defaultJson: string): Options {
  const written = readArguments(args, {
    pods: {type: 'string', default: '500'},
    repetitions: {type: 'string', default: '3'},
    patience: {type: 'string', default: '45'},
  })
  const {pods} = written
  return {
    ...commonOptions(written, PARTS, defaultJson),
    pods: wholeNumber('--pods', pods, 1, 900),
  }
}
