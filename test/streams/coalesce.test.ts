import {setImmediate as tick, setTimeout as wait} from 'node:timers/promises'
import test from 'ava'
import fc from 'fast-check'
import {firstValueFrom, lastValueFrom, Subject, skipWhile, take, timeout, toArray} from 'rxjs'
import {type CoalesceOptions, coalesce} from '../../src/streams/coalesce.ts'

/** A report is the input's text, or the text of what went wrong. */
const onThrow = (error: unknown) => `failed: ${(error as Error).message}`
const failed = (report: string) => report.startsWith('failed')
const quick: Omit<CoalesceOptions<unknown, string>, 'merge'> = {
  failed,
  onThrow,
  restMs: 1,
  backoff: {baseMs: 5, jitter: 'equal'},
}

/** A run that ends when the test says so. */
function held() {
  const started: {input: string; signal: AbortSignal; end: (report: string) => void}[] = []
  const run = (input: string, signal: AbortSignal) =>
    new Promise<string>(end => {
      started.push({input, signal, end})
    })
  return {started, run}
}

test('an input runs at once, and while it runs the newest of the others waits', async t => {
  const {started, run} = held()
  const source = new Subject<string>()
  const reports: string[] = []
  source.pipe(coalesce(run, {onThrow})).subscribe(report => reports.push(report))
  for (const input of ['a', 'b', 'c']) source.next(input)
  t.deepEqual(
    started.map(s => s.input),
    ['a'],
  )
  started[0]!.end('A')
  await tick()
  started[1]!.end('C')
  await tick()
  t.deepEqual(
    started.map(s => s.input),
    ['a', 'c'],
  )
  t.deepEqual(reports, ['A', 'C'])
})

test('a failed report is retried with the newest input until it succeeds', async t => {
  const source = new Subject<string>()
  const inputs: string[] = []
  const run = (input: string) => {
    inputs.push(input)
    return inputs.length < 4 ? 'failed' : 'well'
  }
  const reports = lastValueFrom(source.pipe(coalesce(run, quick), take(4), toArray()))
  source.next('a')
  t.deepEqual(await reports, ['failed', 'failed', 'failed', 'well'])
  t.deepEqual(inputs, ['a', 'a', 'a', 'a'])
})

test('an input does not wait for a retry that is due later', async t => {
  const source = new Subject<string>()
  const run = (input: string) => (input === 'a' ? 'failed' : 'well')
  const options = {...quick, backoff: {baseMs: 60_000, capMs: 60_000, jitter: 'equal' as const}}
  const reports = lastValueFrom(source.pipe(coalesce(run, options), take(2), toArray()))
  source.next('a')
  await tick()
  source.next('b')
  t.deepEqual(await reports, ['failed', 'well'])
})

test('a run that throws becomes a report and the stream goes on', async t => {
  const source = new Subject<string>()
  const run = (input: string) => {
    if (input === 'a') throw new Error('a bug')
    return input
  }
  const reports = lastValueFrom(source.pipe(coalesce(run, quick), take(2), toArray()))
  source.next('a')
  source.next('b')
  t.deepEqual(await reports, ['failed: a bug', 'b'])
})

test('a failing run that wakes itself rests between its runs', async t => {
  const source = new Subject<string>()
  let runs = 0
  const run = () => {
    runs++
    source.next('again')
    return 'failed'
  }
  const subscription = source.pipe(coalesce(run, {...quick, restMs: 20})).subscribe()
  source.next('a')
  await wait(100)
  subscription.unsubscribe()
  t.true(runs > 1 && runs <= 6, `${runs} runs`)
})

test('inputs neither put off nor lengthen the retry', async t => {
  const source = new Subject<string>()
  let broken = true
  const run = () => (broken ? 'failed' : 'well')
  // Doubled by each of the inputs, the wait would be most of a minute.
  const backoff = {baseMs: 40, capMs: 60_000, jitter: 'equal' as const, random: () => 0.99}
  const success = firstValueFrom(source.pipe(coalesce(run, {...quick, backoff}), skipWhile(failed), timeout(10_000)))
  for (let i = 0; i < 10; i++) {
    source.next('a')
    await wait(2)
  }
  broken = false
  t.is(await success, 'well')
})

test('a waiting input may be merged with the one that replaces it', async t => {
  const {started, run} = held()
  const source = new Subject<string>()
  source.pipe(coalesce(run, {onThrow, merge: (waiting, newest) => waiting + newest})).subscribe()
  for (const input of ['a', 'b', 'c', 'd']) source.next(input)
  started[0]!.end('A')
  await tick()
  t.deepEqual(
    started.map(s => s.input),
    ['a', 'bcd'],
  )
})

test('unsubscribing aborts the run and what it reports later goes nowhere', async t => {
  const {started, run} = held()
  const source = new Subject<string>()
  const reports: string[] = []
  const subscription = source.pipe(coalesce(run, quick)).subscribe(report => reports.push(report))
  source.next('a')
  subscription.unsubscribe()
  t.true(started[0]!.signal.aborted)
  started[0]!.end('failed')
  await wait(20)
  t.is(started.length, 1)
  t.deepEqual(reports, [])
})

test('unsubscribing in the middle of a report leaves no retry behind', async t => {
  const source = new Subject<string>()
  let runs = 0
  const run = () => {
    runs++
    return 'failed'
  }
  const first = lastValueFrom(source.pipe(coalesce(run, quick), take(1)))
  source.next('a')
  await first
  await wait(30)
  t.is(runs, 1)
})

test('when the source completes, the waiting input still runs and the result completes', async t => {
  const {started, run} = held()
  const source = new Subject<string>()
  const reports = lastValueFrom(source.pipe(coalesce(run, quick), toArray()))
  source.next('a')
  source.next('b')
  source.complete()
  started[0]!.end('A')
  await tick()
  started[1]!.end('failed')
  t.deepEqual(await reports, ['A', 'failed'])
})

test('property: never two runs at once, and the last input is always run to success', async t => {
  const step = fc.record({pause: fc.integer({min: 0, max: 3}), work: fc.integer({min: 0, max: 3}), fails: fc.boolean()})
  await fc.assert(
    fc.asyncProperty(fc.array(step, {minLength: 1, maxLength: 20}), async steps => {
      const source = new Subject<number>()
      let running = 0
      const run = async (index: number) => {
        t.is(++running, 1)
        const {work, fails} = steps[index]!
        await wait(work)
        running--
        if (fails) steps[index] = {...steps[index]!, fails: false}
        return fails ? 'failed' : `${index}`
      }
      const reports: string[] = []
      const ended = new Promise<void>(resolve => {
        source.pipe(coalesce(run, quick)).subscribe(report => {
          reports.push(report)
          if (report === `${steps.length - 1}`) resolve()
        })
      })
      for (const [index, {pause}] of steps.entries()) {
        if (pause > 0) await wait(pause)
        source.next(index)
      }
      await ended
      const successes = reports.filter(report => !failed(report)).map(Number)
      t.deepEqual(
        successes,
        successes.toSorted((a, b) => a - b),
      )
    }),
    {numRuns: 30},
  )
})

test('after a success another run is due when it says so, unless an input comes first', async t => {
  const source = new Subject<string>()
  const inputs: string[] = []
  const run = (input: string) => {
    inputs.push(input)
    return 'well'
  }
  const again = () => (inputs.length < 3 ? 10 : undefined)
  const done = lastValueFrom(source.pipe(coalesce(run, {...quick, again}), take(3), toArray()))
  source.next('a')
  await tick()
  source.next('b')
  await done
  t.deepEqual(inputs, ['a', 'b', 'b'])
})

test('a success can ask for a rest: what comes meanwhile waits, and is one run', async t => {
  const source = new Subject<string>()
  const runs: {input: string; at: number}[] = []
  const run = (input: string) => {
    runs.push({input, at: performance.now()})
    return 'well'
  }
  const done = lastValueFrom(source.pipe(coalesce(run, {...quick, rest: () => 40}), take(2), toArray()))
  source.next('a')
  await tick()
  for (const input of ['b', 'c', 'd']) source.next(input)
  await done
  t.deepEqual(
    runs.map(({input}) => input),
    ['a', 'd'],
  )
  t.true(runs[1]!.at - runs[0]!.at >= 30)
})
