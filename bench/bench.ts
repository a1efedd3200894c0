/** What every part of a run works with. */
import type {Run} from '../src/lab/run.ts'
import type {Calm} from './calm.ts'
import type {Results} from './results.ts'

export interface Bench {
  /** Its namespaces, processes and files are gone at its end. */
  readonly run: Run
  readonly results: Results
  readonly calm: Calm
  /** Of what has a median. */
  readonly repetitions: number
}
