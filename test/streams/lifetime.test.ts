import test from 'ava'
import {interval, lastValueFrom, takeUntil, toArray} from 'rxjs'
import {aborted$, sleep} from '../../src/streams/lifetime.ts'

test('a sleep ends early when the signal aborts', async t => {
  const controller = new AbortController()
  const slept = sleep(60_000, controller.signal)
  controller.abort()
  await slept
  await sleep(60_000, controller.signal)
  t.pass()
})

test('a sleep ends on time and leaves no listener on the signal', async t => {
  const {signal} = new AbortController()
  let listeners = 0
  const {addEventListener, removeEventListener} = signal
  signal.addEventListener = (...a: Parameters<typeof addEventListener>) => {
    listeners++
    addEventListener.apply(signal, a)
  }
  signal.removeEventListener = (...a: Parameters<typeof removeEventListener>) => {
    listeners--
    removeEventListener.apply(signal, a)
  }
  await sleep(1, signal)
  t.is(listeners, 0)
})

test('aborted$ ends a stream, also when the signal aborted earlier', async t => {
  const controller = new AbortController()
  const values = lastValueFrom(interval(1).pipe(takeUntil(aborted$(controller.signal)), toArray()))
  setTimeout(() => controller.abort(), 20)
  t.true((await values).length > 0)
  t.deepEqual(await lastValueFrom(interval(1).pipe(takeUntil(aborted$(controller.signal)), toArray())), [])
})
