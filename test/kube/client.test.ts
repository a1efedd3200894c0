import {once} from 'node:events'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {createServer, type IncomingMessage, type RequestListener, type Server} from 'node:http'
import {type AddressInfo, createServer as createTcpServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as wait} from 'node:timers/promises'
import {gzipSync} from 'node:zlib'
import test, {type ExecutionContext} from 'ava'
import {stringify} from 'yaml'
import {KubeClient, pathOf} from '../../src/kube/client.ts'
import {Credentials} from '../../src/kube/credentials.ts'
import {ApiError, type WatchEvent} from '../../src/streams/list-watch.ts'

const NODES = {group: '', version: 'v1', resource: 'nodes'}
const WATCH = {resourceVersion: '1', allowWatchBookmarks: true, timeoutSeconds: 300} as const
const {signal} = new AbortController()

async function serve(t: ExecutionContext, listener: RequestListener): Promise<Server & {url: string}> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return Object.assign(server, {url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`})
}

async function connect(t: ExecutionContext, server: string, timeoutMs = 5000): Promise<KubeClient> {
  const folder = await mkdtemp(join(tmpdir(), 'netgraft-kube-'))
  const kubeconfig = join(folder, 'kubeconfig')
  await writeFile(
    kubeconfig,
    stringify({
      clusters: [{name: 'c', cluster: {server}}],
      users: [{name: 'u', user: {token: 'secret'}}],
      contexts: [{name: 'x', context: {cluster: 'c', user: 'u'}}],
      'current-context': 'x',
    }),
  )
  const credentials = new Credentials({kubeconfig})
  t.teardown(async () => {
    credentials.close()
    await rm(folder, {recursive: true, maxRetries: 5})
  })
  return new KubeClient(credentials, {timeoutMs})
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += chunk
  return body
}

const listed = async (client: KubeClient) => {
  const objects: unknown[] = []
  const end = await client.listWatch(NODES).list({limit: 500}, object => objects.push(object), signal)
  return {objects, end}
}

const watched = async (client: KubeClient, events: WatchEvent[] = []) => {
  for await (const event of client.listWatch(NODES).watch(WATCH, signal)) events.push(event)
  return events
}

/** However it was closed. */
const closed = (request: IncomingMessage) =>
  new Promise<void>(resolve => (request.closed ? resolve() : request.once('close', () => resolve())))

test('paths', t => {
  t.is(pathOf(NODES), '/api/v1/nodes')
  t.is(pathOf({...NODES, resource: 'pods', namespace: 'a'}, 'b'), '/api/v1/namespaces/a/pods/b')
  const pairs = {group: 'netgraft.dev', version: 'v1alpha1', resource: 'pairs'}
  t.is(pathOf(pairs), '/apis/netgraft.dev/v1alpha1/pairs')
})

test('a DELETE may have a body', async t => {
  const heard: string[] = []
  const {url} = await serve(t, async (request, response) => {
    heard.push(`${request.method} ${request.headers['content-length']} ${await bodyOf(request)}`)
    response.end()
  })
  const body = {preconditions: {uid: 'ü'}}
  const client = await connect(t, url)
  await client.request('DELETE', '/api/v1/namespaces/a/pods/b', {body, signal})
  t.deepEqual(heard, [`DELETE 30 ${JSON.stringify(body)}`])
})

test('a request: method, prefix, query, token, body and answer', async t => {
  const server = await serve(t, async (request, response) => {
    const {method, url, headers} = request
    const {authorization, accept, 'content-type': type} = headers
    response.end(JSON.stringify({method, url, authorization, accept, type, body: await bodyOf(request)}))
  })
  const client = await connect(t, `${server.url}/prefix/`)
  const answer = await client.request('PATCH', '/api/v1/nodes/b', {
    query: {fieldManager: 'netgraft', dryRun: undefined},
    body: {metadata: {annotations: {'netgraft.dev/x': 'ü'}}},
    contentType: 'application/merge-patch+json',
    signal,
  })
  t.deepEqual(answer, {
    method: 'PATCH',
    url: '/prefix/api/v1/nodes/b?fieldManager=netgraft',
    authorization: 'Bearer secret',
    accept: 'application/json',
    type: 'application/merge-patch+json',
    body: '{"metadata":{"annotations":{"netgraft.dev/x":"ü"}}}',
  })
})

test('requests one after another share a connection, also after a refusal', async t => {
  let connections = 0
  const server = await serve(t, (request, response) => {
    response.statusCode = request.url === '/3' ? 409 : 200
    response.end('{}')
  })
  server.on('connection', () => connections++)
  const client = await connect(t, server.url)
  for (const path of ['/1', '/2', '/3', '/4']) await client.request('GET', path, {signal}).catch(() => {})
  t.is(connections, 1)
})

const REFUSALS = [
  {
    status: 401,
    body: '{"message":"Unauthorized","reason":"Unauthorized"}',
    error: {reason: 'Unauthorized'},
    says: /does not accept our credentials \(401, .*\): Unauthorized$/,
  },
  {
    status: 403,
    body: '{"message":"nodes is forbidden","reason":"Forbidden"}',
    error: {reason: 'Forbidden'},
    says: /does not allow us GET \/api\/v1\/nodes \(403, .*\): nodes is forbidden$/,
  },
  {
    status: 410,
    body: '{"reason":"Expired","message":"too old"}',
    error: {reason: 'Expired'},
    says: /with 410: too old$/,
  },
  {status: 429, headers: {'Retry-After': '7'}, body: '', error: {retryAfterMs: 7000}, says: /too much to do/},
  {status: 503, body: '{"details":{"retryAfterSeconds":2}}', error: {retryAfterMs: 2000}, says: /503/},
  {status: 502, body: '<html>Bad Gateway</html>', error: {reason: undefined}, says: /502: <html>Bad Gateway<\/html>$/},
  {status: 302, body: 'null', error: {reason: undefined}, says: /302/},
  {status: 500, body: '{"details":null,"message":5}', error: {retryAfterMs: undefined}, says: /500: without a reason$/},
]

for (const {status, headers = {}, body, error, says} of REFUSALS) {
  test(`${status} ${body}`, async t => {
    const server = await serve(t, (_, response) => response.writeHead(status, headers).end(body))
    const thrown = await t.throwsAsync(listed(await connect(t, server.url)), {instanceOf: ApiError, code: 'ESTATUS'})
    t.like(thrown, {status, ...error})
    t.regex(thrown!.message, says)
    t.true(thrown!.message.startsWith(`the API server at ${server.url} `))
  })
}

test('who cannot be reached is told with what to do', async t => {
  const server = await serve(t, (_, response) => response.end())
  const {url} = server
  const tls = await connect(t, url.replace('http:', 'https:'))
  await t.throwsAsync(listed(tls), {code: 'EUNREACHABLE', message: /should its address begin with http:/})
  server.close()
  const client = await connect(t, url)
  await t.throwsAsync(listed(client), {code: 'EUNREACHABLE', message: /refused the connection: is it running/})
  await t.throwsAsync(watched(client), {code: 'EUNREACHABLE'})
  const nowhere = await connect(t, 'http://no-such-host.invalid')
  await t.throwsAsync(listed(nowhere), {code: 'EUNREACHABLE', message: /cannot be found/})
})

test('a server that takes the connection and says nothing, or stops in the middle, is late', async t => {
  const mute = createTcpServer(() => {}).listen(0, '127.0.0.1')
  await once(mute, 'listening')
  t.teardown(() => mute.close())
  const client = await connect(t, `http://127.0.0.1:${(mute.address() as AddressInfo).port}`, 50)
  await t.throwsAsync(listed(client), {code: 'ETIMEDOUT', message: /gave no answer to GET \/api\/v1\/nodes for 0.05 s/})
  await t.throwsAsync(watched(client), {code: 'ETIMEDOUT'})

  const stops = await serve(t, (_, response) => void response.write('{"metadata":{"resourceVersion":"1"},"items":['))
  await t.throwsAsync(listed(await connect(t, stops.url, 50)), {code: 'ETIMEDOUT'})
})

test('a list goes object by object, packed or not', async t => {
  const objects = Array.from({length: 1000}, (_, i) => ({metadata: {name: `ü${i}`}}))
  const body = JSON.stringify({
    metadata: {resourceVersion: '5', continue: 'more', remainingItemCount: 3},
    items: objects,
  })
  for (const packed of [true, false]) {
    const server = await serve(t, (request, response) => {
      t.is(request.url, '/api/v1/nodes?limit=500')
      t.is(request.headers['accept-encoding'], 'gzip')
      if (packed) response.setHeader('Content-Encoding', 'gzip')
      response.end(packed ? gzipSync(body) : body)
    })
    t.deepEqual(await listed(await connect(t, server.url)), {objects, end: {resourceVersion: '5', continue: 'more'}})
  }
})

test('lists that are not what they should be', async t => {
  const bodies = {
    '{"items":[{},{]}': 'EPROTOCOL',
    '{"metadata":{"resourceVersion":"1"},"items":[{"a":1},': 'EPROTOCOL',
    '{"items":[]}': 'EPROTOCOL',
    '': 'EPROTOCOL',
  }
  for (const [body, code] of Object.entries(bodies)) {
    const server = await serve(t, (_, response) => response.end(body))
    await t.throwsAsync(listed(await connect(t, server.url)), {
      code,
      message: /gave an answer to GET .* cannot be read/,
    })
  }
  const cut = await serve(t, (_, response) => {
    response.writeHead(200, {'Content-Length': 1000}).write('{"items":[')
    setTimeout(() => response.destroy(), 10)
  })
  await t.throwsAsync(listed(await connect(t, cut.url)), {code: 'EUNREACHABLE', message: /broke the connection/})
  const garbled = await serve(t, (_, response) => response.setHeader('Content-Encoding', 'gzip').end('not packed'))
  await t.throwsAsync(listed(await connect(t, garbled.url)), {instanceOf: ApiError})
})

test('a watch: events as they come, cut anywhere, with the time of their bytes', async t => {
  const text = ['ADDED', 'MODIFIED', 'BOOKMARK'].map(type => `${JSON.stringify({type, object: {x: '😀'}})}\n`).join('')
  const bytes = Buffer.from(text)
  const server = await serve(t, async (request, response) => {
    t.is(request.url, '/api/v1/nodes?resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=300&watch=true')
    for (let i = 0; i < bytes.length; i += 7) {
      response.write(bytes.subarray(i, i + 7))
      await wait(1)
    }
    response.end()
  })
  const before = performance.now()
  const events = await watched(await connect(t, server.url))
  t.deepEqual(
    events.map(({type, object}) => ({type, object})),
    ['ADDED', 'MODIFIED', 'BOOKMARK'].map(type => ({type, object: {x: '😀'}}) as never),
  )
  t.true(events.every(({at}, i) => at >= (events[i - 1]?.at ?? before) && at <= performance.now()))
})

test.serial('a watch may be quiet for longer than an answer may take to begin', async t => {
  const server = await serve(t, async (request, response) => {
    response.flushHeaders()
    if (request.url !== '/') await wait(300)
    response.end('{"type":"ADDED","object":{}}\n')
  })
  const client = await connect(t, server.url, 250)
  await client.request('GET', '/', {signal})
  t.is((await watched(client)).length, 1)
})

test('a watch that says ERROR, or something else than events, or is cut off', async t => {
  const gone = '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
  const cases = [
    {body: gone, error: {code: 'ESTATUS', status: 410, reason: 'Expired'}},
    {body: '{"type":"ERROR","object":null}\n', error: {code: 'ESTATUS', status: 500}},
    {body: '{"type":"ADDED","object":{"a', error: {code: 'EPROTOCOL'}},
    {body: 'null\n', error: {code: 'EPROTOCOL'}},
    {body: '<html>\n', error: {code: 'EPROTOCOL'}},
  ]
  for (const {body, error} of cases) {
    const server = await serve(t, (_, response) => response.end(`{"type":"ADDED","object":{}}\n${body}`))
    const events: WatchEvent[] = []
    t.like(await t.throwsAsync(watched(await connect(t, server.url), events)), error)
    t.is(events.length, 1)
  }
})

test('who aborts gets its reason, and the connection is closed', async t => {
  const server = await serve(t, (_, response) => void response.write('{"type":"ADDED","object":{}}\n'))
  const controller = new AbortController()
  const client = await connect(t, server.url)
  const watch = async () => {
    for await (const _ of client.listWatch(NODES).watch(WATCH, controller.signal)) controller.abort(new Error('enough'))
  }
  const [request] = (await Promise.all([
    once(server, 'request'),
    t.throwsAsync(watch(), {message: 'enough'}),
  ])) as unknown as [[IncomingMessage]]
  await closed(request[0])
  await t.throwsAsync(client.request('GET', '/', {signal: controller.signal}), {message: 'enough'})
})

test('who leaves a watch early closes the connection', async t => {
  const server = await serve(t, (_, response) => void response.write('{"type":"ADDED","object":{}}\n'))
  const client = await connect(t, server.url)
  const leave = async () => {
    for await (const _ of client.listWatch(NODES).watch(WATCH, signal)) return
  }
  const [[request]] = (await Promise.all([once(server, 'request'), leave()])) as unknown as [[IncomingMessage]]
  await closed(request)
  t.pass()
})
