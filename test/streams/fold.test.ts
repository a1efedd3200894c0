import test from 'ava'
import {Fold} from '../../src/streams/fold.ts'

const object = (name: string, value: number, namespace?: string) => ({metadata: {name, namespace}, value})
const make = () => new Fold<number>({project: o => (o as {value: number}).value}, () => {})
const numbered = (from: number, to: number) =>
  new Map(Array.from({length: to - from}, (_, i) => [`n${from + i}`, from + i]))

test('objects are known by namespace and name', t => {
  const fold = make()
  fold.put(object('a', 1))
  fold.put(object('a', 2, 'x'))
  fold.put(object('a', 3, 'y'))
  fold.remove(object('a', 0, 'x'))
  t.deepEqual(
    [...fold.items],
    [
      ['a', 1],
      ['y/a', 3],
    ],
  )
})

test('tells whether anything changed', t => {
  const fold = make()
  t.true(fold.put(object('a', 1)))
  t.false(fold.put(object('a', 1)))
  t.true(fold.put(object('a', 2)))
  t.true(fold.remove(object('a', 2)))
  t.false(fold.remove(object('a', 2)))
  t.deepEqual(fold.adopt(new Map([['a', 1]])), {changed: true, held: 0})
  t.deepEqual(fold.adopt(new Map([['a', 1]])), {changed: false, held: 0})
  t.deepEqual(fold.adopt(new Map()), {changed: true, held: 0})
})

test('of ten items six may not vanish at once, five may; of nine, all', t => {
  const vanish = (of: number, left: number) => {
    const fold = make()
    fold.adopt(numbered(0, of))
    return fold.adopt(numbered(0, left))
  }
  t.deepEqual(vanish(10, 4), {changed: false, held: 6})
  t.deepEqual(vanish(10, 5), {changed: true, held: 0})
  t.deepEqual(vanish(9, 0), {changed: true, held: 0})
})

test('a second list confirms item by item; what is missing for the first time then is judged by itself', t => {
  const fold = make()
  fold.adopt(numbered(0, 20))
  t.deepEqual(fold.adopt(numbered(0, 8)), {changed: false, held: 12})
  t.deepEqual(fold.adopt(numbered(1, 9)), {changed: true, held: 0})
  t.deepEqual([...fold.items.keys()], [...numbered(1, 9).keys()])
})

test('a second list that lacks most of the others holds those', t => {
  const fold = make()
  fold.adopt(numbered(0, 30))
  t.deepEqual(fold.adopt(numbered(14, 30)), {changed: true, held: 0})
  t.deepEqual(fold.adopt(numbered(30, 50)), {changed: true, held: 16})
  t.is(fold.items.size, 36)
  t.deepEqual(fold.adopt(numbered(50, 51)), {changed: true, held: 20})
  t.deepEqual(fold.adopt(numbered(50, 51)), {changed: true, held: 0})
  t.deepEqual([...fold.items.keys()], ['n50'])
})
