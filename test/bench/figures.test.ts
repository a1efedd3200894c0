import test from 'ava'
import {LoopProbe} from '../../bench/loop-probe.ts'
import {formatValue, Results} from '../../bench/results.ts'
import {median, percentile} from '../../bench/statistics.ts'
import {formatTables} from '../../bench/table.ts'

test('a percentile is a value that was measured, a median may lie between two', t => {
  const hundred = Array.from({length: 100}, (_, i) => 100 - i)
  t.is(percentile(hundred, 0.99), 99)
  t.is(percentile(hundred, 0.5), 50)
  t.is(percentile(hundred, 0), 1)
  t.is(percentile([7], 0.99), 7)
  t.is(median(hundred), 50.5)
  t.is(median([3, 1, 2]), 2)
  t.throws(() => median([]), {instanceOf: RangeError})
})

test('values are shown with three digits that matter', t => {
  t.deepEqual([0, 0.1234, 5, 12.34, 123.4, 1234.5].map(formatValue), ['0', '0.12', '5', '12.3', '123', '1,235'])
})

test('a table has a row per figure, a column per case, and marks what misses its target', t => {
  const results = new Results()
  const latency = {name: 'p99', unit: 'ms', target: {atMost: 10}}
  results.add('latency', 'direct', latency, 9.5)
  results.add('latency', 'vxlan', latency, 12)
  results.add('latency', 'vxlan', {name: 'changes', unit: ''}, 3)
  results.add('ratio', 'direct', {name: 'faster', unit: '×', target: {atLeast: 2}}, 1.5)
  const want = [
    'latency   direct   vxlan   target',
    'p99, ms   9.50 ✓    12 ✗     ≤ 10',
    'changes                3',
    '',
    'ratio       direct   target',
    'faster, ×   1.50 ✗      ≥ 2',
    '',
  ]
  t.is(formatTables(results), want.join('\n'))
  t.deepEqual(
    results.missed.map(({part, column}) => `${part} ${column}`),
    ['latency vxlan', 'ratio direct'],
  )
})

test('the probe sees what holds the loop up', async t => {
  const probe = new LoopProbe()
  await new Promise(resolve => setTimeout(resolve, 20))
  const until = performance.now() + 30
  while (performance.now() < until);
  await new Promise(resolve => setTimeout(resolve, 20))
  const late = probe.stop().map(turn => turn.late)
  t.true(Math.max(...late) >= 20)
})
