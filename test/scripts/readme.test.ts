import {mkdir, mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test from 'ava'
import {fileFor, newestKept, type Report, type SuiteReport, writeReport} from '../../bench/report.ts'
import {figures, files, stale} from '../../scripts/readme.ts'

const OCCASION = {
  commit: 'abc1234',
  node: 'v24.0.0',
  machine: {cores: 2, processor: 'Model', memory: 8123, kernel: '6.12.0', distribution: 'Debian GNU/Linux 13 (trixie)'},
}

/** Of suite cni, with one figure of ours and one of theirs. */
const cni = (ours: number): SuiteReport => ({
  suite: 'cni',
  seconds: 300,
  othersShare: 0.034,
  figures: [
    {part: 'one at a time', column: 'bridge', name: 'ADD p50', unit: 'ms', value: ours},
    {part: 'one at a time', column: 'upstream bridge', name: 'ADD p50', unit: 'ms', value: 12},
    {
      part: 'one at a time',
      column: 'bridge',
      name: 'ADD p50 / upstream bridge',
      unit: '×',
      value: ours / 12,
      target: {atMost: 0.35},
    },
  ],
})

const routes: SuiteReport = {
  suite: 'routes',
  seconds: 10,
  othersShare: 0.5,
  figures: [{part: 'start', column: 'direct 1,000', name: 'restart: changes written', unit: '', value: 0}],
}

test('README.md and docs/comparison.md have the figures that are kept: else run "node scripts/readme.ts"', async t => {
  t.deepEqual(await stale(), [])
})

test("of each suite the newest figures count; quick runs' and those of a suite that failed do not", async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ng-readme-'))
  t.teardown(() => rm(folder, {recursive: true}))
  const write = (name: string, report: Pick<Report, 'at' | 'suites' | 'quick'>) =>
    writeReport(join(folder, name), {...OCCASION, ...report})
  await write('2026-01-02.json', {at: '2026-01-02T00:00:00Z', suites: [routes, cni(6)]})
  await write('2026-01-03.json', {at: '2026-01-03T00:00:00Z', suites: [cni(3)]})
  const failed = {suite: 'cni', seconds: 1, othersShare: 0, failed: 'no plugin', figures: []} as const
  await write('2026-01-04.json', {at: '2026-01-04T00:00:00Z', suites: [failed]})
  await write('2026-01-05.json', {at: '2026-01-05T00:00:00Z', quick: true, suites: [cni(1)]})
  await write('cni.json', {at: '2026-01-06T00:00:00Z', suites: [cni(2)]})
  const kept = await newestKept(folder)
  t.is(
    figures(kept, 'all'),
    `Measured on 2026-01-02 (routes): 2 × Model, 8.1 GB, kernel 6.12.0, Debian GNU/Linux 13 (trixie), Node v24.0.0, commit
abc1234; other programs took at most 50 % of it meanwhile.

Measured on 2026-01-03 (cni): 2 × Model, 8.1 GB, kernel 6.12.0, Debian GNU/Linux 13 (trixie), Node v24.0.0, commit
abc1234; other programs took at most 3 % of it meanwhile.

|  | of | Netgraft | peer | Netgraft / peer | target |
| --- | --- | --: | --- | --: | --: |
| routes written by a restart | direct 1,000 | 0 |  |  |  |
| ADD, p50 | bridge | 3 ms | upstream bridge: 12 ms | 0.25 | ≤ 0.35 ✓ |`,
  )
  t.false(figures(kept, 'some').includes('restart'))
  const {'README.md': readme} = await files(folder)
  t.true(readme?.includes('| ADD, p50 | bridge | 3 ms | upstream bridge: 12 ms | 0.25 |\n'))
  t.deepEqual(await stale(folder), ['README.md', 'docs/comparison.md'])
})

test('a second run of a day does not take the place of the first', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ng-readme-'))
  t.teardown(() => rm(folder, {recursive: true}))
  const results = join(folder, 'results')
  const at = '2026-01-02T10:00:00Z'
  t.is(await fileFor(at, results), join(results, '2026-01-02.json'))
  await mkdir(results)
  for (const name of ['2026-01-02.json', '2026-01-02-2.json']) {
    t.is(await fileFor(at, results), join(results, name))
    await writeReport(join(results, name), {...OCCASION, at, suites: []})
  }
  t.is(await fileFor(at, results), join(results, '2026-01-02-3.json'))
})
