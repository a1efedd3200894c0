import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import {limitRepeats, type RepeatOptions} from '../../src/observe/repeats.ts'

function limiter(options: RepeatOptions) {
  const told: string[] = []
  const repeats = limitRepeats<string>((last, count) => told.push(`${last} ${count}`), options)
  /** How many of `times` occurrences passed. */
  const say = (key: string, times: number): number => {
    let passed = 0
    for (let i = 1; i <= times; i++) if (repeats.pass(key, `${key}${i}`)) passed++
    return passed
  }
  return {repeats, told, say}
}

test('up to the limit all pass and nothing is told', async t => {
  const {repeats, told, say} = limiter({window: 50, limit: 3})
  t.is(say('a', 3), 3)
  t.is(say('b', 2), 2)
  await sleep(200)
  repeats.close()
  t.deepEqual(told, [])
})

test('the rest is told once per window, each key for itself, the newest occurrence with it', async t => {
  const {repeats, told, say} = limiter({window: 50, limit: 3})
  t.is(say('a', 10), 3)
  t.is(say('b', 5), 3)
  await sleep(200)
  t.deepEqual(told, ['a10 7', 'b5 2'])
  t.is(say('a', 4), 3)
  await sleep(200)
  t.deepEqual(told, ['a10 7', 'b5 2', 'a4 1'])
  repeats.close()
})

test('a window that is over ends with the next occurrence, even while the loop is busy', t => {
  const {repeats, told, say} = limiter({window: 20, limit: 1})
  say('a', 3)
  for (const until = performance.now() + 25; performance.now() < until; );
  t.is(say('a', 1), 1)
  t.deepEqual(told, ['a3 2'])
  repeats.close()
})

test('no more keys than allowed are remembered: the oldest is told and forgotten', t => {
  const {repeats, told, say} = limiter({limit: 1, keys: 2})
  say('a', 3)
  say('b', 1)
  say('c', 2)
  t.deepEqual(told, ['a3 2'])
  t.is(say('a', 1), 1)
  t.deepEqual(told, ['a3 2'])
  repeats.close()
  t.deepEqual(told, ['a3 2', 'c2 1'])
})
