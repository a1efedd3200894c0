/** Sockets that nobody serves, or that somebody serves badly. */
import {once} from 'node:events'
import {rm, writeFile} from 'node:fs/promises'
import {connect, type Socket} from 'node:net'
import {pipeline} from 'node:stream'
import {setTimeout as sleep} from 'node:timers/promises'
import {Server, ServerCredentials} from '@grpc/grpc-js'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {CriError, type CriErrorCode} from '../../src/cri/error.ts'
import {openCri} from '../../src/cri/sandboxes.ts'
import {freeSocket, POD_RESOURCES, serveBytes, serveGrpc, serveRuntime} from './serve.ts'

const {signal} = new AbortController()
/** Milliseconds: of a peer that says nothing. */
const DEADLINE = 300

const raw = (bytes: Buffer): Buffer => bytes

/** What asking the socket fails with; SOCKET stands for its path. */
async function failure(t: ExecutionContext, socket: string, deadline = 5000): Promise<[CriErrorCode, string]> {
  const cri = openCri({sockets: [socket], deadline})
  t.teardown(() => cri.close())
  const error = await t.throwsAsync(cri.listSandboxes(signal), {instanceOf: CriError})
  return [error!.code, error!.message.replaceAll(socket, 'SOCKET')]
}

test('no socket is absent, and no path at all, too', async t => {
  const socket = await freeSocket(t)
  t.deepEqual(await failure(t, socket), [
    'absent',
    'the container runtime has no socket at SOCKET: name its socket in attachments.criSockets',
  ])
  t.deepEqual((await failure(t, `${socket}/below`))[0], 'absent')
  await writeFile(socket, '')
  t.deepEqual((await failure(t, socket))[0], 'absent')
  t.deepEqual((await failure(t, `${socket}/below`))[0], 'absent')
  const cri = openCri({sockets: []})
  await t.throwsAsync(cri.listSandboxes(signal), {message: /^the container runtime has no socket at no path at all: /})
})

test('the first socket that is there is used, and looked for anew each time', async t => {
  const [first, second] = [await freeSocket(t), await freeSocket(t)]
  const serve = (socket: string, id: string) => serveRuntime(t, socket, {ListPodSandbox: () => ({items: [{id}]})})
  const cri = openCri({sockets: [first, second]})
  t.teardown(() => cri.close())
  const ids = async () => (await cri.listSandboxes(signal)).map(each => each.id)
  await serve(second, 'second')
  t.deepEqual(await ids(), ['second'])
  const end = await serve(first, 'first')
  t.deepEqual(await ids(), ['first'])
  end()
  await rm(first, {force: true})
  t.deepEqual(await ids(), ['second'])
  await serve(first, 'again')
  t.deepEqual(await ids(), ['again'])
})

test('calls at the same time share a connection, and none is kept', async t => {
  const socket = await freeSocket(t)
  let answer = () => {}
  const asked = new Promise<void>(resolve => (answer = resolve))
  let count = 0
  let connections = 0
  await serveRuntime(t, socket, {
    ListPodSandbox: async () => {
      if (++count === 5) answer()
      await asked
      return {items: []}
    },
  })
  const relay = await freeSocket(t)
  const open = await serveBytes(t, relay, connection => {
    connections++
    pipeline(connection, connect(socket), connection, () => {})
  })
  const cri = openCri({sockets: [relay]})
  t.teardown(() => cri.close())
  await Promise.all(Array.from({length: 5}, () => cri.listSandboxes(signal)))
  t.is(count, 5)
  t.is(connections, 1)
  await gone(open)
  await cri.listSandboxes(signal)
  t.is(connections, 2)
})

test('a socket that refuses, closes, or talks nonsense is unavailable', async t => {
  const behaviours: Readonly<Record<string, (connection: Socket) => void>> = {
    closes: connection => void connection.end(),
    breaks: connection => void connection.destroy(),
    'is a web server': connection => void connection.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'),
    garbage: connection => void connection.write(Buffer.alloc(100_000, 0xff)),
    // A frame of SETTINGS that is as long as a frame can be.
    'a huge frame': connection => void connection.write(Buffer.from('ffffff040000000000', 'hex')),
  }
  for (const [what, behave] of Object.entries(behaviours)) {
    const socket = await freeSocket(t)
    const open = await serveBytes(t, socket, behave)
    const [code, message] = await failure(t, socket)
    t.is(code, 'unavailable', what)
    t.regex(message, /^the container runtime at SOCKET refused ListPodSandbox: "/, what)
    t.notRegex(message, /\d\d:\d\d/, what)
    await gone(open)
  }
})

test('a peer that never answers costs the deadline, and no descriptor', async t => {
  const socket = await freeSocket(t)
  const open = await serveBytes(t, socket, () => {})
  for (let i = 0; i < 3; i++) {
    t.deepEqual(await failure(t, socket, DEADLINE), [
      'unavailable',
      'the container runtime at SOCKET gave no answer to ListPodSandbox for 0.3 s: is it overloaded?',
    ])
  }
  await gone(open)

  const other = await freeSocket(t)
  await serveRuntime(t, other, {ListPodSandbox: () => new Promise(() => {})})
  t.is((await failure(t, other, DEADLINE))[0], 'unavailable')
})

test('an answer that is too big is not read', async t => {
  const socket = await freeSocket(t)
  const items = Array.from({length: 20}, () => ({id: 'x'.repeat(1 << 20)}))
  await serveRuntime(t, socket, {ListPodSandbox: () => ({items})})
  const [code, message] = await failure(t, socket)
  t.is(code, 'unavailable')
  t.regex(message, /larger than max/)
})

test('another service on the socket is told', async t => {
  const socket = await freeSocket(t)
  await serveGrpc(t, socket, {file: POD_RESOURCES, service: 'v1.PodResourcesLister', answers: {}})
  t.deepEqual(await failure(t, socket), [
    'protocol',
    'the container runtime at SOCKET does not serve runtime.v1.RuntimeService: is attachments.criSockets the right socket, and is it enabled?',
  ])
})

test('what the runtime says of itself is passed on, on one line', async t => {
  const socket = await freeSocket(t)
  await serveRuntime(t, socket, {
    ListPodSandbox: () => {
      throw Object.assign(new Error(), {code: 2, details: `not\nnow ${'x'.repeat(1000)}`})
    },
  })
  const [code, message] = await failure(t, socket)
  t.is(code, 'unavailable')
  t.is(message, `the container runtime at SOCKET refused ListPodSandbox: "not\\nnow ${'x'.repeat(92)}…"`)
})

test('bytes that are no message', async t => {
  const socket = await freeSocket(t)
  let bytes: Uint8Array = Buffer.alloc(0)
  const server = new Server()
  const plain = {requestStream: false, responseStream: false, requestSerialize: raw, responseDeserialize: raw} as const
  const method = {
    ...plain,
    path: '/runtime.v1.RuntimeService/ListPodSandbox',
    requestDeserialize: raw,
    responseSerialize: raw,
  }
  server.addService(
    {ListPodSandbox: method},
    {ListPodSandbox: (_: unknown, done: (error: null, answer: Buffer) => void) => done(null, Buffer.from(bytes))},
  )
  await new Promise(resolve => server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), resolve))
  t.teardown(() => server.forceShutdown())

  bytes = Buffer.from('0a7f', 'hex')
  t.deepEqual(await failure(t, socket), [
    'protocol',
    'the container runtime at SOCKET answered ListPodSandbox with something that is no answer: "index out of range"',
  ])
  // Groups within groups, each of which takes a level of recursion.
  bytes = Buffer.alloc(1 << 20, 0x7b)
  t.is((await failure(t, socket))[0], 'protocol')

  const cri = openCri({sockets: [socket]})
  t.teardown(() => cri.close())
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({maxLength: 100}), async some => {
      bytes = some
      await cri.listSandboxes(signal).then(
        found => t.true(Array.isArray(found)),
        error => t.true(error instanceof CriError, String(error?.stack)),
      )
    }),
    {numRuns: 100},
  )
})

test('the signal ends a call with its reason, and closing ends all', async t => {
  const socket = await freeSocket(t)
  const open = await serveBytes(t, socket, () => {})
  const cri = openCri({sockets: [socket]})
  const stop = new AbortController()
  const reason = new Error('enough')
  const stopped = t.throwsAsync(cri.listSandboxes(stop.signal))
  const closed = t.throwsAsync(cri.listSandboxes(signal), {instanceOf: CriError})
  while (open.size === 0) await sleep(5)
  stop.abort(reason)
  t.is(await stopped, reason)
  t.is(await t.throwsAsync(cri.listSandboxes(stop.signal)), reason)
  cri.close()
  cri.close()
  t.is((await closed)!.code, 'unavailable')
  await t.throwsAsync(cri.listSandboxes(signal), {instanceOf: CriError})
  await gone(open)
})

/** Until we have closed all that we opened. */
async function gone(open: ReadonlySet<Socket>): Promise<void> {
  for (const connection of open) if (!connection.closed) await once(connection, 'close')
}
