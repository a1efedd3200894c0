/** The benchmark runs. Needs root. */
import {execFile} from 'node:child_process'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test from 'ava'
import {UsageError} from '../../bench/arguments.ts'
import {readReport, type SuiteReport} from '../../bench/report.ts'
import {parseOptions} from '../../bench/routes/options.ts'
import {built} from '../agent/support/node.ts'

const run = promisify(execFile)
const MAIN = join(import.meta.dirname, '..', '..', 'bench', 'routes', 'main.ts')

test.before(built)

test('a small run measures what it is asked for', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ng-bench-'))
  t.teardown(() => rm(folder, {recursive: true, maxRetries: 5}))
  const file = join(folder, 'figures.json')
  const words = ['--only', 'facts,start', '--nodes', '20', '--repetitions', '1', '--patience', '0', '--json', file]
  const {stdout} = await run(process.execPath, [MAIN, ...words])
  t.regex(stdout, /^netgraft \/ floor, × .*≤ 1.5$/m)
  const [{figures}] = (await readReport(file)).suites as [SuiteReport]
  const value = (column: string, name: string) =>
    figures.find(each => each.column === column && each.name === name)?.value
  t.is(value('direct 20', 'changes written'), 2 * 20)
  t.is(value('vxlan 20', 'restart: changes written'), 0)
  t.deepEqual(new Set(figures.map(({column}) => column)), new Set(['direct 20', 'vxlan 20']))
})

test('a wrong command line is told in one sentence', async t => {
  t.throws(() => parseOptions(['--only', 'all'], ''), {instanceOf: UsageError, message: /^--only takes facts, /})
  t.throws(() => parseOptions(['--nodes', '1'], ''), {instanceOf: UsageError, message: /^--nodes takes whole numbers/})
  t.throws(() => parseOptions(['--fast'], ''), {instanceOf: UsageError})
  const {code} = await run(process.execPath, [MAIN, '--backend', 'none']).catch(error => error)
  t.is(code, 2)
})
