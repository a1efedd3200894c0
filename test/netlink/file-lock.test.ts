/** flock(2) and SO_PEERCRED, beside programs that know them. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {connect, createServer, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {addon} from '../../src/netlink/addon.ts'
import {fileLocks} from '../../src/netlink/file-lock.ts'

const file = (t: ExecutionContext): string => {
  const path = mkdtempSync(join(tmpdir(), 'ng-lock-'))
  t.teardown(() => rmSync(path, {recursive: true, force: true, maxRetries: 5}))
  writeFileSync(join(path, 'lock'), '')
  return join(path, 'lock')
}

const never = new AbortController().signal

test('one at a time, each in its turn', async t => {
  const path = file(t)
  let held = 0
  let most = 0
  await Promise.all(
    Array.from({length: 20}, async () => {
      const lock = await fileLocks.acquire(path, never)
      most = Math.max(most, ++held)
      await new Promise(setImmediate)
      held--
      await lock.release()
    }),
  )
  t.is(most, 1)
})

test('another program keeps it, and lets it go', async t => {
  const path = file(t)
  const holder = spawn('flock', [path, 'sh', '-c', 'echo held; read x'], {stdio: ['pipe', 'pipe', 'inherit']})
  t.teardown(() => holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  const stop = new AbortController()
  const waits = fileLocks.acquire(path, stop.signal)
  stop.abort(new Error('no longer'))
  await t.throwsAsync(waits, {message: /no longer|abort/i})
  const gets = fileLocks.acquire(path, never)
  holder.stdin.end('\n')
  const lock = await gets
  const other = spawn('flock', ['--nonblock', path, 'true'])
  t.is((await once(other, 'exit'))[0], 1)
  await lock.release()
  const last = spawn('flock', ['--nonblock', path, 'true'])
  t.is((await once(last, 'exit'))[0], 0)
})

test('a folder can be locked, what is not there cannot', async t => {
  const path = file(t)
  const lock = await fileLocks.acquire(join(path, '..'), never)
  await lock.release()
  await t.throwsAsync(fileLocks.acquire(`${path}x`, never), {code: 'ENOENT'})
  await t.throwsAsync(fileLocks.acquire(path, AbortSignal.abort(new Error('too late'))), {message: 'too late'})
})

test('who connected a socket is known', async t => {
  const path = `${file(t)}.sock`
  const server = createServer().listen(path)
  t.teardown(() => void server.close())
  await once(server, 'listening')
  const client = connect(path)
  const [accepted] = (await once(server, 'connection')) as [Socket & {readonly _handle: {readonly fd: number}}]
  t.deepEqual(addon.peerCredentials(accepted._handle.fd), [process.pid, process.getuid!(), process.getgid!()])
  client.destroy()
  accepted.destroy()
})
