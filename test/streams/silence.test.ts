import {setTimeout as wait} from 'node:timers/promises'
import test from 'ava'
import {Silence, untilSilent} from '../../src/streams/silence.ts'

async function* bring(signal: AbortSignal, ...pauses: number[]): AsyncGenerator<number> {
  for (const [index, ms] of pauses.entries()) {
    await wait(ms, undefined, {signal})
    yield index
  }
}

const collect = async <T>(values: AsyncIterable<T>, taken: T[] = []) => {
  for await (const value of values) taken.push(value)
  return taken
}

test('passes on what comes in time, and ends with it', async t => {
  const values = untilSilent(
    signal => bring(signal, 5, 5, 5),
    () => 1000,
    new AbortController().signal,
  )
  t.deepEqual(await collect(values), [0, 1, 2])
})

test('throws Silence and aborts what it opened', async t => {
  let opened: AbortSignal | undefined
  const taken: number[] = []
  const open = (signal: AbortSignal) => {
    opened = signal
    return bring(signal, 1, 60_000)
  }
  await t.throwsAsync(
    collect(
      untilSilent(open, () => 20, new AbortController().signal),
      taken,
    ),
    {instanceOf: Silence},
  )
  t.deepEqual(taken, [0])
  t.true(opened?.aborted)
})

test('the consumer may take its time', async t => {
  const values = untilSilent(
    signal => bring(signal, 1, 1),
    () => 20,
    new AbortController().signal,
  )
  const taken: number[] = []
  for await (const value of values) {
    taken.push(value)
    await wait(50)
  }
  t.deepEqual(taken, [0, 1])
})

test("throws the signal's reason when that aborts, also if the source just ends then", async t => {
  const controller = new AbortController()
  const open = async function* (signal: AbortSignal): AsyncGenerator<number> {
    await new Promise(resolve => signal.addEventListener('abort', resolve))
  }
  const collected = collect(untilSilent(open, () => 60_000, controller.signal))
  controller.abort(new Error('over'))
  await t.throwsAsync(collected, {message: 'over'})
})
