import {setImmediate as settled, setTimeout as sleep} from 'node:timers/promises'
import {setFlagsFromString} from 'node:v8'
import {runInNewContext} from 'node:vm'
import test from 'ava'
import fc from 'fast-check'
import {createSerial} from '../../src/cni/serial.ts'

test('tasks of one key run one after the other, those of others beside them', async t => {
  const serial = createSerial(10)
  const log: string[] = []
  const gate = Promise.withResolvers<void>()
  const task = (name: string, until?: Promise<void>) => async () => {
    log.push(`${name} begins`)
    await until
    log.push(`${name} ends`)
    return name
  }
  const all = [
    serial.run('x', task('x1', gate.promise)),
    serial.run('x', task('x2')),
    serial.run('y', task('y1')),
    serial.run('x', task('x3')),
  ]
  t.is(serial.size, 4)
  await all[2]
  t.deepEqual(log, ['x1 begins', 'y1 begins', 'y1 ends'])
  t.is(serial.size, 3)
  gate.resolve()
  t.deepEqual(await Promise.all(all), ['x1', 'x2', 'y1', 'x3'])
  t.deepEqual(log.slice(3), ['x1 ends', 'x2 begins', 'x2 ends', 'x3 begins', 'x3 ends'])
  t.is(serial.size, 0)
})

test('what runs beside has room of its own, and its turn among those of its key', async t => {
  const serial = createSerial(1, 2)
  const log: string[] = []
  const gate = Promise.withResolvers<void>()
  const task = (name: string, until?: Promise<void>) => async () => {
    await until
    log.push(name)
  }
  const stuck = ['x', 'y'].map(key => serial.beside(key, task(`${key} beside`, gate.promise)))
  const waiting = [serial.beside('z', task('z beside')), serial.run('x', task('x'))]
  serial.hurry('nobody')
  await serial.run('a', task('a'))
  t.deepEqual(log, ['a'])
  gate.resolve()
  await Promise.all([...stuck, ...waiting])
  t.is(log[1], 'x beside')
  t.true(log.indexOf('x') > log.indexOf('x beside'))
  t.is(serial.size, 0)
})

test('what runs beside is told when it is in the way', async t => {
  const serial = createSerial(1)
  const until = (signal: AbortSignal) =>
    new Promise<string>(resolve => signal.addEventListener('abort', () => resolve('told')))
  const beside = serial.beside('x', until)
  const other = serial.beside('y', async signal => signal.aborted)
  const next = serial.beside('x', async signal => signal.aborted)
  await settled()
  serial.hurry('x')
  t.deepEqual(await Promise.all([beside, other, next]), ['told', false, true])
  t.false(await serial.beside('x', async signal => signal.aborted))
})

test('a task that fails, at once or later, fails alone', async t => {
  const serial = createSerial(1)
  const failing = [
    serial.run('x', () => Promise.reject(new Error('later'))),
    serial.run('x', () => {
      throw new Error('at once')
    }),
  ]
  const last = serial.run('x', async () => 'done')
  t.deepEqual(
    (await Promise.allSettled(failing)).map(each => each.status === 'rejected' && each.reason.message),
    ['later', 'at once'],
  )
  t.is(await last, 'done')
  t.is(serial.size, 0)
})

test('a key that waits takes no room from others', async t => {
  const serial = createSerial(2)
  const gate = Promise.withResolvers<void>()
  const held = [1, 2, 3, 4].map(() => serial.run('x', () => gate.promise))
  t.is(await serial.run('y', async () => 'y'), 'y')
  gate.resolve()
  await Promise.all(held)
})

test('as many run as there is room for, in the order in which they were asked for', async t => {
  const serial = createSerial(3)
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const all = ['a', 'b', 'c', 'd', 'e'].map(key =>
    serial.run(key, () => {
      begun.push(key)
      return new Promise<void>(resolve => ends.set(key, resolve))
    }),
  )
  await settled()
  t.is(begun.join(''), 'abc')
  ends.get('b')!()
  await settled()
  t.is(begun.join(''), 'abcd')
  ends.get('a')!()
  await settled()
  t.is(begun.join(''), 'abcde')
  for (const end of ends.values()) end()
  await Promise.all(all)
})

test('a task may ask for another of another key', async t => {
  const serial = createSerial(2)
  t.is(await serial.run('x', () => serial.run('y', async () => 'y')), 'y')
  t.is(serial.size, 0)
})

test('property: in order by key, and never too many at once', async t => {
  const task = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    turns: fc.nat(4),
    fails: fc.boolean(),
    at: fc.nat(5),
  })
  await fc.assert(
    fc.asyncProperty(fc.integer({min: 1, max: 3}), fc.array(task, {maxLength: 30}), async (atOnce, tasks) => {
      const serial = createSerial(atOnce)
      const running = new Set<string>()
      const order = new Map<string, number[]>()
      let most = 0
      const outcomes = tasks
        .toSorted((a, b) => a.at - b.at)
        .map(async ({key, turns, fails, at}, n) => {
          for (let i = 0; i < at; i++) await undefined
          const result = serial.run(key, async () => {
            t.false(running.has(key))
            running.add(key)
            most = Math.max(most, running.size)
            order.set(key, [...(order.get(key) ?? []), n])
            for (let i = 0; i < turns; i++) await undefined
            running.delete(key)
            if (fails) throw new Error(`${n}`)
            return n
          })
          return result.then(
            got => t.false(fails || got !== n),
            error => t.true(fails && error.message === `${n}`),
          )
        })
      await Promise.all(outcomes)
      t.true(most <= atOnce)
      for (const numbers of order.values())
        t.deepEqual(
          numbers,
          numbers.toSorted((a, b) => a - b),
        )
      t.is(serial.size, 0)
    }),
  )
})

test('nothing is kept of tasks that have ended', async t => {
  const serial = createSerial(4)
  const kept: WeakRef<object>[] = []
  for (let i = 0; i < 200; i++) {
    const result = {i}
    kept.push(new WeakRef(result))
    await serial.run(`key ${i}`, async () => result)
  }
  const collect = globalThis.gc ?? exposedGc()
  await sleep(0)
  collect()
  t.true(kept.filter(ref => ref.deref() !== undefined).length < 10)
})

function exposedGc(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}
