/** Steps on files, on a thread of their own. */
import {spawnSync} from 'node:child_process'
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import type {FileOutcome, FileStep} from '../../src/model/files.ts'
import {openFiles} from '../../src/netlink/files.ts'

async function at(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'ng-files-'))
  t.teardown(() => rmSync(folder, {recursive: true, force: true, maxRetries: 5}))
  const files = await openFiles()
  t.teardown(() => files.close())
  const codes = async (...steps: FileStep[]) => (await files.run(steps)).map(({code}) => code ?? 'ok').join(' ')
  return {folder, files, codes, path: (name: string) => join(folder, name)}
}

test('files are made, written into, linked, stamped and removed', async t => {
  const {codes, path, files} = await at(t)
  const ns = 1_700_000_000_123_456_789n
  t.is(
    await codes(
      {do: 'create', path: path('a'), text: 'one\nä\n'},
      {do: 'write at', path: path('a'), text: 'two\n', at: 7},
      {do: 'link', path: path('a'), to: path('b')},
      {do: 'sync', path: path('a')},
      {do: 'stamp', path: path('b'), ns},
      {do: 'write', path: path('c'), text: 'a long text', mode: 0o644},
      {do: 'write', path: path('c'), text: 'short'},
      {do: 'unlink', path: path('a')},
    ),
    'ok ok ok ok ok ok ok ok',
  )
  t.is(readFileSync(path('b'), 'utf8'), 'one\nä\ntwo\n')
  t.is(statSync(path('b'), {bigint: true}).mtimeNs, ns)
  t.is(statSync(path('b')).mode & 0o777, 0o600)
  t.is(readFileSync(path('c'), 'utf8'), 'short')
  t.is(statSync(path('c')).mode & 0o777, 0o644)
  t.false(existsSync(path('a')))
  const [about] = (await files.run([{do: 'stat', path: path('b')}])) as [FileOutcome]
  const {ino} = statSync(path('b'))
  t.is(about.state, `${ino}:${ns}`)
})

test('the first failure ends it, unless it may fail', async t => {
  const {codes, path, folder} = await at(t)
  writeFileSync(path('there'), 'x')
  symlinkSync(path('there'), path('link'))
  const create = (name: string): FileStep => ({do: 'create', path: path(name), text: 'y'})
  t.is(await codes(create('there'), create('b')), 'EEXIST ECANCELED')
  t.is(await codes({...create('there'), mayFail: true}, create('b')), 'EEXIST ok')
  t.is(await codes({do: 'write', path: path('link'), text: 'z'}), 'ELOOP')
  t.is(await codes({do: 'write at', path: path('absent'), text: 'z', at: 0}), 'ENOENT')
  t.is(await codes({do: 'unlink', path: folder}), 'EISDIR')
  t.is(await codes(), '')
  t.is(readFileSync(path('there'), 'utf8'), 'x')
})

test('a lock is held until its descriptor is closed', async t => {
  const {files, codes, folder} = await at(t)
  const lock = {do: 'lock', path: folder} as const
  const [held] = (await files.run([lock])) as [FileOutcome]
  t.is(await codes(lock), 'EAGAIN')
  t.not(spawnSync('flock', ['-n', folder, 'true']).status, 0)
  t.is(await codes({do: 'close', path: folder, fd: held.fd!}), 'ok')
  t.is(spawnSync('flock', ['-n', folder, 'true']).status, 0)
})

test('what a full disk has cut short is taken back', async t => {
  const {folder, path, codes} = await at(t)
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'none', folder])
  t.teardown(() => spawnSync('umount', [folder]))
  const text = 'x'.repeat(20_000)
  t.is(await codes({do: 'create', path: path('a'), text: 'a line\n'}), 'ok')
  t.is(await codes({do: 'create', path: path('b'), text}), 'ENOSPC')
  t.deepEqual(readdirSync(folder), ['a'])
  t.is(await codes({do: 'write at', path: path('a'), text, at: 7}), 'ENOSPC')
  t.is(readFileSync(path('a'), 'utf8'), 'a line\n')
})
