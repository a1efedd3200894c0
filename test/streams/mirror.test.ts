/** The mirror over a scripted kernel, which only misbehaves. The real one is in test/netlink. */
import {setImmediate as tick} from 'node:timers/promises'
import test from 'ava'
import {Subject} from 'rxjs'
import {parseCidr} from '../../src/model/ip.ts'
import type {KernelChange, KernelEvent, KernelSnapshot, KernelView} from '../../src/model/kernel.ts'
import type {IfIndex, Route} from '../../src/model/net.ts'
import {createMirror, type MirrorOptions, type ResyncReason} from '../../src/streams/mirror.ts'

const route = (destination: string, dev = 2): Route => ({
  destination: parseCidr(destination),
  type: 'unicast',
  table: 254,
  protocol: 4,
  metric: 0,
  scope: 'link',
  nextHops: [{dev: dev as IfIndex}],
})
const snapshot = (...destinations: string[]): KernelSnapshot => ({
  links: [],
  addresses: [],
  routes: destinations.map(each => route(each)),
  neighbours: [],
  fdb: [],
})
const came = (destination: string, own = false): KernelChange => ({
  object: 'route',
  gone: false,
  item: route(destination),
  own,
})
const went = (destination: string): KernelChange => ({object: 'route', gone: true, item: route(destination)})
/** A replace over two of its metric: which one it took, nobody knows. */
const UNCLEAR: readonly KernelChange[] = [
  {object: 'route', gone: false, item: route('10.9.0.0/16', 7)},
  {object: 'route', gone: false, item: route('10.9.0.0/16', 8)},
  {object: 'route', gone: false, item: route('10.9.0.0/16', 9), replaces: true},
]

/** A kernel whose dumps end when the test says so. */
function scripted(options: MirrorOptions = {}) {
  const events$ = new Subject<KernelEvent>()
  const dumps: {end: (snapshot: KernelSnapshot) => Promise<void>; fail: (error: Error) => Promise<void>}[] = []
  const resyncs: ResyncReason[] = []
  const errors: string[] = []
  const told: string[] = []
  const mirror = createMirror(
    {
      events$,
      flush: async () => {},
      snapshot: () => {
        const {promise, resolve, reject} = Promise.withResolvers<KernelSnapshot>()
        dumps.push({
          end: async value => {
            resolve(value)
            await tick()
          },
          fail: async error => {
            reject(error)
            await tick()
          },
        })
        return promise
      },
    },
    {
      resyncMs: 0,
      onResync: reason => resyncs.push(reason),
      onError: error => errors.push((error as Error).message),
      ...options,
    },
  )
  const text = (view: KernelView) => (view.synced ? [...view.state.routes.keys()].sort().join(' ') : view.reason)
  let last: KernelView | undefined
  const subscribe = () =>
    mirror.view$.subscribe(view => {
      last = view
      told.push(text(view))
    })
  return {
    mirror,
    dumps,
    resyncs,
    errors,
    /** Every view, as it was when it was emitted. */
    told,
    /** The last view, as it is now: it is live. */
    now: () => text(last!),
    subscribe,
    subscription: subscribe(),
    listening: () => events$.next({kind: 'listening'}),
    lost: () => events$.next({kind: 'lost'}),
    changes: (...changes: KernelChange[]) => events$.next({kind: 'changes', changes, at: performance.now()}),
    fail: (error: Error) => events$.error(error),
    observed: () => events$.observed,
  }
}

/** One that has read 10.1.0.0/24. */
async function synced(options: MirrorOptions = {}) {
  const kernel = scripted(options)
  kernel.listening()
  await kernel.dumps[0]!.end(snapshot('10.1.0.0/24'))
  return kernel
}

async function until(fact: () => boolean): Promise<void> {
  while (!fact()) await new Promise(resolve => setTimeout(resolve, 1))
}

test('nothing is known until the first dump has ended, and no dump begins before it listens', async t => {
  const kernel = scripted()
  t.is(kernel.dumps.length, 0)
  kernel.listening()
  t.is(kernel.dumps.length, 1)
  await kernel.dumps[0]!.end(snapshot('10.1.0.0/24'))
  t.deepEqual(kernel.told, ["the kernel's state has not been read yet", '10.1.0.0/24'])
  t.deepEqual(kernel.resyncs, ['start'])
})

test('a late subscriber gets the newest view, and shares the one mirror', async t => {
  const kernel = await synced()
  kernel.subscribe()
  t.is(kernel.told.at(-1), '10.1.0.0/24')
  t.is(kernel.dumps.length, 1)
})

test('a change that somebody else made is emitted', async t => {
  const kernel = await synced()
  kernel.changes(came('10.2.0.0/24'), went('10.1.0.0/24'))
  t.deepEqual(kernel.told.slice(1), ['10.1.0.0/24', '10.2.0.0/24'])
})

test('our own changes are in the state, silently', async t => {
  const kernel = await synced()
  kernel.changes(came('10.2.0.0/24', true))
  t.is(kernel.told.length, 2)
  t.is(kernel.now(), '10.1.0.0/24 10.2.0.0/24')
  kernel.changes(came('10.3.0.0/24', true), came('10.4.0.0/24'))
  t.is(kernel.told.at(-1), '10.1.0.0/24 10.2.0.0/24 10.3.0.0/24 10.4.0.0/24')
})

test('what changes during the first dump is folded into it, before anybody sees it', async t => {
  const kernel = scripted()
  kernel.listening()
  kernel.changes(came('10.2.0.0/24'))
  kernel.changes(went('10.1.0.0/24'))
  await kernel.dumps[0]!.end(snapshot('10.1.0.0/24'))
  t.deepEqual(kernel.told.slice(1), ['10.2.0.0/24'])
})

test('what the dump has already may be told again', async t => {
  const kernel = scripted()
  kernel.listening()
  kernel.changes(came('10.1.0.0/24'), went('10.2.0.0/24'))
  await kernel.dumps[0]!.end(snapshot('10.1.0.0/24'))
  t.is(kernel.now(), '10.1.0.0/24')
})

test('during a later dump changes go both into what is known and into what is read', async t => {
  const kernel = await synced()
  kernel.lost()
  kernel.changes(came('10.2.0.0/24'))
  t.is(kernel.now(), '10.1.0.0/24 10.2.0.0/24')
  await kernel.dumps[1]!.end(snapshot('10.5.0.0/24'))
  t.is(kernel.now(), '10.2.0.0/24 10.5.0.0/24')
})

test('lost messages mean a new dump; lost during it, once more, however often', async t => {
  const kernel = await synced()
  kernel.lost()
  for (let i = 0; i < 5; i++) kernel.lost()
  t.is(kernel.dumps.length, 2)
  await kernel.dumps[1]!.end(snapshot('10.2.0.0/24'))
  t.is(kernel.dumps.length, 3)
  await kernel.dumps[2]!.end(snapshot('10.3.0.0/24'))
  // The dump may have begun before the change, which then belongs to it.
  t.true(kernel.now()!.endsWith('10.3.0.0/24'))
  t.is(kernel.dumps.length, 3)
  t.deepEqual(kernel.resyncs, ['start', 'lost', 'lost'])
})

test('a change that cannot be folded in means a new dump', async t => {
  const kernel = await synced()
  kernel.changes(...UNCLEAR)
  await kernel.dumps[1]!.end(snapshot('10.9.0.0/16'))
  t.is(kernel.now(), '10.9.0.0/16')
  t.deepEqual(kernel.resyncs, ['start', 'inexact'])
})

test('one that arrives during a dump means one more', async t => {
  const kernel = scripted()
  kernel.listening()
  kernel.changes(...UNCLEAR)
  await kernel.dumps[0]!.end(snapshot('10.1.0.0/24'))
  t.is(kernel.dumps.length, 2)
  await kernel.dumps[1]!.end(snapshot('10.9.0.0/16'))
  t.is(kernel.now(), '10.9.0.0/16')
  t.deepEqual(kernel.resyncs, ['start', 'inexact'])
})

test('a dump that fails is tried again, and until one succeeds the view says why not', async t => {
  const kernel = scripted()
  kernel.listening()
  await kernel.dumps[0]!.fail(new Error('interrupted'))
  t.is(kernel.now(), "the kernel's state could not be read: interrupted")
  await until(() => kernel.dumps.length === 2)
  await kernel.dumps[1]!.end(snapshot('10.1.0.0/24'))
  t.is(kernel.now(), '10.1.0.0/24')
  t.deepEqual(kernel.errors, ['interrupted'])
})

test('a later dump that fails leaves what is known, which changes still reach', async t => {
  const kernel = await synced()
  kernel.lost()
  await kernel.dumps[1]!.fail(new Error('interrupted'))
  t.is(kernel.now(), '10.1.0.0/24')
  kernel.changes(came('10.2.0.0/24'))
  t.is(kernel.now(), '10.1.0.0/24 10.2.0.0/24')
  await until(() => kernel.dumps.length === 3)
  await kernel.dumps[2]!.end(snapshot('10.3.0.0/24'))
  t.is(kernel.now(), '10.3.0.0/24')
})

test('settle waits for the dump that is under way, and for the one after it', async t => {
  const kernel = await synced()
  await kernel.mirror.settle()
  let settled = false
  kernel.lost()
  kernel.lost()
  const settling = kernel.mirror.settle().then(() => {
    settled = true
  })
  await kernel.dumps[1]!.end(snapshot('10.2.0.0/24'))
  t.false(settled)
  await kernel.dumps[2]!.end(snapshot('10.3.0.0/24'))
  await settling
  t.is(kernel.now(), '10.3.0.0/24')
})

test('settle without a subscriber settles', async t => {
  const kernel = await synced()
  kernel.subscription.unsubscribe()
  await kernel.mirror.settle()
  t.pass()
})

test('everything is read anew from time to time', async t => {
  const kernel = await synced({resyncMs: 5})
  await until(() => kernel.dumps.length === 2)
  await kernel.dumps[1]!.end(snapshot('10.2.0.0/24'))
  t.is(kernel.now(), '10.2.0.0/24')
  t.is(kernel.resyncs[1], 'timer')
  kernel.subscription.unsubscribe()
})

test('the end of the kernel’s messages is an error of the view', async t => {
  const kernel = scripted()
  const failed = new Promise(resolve => kernel.mirror.view$.subscribe({error: resolve}))
  kernel.subscription.unsubscribe()
  kernel.fail(new Error('closed'))
  t.is(((await failed) as Error).message, 'closed')
})

test.serial('unsubscribing leaves no timer, no listener, and nothing to tell', async t => {
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  const before = timers()
  const kernel = scripted({resyncMs: 60_000})
  const retrying = scripted({resyncMs: 60_000})
  const reading = scripted()
  for (const each of [kernel, retrying, reading]) each.listening()
  await kernel.dumps[0]!.end(snapshot())
  await retrying.dumps[0]!.fail(new Error('interrupted'))
  for (const each of [kernel, retrying, reading]) each.subscription.unsubscribe()
  await tick()
  t.false([kernel, retrying, reading].some(each => each.observed()))
  await reading.dumps[0]!.fail(new Error('closed'))
  t.deepEqual(reading.errors, [])
  t.is(reading.told.length, 1)
  t.is(retrying.dumps.length, 1)
  t.is(timers(), before)
})

test('who subscribes again starts anew', async t => {
  const kernel = await synced()
  kernel.subscription.unsubscribe()
  kernel.subscribe()
  t.is(kernel.now(), "the kernel's state has not been read yet")
  kernel.listening()
  await kernel.dumps[1]!.end(snapshot('10.2.0.0/24'))
  t.is(kernel.now(), '10.2.0.0/24')
})

test('what cannot be folded, again and again, neither holds the writer up nor is read without a pause', async t => {
  const kernel = await synced()
  for (let round = 0; round < 50; round++) {
    kernel.changes(...UNCLEAR)
    const dump = kernel.dumps.find((_, i) => i === kernel.dumps.length - 1)
    await dump?.end(snapshot('10.1.0.0/24'))
    await kernel.mirror.settle()
    await tick()
  }
  t.true(kernel.dumps.length < 10, `${kernel.dumps.length} dumps`)
})
