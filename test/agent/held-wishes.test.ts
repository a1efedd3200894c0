/** Wishes that could not take the place of what works. */
import test from 'ava'
import {createHeldWishes} from '../../src/agent/held-wishes.ts'

test('a wish is held for longer after each failure, another one is not', t => {
  let now = 0
  const held = createHeldWishes(() => now)
  t.is(held.reason('a', 'x'), undefined)
  let waited = 0
  for (let round = 0; round < 8; round++) {
    held.hold('a', 'x', `reason ${round}`)
    t.is(held.reason('a', 'x'), `reason ${round}`)
    t.is(held.reason('a', 'y'), undefined)
    t.is(held.reason('b', 'x'), undefined)
    const from = now
    while (held.reason('a', 'x') !== undefined) now += 1000
    waited = now - from
  }
  t.true(waited > 200_000 && waited <= 601_000, String(waited))
  held.hold('a', 'y', 'another')
  t.is(held.reason('a', 'x'), undefined)
  held.forget('a')
  t.is(held.reason('a', 'y'), undefined)
})
