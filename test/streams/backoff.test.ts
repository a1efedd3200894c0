import test from 'ava'
import {Backoff} from '../../src/streams/backoff.ts'

const take = (backoff: Backoff, count: number) => Array.from({length: count}, () => backoff.next())

test('the bound doubles up to the cap and stays there', t => {
  const backoff = new Backoff({baseMs: 100, capMs: 1000, random: () => 0.5})
  t.deepEqual(take(backoff, 6), [50, 100, 200, 400, 500, 500])
})

test('full jitter may be zero, equal jitter is at least half the bound', t => {
  t.deepEqual(take(new Backoff({baseMs: 100, random: () => 0}), 2), [0, 0])
  t.deepEqual(take(new Backoff({baseMs: 100, jitter: 'equal', random: () => 0}), 2), [50, 100])
})

test('a success makes the next wait short again', t => {
  const backoff = new Backoff({baseMs: 100, random: () => 0.5})
  take(backoff, 20)
  backoff.reset()
  t.is(backoff.next(), 50)
})

test('the cap bounds the base, and the default never exceeds 30 seconds', t => {
  t.is(new Backoff({baseMs: 100, capMs: 10, random: () => 0.5}).next(), 5)
  t.true(take(new Backoff(), 100).every(ms => ms >= 0 && ms <= 30_000))
})
