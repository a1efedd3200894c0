/** The benchmark of the CNI front runs. Needs root. */
import {execFile} from 'node:child_process'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test from 'ava'
import {UsageError} from '../../bench/arguments.ts'
import {parseOptions} from '../../bench/cni/options.ts'
import {buildRuntime, wholeTime} from '../../bench/cni/runtime.ts'
import {readReport, type SuiteReport} from '../../bench/report.ts'
import {makeSite} from '../../bench/site.ts'
import {Run} from '../../src/lab/run.ts'
import {built} from '../agent/support/node.ts'

const run = promisify(execFile)
const MAIN = join(import.meta.dirname, '..', '..', 'bench', 'cni', 'main.ts')

test.before(built)

test('a small run measures both sides, and all that there is to measure', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ng-bench-'))
  t.teardown(() => rm(folder, {recursive: true, maxRetries: 5}))
  const file = join(folder, 'figures.json')
  const words = ['--pods', '2', '--repetitions', '1', '--patience', '0', '--json', file]
  const {stdout} = await run(process.execPath, [MAIN, ...words])
  t.regex(stdout, /^ADD p50 \/ upstream bridge, × .*≤ 0.35$/m)
  const [{figures}] = (await readReport(file)).suites as [SuiteReport]
  t.deepEqual(
    [...new Set(figures.map(({part}) => part))],
    [
      'kernel alone',
      'process alone',
      'one at a time',
      '8 at once',
      'burst, 32 at once',
      'burst, all at once',
      'nodes of the cluster',
      'footprint',
      'main loop',
    ],
  )
  const serial = figures.filter(({part, name}) => part === 'one at a time' && name === 'ADD p50')
  t.deepEqual(
    serial.map(({column, samples}) => `${column}: ${samples?.length}`),
    ['bridge: 2', 'upstream bridge: 2', 'ptp: 2', 'upstream ptp: 2', 'default ptp: 2', 'default bridge: 2'],
  )
  t.true(figures.every(({value}) => Number.isFinite(value)))
})

test('the runtime gives a program its input and environment, and tells what became of it', async t => {
  const lab = await Run.start()
  t.teardown(() => lab.end())
  const [runtime, site] = [await buildRuntime(lab), await makeSite(lab)]
  const script = join(lab.folder, 'script')
  await lab.exec('sh', ['-c', `printf '#!/bin/sh\\necho $NAME; cat; exit 3\\n' > ${script}; chmod +x ${script}`])
  const jobs = ['a', 'b', 'c'].map(NAME => ({program: script, input: {said: NAME}, env: {NAME}}))
  const calls = await runtime(site, jobs, 2)
  t.deepEqual(
    calls.map(({status, output}) => [status, output]),
    ['a', 'b', 'c'].map(name => [3, `${name} {"said":"${name}"}`]),
  )
  t.true(calls.every(({at, ms, cpu}) => at >= 0 && ms > 0 && cpu > 0 && at + ms <= wholeTime(calls)))
  await t.throwsAsync(runtime(site, [{program: '/nowhere', input: {}, env: {}}], 1), {
    message: /\/nowhere: No such file/,
  })
})

test('a wrong command line is told in one sentence', t => {
  t.throws(() => parseOptions(['--only', 'all'], ''), {instanceOf: UsageError, message: /^--only takes floor, /})
  t.throws(() => parseOptions(['--pods', '0'], ''), {instanceOf: UsageError, message: /^--pods takes whole numbers/})
  t.throws(() => parseOptions(['--fast'], ''), {instanceOf: UsageError})
})
