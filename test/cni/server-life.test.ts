import {execFile, fork} from 'node:child_process'
import {chmod, mkdir, readdir, rm, stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test from 'ava'
import {ACKNOWLEDGED, encodeRequest} from '../../src/cni/protocol.ts'
import {serve} from '../../src/cni/server.ts'
import {InvalidInput} from '../../src/model/errors.ts'
import {addon} from '../../src/netlink/addon.ts'
import {pathOf, request, served} from './server-support.ts'
import {connectTo} from './shim-client.ts'

test('folder and socket are for root alone; a folder that was there stays as it is', async t => {
  const path = await pathOf(t)
  await served(t, path)
  t.is((await stat(join(path, '..'))).mode & 0o7777, 0o700)
  t.is((await stat(path)).mode & 0o7777, 0o600)
  t.deepEqual(await readdir(join(path, '..')), ['cni.sock'])
  const shared = join(path, '..', '..', 'shared')
  await mkdir(shared)
  await chmod(shared, 0o1777)
  await served(t, join(shared, 'cni.sock'))
  t.is((await stat(shared)).mode & 0o7777, 0o1777)
  t.is((await stat(join(shared, 'cni.sock'))).mode & 0o7777, 0o600)
})

test('who is not root is refused, even where the file system would let him in', async t => {
  const path = await pathOf(t)
  const {told} = await served(t, path)
  for (const folder of [join(path, '..'), join(path, '..', '..')]) await chmod(folder, 0o755)
  await chmod(path, 0o666)
  const client = `
    const socket = require('node:net').connect(process.argv[1])
    socket.on('error', () => {})
    socket.on('connect', () => console.log('connected'))
    socket.on('data', () => console.log('answered'))
    socket.on('close', () => console.log('closed'))
    socket.end(Buffer.from(process.argv[2], 'hex'))`
  const {stdout} = await promisify(execFile)(
    'setpriv',
    [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      ...nodeFor(client),
      path,
      encodeRequest(request()).toString('hex'),
    ],
    {encoding: 'utf8'},
  )
  t.is(stdout, 'connected\nclosed\n')
  t.regex(told.join('\n'), /^process \d+ of user 65534 is refused: only root may ask for networks$/)
})

test('what an earlier agent has left is replaced, be it a socket or not', async t => {
  const path = await pathOf(t)
  await mkdir(join(path, '..'))
  const child = fork(new URL('child/socket-holder.ts', import.meta.url), [path], {execArgv: []})
  t.teardown(() => child.kill('SIGKILL'))
  await new Promise(resolve => child.once('message', resolve))
  child.kill('SIGKILL')
  await new Promise(resolve => child.once('exit', resolve))
  await t.throwsAsync(connectTo(path), {code: 'ECONNREFUSED'})
  const {close} = await served(t, path)
  ;(await connectTo(path)).destroy()
  close()
  await t.throwsAsync(connectTo(path), {code: 'ECONNREFUSED'})
  await rm(path)
  await writeFile(path, 'x')
  await served(t, path)
  ;(await connectTo(path)).destroy()
})

test('another agent takes over without a moment in which nobody listens', async t => {
  const path = await pathOf(t)
  let agent = await served(t, path, () => ({status: 0, body: 'agent 0'}))
  const faults: unknown[] = []
  const seen = new Set<string>()
  let going = true
  /** As the shim does: whoever was lost without an answer is asked again. */
  const ask = async (): Promise<void> => {
    while (going) {
      const client = await connectTo(path).catch(error => faults.push(error.code))
      if (typeof client === 'number') continue
      client.write(encodeRequest(request()))
      const answer = await client.answer().catch(() => undefined)
      if (answer) seen.add(`${answer.stdout}`)
      client.write(Buffer.from([ACKNOWLEDGED]))
      client.destroy()
    }
  }
  const asking = Array.from({length: 8}, ask)
  for (let n = 1; n <= 20; n++) {
    const next = await served(t, path, () => ({status: 0, body: `agent ${n}`}))
    await new Promise(resolve => setTimeout(resolve, 10))
    agent.close()
    await new Promise(resolve => setTimeout(resolve, 10))
    agent = next
  }
  going = false
  await Promise.all(asking)
  t.deepEqual(faults, [])
  t.true(seen.has('agent 20') || seen.has('agent 19'))
  t.true(seen.size > 5)
  t.deepEqual(await readdir(join(path, '..')), ['cni.sock'])
})

test('who ends while it begins leaves nobody behind who listens', async t => {
  const path = await pathOf(t)
  for (let turns = 0; turns < 30; turns++) {
    const subscription = serve({
      path,
      credentials: addon.peerCredentials,
      tell: t.fail,
      listening: () => t.fail(),
    }).subscribe({error: t.fail})
    for (let i = 0; i < turns; i++) await undefined
    subscription.unsubscribe()
  }
  await new Promise(resolve => setTimeout(resolve, 200))
  t.deepEqual(await readdir(join(path, '..')).catch(() => []), [])
})

test('a path that no socket can have, and one that is a folder, are errors', async t => {
  const failed = (path: string) =>
    new Promise(resolve => {
      serve({path, credentials: addon.peerCredentials, tell: t.fail}).subscribe({error: resolve})
    })
  const path = await pathOf(t)
  const long = await failed(join(path, 'x'.repeat(100)))
  t.true(long instanceof InvalidInput)
  t.regex(`${long}`, /has more than 107 bytes; give it a shorter folder/)
  await mkdir(join(path, 'full'), {recursive: true})
  t.regex(`${await failed(path)}`, /EISDIR|ENOTEMPTY|EEXIST/)
  t.deepEqual(await readdir(join(path, '..')), ['cni.sock'])
})

test('when it ends, those who are still asking are let go, and those who wait are answered', async t => {
  const path = await pathOf(t)
  const {first, close} = await served(t, path, () => undefined)
  const half = await connectTo(path)
  half.write(encodeRequest(request()).subarray(0, 20))
  const client = await connectTo(path)
  client.write(encodeRequest(request(1)))
  const incoming = await first()
  close()
  await half.closed
  const heard = incoming.answer({status: 0, body: 'last'})
  t.is(`${(await client.answer()).stdout}`, 'last')
  client.write(Buffer.from([ACKNOWLEDGED]))
  t.true(await heard)
})

test('what has ended keeps no process alive, though clients stay', async t => {
  const path = await pathOf(t)
  const child = fork(new URL('child/short-server.ts', import.meta.url), [path], {execArgv: []})
  t.teardown(() => child.kill('SIGKILL'))
  const exited = new Promise(resolve => child.once('exit', resolve))
  await new Promise(resolve => child.once('message', resolve))
  const waiting = await connectTo(path)
  waiting.write(encodeRequest(request()))
  await new Promise(resolve => child.once('message', resolve))
  const silent = await connectTo(path)
  child.send('end')
  t.is(await exited, 0)
  await Promise.all([waiting.closed, silent.closed])
})

const nodeFor = (script: string): string[] => [process.execPath, '-e', script, '--']
