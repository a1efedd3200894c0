import {setTimeout as wait} from 'node:timers/promises'
import test from 'ava'
import {Subject} from 'rxjs'
import {type LastGood, saveChanges, standIn} from '../../src/streams/last-good.ts'
import type {View} from '../../src/streams/view.ts'

/** Waits for what is to come, however busy the machine is: the test has a time limit. */
async function until(fact: () => boolean): Promise<void> {
  while (!fact()) await wait(1)
}

type Items = Readonly<Record<string, number>>

const synced = (items: Items): View<string, number> => ({synced: true, items: new Map(Object.entries(items)), at: 1})
const unsynced = (reason: string): View<string, number> => ({synced: false, reason})

/** Milliseconds since the epoch. */
const SAVED_AT = 1_700_000_000_000

function lastGood(items: Items | undefined, ms = 0) {
  const asked = {times: 0}
  const read = async (): Promise<LastGood<string, number> | undefined> => {
    asked.times++
    await wait(ms)
    return items && {items: new Map(Object.entries(items)), savedAt: SAVED_AT}
  }
  return {read, asked}
}

/** What comes out, as text: "stale a=1 b=2". */
function standing(read: () => Promise<LastGood<string, number> | undefined>, patienceMs = 10_000) {
  const source = new Subject<View<string, number>>()
  const told: string[] = []
  const subscription = source.pipe(standIn(read, {patienceMs})).subscribe(view => {
    if (!view.synced) return told.push(view.reason)
    const items = [...view.items].map(([key, value]) => ` ${key}=${value}`).join('')
    return told.push(`${view.stale ? `stale ${view.stale.savedAt - SAVED_AT}` : 'live'}${items}`)
  })
  return {source, told, subscription}
}

test('what was saved stands in as soon as the first try has been in vain, until the first live view', async t => {
  const {read, asked} = lastGood({a: 1})
  const {source, told} = standing(read)
  source.next(unsynced('begun'))
  await wait(5)
  t.is(asked.times, 0)
  source.next(unsynced('failed'))
  await until(() => told.length === 3)
  source.next(unsynced('failed again'))
  source.next(unsynced('failed again'))
  await wait(5)
  source.next(synced({b: 2}))
  source.next(synced({c: 3}))
  await wait(5)
  t.deepEqual(told, ['begun', 'failed', 'stale 0 a=1', 'live b=2', 'live c=3'])
  t.is(asked.times, 1)
})

test('it stands in when the first try takes too long', async t => {
  const {source, told} = standing(lastGood({a: 1}).read, 20)
  source.next(unsynced('begun'))
  await until(() => told.length === 2)
  source.next(unsynced('failed'))
  source.next(synced({b: 2}))
  await wait(30)
  t.deepEqual(told, ['begun', 'stale 0 a=1', 'live b=2'])
})

test('it is never used once there is a live view, however late it has been read', async t => {
  const {read, asked} = lastGood({a: 1}, 20)
  const {source, told} = standing(read, 5)
  source.next(unsynced('begun'))
  await until(() => asked.times === 1)
  source.next(synced({b: 2}))
  await wait(40)
  t.deepEqual(told, ['begun', 'live b=2'])

  const unused = lastGood({a: 1})
  const quick = standing(unused.read, 10)
  quick.source.next(unsynced('begun'))
  quick.source.next(synced({b: 2}))
  await wait(30)
  t.deepEqual(quick.told, ['begun', 'live b=2'])
  t.is(unused.asked.times, 0)
})

test('without anything of use the source is as it is', async t => {
  const {read, asked} = lastGood(undefined)
  const {source, told} = standing(read, 5)
  source.next(unsynced('begun'))
  await until(() => asked.times === 1)
  await wait(5)
  source.next(unsynced('failed'))
  source.next(unsynced('failed again'))
  source.next(synced({b: 2}))
  t.deepEqual(told, ['begun', 'failed', 'failed again', 'live b=2'])
  t.is(asked.times, 1)
})

test('nothing is emitted after the end, and no timer is left', async t => {
  const {read, asked} = lastGood({a: 1}, 10)
  const {source, told, subscription} = standing(read, 5)
  source.next(unsynced('begun'))
  await until(() => asked.times === 1)
  subscription.unsubscribe()
  await wait(30)
  t.deepEqual(told, ['begun'])
  t.false(source.observed)
})

/** `save` answers with what `outcome` says at that time. */
function saving(outcome: () => Promise<boolean> = async () => true, afterMs = 20, everyMs = 100) {
  const source = new Subject<View<string, number>>()
  const saves: {readonly at: number; readonly items: Items}[] = []
  const passed: View<string, number>[] = []
  let running = 0
  let most = 0
  const save = async (items: ReadonlyMap<string, number>) => {
    saves.push({at: performance.now(), items: Object.fromEntries(items)})
    most = Math.max(most, ++running)
    return outcome().finally(() => running--)
  }
  const subscription = source.pipe(saveChanges(save, {afterMs, everyMs})).subscribe(view => passed.push(view))
  return {source, saves, passed, subscription, most: () => most}
}

test('a change is saved a little later, with what has changed meanwhile; then not before the rest is over', async t => {
  const {source, saves, passed, subscription} = saving(undefined, 20, 500)
  source.next(unsynced('begun'))
  source.next({synced: true, items: new Map([['x', 0]]), at: 1, stale: {savedAt: 0}})
  await wait(40)
  t.deepEqual(saves, [])
  const begun = performance.now()
  source.next(synced({a: 1}))
  source.next(synced({a: 2}))
  await until(() => saves.length > 0)
  t.deepEqual(
    saves.map(({items}) => items),
    [{a: 2}],
  )
  t.true(saves[0]!.at - begun >= 10)
  source.next(synced({a: 3}))
  source.next(synced({a: 4}))
  await until(() => saves.length > 1)
  t.deepEqual(saves[1]?.items, {a: 4})
  t.true(saves[1]!.at - saves[0]!.at >= 400)
  // Nothing has changed since.
  await wait(700)
  t.is(saves.length, 2)
  t.is(passed.length, 6)
  subscription.unsubscribe()
  t.is(saves.length, 2)
})

test('what could not be saved is tried again without a change, also when saving rejects', async t => {
  let tries = 0
  const {source, saves, subscription} = saving(async () => {
    if (++tries === 1) return false
    if (tries === 2) throw new Error('broken')
    return true
  })
  source.next(synced({a: 1}))
  await until(() => saves.length > 2)
  await wait(150)
  t.deepEqual(
    saves.map(({items}) => items),
    [{a: 1}, {a: 1}, {a: 1}],
  )
  subscription.unsubscribe()
  t.is(saves.length, 3)
})

test('one saving at a time, and what changes meanwhile is saved after it', async t => {
  const {source, saves, most, subscription} = saving(() => wait(60, true), 1, 1)
  source.next(synced({a: 1}))
  await until(() => saves.length > 0)
  source.next(synced({a: 2}))
  source.next(synced({a: 3}))
  await until(() => saves.length > 1)
  await wait(80)
  t.deepEqual(
    saves.map(({items}) => items),
    [{a: 1}, {a: 3}],
  )
  t.is(most(), 1)
  subscription.unsubscribe()
})

test('what waits is saved at the end', async t => {
  const {source, saves, subscription} = saving()
  source.next(synced({a: 1}))
  subscription.unsubscribe()
  t.deepEqual(
    saves.map(({items}) => items),
    [{a: 1}],
  )
  await wait(40)
  t.is(saves.length, 1)
})
