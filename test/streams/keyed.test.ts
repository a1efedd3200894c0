import {setImmediate as tick, setTimeout as wait} from 'node:timers/promises'
import test from 'ava'
import fc from 'fast-check'
import {Subject} from 'rxjs'
import {coalesceByKey} from '../../src/streams/keyed.ts'

interface Report {
  readonly key: string
  readonly end: 'done' | 'over' | 'failed'
}

const options = {
  failed: ({end}: Report) => end === 'failed',
  over: ({end}: Report) => end === 'over',
  onThrow: (error: unknown): Report => ({key: (error as Error).message, end: 'failed'}),
  backoff: {baseMs: 2, jitter: 'equal'},
  restMs: 1,
} as const

/** Runs that end when the test says so. */
function held() {
  const started: {key: string; end: (end: Report['end']) => Promise<void>}[] = []
  const run = (key: string) =>
    new Promise<Report>(resolve => {
      const end = async (end: Report['end']) => {
        resolve({key, end})
        await tick()
      }
      started.push({key, end})
    })
  const source = new Subject<string>()
  const reports: string[] = []
  const subscription = source.pipe(coalesceByKey(run, options)).subscribe(({key, end}) => reports.push(`${key} ${end}`))
  return {source, started, reports, subscription, keys: () => started.map(({key}) => key).join(' ')}
}

test('keys do not wait for each other, and of one there is one run at a time', async t => {
  const {source, started, reports, keys} = held()
  for (const key of ['a', 'b', 'a', 'a', 'b']) source.next(key)
  t.is(keys(), 'a b')
  await started[1]!.end('done')
  t.is(keys(), 'a b b')
  await started[0]!.end('done')
  t.is(keys(), 'a b b a')
  t.deepEqual(reports, ['b done', 'a done'])
})

test('one that fails is tried again; the others do not notice', async t => {
  const {source, started, keys} = held()
  source.next('a')
  source.next('b')
  await started[0]!.end('failed')
  while (started.length < 3) await wait(1)
  t.is(keys(), 'a b a')
  await started[2]!.end('failed')
  while (started.length < 4) await wait(1)
  t.is(keys(), 'a b a a')
})

test('one that is over begins anew when it is heard of again', async t => {
  const {source, started, keys, reports} = held()
  source.next('a')
  await started[0]!.end('over')
  source.next('a')
  t.is(keys(), 'a a')
  await started[1]!.end('failed')
  while (started.length < 3) await wait(1)
  await started[2]!.end('done')
  t.deepEqual(reports, ['a over', 'a failed', 'a done'])
})

test('one that is heard of while it turns out to be over is not over', async t => {
  const {source, started, keys, reports} = held()
  source.next('a')
  source.next('a')
  await started[0]!.end('over')
  t.is(keys(), 'a a')
  source.next('a')
  t.is(keys(), 'a a', 'two runs of one key at a time')
  await started[1]!.end('failed')
  while (started.length < 3) await wait(1)
  await started[2]!.end('failed')
  while (started.length < 4) await wait(1)
  await started[3]!.end('over')
  t.deepEqual(reports, ['a over', 'a failed', 'a failed', 'a over'])
})

test('each subscription is one of its own, and its end aborts what runs', async t => {
  const signals: AbortSignal[] = []
  const source = new Subject<string>()
  const keyed$ = source.pipe(
    coalesceByKey((key, signal) => {
      signals.push(signal)
      return new Promise<Report>(() => key)
    }, options),
  )
  const [one, two] = [keyed$.subscribe(), keyed$.subscribe()]
  source.next('a')
  source.next('b')
  t.is(signals.length, 4)
  one.unsubscribe()
  t.deepEqual(
    signals.map(({aborted}) => aborted),
    [true, false, true, false],
  )
  two.unsubscribe()
})

const step = fc.record({
  key: fc.constantFrom('a', 'b', 'c'),
  ends: fc.array(fc.constantFrom('done', 'over', 'failed'), {maxLength: 3}),
  lasts: fc.boolean(),
})

test('whatever happens: never two runs of a key, and a run after the last word of each', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, {maxLength: 20}), async steps => {
      const source = new Subject<string>()
      const state = new Map(
        ['a', 'b', 'c'].map(key => [key, {running: 0, said: 0, seen: 0, ends: [] as string[], settled: true}]),
      )
      let twice = false
      const run = async (key: string): Promise<Report> => {
        const own = state.get(key)!
        if (++own.running > 1) twice = true
        const {said} = own
        await tick()
        own.running--
        const end = (own.ends.shift() ?? 'done') as Report['end']
        if (end !== 'failed') own.seen = said
        return {key, end}
      }
      const subscription = source.pipe(coalesceByKey(run, {...options, restMs: 0, backoff: {baseMs: 1}})).subscribe()
      for (const {key, ends, lasts} of steps) {
        const own = state.get(key)!
        own.said++
        own.ends.push(...ends)
        source.next(key)
        if (lasts) await tick()
      }
      const isDue = () => [...state.values()].some(({said, seen}) => seen < said)
      for (let i = 0; i < 2000 && isDue(); i++) await wait(1)
      subscription.unsubscribe()
      return !twice && !isDue()
    }),
    {numRuns: 60},
  )
  t.pass()
})
