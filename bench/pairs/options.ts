/** The command line. */
import {commonOptions, readArguments, wholeNumber, words} from '../arguments.ts'
import type {BenchmarkOptions} from '../benchmark.ts'

export const PARTS = ['latency', 'many', 'move', 'vnis', 'traffic'] as const
export type Part = (typeof PARTS)[number]

export const STORES = ['kubernetes', 'etcd'] as const
/** Through which the nodes tell each other of their pods. */
export type StoreName = (typeof STORES)[number]

export const USAGE = `Usage: npm run bench:pairs -- [options]

  --only PART,...      ${PARTS.join(', ')} (default: all)
  --store STORE,...    ${STORES.join(', ')} (default: both); part traffic is measured with the first
  --pods N             of part many, 6 to 100: with 50 they have 1,000 ends of links, 20 each (default 50)
  --edits N            of part latency, of each kind in each round; one start of a pod for every five (default 100)
  --cycles N           of part vnis: claims that are made and given back (default 10000)
  --repetitions N      rounds (default 3); of part traffic three times as many
  --quick              as little of everything as shows that it works
  --patience SECONDS   for waiting while others are busy, and measuring again, altogether (default 60)
  --json FILE          where the figures go (default bench/results/pairs.json)
  --help               print this

Figures depend on what else the machine does: rounds are measured when nobody else is busy as far as the patience allows.
The last line tells how much others were.
`

export interface Options extends BenchmarkOptions {
  readonly parts: ReadonlySet<Part>
  readonly stores: readonly StoreName[]
  readonly pods: number
  readonly edits: number
  readonly cycles: number
  /** Of one measurement of part traffic. */
  readonly seconds: number
  readonly help: boolean
}

const SIZES = {pods: '50', edits: '100', cycles: '10000', repetitions: '3', patience: '60'} as const
const QUICK = {pods: '6', edits: '5', cycles: '200', repetitions: '1', patience: '0'} as const

/** Throws UsageError. */
export function parseOptions(args: string[], defaultJson: string): Options {
  const {store, quick, ...given} = readArguments(args, {
    store: {type: 'string'},
    pods: {type: 'string'},
    edits: {type: 'string'},
    cycles: {type: 'string'},
    repetitions: {type: 'string'},
    quick: {type: 'boolean', default: false},
    patience: {type: 'string'},
  })
  const written = {...(quick ? QUICK : SIZES), ...given}
  const {pods, edits, cycles} = written
  return {
    ...commonOptions(written, PARTS, defaultJson),
    stores: store === undefined ? STORES : words('--store', store, STORES),
    pods: wholeNumber('--pods', pods, 6, 100),
    edits: wholeNumber('--edits', edits, 1, 10_000),
    cycles: wholeNumber('--cycles', cycles, 1, 1_000_000),
    seconds: quick ? 1 : 2,
  }
}
