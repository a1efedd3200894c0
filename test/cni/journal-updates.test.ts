/** Attachments that are changed in place, again and again. */
import {readdir, stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import test from 'ava'
import {folderOf, KEY, openQuietly, planOf, RESULT, reopened} from './journal-support.ts'

const FILE = 'c1@eth0.json'

test('what was changed last is what there is, and the file does not grow for ever', async t => {
  const folder = await folderOf(t)
  const journal = await openQuietly(t, folder)
  await journal.begin(planOf(), false)
  await journal.added(KEY, RESULT)
  let longest = 0
  for (let n = 0; n < 1500; n++) {
    const plan = planOf({args: `N=${n}`})
    const result = {...RESULT, dns: {domain: `d${n}`}}
    await journal.updated(plan, result)
    const {size, mode} = await stat(join(folder, FILE))
    longest = Math.max(longest, size)
    t.is(mode & 0o777, 0o600)
    if (n % 100 === 0) t.deepEqual(await reopened(t, folder), [{plan, state: 'added', result}])
  }
  t.true(longest < 70_000, `${longest}`)
  t.deepEqual(await readdir(folder), [FILE])
  await journal.deleting(KEY)
  t.like((await reopened(t, folder))[0], {state: 'deleting', plan: {args: 'N=1499'}})
  await journal.end(KEY)
  t.deepEqual(await readdir(folder), [])
})

test('a plan that is long by itself is not written anew each time', async t => {
  const folder = await folderOf(t)
  const journal = await openQuietly(t, folder)
  await journal.begin(planOf(), false)
  await journal.added(KEY, RESULT)
  const {ino} = await stat(join(folder, FILE))
  for (let n = 0; n < 3; n++) await journal.updated(planOf({args: `${n}${'x'.repeat(70_000)}`}), RESULT)
  t.is((await stat(join(folder, FILE))).ino, ino)
  for (let n = 0; n < 3; n++) await journal.updated(planOf({args: `${n}${'x'.repeat(70_000)}`}), RESULT)
  t.not((await stat(join(folder, FILE))).ino, ino)
})

test('what a kill has left of that is removed', async t => {
  const folder = await folderOf(t)
  const journal = await openQuietly(t, folder)
  await journal.begin(planOf(), false)
  await journal.added(KEY, RESULT)
  await writeFile(join(folder, `${FILE}.new`), '{"version":1,')
  t.deepEqual(await reopened(t, folder), [{plan: planOf(), state: 'added', result: RESULT}])
  t.deepEqual(await readdir(folder), [FILE])
})
