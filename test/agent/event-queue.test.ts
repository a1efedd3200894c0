/** Which Events of a pod are sent, and which are left out. */
import test from 'ava'
import {createEventQueue} from '../../src/agent/event-queue.ts'
import {ApiError} from '../../src/streams/list-watch.ts'

/** Numbered, for a queue whose clock the test moves. */
function start() {
  let ms = 0
  let n = 0
  const queue = createEventQueue(() => ms)
  const sent: string[] = []
  const ids: string[] = []
  const refused: (number | undefined)[] = []
  return {
    sent,
    ids,
    refused,
    pass: (seconds: number) => {
      ms += seconds * 1000
    },
    add: (count: number) => {
      for (let i = 0; i < count; i++) queue.add([{type: 'Normal', reason: 'Attached', message: `${(n += 1)}`}])
    },
    /** `statuses`: with which the next posts fail. 0: the connection breaks. */
    send: (...statuses: readonly (number | undefined)[]) => {
      const left = [...statuses]
      return queue.send({
        post: async ({message}, id) => {
          const status = left.shift()
          if (status === 0) throw new ApiError('EUNREACHABLE', 'broken')
          ids.push(id)
          if (status !== undefined) throw new ApiError('ESTATUS', 'refused', {status})
          sent.push(message)
        },
        refused: ({status}) => refused.push(status),
      })
    },
  }
}

test('a pod has its share: 25 at once, then one in 10 s; the others are counted', async t => {
  const {add, pass, send, sent} = start()
  add(40)
  await send()
  t.deepEqual(
    sent,
    Array.from({length: 25}, (_, i) => `${i + 1}`),
  )
  pass(9)
  add(1)
  pass(1)
  add(2)
  await send()
  t.deepEqual(sent.slice(25), ['42 (Events left out before this one: 16)'])
  pass(10)
  add(1)
  pass(100_000)
  add(30)
  await send()
  t.is(sent.length, 25 + 1 + 1 + 25)
  t.deepEqual(sent.slice(26, 28), ['44 (Events left out before this one: 1)', '45'])
})

test('what is not kept any more is counted, too', async t => {
  const {add, pass, send, sent} = start()
  for (let i = 0; i < 60; i++) {
    add(1)
    pass(10)
  }
  await send()
  t.is(sent.length, 50)
  t.is(sent[0], '11')
  t.is(sent[49], '60 (Events left out before this one: 1)')
})

test('what is refused for good is left out; what fails otherwise is sent again, as the same', async t => {
  const {add, send, sent, refused, ids} = start()
  add(5)
  await send(400, undefined, 413, 422)
  t.deepEqual(sent, ['2', '5'])
  t.deepEqual(refused, [400, 413, 422])
  add(2)
  for (const status of [500, 429, 409, 404, 401])
    await t.throwsAsync(send(status), {instanceOf: ApiError, message: 'refused'})
  await t.throwsAsync(send(0), {instanceOf: ApiError})
  await send()
  t.deepEqual(sent.slice(2), ['6', '7'])
  t.is(new Set(ids.slice(5)).size, 2)
  t.is(refused.length, 3)
})

test('who may not send Events loses those that wait, after one question', async t => {
  const {add, send, sent, refused, ids} = start()
  add(10)
  await send(undefined, 403)
  t.is(ids.length, 2)
  t.deepEqual(refused, [403])
  add(1)
  await send()
  t.deepEqual(sent, ['1', '11'])
})
