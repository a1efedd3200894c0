import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import {call, node, PAIRS_CRD, pair, serve, shown, Watching} from './apiserver-client.ts'

const NODES = '/api/v1/nodes'
const WATCH = `${NODES}?watch=true`
const ref = (name: string) => ({resource: 'nodes', name})

test('a watch without a version starts with what is there', async t => {
  const server = await serve(t)
  server.create(node('b'))
  server.create(node('a'))
  const watching = new Watching(server, WATCH)
  t.is(await watching.take(2), 'ADDED a@4, ADDED b@3')
  server.patch(ref('a'), {spec: {x: 1}})
  server.delete(ref('b'))
  t.is(await watching.take(2), 'MODIFIED a@5, DELETED b@6')
})

test('a watch from a version replays what came after it', async t => {
  const server = await serve(t)
  server.create(node('a'))
  const {body} = await call(server, 'GET', NODES)
  server.create(node('b'))
  server.create({apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'other'}})
  server.delete(ref('a'))
  const watching = new Watching(server, `${WATCH}&resourceVersion=${body.metadata.resourceVersion}`)
  t.is(await watching.take(2), 'ADDED b@4, DELETED a@6')
})

test('an object that starts and stops matching appears and goes', async t => {
  const server = await serve(t)
  const labels = new Watching(server, `${WATCH}&labelSelector=role%3Dx&resourceVersion=1`)
  const name = new Watching(server, `${NODES}/a?watch=true&resourceVersion=1`)
  server.create(node('a'))
  server.create(node('b'))
  server.patch(ref('a'), {metadata: {labels: {role: 'x'}}})
  server.patch(ref('a'), {spec: {x: 1}})
  server.patch(ref('a'), {metadata: {labels: {role: 'y'}}})
  t.is(await labels.take(3), 'ADDED a@5, MODIFIED a@6, DELETED a@7')
  t.is(await name.take(4), 'ADDED a@3, MODIFIED a@5, MODIFIED a@6, MODIFIED a@7')
})

test('watches of custom resources speak the version they asked for, and end with the definition', async t => {
  const server = await serve(t)
  server.create(PAIRS_CRD)
  const watching = new Watching(server, '/apis/netgraft.dev/v1alpha1/namespaces/default/pairs?watch=1')
  const tables = new Watching(server, '/apis/netgraft.dev/v1/pairs?watch=1', {
    accept: 'application/json;as=Table;g=meta.k8s.io;v=v1',
  })
  await sleep(50)
  server.create(pair('one'))
  t.is(await watching.take(1), 'ADDED one@4')
  t.is(await tables.take(1), 'ADDED one@4')
  server.delete({resource: 'crds', name: 'pairs.netgraft.dev'})
  t.is(await watching.take(2), 'DELETED one@5, end')
  t.is(await tables.take(2), 'DELETED one@5, end')
})

test('bookmarks tell the newest version, of other resources too', async t => {
  const server = await serve(t, {bookmarkIntervalMs: 50})
  const watching = new Watching(server, `${WATCH}&allowWatchBookmarks=true`)
  const without = new Watching(server, WATCH)
  t.is(await watching.next(), 'BOOKMARK @2')
  server.create({apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'other'}})
  while ((await watching.next()) !== 'BOOKMARK @3');
  t.is(without.waiting, '')
})

test('a streaming list says where the initial events end', async t => {
  const server = await serve(t)
  server.create(node('a'))
  const streaming = '&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan'
  const watching = new Watching(server, WATCH + streaming)
  t.is(await watching.take(2), 'ADDED a@3, BOOKMARK @3 end of initial events')
  server.create(node('b'))
  t.is(await watching.next(), 'ADDED b@4')
  const future = await call(server, 'GET', `${WATCH}${streaming}&resourceVersion=99`)
  t.is(shown(future), '504 Timeout: Too large resource version: 99, current: 4')
  const plain = await call(server, 'GET', `${WATCH}&sendInitialEvents=true`)
  t.regex(shown(plain), /422 Invalid.*sendInitialEvents requires setting resourceVersionMatch to NotOlderThan/)
  const older = await serve(t, {streamingLists: false})
  t.regex(
    shown(await call(older, 'GET', WATCH + streaming)),
    /422 Invalid.*unless the WatchList feature gate is enabled/,
  )
})

test('timeoutSeconds ends a watch properly', async t => {
  const server = await serve(t)
  const watching = new Watching(server, `${WATCH}&timeoutSeconds=1`)
  t.is(await watching.next(), 'end')
})

test('history that is gone is a 410 in the stream', async t => {
  const server = await serve(t, {historySize: 5})
  for (let i = 0; i < 20; i++) server.create(node(`n${i}`))
  t.is(await new Watching(server, `${WATCH}&resourceVersion=1`).take(2), 'ERROR 410 Expired, end')
  t.is(await new Watching(server, `${WATCH}&resourceVersion=20`).take(2), 'ADDED n18@21, ADDED n19@22')
  server.faults.compact()
  t.is(await new Watching(server, `${WATCH}&resourceVersion=20`).take(2), 'ERROR 410 Expired, end')
  const current = new Watching(server, `${WATCH}&resourceVersion=22`)
  server.create(node('late'))
  t.is(await current.next(), 'ADDED late@23')
})

test('a watch from the future waits for it', async t => {
  const server = await serve(t)
  const watching = new Watching(server, `${WATCH}&resourceVersion=4`)
  await sleep(50)
  server.create(node('a'))
  server.create(node('b'))
  server.create(node('c'))
  t.is(await watching.next(), 'ADDED c@5')
})

test('faults: compact with cutWatches, gone, cutWatches', async t => {
  const server = await serve(t)
  server.create(node('a'))
  const watching = new Watching(server, WATCH)
  t.is(await watching.next(), 'ADDED a@3')
  server.faults.compact({cutWatches: true})
  t.is(await watching.next(), 'cut')
  server.faults.gone(1)
  t.is(await new Watching(server, `${WATCH}&resourceVersion=3`).take(2), 'ERROR 410 Expired, end')
  const again = new Watching(server, WATCH)
  t.is(await again.next(), 'ADDED a@3')
  server.faults.cutWatches()
  t.is(await again.next(), 'cut')

  server.create(node('b'))
  const {body} = await call(server, 'GET', `${NODES}?limit=1`)
  server.faults.gone(1)
  t.is((await call(server, 'GET', `${NODES}?limit=1&continue=${body.metadata.continue}`)).status, 410)
  t.is((await call(server, 'GET', `${NODES}?limit=1&continue=${body.metadata.continue}`)).status, 200)
})

test('faults: a stalled watch is silent, then delivers what was withheld', async t => {
  const server = await serve(t, {bookmarkIntervalMs: 20})
  const old = new Watching(server, `${WATCH}&resourceVersion=2&allowWatchBookmarks=true`)
  while ((await old.next()) !== 'BOOKMARK @2');
  server.faults.stallWatches(true)
  await sleep(50)
  const before = old.waiting
  server.create(node('a'))
  const young = new Watching(server, `${WATCH}&timeoutSeconds=1`)
  await sleep(1100)
  t.is(old.waiting, before)
  t.is(young.waiting, '')
  server.faults.stallWatches(false)
  t.is(await young.take(2), 'ADDED a@3, end')
  for (let event = await old.next(); event !== 'ADDED a@3'; event = await old.next()) t.is(event, 'BOOKMARK @2')
})

test('faults: fail answers the next requests', async t => {
  const server = await serve(t)
  server.faults.fail(2, 429)
  const first = await call(server, 'GET', NODES)
  t.is(
    `${shown(first)} ${first.headers.get('retry-after')}`,
    '429 TooManyRequests: Too many requests, please try again later. 1',
  )
  t.is((await call(server, 'GET', WATCH)).status, 429)
  t.is((await call(server, 'GET', NODES)).status, 200)
  server.faults.latencyMs = 100
  const start = performance.now()
  await call(server, 'GET', NODES)
  t.true(performance.now() - start >= 90)
})

test('faults: truncateNext cuts in the middle of a line', async t => {
  const server = await serve(t)
  const watching = new Watching(server, WATCH)
  const other = new Watching(server, '/api/v1/namespaces?watch=1')
  await other.take(2)
  server.create(node('z'))
  t.is(await watching.next(), 'ADDED z@3')
  server.faults.truncateNext()
  server.create(node('a'))
  server.create(node('b'))
  t.is(await watching.next(), 'cut in {"type":"ADDED"')
  t.is(other.waiting, '')
})

test('faults: down and up again at the same port, with the same store', async t => {
  const server = await serve(t)
  const watching = new Watching(server, WATCH)
  server.create(node('a'))
  t.is(await watching.next(), 'ADDED a@3')
  await server.faults.down()
  t.is(await watching.next(), 'cut')
  await t.throwsAsync(call(server, 'GET', NODES))
  server.create(node('b'))
  await server.faults.up()
  t.is(await new Watching(server, `${WATCH}&resourceVersion=3`).next(), 'ADDED b@4')
})

test('a watcher that does not read is cut, the others are not', async t => {
  const server = await serve(t, {maxWatchBacklog: 1024 * 1024})
  const deaf = new Watching(server, WATCH, {}, false)
  const good = new Watching(server, WATCH)
  server.create(node('a'))
  t.is(await good.next(), 'ADDED a@3')
  for (let i = 0; i < 120; i++) {
    server.patch(ref('a'), {spec: {podCIDR: String(i).repeat(100_000)}})
    t.is(await good.next(), `MODIFIED a@${i + 4}`)
  }
  // Reading now gives what was in flight; the cut shows at the end of it.
  deaf.response!.resume()
  t.is(await deaf.next(), 'cut')
})
