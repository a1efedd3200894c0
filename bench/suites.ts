/** The suites as programs, each in a process of its own, and what became of each. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import {tell} from './benchmark.ts'
import {readReport, type SuiteName, type SuiteReport} from './report.ts'

/** A program of Node's that writes a report to the file that `--json` names. */
export interface Suite {
  readonly name: SuiteName
  readonly program: string
  readonly args: readonly string[]
}

/** Small counts, and of the parts those that say little without many. Where a suite has `--quick`, that. */
const QUICK: Readonly<Record<SuiteName, readonly string[]>> = {
  routes: ['--only', 'facts,start,repair', '--nodes', '20', '--repetitions', '1', '--patience', '0'],
  cni: ['--only', 'serial,burst', '--pods', '2', '--repetitions', '1', '--patience', '0'],
  attach: ['--pods', '2', '--edits', '2', '--seconds', '1', '--repetitions', '1', '--patience', '0'],
  pairs: ['--quick', '--only', 'latency,traffic', '--store', 'kubernetes'],
}

export const suiteOf = (name: SuiteName, quick: boolean): Suite => ({
  name,
  program: join(import.meta.dirname, name, 'main.ts'),
  args: quick ? QUICK[name] : [],
})

/** Each in its turn, whatever became of the others; those that a stop leaves out are not told of. `fileOf`: its report. */
export async function runSuites(
  suites: readonly Suite[],
  fileOf: (name: SuiteName) => string,
  stop: AbortSignal,
): Promise<SuiteReport[]> {
  const reports: SuiteReport[] = []
  for (const suite of suites) {
    if (stop.aborted) break
    tell(`== ${suite.name}`)
    reports.push(await runSuite(suite, fileOf(suite.name), stop))
  }
  return reports
}

/** Of what a suite says when it fails. */
const LONGEST_REASON = 300

/** Never rejects for what the suite does. `json`: where it writes its own report. */
async function runSuite({name, program, args}: Suite, json: string, stop: AbortSignal): Promise<SuiteReport> {
  const startedAt = performance.now()
  // What an earlier run has left there is not of this one.
  await rm(json, {force: true})
  // Its tables are in its report; what it is doing is told while it does it.
  const child = spawn(process.execPath, [program, ...args, '--json', json], {stdio: ['ignore', 'ignore', 'pipe']})
  let last = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    process.stderr.write(text)
    last = (last + text).slice(-64 * 1024)
  })
  const end = () => child.kill('SIGTERM')
  stop.addEventListener('abort', end)
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  stop.removeEventListener('abort', end)
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  const failed = (reason: string): SuiteReport => ({
    suite: name,
    seconds,
    othersShare: 0,
    failed: reason.slice(0, LONGEST_REASON),
    figures: [],
  })
  if (stop.aborted) return failed('interrupted')
  if (code !== 0) return failed(reasonOf(last) || (signal ? `ended by ${signal}` : `exit status ${code}`))
  try {
    const own = (await readReport(json)).suites.find(({suite}) => suite === name)
    return own ?? failed(`${json} has no figures of it`)
  } catch (error) {
    return failed((error as Error).message)
  }
}

/** What a suite says of its own failure, else its last line: one line. */
function reasonOf(text: string): string {
  const lines = text.split('\n').filter(line => line.trim() !== '')
  const said = lines.findLast(line => line.startsWith('bench: '))
  return (said?.slice('bench: '.length) ?? lines.at(-1) ?? '').trim()
}
