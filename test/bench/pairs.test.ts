/** The benchmark of pairs runs. Needs root. */
import {execFile} from 'node:child_process'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test from 'ava'
import {UsageError} from '../../bench/arguments.ts'
import {parseOptions} from '../../bench/pairs/options.ts'
import {between, rings, wishesOf} from '../../bench/pairs/wishes.ts'
import {readReport, type SuiteReport} from '../../bench/report.ts'
import {built} from '../agent/support/node.ts'

const run = promisify(execFile)
const MAIN = join(import.meta.dirname, '..', '..', 'bench', 'pairs', 'main.ts')

test.before(built)

test('a small run measures every part, with both stores, and leaves nothing behind', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ng-bench-'))
  t.teardown(() => rm(folder, {recursive: true, maxRetries: 5}))
  const file = join(folder, 'figures.json')
  const {stdout} = await run(process.execPath, [MAIN, '--quick', '--edits', '2', '--json', file])
  t.regex(stdout, /^both annotations PATCHed → up, p50, ms .*≤ 10$/m)
  const [{figures}] = (await readReport(file)).suites as [SuiteReport]
  t.deepEqual(
    Object.entries(Object.groupBy(figures, ({part}) => part)).map(
      ([part, all]) => `${part}: ${[...new Set(all!.map(({column}) => column))].join('; ')}`,
    ),
    [
      'VNIs, 10 nodes: 200 cycles, kubernetes; 200 cycles, etcd',
      'latency: same node, kubernetes; two nodes, kubernetes; same node, etcd; two nodes, etcd',
      'many links at once: 12 ends, one node, kubernetes; 12 ends, two nodes, kubernetes; 12 ends, one node, etcd; 12 ends, two nodes, etcd',
      'pods that move: 4 × veth → vxlan, kubernetes; 4 × vxlan → veth, kubernetes; 4 × veth → vxlan, etcd; 4 × vxlan → veth, etcd',
      'traffic, veth: agent; by hand',
      'traffic, vxlan: agent; by hand',
    ],
  )
  t.deepEqual(
    figures.filter(({name, value}) => /left behind|with one VNI/.test(name) && value !== 0),
    [],
  )
  t.true(figures.every(({value}) => Number.isFinite(value)))
  t.true(figures.filter(({name}) => name.includes('→ up')).every(({value}) => value > 0))
})

test('both pods of a pair say the same of it', t => {
  const {annotations, ends} = wishesOf(['a', 'b', 'c'], [[0, 1]])
  t.deepEqual(annotations, [
    '[{"peer":"b","interface":"p0","peerInterface":"p0","ips":["10.96.0.1/30"]}]',
    '[{"peer":"a","interface":"p0","peerInterface":"p0","ips":["10.96.0.2/30"]}]',
    '',
  ])
  t.deepEqual(ends, [
    {pod: 0, interface: 'p0'},
    {pod: 1, interface: 'p0'},
  ])
})

test('fifty pods have a thousand ends, each of an even and an odd one, and no two pairs are of the same two pods', t => {
  const pairings = rings(50)
  t.is(pairings.length, 500)
  t.true(pairings.every(([a, b]) => a % 2 !== b % 2))
  t.is(new Set(pairings.map(([a, b]) => `${Math.min(a, b)} ${Math.max(a, b)}`)).size, 500)
  const {ends} = wishesOf(
    Array.from({length: 50}, (_, n) => `pod-${n}`),
    pairings,
  )
  t.true(Array.from({length: 50}, (_, n) => ends.filter(({pod}) => pod === n).length).every(count => count === 20))
  t.deepEqual(between(2, 2), [
    [0, 2],
    [0, 3],
    [1, 2],
    [1, 3],
  ])
})

test('a wrong command line is told in one sentence', t => {
  t.throws(() => parseOptions(['--only', 'all'], ''), {instanceOf: UsageError, message: /^--only takes latency, /})
  t.throws(() => parseOptions(['--store', 'memory'], ''), {instanceOf: UsageError, message: /^--store takes kubern/})
  t.throws(() => parseOptions(['--pods', '5'], ''), {instanceOf: UsageError, message: /^--pods takes whole numbers/})
  t.throws(() => parseOptions(['--fast'], ''), {instanceOf: UsageError})
  t.is(parseOptions(['--quick', '--pods', '8'], '').pods, 8)
})
