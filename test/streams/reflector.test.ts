import {setTimeout as wait} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {ApiError} from '../../src/streams/list-watch.ts'
import {type Notice, type ReflectOptions, reflect} from '../../src/streams/reflector.ts'
import type {View} from '../../src/streams/view.ts'
import {FakeServer, gone, type Thing} from './fake-server.ts'

const read = (object: unknown): number => (object as Thing).value
const backoff = {baseMs: 1, capMs: 5}

/** What a reflector has said so far. Its views' items are copied: they are live. */
function watched(t: ExecutionContext, server: FakeServer, options: Partial<ReflectOptions<number>> = {}) {
  const views: (Record<string, number> | string)[] = []
  const notices: Notice[] = []
  let wake = () => {}
  const record = (view: View<string, number>) => {
    views.push(view.synced ? Object.fromEntries([...view.items].toSorted()) : view.reason)
    wake()
  }
  const notice = (notice: Notice) => {
    notices.push(notice)
    wake()
  }
  const settings = {what: 'things', project: read, backoff, silenceMs: 2000, confirmMs: 5, notice, ...options}
  const subscription = reflect(server, settings).subscribe({next: record, error: error => t.fail(`${error.stack}`)})
  t.teardown(() => subscription.unsubscribe())
  const until = async (done: () => boolean) => {
    const late = performance.now() + 5000
    while (!done()) {
      if (performance.now() > late) throw new Error(`in vain: ${JSON.stringify({views, notices})}`)
      await new Promise<void>(resolve => {
        wake = resolve
        setTimeout(resolve, 5)
      })
    }
  }
  return {
    views,
    notices,
    subscription,
    until,
    shows: async (values: Record<string, number>) => {
      await until(() => JSON.stringify(views.at(-1)) === JSON.stringify(values))
      t.deepEqual(views.at(-1), values)
    },
    noticed: (type: Notice['type'], count = 1) => until(() => notices.filter(n => n.type === type).length >= count),
    types: () => notices.map(n => n.type),
  }
}

function serverWith(values: Record<string, number>): FakeServer {
  const server = new FakeServer()
  for (const [name, value] of Object.entries(values)) server.put(name, value)
  return server
}

const many = (count: number) => Object.fromEntries(Array.from({length: count}, (_, i) => [`t${i + 100}`, i]))

test('begins unsynced and reads everything as a streaming list where the server has it', async t => {
  const server = serverWith({a: 1, b: 2})
  const {views, shows} = watched(t, server)
  await shows({a: 1, b: 2})
  t.deepEqual(views, ['the things are being read for the first time', {a: 1, b: 2}])
  t.deepEqual(server.lists, [])
  const {timeoutSeconds, ...query} = server.watches[0]!
  t.deepEqual(query, {
    allowWatchBookmarks: true,
    fieldSelector: undefined,
    labelSelector: undefined,
    resourceVersion: '',
    resourceVersionMatch: 'NotOlderThan',
    sendInitialEvents: true,
  })
  t.true(timeoutSeconds >= 300 && timeoutSeconds < 600)
})

for (const streaming of ['refuses', 'ignores', 'ends', 'stalls'] as const) {
  test(`a server that ${streaming} streaming lists is read page by page from then on`, async t => {
    const server = serverWith({a: 1, b: 2, c: 3})
    server.streaming = streaming
    const {shows, views, notices, noticed} = watched(t, server, {pageSize: 2, silenceMs: 60})
    await shows({a: 1, b: 2, c: 3})
    server.replace({a: 9})
    server.cut()
    await shows({a: 9})
    await noticed('listed', 2)
    t.is(server.watches.filter(query => query.sendInitialEvents).length, 1)
    t.is(notices[0]?.type, 'paged')
    t.is(views.filter(view => typeof view === 'string').length, 1)
    t.deepEqual(
      server.lists.map(({limit, resourceVersion, continue: next}) => ({limit, resourceVersion, next})),
      [
        {limit: 2, resourceVersion: '0', next: undefined},
        {limit: 2, resourceVersion: undefined, next: '2@4'},
        {limit: 2, resourceVersion: undefined, next: undefined},
      ],
    )
  })
}

test('a server that fails to stream a list is read page by page this time, and asked again the next time', async t => {
  const server = serverWith({a: 1, b: 2, c: 3})
  server.streaming = 'fails'
  const {shows, notices, noticed} = watched(t, server, {pageSize: 2})
  await shows({a: 1, b: 2, c: 3})
  t.deepEqual(
    notices.map(({type}) => type),
    ['paged', 'listed'],
  )
  server.streaming = 'honours'
  server.replace({a: 9})
  server.cut()
  await shows({a: 9})
  await noticed('listed', 2)
  t.is(server.watches.filter(query => query.sendInitialEvents).length, 2)
  t.is(server.lists.length, 2)
})

test('selectors go with every request', async t => {
  const server = serverWith({a: 1})
  server.streaming = 'refuses'
  const selectors = {labelSelector: 'x=y', fieldSelector: 'spec.nodeName=b'}
  const {shows} = watched(t, server, selectors)
  await shows({a: 1})
  for (const query of [...server.lists, ...server.watches]) t.like(query, selectors)
})

test('follows what is added, changed and deleted', async t => {
  const server = serverWith({a: 1})
  const {views, shows} = watched(t, server)
  await shows({a: 1})
  server.put('b', 2)
  server.put('a', 3)
  server.delete('b')
  await shows({a: 3})
  t.deepEqual(views.slice(1), [{a: 1}, {a: 1, b: 2}, {a: 3, b: 2}, {a: 3}])
})

test('a change that the projection does not see is no View, and neither is a relist without news', async t => {
  const server = serverWith({a: 1})
  const {views, shows, noticed} = watched(t, server)
  await shows({a: 1})
  server.put('a', 1)
  server.put('a', 1)
  server.forget()
  server.cut(new ApiError('ESTATUS', 'gone', {status: 410}))
  await noticed('listed', 2)
  server.put('b', 2)
  await shows({a: 1, b: 2})
  t.is(views.length, 3)
})

test('an object that the projection leaves out is not there, also when it was', async t => {
  const server = serverWith({a: 1, b: -1})
  const {shows} = watched(t, server, {project: object => (read(object) < 0 ? undefined : read(object))})
  await shows({a: 1})
  server.put('b', 2)
  await shows({a: 1, b: 2})
  server.put('a', -1)
  await shows({b: 2})
})

test('an object that the projection cannot read, or without a name, is left out with a notice', async t => {
  const server = serverWith({a: 1, bad: 13})
  const project = (object: unknown) => {
    if (read(object) === 13) throw new Error('unlucky')
    return read(object)
  }
  const {shows, notices} = watched(t, server, {project})
  await shows({a: 1})
  server.push({object: {value: 5}})
  server.push({object: null})
  server.put('c', 3)
  await shows({a: 1, c: 3})
  t.is(notices.filter(({type}) => type === 'unusable').length, 3)
})

test('the reason tells why it is not synced and when the next try is', async t => {
  const server = serverWith({a: 1})
  server.failures.push(new ApiError('EUNREACHABLE', 'the API server at http://x refused the connection'))
  const {views, shows} = watched(t, server)
  await shows({a: 1})
  t.is(views[1], 'the API server at http://x refused the connection; next try in 1 s')
})

test('once synced it stays so: in an outage the last known facts stand', async t => {
  const server = serverWith({a: 1})
  const {views, shows, noticed} = watched(t, server)
  await shows({a: 1})
  for (let i = 0; i < 4; i++) server.failures.push(new ApiError('EUNREACHABLE', 'refused'))
  server.cut(new ApiError('EUNREACHABLE', 'broke'))
  await noticed('failed', 5)
  server.put('b', 2)
  await shows({a: 1, b: 2})
  t.deepEqual(views.slice(1), [{a: 1}, {a: 1, b: 2}])
  t.is(server.watches.filter(query => query.sendInitialEvents).length, 1)
})

test('a watch that ends is made anew from the newest revision that a bookmark told', async t => {
  const server = serverWith({a: 1})
  const {shows, until} = watched(t, server)
  await shows({a: 1})
  server.put('a', 2)
  server.put('a', 3)
  server.bookmark()
  server.cut()
  await until(() => server.watches.length === 2)
  t.is(server.watches[1]?.resourceVersion, '4')
  server.put('a', 4)
  await shows({a: 4})
})

test('a watch that ends at once without news waits longer and longer', async t => {
  const server = serverWith({a: 1})
  const {shows, noticed, until, notices} = watched(t, server, {backoff: {baseMs: 1, capMs: 1000, random: () => 0.9}})
  await shows({a: 1})
  for (let i = 0; i < 5; i++) {
    await until(() => server.openWatches === 1)
    server.cut()
    await noticed('failed', i + 1)
  }
  const waits = notices.flatMap(n => (n.type === 'failed' ? [Math.round(n.retryMs * 10) / 10] : []))
  t.deepEqual(waits, [0.9, 1.8, 3.6, 7.2, 14.4])
})

test('410 of a watch, as HTTP status or as an event, reads everything again', async t => {
  const server = serverWith({a: 1, b: 2})
  const {views, shows, noticed} = watched(t, server)
  await shows({a: 1, b: 2})
  server.replace({b: 2, c: 3})
  server.cut()
  await shows({b: 2, c: 3})
  server.cut(new ApiError('ESTATUS', 'too old', {status: 410}))
  await noticed('listed', 3)
  t.deepEqual(views.slice(1), [
    {a: 1, b: 2},
    {b: 2, c: 3},
  ])
})

test('other errors of a watch go on from the last revision', async t => {
  const server = serverWith({a: 1})
  const {shows, noticed} = watched(t, server)
  await shows({a: 1})
  server.cut(new ApiError('ESTATUS', 'an etcd timeout', {status: 500}))
  await noticed('failed')
  server.put('a', 2)
  await shows({a: 2})
  t.is(server.watches[1]?.resourceVersion, '2')
})

test('silence makes a new watch, not a new list, unless it lasts', async t => {
  const server = serverWith({a: 1})
  const {shows, notices, until} = watched(t, server, {silenceMs: 20})
  await shows({a: 1})
  server.silent = true
  await until(() => server.watches.length === 3)
  t.is(server.watches[1]?.resourceVersion, '2')
  t.is(server.watches[2]?.resourceVersion, '2')
  await until(() => server.watches.length === 4)
  t.is(server.watches[3]?.sendInitialEvents, true)
  t.deepEqual(
    notices.slice(1, 4).map(n => n.type === 'rewatch' && n.why),
    ['silent', 'silent', 'silent'],
  )
})

test('every list, event and bookmark is a sign of life that is told', async t => {
  for (const streaming of ['honours', 'refuses'] as const) {
    const server = serverWith({a: 1})
    server.streaming = streaming
    let heard = 0
    const {shows, until} = watched(t, server, {heard: () => heard++})
    await shows({a: 1})
    t.is(heard, 1)
    await until(() => server.openWatches === 1)
    // A heartbeat, which is no View.
    server.put('a', 1)
    await until(() => heard === 2)
    server.bookmark()
    await until(() => heard === 3)
    server.forget()
    server.cut(gone())
    await until(() => heard === 4)
    t.is(heard, 4)
  }
})

test('bookmarks are a sign of life', async t => {
  const server = serverWith({a: 1})
  const {shows} = watched(t, server, {silenceMs: 150})
  await shows({a: 1})
  for (let i = 0; i < 10; i++) {
    await wait(25)
    server.bookmark()
  }
  t.is(server.watches.length, 1)
})

test('pages that expire are read again, and at last as one', async t => {
  const server = serverWith({a: 1, b: 2, c: 3})
  server.streaming = 'refuses'
  const list = server.list.bind(server)
  server.list = (query, take) => {
    if (query.continue !== undefined) server.put('d', 4)
    if (query.continue !== undefined) server.forget()
    return list(query, take)
  }
  const {shows, notices} = watched(t, server, {pageSize: 2})
  await shows({a: 1, b: 2, c: 3, d: 4})
  t.deepEqual(
    server.lists.map(query => query.limit),
    [2, 2, 2, 2, undefined],
  )
  t.is(notices.filter(n => n.type === 'failed' && n.gone).length, 2)
})

test('Retry-After is honoured, within reason', async t => {
  const server = serverWith({a: 1})
  const {until, notices, subscription} = watched(t, server, {backoff: {baseMs: 10, random: () => 0.5}})
  server.failures.push(new ApiError('ESTATUS', 'too much', {status: 429, retryAfterMs: 10}))
  server.failures.push(new ApiError('ESTATUS', 'too much', {status: 429, retryAfterMs: 3_600_000}))
  await until(() => notices.length === 2)
  subscription.unsubscribe()
  t.deepEqual(
    notices.map(n => n.type === 'failed' && n.retryMs),
    [15, 60_010],
  )
})

test('a bug in the transport is a failure like others', async t => {
  const server = serverWith({a: 1})
  server.failures.push(new TypeError('x is not a function'))
  const {shows, notices} = watched(t, server)
  await shows({a: 1})
  t.like(notices[0], {type: 'failed', gone: false})
})

test('unsubscribing ends everything', async t => {
  const server = serverWith({a: 1})
  const {shows, subscription, notices, until} = watched(t, server)
  await shows({a: 1})
  const before = notices.length
  subscription.unsubscribe()
  await until(() => server.openWatches === 0)
  await wait(20)
  t.is(server.watches.length, 1)
  t.is(notices.length, before)
})

test('most items missing from a list: they stay until a second list lacks them too', async t => {
  const server = serverWith(many(20))
  const {views, shows, notices} = watched(t, server)
  await shows(many(20))
  server.replace({t100: 0, t101: 7, new: 1})
  server.cut()
  await shows({new: 1, t100: 0, t101: 7})
  t.deepEqual(views.slice(1), [many(20), {new: 1, ...many(20), t101: 7}, {new: 1, t100: 0, t101: 7}])
  t.like(
    notices.find(n => n.type === 'held'),
    {held: 18, items: 3, retryMs: 5},
  )
})

test('a first list that lacks most of what an earlier process knew is believed only the second time', async t => {
  const server = serverWith({one: 1})
  const {views, shows, notices} = watched(t, server, {expected: () => 20})
  await shows({one: 1})
  t.deepEqual(
    notices.map(n => n.type).filter(type => type !== 'rewatch'),
    ['held', 'listed'],
  )
  t.is(views.length, 3)
})

test('what the second list has again stays, and what was held and changed meanwhile is up to date', async t => {
  const server = serverWith(many(20))
  const {views, shows, noticed} = watched(t, server, {confirmMs: 50})
  await shows(many(20))
  server.replace({})
  server.cut()
  await noticed('held')
  server.replace({...many(20), t100: 5})
  await shows({...many(20), t100: 5})
  t.deepEqual(views.slice(1), [many(20), {...many(20), t100: 5}])
})

test('an API server that fails while items are held delays the confirmation only', async t => {
  const server = serverWith(many(20))
  const {views, shows, noticed} = watched(t, server)
  await shows(many(20))
  server.replace({})
  server.cut()
  await noticed('held')
  server.failures.push(new ApiError('EUNREACHABLE', 'refused'), new ApiError('EUNREACHABLE', 'refused'))
  await shows({})
  t.deepEqual(views.slice(1), [many(20), {}])
})

test('deletions that the watch tells, few items, and less than half are believed at once', async t => {
  const server = serverWith(many(20))
  const {shows, types} = watched(t, server)
  await shows(many(20))
  for (const name of Object.keys(many(20)).slice(9)) server.delete(name)
  await shows(many(9))
  server.replace({})
  server.cut()
  await shows({})
  t.false(types().includes('held'))
})

test('property: whatever breaks, the items become those of the server', async t => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const step = fc.oneof(
    {weight: 5, arbitrary: fc.record({do: fc.constant('put' as const), name, value: fc.integer({min: 0, max: 3})})},
    {weight: 3, arbitrary: fc.record({do: fc.constant('delete' as const), name})},
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constantFrom('cut', 'break', 'bookmark', 'forget', 'gone', 'fail', 'pause', 'refuse', 'lose'),
      }),
    },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, {maxLength: 40}), fc.boolean(), async (steps, streaming) => {
      const server = serverWith({a: 1, b: 2})
      if (!streaming) server.streaming = 'refuses'
      const {shows, subscription} = watched(t, server, {pageSize: 2, backoff: {baseMs: 0, capMs: 1}})
      for (const act of steps) {
        if (act.do === 'put') server.put(act.name, act.value)
        else if (act.do === 'delete') server.delete(act.name)
        else if (act.do === 'cut') server.cut()
        else if (act.do === 'break') server.cut(new ApiError('EUNREACHABLE', 'broke'))
        else if (act.do === 'bookmark') server.bookmark()
        else if (act.do === 'forget') server.forget()
        else if (act.do === 'gone') server.cut(new ApiError('ESTATUS', 'gone', {status: 410}))
        else if (act.do === 'fail') server.failures.push(new ApiError('ESTATUS', 'failed', {status: 503}))
        else if (act.do === 'refuse') server.streaming = 'refuses'
        else if (act.do === 'lose') {
          server.replace({...server.values, lost: 1})
          server.cut()
        } else await wait(1)
      }
      await shows(server.values)
      subscription.unsubscribe()
    }),
    {numRuns: 100},
  )
})
