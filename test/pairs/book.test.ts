/** Kept up to date, or computed from nothing: the same. */
import test from 'ava'
import fc from 'fast-check'
import type {Endpoint, PodKey} from '../../src/model/pair.ts'
import {createPairBook} from '../../src/pairs/book.ts'
import {matchPairs} from '../../src/pairs/pairs.ts'
import {endpoint} from './arbitraries.ts'
import {endpoints, formatPairs, formatProblems, rules} from './support.ts'

const RULES = rules('d>e')

test('the same as of all pods at once, and what is touched is told', t => {
  const change = fc.tuple(
    endpoint,
    fc.nat(3).map(n => n === 0),
  )
  const property = fc.property(fc.array(fc.array(change, {minLength: 1, maxLength: 6}), {maxLength: 12}), passes => {
    const book = createPairBook(RULES)
    const all = new Map<PodKey, Endpoint>()
    for (const changes of passes) {
      const before = {pairs: new Map(book.pairs), problems: new Map(book.problems)}
      const given = new Map(changes.map(([[key, each], gone]) => [key, gone ? undefined : each] as const))
      for (const [key, each] of given)
        if (each) all.set(key, each)
        else all.delete(key)
      const touched = book.update(given)
      const {pairs, problems} = matchPairs(all, RULES)
      t.deepEqual(new Map([...book.pairs].sort(([a], [b]) => (a < b ? -1 : 1))), new Map(pairs))
      t.is(formatProblems(book.problems), formatProblems(problems))
      for (const key of new Set([...before.pairs.keys(), ...pairs.keys()]))
        if (before.pairs.get(key) !== book.pairs.get(key)) t.true(touched.pairs.has(key))
      for (const pod of new Set([...before.problems.keys(), ...problems.keys()]))
        if (before.problems.get(pod) !== book.problems.get(pod)) t.true(touched.pods.has(pod))
    }
  })
  fc.assert(property, {numRuns: 500})
})

test('nothing stays of pods that have gone', t => {
  const book = createPairBook(RULES)
  const all = endpoints('a: in1>b', 'b: in1>c', 'c: in1>b')
  book.update(all)
  t.is(formatPairs(book.pairs), 'd/b:in1 -- d/c:in1')
  t.deepEqual([...book.problems.keys()].sort(), ['d/a', 'd/b'])
  book.update([['d/c', undefined]])
  t.is(formatPairs(book.pairs), 'd/b:in1 -- d/c:in1')
  book.update([...all.keys()].map(key => [key, undefined]))
  t.is(book.pairs.size + book.problems.size, 0)
})

test('what has nothing to do with a change is left alone', t => {
  const book = createPairBook(RULES)
  book.update(endpoints('a: in1>b', 'b', 'x: in1>y', 'y'))
  const [, far] = [...book.pairs.values()]
  const touched = book.update(endpoints('a: in1>b mtu=1400'))
  t.deepEqual([...touched.pairs], ['d/a.in1.b.in1'])
  t.is(
    [...book.pairs.values()].find(pair => pair.key === far!.key),
    far,
  )
})
