import test from 'ava'
import {ACKNOWLEDGED, encodeRequest, INPUT_LIMIT, OUTPUT_LIMIT} from '../../src/cni/protocol.ts'
import type {Answer} from '../../src/cni/server.ts'
import {pathOf, request, served} from './server-support.ts'
import {connectTo} from './shim-client.ts'

test('a request is emitted as it was sent, answered, and acknowledged', async t => {
  const path = await pathOf(t)
  const {first, heard, told} = await served(t, path, () => ({status: 1, body: '{"ü":1}'}))
  const sent = {...request(7), stdin: Buffer.alloc(INPUT_LIMIT, 'x')}
  const client = await connectTo(path)
  client.write(encodeRequest(sent))
  const {status, stdout} = await client.answer()
  t.is(`${status} ${stdout}`, '1 {"ü":1}')
  t.deepEqual((await first()).request, sent)
  client.write(Buffer.from([ACKNOWLEDGED]))
  t.true(await heard(7))
  await client.closed
  t.deepEqual(told, [])
})

test('who goes without having acknowledged has not been told', async t => {
  const path = await pathOf(t)
  const {heard} = await served(t, path)

  const after = await connectTo(path)
  after.write(encodeRequest(request(1)))
  await after.answer()
  after.destroy()
  t.false(await heard(1))

  // Before the answer.
  const {first} = await served(t, `${path}2`, () => undefined)
  const before = await connectTo(`${path}2`)
  before.write(encodeRequest(request(2)))
  const incoming = await first()
  before.destroy()
  await before.closed
  t.false(await incoming.answer({status: 0, body: 'x'}))

  // Another byte is no acknowledgement.
  const wrong = await connectTo(path)
  wrong.write(encodeRequest(request(3)))
  await wrong.answer()
  wrong.write(Buffer.from([0x15]))
  wrong.destroy()
  t.false(await heard(3))
})

test('two hundred at once, each its own answer', async t => {
  const path = await pathOf(t)
  const {heard, told} = await served(t, path, ({id, stdin}) => ({status: 0, body: `${id} ${stdin.length}`}))
  const numbers = Array.from({length: 200}, (_, n) => n)
  const bodies = await Promise.all(
    numbers.map(async n => {
      const client = await connectTo(path)
      const frame = encodeRequest(request(n, Buffer.alloc(n * 50)))
      client.write(frame.subarray(0, n))
      await new Promise(resolve => setTimeout(resolve, n % 7))
      client.write(frame.subarray(n))
      const {stdout} = await client.answer()
      client.write(Buffer.from([ACKNOWLEDGED]))
      await client.closed
      return `${stdout}`
    }),
  )
  t.deepEqual(
    bodies,
    numbers.map(n => `${request(n).id} ${n * 50}`),
  )
  t.true((await Promise.all(numbers.map(heard))).every(Boolean))
  t.deepEqual(told, [])
})

test('what is no request is answered with an error of CNI, and told', async t => {
  const path = await pathOf(t)
  const {told} = await served(t, path)
  const frame = encodeRequest(request())
  const huge = Buffer.from(frame)
  huge.writeUInt32LE(0xffffffff, 8)
  const foreign = Buffer.from(frame)
  foreign.write('PATH=', 28)
  const rows: readonly [sent: Buffer, fault: RegExp][] = [
    [Buffer.from('GET / HTTP/1.1\r\n\r\n'), /a netgraft request begins with "NGQ1", not with "GET "/],
    [huge, /the input has 4294967295 bytes, more than 1048576/],
    [foreign, /is not one of CNI's variables/],
    [Buffer.concat([frame, Buffer.from([ACKNOWLEDGED])]), /more has come than one request/],
  ]
  for (const [sent, fault] of rows) {
    const client = await connectTo(path)
    client.write(sent)
    const {status, stdout} = await client.answer()
    t.is(status, 1)
    const {cniVersion, code, msg} = JSON.parse(`${stdout}`)
    t.deepEqual([cniVersion, code], ['1.0.0', 6])
    t.regex(msg, fault)
    t.regex(told.at(-1)!, fault)
    client.write(Buffer.from([ACKNOWLEDGED]))
    await client.closed
  }
  t.is(told.length, rows.length)
})

test('an answer that is more than the shim takes becomes an error, and counts as not told', async t => {
  const path = await pathOf(t)
  const {heard, told} = await served(t, path, () => ({status: 0, body: 'x'.repeat(OUTPUT_LIMIT + 1)}))
  const client = await connectTo(path)
  client.write(encodeRequest(request()))
  const {status, stdout} = await client.answer()
  t.is(status, 1)
  t.regex(JSON.parse(`${stdout}`).msg, /the output has 16777217 bytes, more than 16777216/)
  client.write(Buffer.from([ACKNOWLEDGED]))
  t.false(await heard())
  t.is(told.length, 1)
})

test('who never sends the whole request, or never takes the answer, is dropped', async t => {
  const path = await pathOf(t)
  const large: Answer = {status: 0, body: 'x'.repeat(OUTPUT_LIMIT)}
  const {heard, told} = await served(t, path, ({id}) => (id === request(1).id ? large : undefined), {patienceMs: 1500})
  const silent = await connectTo(path)
  const slow = await connectTo(path)
  const frame = encodeRequest(request(0, Buffer.alloc(1000)))
  let sent = 0
  const drops = setInterval(() => slow.write(frame.subarray(sent, ++sent)), 20)
  t.teardown(() => clearInterval(drops))
  const deaf = await connectTo(path)
  deaf.pause()
  deaf.write(encodeRequest(request(1)))
  await Promise.all([silent.closed, slow.closed])
  t.false(await heard(1))
  deaf.destroy()
  t.deepEqual(told, [])
})

test('a request that is whole is never dropped, however long it takes', async t => {
  const path = await pathOf(t)
  const {first} = await served(t, path, () => undefined, {patienceMs: 1500})
  const client = await connectTo(path)
  client.write(encodeRequest(request()))
  const incoming = await first()
  await new Promise(resolve => setTimeout(resolve, 2000))
  const heard = incoming.answer({status: 0, body: 'late'})
  t.is(`${(await client.answer()).stdout}`, 'late')
  client.write(Buffer.from([ACKNOWLEDGED]))
  t.true(await heard)
})

test('nobody is kept waiting by one who asks for nothing', async t => {
  const path = await pathOf(t)
  const {heard} = await served(t, path)
  const silent = await Promise.all(Array.from({length: 300}, () => connectTo(path)))
  const client = await connectTo(path)
  client.write(encodeRequest(request(1)))
  await client.answer()
  client.write(Buffer.from([ACKNOWLEDGED]))
  t.true(await heard(1))
  for (const each of silent) each.destroy()
})
