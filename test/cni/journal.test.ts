import {readdir, stat} from 'node:fs/promises'
import {join} from 'node:path'
import test from 'ava'
import {type Entry, JournalError, keyOf} from '../../src/cni/journal.ts'
import {folderOf, KEY, openQuietly, planOf, RESULT, reopened} from './journal-support.ts'

test('an attachment is found again at every turn of its life', async t => {
  const folder = join(await folderOf(t), 'state', 'journal')
  const journal = await openQuietly(t, folder)
  t.is((await stat(folder)).mode & 0o777, 0o700)
  const plan = planOf()
  const turns: readonly [step: () => Promise<void>, found: Entry[]][] = [
    [() => journal.begin(plan, true), [{plan, state: 'adding'}]],
    [() => journal.added(KEY, RESULT), [{plan, state: 'added', result: RESULT}]],
    [() => journal.deleting(KEY), [{plan, state: 'deleting', result: RESULT}]],
    [() => journal.deleting(KEY), [{plan, state: 'deleting', result: RESULT}]],
    [() => journal.end(KEY), []],
    [() => journal.end(KEY), []],
    [() => journal.begin(plan, false), [{plan, state: 'adding'}]],
    [() => journal.deleting(KEY), [{plan, state: 'deleting'}]],
  ]
  for (const [step, found] of turns) {
    await step()
    t.deepEqual([...journal.entries.values()], found)
    t.deepEqual(await reopened(t, folder), found)
    for (const name of await readdir(folder)) t.is((await stat(join(folder, name))).mode & 0o777, 0o600)
  }
})

test('what another agent has begun is carried on', async t => {
  const folder = await folderOf(t)
  const plan = planOf()
  await (await openQuietly(t, folder)).begin(plan, false)
  await (await openQuietly(t, folder)).added(KEY, RESULT)
  await (await openQuietly(t, folder)).deleting(KEY)
  t.deepEqual(await reopened(t, folder), [{plan, state: 'deleting', result: RESULT}])
  await (await openQuietly(t, folder)).end(KEY)
  t.deepEqual(await readdir(folder), [])
})

test('the longest names of a container and an interface', async t => {
  const folder = await folderOf(t)
  const plan = planOf({containerId: 'x'.repeat(200), ifname: 'ééééééé'})
  await (await openQuietly(t, folder)).begin(plan, false)
  t.deepEqual(await reopened(t, folder), [{plan, state: 'adding'}])
})

test('a key is begun once, and only what has been begun goes on', async t => {
  const folder = await folderOf(t)
  const journal = await openQuietly(t, folder)
  const refused = {instanceOf: JournalError, message: 'c1@eth0 is not in the journal'}
  await t.throwsAsync(journal.added(KEY, RESULT), refused)
  await t.throwsAsync(journal.deleting(KEY), refused)
  await journal.begin(planOf(), false)
  const before = await reopened(t, folder)
  const twice = {instanceOf: JournalError, message: 'c1@eth0 is in the journal already; DEL comes first'}
  await t.throwsAsync(journal.begin(planOf({netns: '/y'}), false), twice)
  t.deepEqual(await reopened(t, folder), before)
  // At once: one of them has it.
  const other = {...KEY, ifname: 'eth1'}
  const both = await Promise.allSettled([1, 2].map(at => journal.begin(planOf({...other, at}), true)))
  t.deepEqual(both.map(({status}) => status).toSorted(), ['fulfilled', 'rejected'])
  t.is((await reopened(t, folder)).length, 2)
  // Whoever has made its file meanwhile.
  await (await openQuietly(t, folder)).begin(planOf({ifname: 'eth2'}), false)
  await t.throwsAsync(journal.begin(planOf({ifname: 'eth2'}), false), {
    instanceOf: JournalError,
    message: /is there, but/,
  })
  t.is((await reopened(t, folder)).length, 3)
})

test('many attachments at once', async t => {
  const folder = await folderOf(t)
  const journal = await openQuietly(t, folder)
  await Promise.all(
    Array.from({length: 100}, async (_, n) => {
      const key = {containerId: `c${n >> 1}`, ifname: `eth${n & 1}`}
      await journal.begin(planOf(key), n % 10 === 0)
      if (n % 4 > 0) await journal.added(key, RESULT)
      if (n % 4 > 1) await journal.deleting(key)
      if (n % 4 > 2) await journal.end(key)
    }),
  )
  const sorted = (entries: Iterable<Entry>) => [...entries].toSorted((a, b) => (keyOf(a.plan) < keyOf(b.plan) ? -1 : 1))
  const found = await reopened(t, folder)
  t.deepEqual(sorted(found), sorted(journal.entries.values()))
  t.deepEqual(
    ['adding', 'added', 'deleting'].map(state => found.filter(each => each.state === state).length),
    [25, 25, 25],
  )
})
