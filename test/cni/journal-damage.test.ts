import {fork, spawnSync} from 'node:child_process'
import {mkdir, readdir, readFile, stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {type Entry, JournalError, keyOf, openJournal, parse} from '../../src/cni/journal.ts'
import {NewerState} from '../../src/cni/journal-version.ts'
import type {CniResult} from '../../src/cni/result.ts'
import {openFiles} from '../../src/netlink/files.ts'
import {folderOf, KEY, openQuietly, planOf, RESULT, reopened} from './journal-support.ts'

/** A whole life's file, and the state that each number of its lines means. */
async function wholeLife(t: ExecutionContext): Promise<{name: string; bytes: Buffer; states: Entry[]}> {
  const folder = await folderOf(t)
  const journal = await openQuietly(t, folder)
  const plan = planOf()
  await journal.begin(plan, false)
  await journal.added(KEY, RESULT)
  await journal.deleting(KEY)
  const [name] = await readdir(folder)
  return {
    name: name!,
    bytes: await readFile(join(folder, name!)),
    states: [
      {plan, state: 'adding'},
      {plan, state: 'added', result: RESULT},
      {plan, state: 'deleting', result: RESULT},
    ],
  }
}

test('cut off anywhere, a file says what was so before; in its first line it goes, and so it can be carried on', async t => {
  const {name, bytes, states} = await wholeLife(t)
  const folder = await folderOf(t)
  const path = join(folder, name)
  for (let length = 0; length <= bytes.length; length++) {
    const part = bytes.subarray(0, length)
    const lines = part.filter(byte => byte === 0x0a).length
    const found = lines === 0 ? [] : [states[lines - 1]!]
    await writeFile(path, part)
    const journal = await openQuietly(t, folder)
    t.deepEqual([...journal.entries.values()], found, `${length} bytes`)
    if (lines === 0) t.deepEqual(await readdir(folder), [])
    // What comes next takes the place of what was cut off, whether it is shorter or longer.
    else if (length % 2 === 0) await journal.deleting(KEY)
    else await journal.added(KEY, {...RESULT, dns: {search: ['a'.repeat(length % 300)]}})
    t.deepEqual(await reopened(t, folder), [...journal.entries.values()], `${length} bytes, and more`)
  }
})

test('zeros that a power failure has left in the place of what was written', async t => {
  const {name, bytes, states} = await wholeLife(t)
  const folder = await folderOf(t)
  const first = bytes.indexOf(0x0a) + 1
  for (const [kept, found] of [
    [0, []],
    [first, [states[0]]],
  ] as const) {
    await writeFile(join(folder, name), Buffer.from(bytes).fill(0, kept))
    t.deepEqual(await reopened(t, folder), [...found] as Entry[])
  }
})

test('files that are not ours, or of no use, are told, and left as they are', async t => {
  const {bytes} = await wholeLife(t)
  const text = bytes.toString()
  const files: readonly [name: string, content: string, told: RegExp | undefined][] = [
    ['c2@eth0.json', text, /another attachment than its name says/],
    ['c4@eth0.json', '{"version":1}\n', /its first line is no plan/],
    ['c5@eth0.json', 'hello\n', /a line that is no JSON object: "hello"/],
    ['c6@eth0.json', text.replace('\n{"added"', '\n["added"'), /a line that is no JSON object/],
    ['c7@eth0.json', '[]\n', /its version is "undefined"/],
    ['my notes.json', 'no line', /my notes\.json/],
    ['notes.txt', 'hello\n', undefined],
    ['.hidden', '', undefined],
  ]
  const folder = await folderOf(t)
  for (const [name, content] of files) await writeFile(join(folder, name), content)
  await mkdir(join(folder, 'folder.json'))
  const told: string[] = []
  const thread = await openFiles()
  t.teardown(() => thread.close())
  const journal = await openJournal(folder, thread, problem => told.push(problem))
  t.is(journal.entries.size, 0)
  for (const [name, content, problem] of files) {
    const said = told.filter(each => each.includes(name))
    t.is(said.length, problem ? 1 : 0, name)
    if (problem) t.regex(said[0]!, problem)
    t.is(await readFile(join(folder, name), 'utf8'), content)
  }
  t.is(told.filter(each => each.includes('folder.json')).length, 1)
  await t.throwsAsync(journal.begin(planOf({containerId: 'c5'}), false), {
    instanceOf: JournalError,
    message: /c5@eth0\.json is there, but was not written by this agent, or not whole; look into it, and remove it/,
  })
})

test('a journal that a newer agent has written to is not opened, and nothing of it is changed', async t => {
  const {bytes} = await wholeLife(t)
  for (const newer of ['{"version":2,"what":"ever"}\n', '{"version":2,"cut o']) {
    const folder = await folderOf(t)
    const files = {
      'c1@eth0.json': bytes.toString(),
      'c2@eth0.json': '{"vers',
      'c3@eth0.json': newer,
      'c1@eth0.json.new': '',
    }
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
    const thread = await openFiles()
    t.teardown(() => thread.close())
    const error = await t.throwsAsync(
      openJournal(folder, thread, () => {}),
      {instanceOf: NewerState},
    )
    t.regex(error!.message, /c3@eth0\.json has version 2, and this agent knows versions up to 1: /)
    for (const [name, content] of Object.entries(files)) t.is(await readFile(join(folder, name), 'utf8'), content)
  }
})

test('property: whatever a file holds, it is an entry or a JournalError', t => {
  const line = fc.oneof(
    fc.json(),
    fc.string(),
    fc.constant(JSON.stringify({version: 1, ...planOf()})),
    fc.jsonValue().map(added => JSON.stringify({added})),
    fc.constant('{"deleting":1}'),
  )
  fc.assert(
    fc.property(fc.array(line), fc.constantFrom('', '\n'), (lines, end) => {
      try {
        t.true(['adding', 'added', 'deleting'].includes(parse(lines.join('\n') + end).state))
      } catch (error) {
        if (!(error instanceof JournalError)) throw error
        t.notRegex(error.message, /\n/)
      }
    }),
    {numRuns: 2000},
  )
})

test('a full disk: what cannot be written has not been done, and the rest goes on', async t => {
  const folder = await folderOf(t)
  const mount = (...args: string[]) => spawnSync('mount', [...args, folder], {encoding: 'utf8'})
  t.is(mount('-t', 'tmpfs', '-o', 'size=16k', 'tmpfs').stderr, '')
  t.teardown(() => spawnSync('umount', ['-l', folder]))
  const journal = await openQuietly(t, folder)
  await journal.begin(planOf(), true)
  const long: CniResult = {...RESULT, dns: {search: ['x'.repeat(12_000)]}}
  const tooLong: CniResult = {...RESULT, dns: {search: ['x'.repeat(40_000)]}}
  const full = {instanceOf: JournalError, message: /cannot be written: ENOSPC; its file system needs looking after/}

  // Part of it fits: nothing of it stays.
  const found = await reopened(t, folder)
  const [name] = await readdir(folder)
  const {size} = await stat(join(folder, name!))
  await t.throwsAsync(journal.added(KEY, tooLong), full)
  t.is((await stat(join(folder, name!))).size, size)
  t.deepEqual([...journal.entries.values()], found)
  t.deepEqual(await reopened(t, folder), found)

  await journal.added(KEY, long)
  for (const durable of [false, true]) {
    const another = planOf({ifname: 'eth1', args: 'x'.repeat(8000)})
    await t.throwsAsync(journal.begin(another, durable), full)
    t.deepEqual(await readdir(folder), [name])
  }
  await journal.deleting(KEY)
  t.deepEqual(await reopened(t, folder), [{plan: planOf(), state: 'deleting', result: long}])
  await journal.end(KEY)
  await journal.begin(planOf({ifname: 'eth1', args: 'x'.repeat(8000)}), true)
})

test('a process that is killed while it writes leaves a journal that can be read', async t => {
  for (let round = 0; round < 6; round++) {
    const folder = await folderOf(t)
    const child = fork(new URL('child/journal-writer.ts', import.meta.url), [folder], {execArgv: []})
    t.teardown(() => child.kill('SIGKILL'))
    const gone = new Promise(resolve => child.once('exit', resolve))
    await new Promise(resolve => child.once('message', resolve))
    await new Promise(resolve => setTimeout(resolve, 20 + 30 * round))
    child.kill('SIGKILL')
    await gone
    const journal = await openQuietly(t, folder)
    t.true(journal.entries.size > 0)
    for (const {plan} of [...journal.entries.values()]) {
      await journal.deleting(plan)
      if (Number(plan.containerId.slice(1)) % 2 === 0) await journal.end(plan)
    }
    const left = await reopened(t, folder)
    t.true(left.every(({state}) => state === 'deleting'))
    t.deepEqual(left.map(({plan}) => keyOf(plan)).toSorted(), [...journal.entries.keys()].toSorted())
  }
})
