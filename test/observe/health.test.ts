import {once} from 'node:events'
import {type IncomingMessage, request} from 'node:http'
import {connect, type Socket} from 'node:net'
import test, {type ExecutionContext} from 'ava'
import {firstValueFrom} from 'rxjs'
import {parseIp} from '../../src/model/ip.ts'
import {
  type Condition,
  type HealthOptions,
  ListenError,
  liveness,
  type RunningPass,
  readiness,
  serveHealth,
} from '../../src/observe/health.ts'

const READY = {ready: true}

for (const [conditions, want] of [
  [[], 'not ok: starting: no condition is known yet'],
  [[['nodes', READY]], 'ok: ok'],
  [[['nodes', {ready: true, reason: 'unheard'}]], 'ok: ok'],
  [
    [
      ['nodes', {ready: false, reason: 'no list yet'}],
      ['kernel', READY],
      ['routes', {ready: false}],
    ],
    'not ok: nodes: no list yet\nroutes: not ready',
  ],
  [[['nodes', {ready: false, reason: 'two\r\nlines\u0000'}]], 'not ok: nodes: two lines '],
  [[['nodes', {ready: false, reason: 'x'.repeat(9999)}]], `not ok: nodes: ${'x'.repeat(493)}`],
] as [[string, Condition][], string][])
  test(`readiness ${JSON.stringify(conditions).slice(0, 90)}`, t => {
    const {ok, text} = readiness(conditions)
    t.is(`${ok ? 'ok' : 'not ok'}: ${text}`, want)
  })

for (const [passes, want] of [
  [[], 'ok: ok'],
  [[{domain: 'routes', startedAt: 40_000}], 'ok: ok'],
  [[{domain: 'routes', startedAt: 39_999}], 'not ok: routes: a pass has been running for 60 s'],
  [
    [
      {domain: 'routes', startedAt: 99_999},
      {domain: 'pairs', startedAt: 0},
    ],
    'not ok: pairs: a pass has been running for 100 s',
  ],
] as [RunningPass[], string][])
  test(`liveness at 100 s of ${JSON.stringify(passes)}`, t => {
    const {ok, text} = liveness(passes, 100_000, 60_000)
    t.is(`${ok ? 'ok' : 'not ok'}: ${text}`, want)
  })

async function serve(t: ExecutionContext, options: Partial<HealthOptions> = {}): Promise<number> {
  const served$ = serveHealth({
    listen: {host: parseIp('127.0.0.1'), port: 0},
    metrics: async () => ({contentType: 'text/plain; version=0.0.4', body: 'a 1\n'}),
    conditions: () => [['nodes', READY]],
    runningPasses: () => [],
    ...options,
  })
  return new Promise((resolve, reject) => {
    const subscription = served$.subscribe({next: ({port}) => resolve(port), error: reject})
    t.teardown(() => subscription.unsubscribe())
  })
}

async function ask(port: number, path: string, method = 'GET', body?: string): Promise<string> {
  const asked = request({port, path, method, host: '127.0.0.1', agent: false})
  asked.end(body)
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return `${response.statusCode} ${response.headers['content-type']}: ${text}`
}

const PLAIN = 'text/plain; charset=utf-8'

for (const [method, path, want] of [
  ['GET', '/healthz', `200 ${PLAIN}: ok\n`],
  ['GET', '/readyz', `200 ${PLAIN}: ok\n`],
  ['GET', '/readyz?verbose', `200 ${PLAIN}: ok\n`],
  ['GET', '/metrics', '200 text/plain; version=0.0.4: a 1\n'],
  ['HEAD', '/metrics', '200 text/plain; version=0.0.4: '],
  ['GET', '/', `404 ${PLAIN}: not found; try /metrics, /healthz or /readyz\n`],
  ['GET', '/constructor', `404 ${PLAIN}: not found; try /metrics, /healthz or /readyz\n`],
  ['GET', '/metrics/', `404 ${PLAIN}: not found; try /metrics, /healthz or /readyz\n`],
  ['POST', '/metrics', `405 ${PLAIN}: only GET and HEAD\n`],
  ['DELETE', '/healthz', `405 ${PLAIN}: only GET and HEAD\n`],
] as const)
  test(`${method} ${path}`, async t => t.is(await ask(await serve(t), path, method), want))

test('what is not well answers 503 and says why', async t => {
  const port = await serve(t, {
    conditions: () => [['nodes', {ready: false, reason: 'the API server cannot be reached'}]],
    runningPasses: () => [{domain: 'routes', startedAt: performance.now() - 61_000}],
  })
  t.is(await ask(port, '/readyz'), `503 ${PLAIN}: nodes: the API server cannot be reached\n`)
  t.is(await ask(port, '/healthz'), `503 ${PLAIN}: routes: a pass has been running for 61 s\n`)
})

test('a source that throws answers 500, and the server goes on', async t => {
  const port = await serve(t, {
    metrics: () => Promise.reject(new Error('no metrics')),
    conditions: () => {
      throw new Error('no conditions')
    },
  })
  t.is(await ask(port, '/metrics'), `500 ${PLAIN}: cannot answer: no metrics\n`)
  t.is(await ask(port, '/metrics'), `500 ${PLAIN}: cannot answer: no metrics\n`)
  t.is(await ask(port, '/readyz'), `500 ${PLAIN}: cannot answer: no conditions\n`)
  t.is(await ask(port, '/healthz'), `200 ${PLAIN}: ok\n`)
})

test('scrapes that arrive together share one collection, later ones do not', async t => {
  let collections = 0
  const port = await serve(t, {
    metrics: async () => {
      // So long that all five have come meanwhile, also where all is slow.
      await new Promise(resolve => setTimeout(resolve, 2000))
      return {contentType: 'x/y', body: `${++collections}`}
    },
  })
  const together = await Promise.all(Array.from({length: 5}, () => ask(port, '/metrics')))
  t.deepEqual(together, Array(5).fill('200 x/y: 1'))
  t.is(await ask(port, '/metrics'), '200 x/y: 2')
})

test('a request with a body is answered and the connection ends', async t => {
  const port = await serve(t)
  const socket = await open(port)
  socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello')
  t.regex(await readAll(socket), /^HTTP\/1\.1 200 OK\r\n.*connection: close\r\n.*ok\n$/is)
})

test('a port in use is one sentence', async t => {
  const port = await serve(t)
  const error = await t.throwsAsync(serve(t, {listen: {host: parseIp('127.0.0.1'), port}}), {instanceOf: ListenError})
  t.is(
    error?.message,
    `metrics.listen "127.0.0.1:${port}": another process has this port; stop it or choose another port`,
  )
  t.is(error?.errno, 'EADDRINUSE')
})

test('an address that the node does not have is one sentence', async t => {
  const error = await t.throwsAsync(serve(t, {listen: {host: parseIp('2001:db8::1'), port: 9464}}))
  t.is(
    error?.message,
    'metrics.listen "[2001:db8::1]:9464": this node has no such address; choose one it has, or leave it away for all',
  )
})

test('unsubscribing closes idle, half-sent and unanswered connections and frees the port', async t => {
  const listen = {host: parseIp('127.0.0.1'), port: 0}
  const options = {listen, metrics: () => new Promise<never>(() => {}), conditions: () => [], runningPasses: () => []}
  let port = 0
  const subscription = serveHealth(options).subscribe(served => (port = served.port))
  await waitFor(() => port > 0)
  const sockets = await Promise.all(
    ['', 'GET /he', 'GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n'].map(async text => {
      const socket = await open(port)
      socket.write(text)
      return socket
    }),
  )
  await new Promise(resolve => setTimeout(resolve, 100))
  // What the server has not read yet makes the end a reset.
  const ends = sockets.map(
    socket =>
      new Promise(resolve =>
        socket
          .on('error', () => {})
          .once('close', resolve)
          .resume(),
      ),
  )
  subscription.unsubscribe()
  await Promise.all(ends)
  t.is((await firstValueFrom(serveHealth({...options, listen: {...listen, port}}))).port, port)
})

test('a client that trickles its headers is cut off', async t => {
  const port = await serve(t)
  const socket = await open(port)
  const began = performance.now()
  const trickle = setInterval(() => socket.write('x'), 200)
  socket.write('GET /healthz HTTP/1.1\r\nx: ')
  t.regex(await readAll(socket), /^(HTTP\/1\.1 408 .*)?$/s)
  clearInterval(trickle)
  t.true(performance.now() - began < 10_000)
})

test('headers larger than 8 KB are refused', async t => {
  const socket = await open(await serve(t))
  socket.write(`GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(9000)}\r\n\r\n`)
  t.regex(await readAll(socket), /^HTTP\/1\.1 431 /)
})

test('connections beyond the limit are dropped, the rest are served', async t => {
  const port = await serve(t)
  const sockets = await Promise.all(Array.from({length: 300}, () => open(port)))
  let closed = 0
  for (const socket of sockets) socket.on('close', () => closed++).resume()
  await waitFor(() => closed === 44)
  sockets.at(0)!.destroy()
  await waitFor(() => closed === 45)
  await new Promise(resolve => setTimeout(resolve, 50))
  t.is(await ask(port, '/healthz'), `200 ${PLAIN}: ok\n`)
  for (const socket of sockets) socket.destroy()
})

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  return socket
}

async function readAll(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8').on('data', data => (text += data))
  await once(socket, 'close')
  return text
}

async function waitFor(holds: () => boolean): Promise<void> {
  for (const until = performance.now() + 10_000; !holds(); await new Promise(resolve => setTimeout(resolve, 10)))
    if (performance.now() > until) throw new Error('waited in vain')
}
