/** The benchmark of attachments runs. Needs root. */
import {execFile} from 'node:child_process'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test from 'ava'
import {UsageError} from '../../bench/arguments.ts'
import {parseOptions} from '../../bench/attach/options.ts'
import {hasWhatIsAsked} from '../../bench/attach/states.ts'
import {Watch} from '../../bench/attach/watch.ts'
import {makeSandboxes} from '../../bench/cni/sandboxes.ts'
import {readReport, type SuiteReport} from '../../bench/report.ts'
import {Run} from '../../src/lab/run.ts'
import {built} from '../agent/support/node.ts'

const run = promisify(execFile)
const MAIN = join(import.meta.dirname, '..', '..', 'bench', 'attach', 'main.ts')

test.before(built)

test('a small run measures both sides, and loses no edit', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ng-bench-'))
  t.teardown(() => rm(folder, {recursive: true, maxRetries: 5}))
  const file = join(folder, 'figures.json')
  const small = ['--pods', '2', '--edits', '2', '--seconds', '1', '--repetitions', '1', '--patience', '0']
  const {stdout} = await run(process.execPath, [MAIN, ...small, '--json', file])
  t.regex(stdout, /^ADD p50 \/ direct calls, × .*≤ 0.4$/m)
  const [{figures}] = (await readReport(file)).suites as [SuiteReport]
  t.deepEqual(
    [...new Set(figures.map(({part}) => part))],
    [
      'pod start, 0 further networks',
      'pod start, 2 further networks',
      'pod start, 8 further networks',
      'hot, 1 pod',
      'hot, 2 pods at once',
      'hot, where the time goes',
      'storm',
    ],
  )
  const adds = figures.filter(({part, name}) => part === 'pod start, 2 further networks' && name === 'ADD p50')
  t.deepEqual(
    adds.map(({column, samples}) => `${column}: ${samples?.length}`),
    ['netgraft: 2', 'direct calls: 2'],
  )
  t.deepEqual(
    figures.filter(({name}) => name === 'lost edits' || name === 'wrong final states').map(({value}) => value),
    [0, 0],
  )
  t.true(figures.every(({value}) => Number.isFinite(value)))
})

test('the watch sees an interface once it is up and has its address, and its end', async t => {
  const lab = await Run.start()
  t.teardown(() => lab.end())
  const sandboxes = await makeSandboxes(lab, 2)
  const watch = await Watch.start(lab, sandboxes)
  const ip = (words: string) => lab.exec('ip', ['-n', sandboxes[1]!.split('/').at(-1)!, ...words.split(' ')])
  const there = watch.expect(sandboxes[1]!, 'x0', 'there')
  const before = performance.now()
  await ip('link add x0 type veth peer name y0')
  await ip('link set y0 up')
  await ip('addr add 192.0.2.1/24 dev x0')
  const addressed = performance.now()
  await ip('link set x0 up')
  const after = performance.now()
  const seen = await there
  t.true(before <= seen.first && seen.first <= addressed)
  t.true(addressed <= seen.done && seen.done <= after)
  const gone = watch.expect(sandboxes[1]!, 'x0', 'gone')
  await ip('link del y0')
  t.true((await gone).done >= after)
  await watch.stop()
})

test('a pod is right with what it asks for, and nothing else', t => {
  const a0 = {name: 'a0', up: true, addresses: ['10.110.0.2']}
  t.true(hasWhatIsAsked([], ''))
  t.true(hasWhatIsAsked([a0], 'n0@a0'))
  t.false(hasWhatIsAsked([a0], ''))
  t.false(hasWhatIsAsked([], 'n0@a0'))
  t.false(hasWhatIsAsked([a0], 'n1@a0'))
  t.false(hasWhatIsAsked([a0], 'n0@a0,n1@a1'))
  t.false(hasWhatIsAsked([{...a0, up: false}], 'n0@a0'))
  t.false(hasWhatIsAsked([{...a0, addresses: []}], 'n0@a0'))
})

test('a wrong command line is told in one sentence', t => {
  t.throws(() => parseOptions(['--only', 'all'], ''), {instanceOf: UsageError, message: /^--only takes start, /})
  t.throws(() => parseOptions(['--pods', '0'], ''), {instanceOf: UsageError, message: /^--pods takes whole numbers/})
  t.throws(() => parseOptions(['--fast'], ''), {instanceOf: UsageError})
})
