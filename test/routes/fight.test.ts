import test from 'ava'
import {Fight} from '../../src/routes/fight.ts'

test('repairs in their hundreds are no fight, in endless succession they are', t => {
  const fight = new Fight()
  for (let i = 0; i < 450; i++) fight.note(3)
  t.is(fight.restMs, 0)
  t.deepEqual(fight.problems, [])
  for (let i = 0; i < 100; i++) fight.note(1)
  t.true(fight.restMs > 0)
  t.regex(fight.problems.map(({message}) => message).join(), /^somebody on this node removes or changes what is ours/)
})

test('passes without a repair are forgotten', t => {
  const fight = new Fight()
  for (let i = 0; i < 10_000; i++) fight.note(0)
  t.is(fight.restMs, 0)
})
