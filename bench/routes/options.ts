/** The command line. */
import {commonOptions, readArguments, wholeNumber, words} from '../arguments.ts'
import {BACKENDS, type Backend} from '../cluster.ts'

export const PARTS = ['facts', 'kernel', 'start', 'footprint', 'latency', 'repair', 'loop'] as const
export type Part = (typeof PARTS)[number]

export const USAGE = `Usage: npm run bench:routes -- [options]

  --only PART,...      ${PARTS.join(', ')} (default: all)
  --nodes N,...        sizes of the cluster, 2 to 20000 (default 1000,5000)
  --backend NAME,...   ${BACKENDS.join(', ')} (default: both)
  --repetitions N      how often what has a median is measured (default 5)
  --patience SECONDS   for waiting while others are busy, and measuring again, altogether (default 120)
  --json FILE          where the figures go (default bench/results/routes.json)
  --help               print this

Figures depend on what else the machine does: each is the median of several, or a percentile of many, measured when
nobody else is busy as far as the patience allows. The last line tells how much others were.
`

export interface Options {
  readonly parts: ReadonlySet<Part>
  readonly sizes: readonly number[]
  readonly backends: readonly Backend[]
  readonly repetitions: number
  /** Milliseconds. */
  readonly patience: number
  readonly json: string
  readonly help: boolean
}

/** Throws UsageError. */
export function parseOptions(args: string[], defaultJson: string): Options {
  const written = readArguments(args, {
    nodes: {type: 'string', default: '1000,5000'},
    backend: {type: 'string'},
    repetitions: {type: 'string', default: '5'},
    patience: {type: 'string', default: '120'},
  })
  const {nodes, backend} = written
  return {
    ...commonOptions(written, PARTS, defaultJson),
    sizes: nodes.split(',').map(text => wholeNumber('--nodes', text, 2, 20_000)),
    backends: backend === undefined ? BACKENDS : words('--backend', backend, BACKENDS),
  }
}
