/** The command line. */
import {commonOptions, readArguments, wholeNumber} from '../arguments.ts'
import type {BenchmarkOptions} from '../benchmark.ts'

export const PARTS = ['start', 'hot', 'storm'] as const
export type Part = (typeof PARTS)[number]

export const USAGE = `Usage: npm run bench:attach -- [options]

  --only PART,...      ${PARTS.join(', ')} (default: all)
  --pods N             pods that are edited at once, 1 to 200 (default 50); those of part start are at most 40 of them
  --edits N            of one pod, in each round of part hot: each is an attachment and its removal (default 100)
  --seconds N          of part storm (default 30)
  --repetitions N      rounds of parts start and hot (default 3)
  --patience SECONDS   for waiting while others are busy, and measuring again, altogether (default 60)
  --json FILE          where the figures go (default bench/results/attach.json)
  --help               print this

Figures depend on what else the machine does: rounds are measured when nobody else is busy as far as the patience allows.
The last line tells how much others were.
`

export interface Options extends BenchmarkOptions {
  readonly parts: ReadonlySet<Part>
  readonly pods: number
  readonly edits: number
  readonly seconds: number
  readonly help: boolean
}

/** Throws UsageError. */
export function parseOptions(args: string[], defaultJson: string): Options {
  const written = readArguments(args, {
    pods: {type: 'string', default: '50'},
    edits: {type: 'string', default: '100'},
    seconds: {type: 'string', default: '30'},
    repetitions: {type: 'string', default: '3'},
    patience: {type: 'string', default: '60'},
  })
  const {pods, edits, seconds} = written
  return {
    ...commonOptions(written, PARTS, defaultJson),
    pods: wholeNumber('--pods', pods, 1, 200),
    edits: wholeNumber('--edits', edits, 1, 10_000),
    seconds: wholeNumber('--seconds', seconds, 1, 3600),
  }
}
