/** `npm run bench`: all suites, one table, one file. Exit status: 0 measured, 1 a suite failed, 2 a wrong command line. */
import {mkdir} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {readArguments, words} from './arguments.ts'
import {atTheDoor, print} from './benchmark.ts'
import {describeOccasion, formatOccasion} from './machine.ts'
import {fileFor, RESULTS, SUITES, type SuiteReport, writeReport} from './report.ts'
import {runSuites, suiteOf} from './suites.ts'
import {formatSummary} from './summary.ts'

const USAGE = `Usage: npm run bench -- [options]

  --only SUITE,...   ${SUITES.join(', ')} (default: all)
  --quick            as little of everything as shows that it works; its figures are not kept
  --json FILE        where the figures go (default bench/results/<date>.json; with --quick bench/results/quick.json)
  --help             print this

About five minutes for each suite, on a machine that has nothing else to do. A suite alone has more options:
npm run bench:routes -- --help.
"node scripts/readme.ts" puts what is kept into README.md.
`

await atTheDoor(async args => {
  const {only, quick, json, help} = readArguments(args, {quick: {type: 'boolean', default: false}})
  if (help) return print(USAGE.trimEnd())
  const names = only === undefined ? SUITES : SUITES.filter(name => new Set(words('--only', only, SUITES)).has(name))
  if (process.getuid?.() !== 0) throw new Error('the benchmarks make network namespaces: run them as root')
  const stop = stopSignal()
  const occasion = await describeOccasion()
  print(formatOccasion(occasion))
  const folder = json === undefined ? RESULTS : dirname(json)
  await mkdir(folder, {recursive: true})
  const fileOf = (name: string) => join(folder, quick ? `quick-${name}.json` : `${name}.json`)
  const all = names.map(name => suiteOf(name, quick))
  const suites = await runSuites(all, fileOf, stop)
  print(`\n${formatSummary(suites, quick)}`)
  if (stop.aborted) {
    process.exitCode = 130
    return
  }
  const file = json ?? (quick ? join(RESULTS, 'quick.json') : await fileFor(occasion.at))
  await writeReport(file, {...occasion, ...(quick && {quick}), suites: suites.map(withoutSamples)})
  print(`written to ${file}`)
  if (suites.some(({failed}) => failed !== undefined)) process.exitCode = 1
})

/** They are in the suite's own file, and would be most of what is kept. */
function withoutSamples(suite: SuiteReport): SuiteReport {
  return {...suite, figures: suite.figures.map(({samples: _, ...figure}) => figure)}
}

/** A suite that is ended removes what it has made; the next ones are left out. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort())
  return stop.signal
}
