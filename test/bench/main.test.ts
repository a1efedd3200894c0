/** All benchmarks run, one after the other. Needs root. */
import {execFile} from 'node:child_process'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test from 'ava'
import {headlineRows} from '../../bench/headline-rows.ts'
import {HEADLINES} from '../../bench/headlines.ts'
import {readReport, SUITES, type SuiteReport} from '../../bench/report.ts'
import {runSuites} from '../../bench/suites.ts'
import {formatSummary} from '../../bench/summary.ts'
import {built} from '../agent/support/node.ts'

const run = promisify(execFile)
const MAIN = join(import.meta.dirname, '..', '..', 'bench', 'main.ts')
/** Of one suite after the other, on a machine that is ten times slower. */
const PATIENCE = 15 * 60_000
const CALM = new AbortController().signal

test.before(built)

test('a quick run measures every suite, and has the headlines', async t => {
  t.timeout(PATIENCE)
  const folder = await mkdtemp(join(tmpdir(), 'ng-bench-'))
  t.teardown(() => rm(folder, {recursive: true, maxRetries: 5}))
  const file = join(folder, 'all.json')
  const {stdout} = await run(process.execPath, [MAIN, '--quick', '--json', file])
  const report = await readReport(file)
  t.true(report.quick)
  t.true(report.machine.cores > 0 && report.machine.memory > 0)
  t.deepEqual(
    report.suites.map(({suite, failed}) => ({suite, failed})),
    SUITES.map(suite => ({suite, failed: undefined})),
  )
  t.true(report.suites.every(({figures}) => figures.every(figure => !('samples' in figure))))
  const lacking = HEADLINES.filter(headline => headlineRows(report.suites, [headline]).length === 0)
  t.deepEqual(
    [...new Set(lacking.map(({part}) => `${part}`))],
    // What a quick run leaves out: parts, and in part latency of suite pairs the second store.
    ['node event to kernel', 'footprint', 'latency', 'many links at once'],
  )
  t.regex(stdout, /^ {2}ADD, p50 +bridge +[\d.,]+ ms {2}upstream bridge +[\d.,]+ ms +[\d.]+$/m)
  t.notRegex(stdout, /targets/)
})

test('a suite that fails is told of, and the others go on', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ng-bench-'))
  t.teardown(() => rm(folder, {recursive: true}))
  const suite = async (name: (typeof SUITES)[number], text: string) => {
    const program = join(folder, `${name}.mjs`)
    await writeFile(program, text)
    return {name, program, args: []}
  }
  const figure = {part: 'p', column: 'c', name: 'n', unit: 'ms', value: 2, target: {atMost: 1}}
  const report = {suites: [{suite: 'pairs', seconds: 1, othersShare: 0.25, figures: [figure]}]}
  const suites = [
    await suite('routes', `console.error('what it does'); console.error('bench: no plugin\\nmore'); process.exit(1)`),
    await suite('cni', `process.kill(process.pid, 'SIGKILL')`),
    await suite('attach', ''),
    await suite(
      'pairs',
      `import {writeFileSync} from 'node:fs'; writeFileSync(process.argv.at(-1), '${JSON.stringify(report)}')`,
    ),
  ]
  const reports = await runSuites(suites, name => join(folder, `${name}.json`), CALM)
  t.deepEqual(
    reports.map(({suite, failed}) => `${suite}: ${failed?.replace(folder, '')}`),
    [
      'routes: no plugin',
      'cni: ended by SIGKILL',
      "attach: ENOENT: no such file or directory, open '/attach.json'",
      'pairs: undefined',
    ],
  )
  const text = formatSummary(reports)
  t.true(text.includes('ROUTES   ✗ failed: no plugin\n'))
  t.true(text.includes('PAIRS   1 s, others took 25 % of the machine\n'))
  t.true(text.endsWith('0 of 1 targets are met; missed:\n  pairs: p, c: n: 2 ms, not ≤ 1'))
})

test('after a stop no further suite begins', async t => {
  const reports = await runSuites([{name: 'cni', program: '/nowhere', args: []}], () => '/nowhere', AbortSignal.abort())
  t.deepEqual(reports, [])
})

test('headlines have what they are compared with, the ratio that is aimed at, and of several sizes the first', t => {
  const suite: SuiteReport = {
    suite: 'routes',
    seconds: 1,
    othersShare: 0,
    figures: [
      {part: 'footprint', column: 'direct 1', name: 'RSS', unit: 'MB', value: 80},
      {part: 'footprint', column: 'direct 1,000', name: 'RSS', unit: 'MB', value: 100, target: {atMost: 110}},
      {part: 'footprint', column: 'direct 5,000', name: 'RSS', unit: 'MB', value: 130},
      {part: 'facts to kernel', column: 'vxlan 1,000', name: 'netgraft, acknowledged', unit: 'ms', value: 30},
      {part: 'facts to kernel', column: 'vxlan 1,000', name: 'ip -batch and bridge -batch', unit: 'ms', value: 90},
      {
        part: 'facts to kernel',
        column: 'vxlan 1,000',
        name: 'netgraft / ip -batch',
        unit: '×',
        value: 0.34,
        target: {atMost: 0.5},
      },
    ],
  }
  t.deepEqual(
    headlineRows([suite]).map(({suite: _, what, first, unit, ...rest}) => rest),
    [
      {
        column: 'vxlan 1,000',
        value: 30,
        peer: {who: 'ip -batch', value: 90},
        ratio: 0.34,
        target: {atMost: 0.5},
        targetOf: 'ratio',
      },
      {
        column: 'direct 1,000',
        value: 100,
        target: {atMost: 110},
        targetOf: 'value',
      },
    ],
  )
})

test('a wrong command line is told in one sentence', async t => {
  for (const words of [['--only', 'all'], ['--fast'], ['routes']]) {
    const {code, stderr} = await run(process.execPath, [MAIN, ...words]).catch(error => error)
    t.is(code, 2)
    t.regex(stderr, /^bench: [^\n]+\n$/)
  }
})
