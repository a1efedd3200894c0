/** What becomes of a call while the agent is away, comes back, or cannot be reached at all. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdir, readdir, readFile, rename, rm, writeFile} from 'node:fs/promises'
import {connect} from 'node:net'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import {decodeRequest} from '../../src/cni/protocol.ts'
import {buildShim, failure, fakeAgent, folder, ok, QUICK, type Ran, run, temporary} from './support.ts'

const home = await folder()
/** Gives up soon. */
const quick = join(home, 'quick')
/** Does not wait long for an answer either. */
const hasty = join(home, 'hasty')
/** As in production, but for the pauses. */
const patient = join(home, 'patient')
test.before(async () => {
  await buildShim(quick, {waits: QUICK})
  await buildShim(hasty, {waits: {...QUICK, ANSWER_WAIT_MS: 300}})
  await buildShim(patient, {waits: {DEL_WAIT_MS: 10_000, STATUS_WAIT_MS: 10_000, GC_WAIT_MS: 10_000, RETRY_MS: 5}})
})
test.after.always(() => rm(home, {recursive: true, force: true, maxRetries: 5}))

const VERBS = ['ADD', 'CHECK', 'DEL', 'GC', 'STATUS'] as const
const config = (path: string): string =>
  JSON.stringify({cniVersion: '0.4.0', socket: `${path}/sock`, spool: `${path}/spool`})
const call = (program: string, path: string, verb: string, uid?: number): Promise<Ran> =>
  run(program, {env: {CNI_COMMAND: verb}, input: config(path), ...(uid !== undefined && {uid})})

/** How each verb ends when the agent cannot be asked: the code of the error, or undefined for a DEL that is kept. */
type Ends = Readonly<Record<(typeof VERBS)[number], number | undefined>>
const AWAY: Ends = {ADD: 11, CHECK: 11, DEL: undefined, GC: 11, STATUS: 50}
const BARRED: Ends = {ADD: 5, CHECK: 5, DEL: undefined, GC: 5, STATUS: 50}

const obstacles: readonly {
  readonly what: string
  readonly ends: Ends
  readonly says: RegExp
  /** @default quick */
  readonly program?: string
  /** Makes the obstacle at a path. */
  readonly make: (t: Parameters<typeof fakeAgent>[0], socket: string) => Promise<unknown>
}[] = [
  {what: 'nothing there', ends: AWAY, says: /does not answer on ".*sock": is its pod/, make: async () => {}},
  {
    what: 'a socket that nobody listens on',
    ends: AWAY,
    says: /does not answer/,
    // Renamed, so that its end does not remove it.
    make: async (t, socket) => {
      const agent = await fakeAgent(t, `${socket}.1`)
      await rename(`${socket}.1`, socket)
      await agent.close()
    },
  },
  {what: 'a plain file', ends: AWAY, says: /does not answer/, make: (_, socket) => writeFile(socket, '')},
  {
    what: 'an agent that never answers',
    program: hasty,
    ends: AWAY,
    says: /does not answer/,
    make: (t, socket) => fakeAgent(t, socket, () => undefined),
  },
  {
    what: 'an agent that hangs up at once, every time',
    ends: AWAY,
    says: /does not answer/,
    make: (t, socket) => fakeAgent(t, socket, (_, connection) => void connection.destroy()),
  },
  {
    what: 'an agent that hangs up amid its answer, every time',
    ends: AWAY,
    says: /does not answer/,
    make: (t, socket) => fakeAgent(t, socket, (_, connection) => void connection.end(ok('{"a":1}').subarray(0, -1))),
  },
  {
    what: 'another program',
    ends: BARRED,
    says: /does not speak as the netgraft agent does/,
    make: (t, socket) => fakeAgent(t, socket, () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')),
  },
  {
    what: 'a status that is none',
    ends: BARRED,
    says: /does not speak/,
    make: (t, socket) =>
      fakeAgent(t, socket, () => {
        const answer = ok('{}')
        answer.writeUInt32LE(2, 4)
        return answer
      }),
  },
]

for (const {what, ends, says, make, program = quick} of obstacles)
  test(`${what}: each verb ends in its own way`, async t => {
    const path = await temporary(t)
    await make(t, join(path, 'sock'))
    for (const verb of VERBS) {
      const ran = await call(program, path, verb)
      if (ends[verb] === undefined) {
        t.deepEqual(ran, {status: 0, signal: null, stdout: Buffer.alloc(0), stderr: ''})
        continue
      }
      const error = failure(t, ran)
      t.like(error, {code: ends[verb], cniVersion: '0.4.0'})
      t.regex(error.msg, says)
    }
    const spooled = await readdir(join(path, 'spool'))
    t.is(spooled.length, 1)
    const request = decodeRequest(await readFile(join(path, 'spool', spooled[0]!)))
    t.is(request.env.get('CNI_COMMAND'), 'DEL')
    t.is(request.stdin.toString(), config(path))
  })

test('a path that leads through a file cannot be used', async t => {
  const path = await temporary(t)
  await writeFile(join(path, 'file'), '')
  const input = JSON.stringify({socket: `${path}/file/sock`})
  const error = failure(t, await run(patient, {env: {CNI_COMMAND: 'ADD'}, input}))
  t.like(error, {code: 5, cniVersion: '1.0.0', details: 'Not a directory'})
})

test('who may not open the socket is told so at once', async t => {
  const path = await temporary(t)
  await mkdir(join(path, 'closed'), {mode: 0o700})
  const agent = await fakeAgent(t, join(path, 'closed', 'sock'))
  const error = failure(t, await call(patient, join(path, 'closed'), 'ADD', 65534))
  t.like(error, {code: 5, details: 'Permission denied'})
  t.regex(error.msg, /closed\/sock", cannot be used: check the path, and who may open it$/)
  t.is(failure(t, await call(patient, join(path, 'closed'), 'STATUS', 65534)).code, 50)
  t.is(failure(t, await call(patient, join(path, 'closed'), 'DEL', 65534)).code, 5)
  t.is(agent.requests.length, 0)
})

test('a socket or spool folder that can be none is an error of the config, but not for a DEL', async t => {
  const spooled = async () => (await readdir(`${quick}.spool`).catch(() => [])).length
  const before = await spooled()
  const wrong = [
    {socket: 'run/cni.sock'},
    {socket: ''},
    {socket: 7},
    {socket: `/${'x'.repeat(107)}`},
    {socket: '/a\0b'},
    {spool: 'spool'},
    {spool: `/${'x'.repeat(4095)}`},
    {spool: {}},
  ]
  for (const config of wrong) {
    const input = JSON.stringify(config)
    const error = failure(t, await run(quick, {env: {CNI_COMMAND: 'ADD'}, input}))
    t.is(error.code, 7, input)
    t.regex(error.msg, /^"(socket|spool)" of the network config must be an absolute path/)
    t.is((await run(quick, {env: {CNI_COMMAND: 'DEL'}, input})).status, 0)
  }
  t.is(await spooled(), before + wrong.length)
})

for (const verb of VERBS)
  test(`${verb} waits for an agent that comes late`, async t => {
    const path = await temporary(t)
    const running = call(patient, path, verb)
    await sleep(50)
    const agent = await fakeAgent(t, join(path, 'sock'), () => ok('late'))
    t.is((await running).stdout.toString(), 'late')
    t.is(await agent.heard(), 1)
  })

for (const [how, die] of [
  ['without a word', Buffer.alloc(0)],
  ['amid its answer', ok('{"half":1}').subarray(0, 15)],
] as const)
  test(`an agent that dies ${how} and comes back gets the same request`, async t => {
    const path = await temporary(t)
    const first = await fakeAgent(t, join(path, 'sock'), (_, socket) => {
      socket.write(die, () => void first.close())
      return undefined
    })
    const running = call(patient, path, 'ADD')
    while (first.requests.length === 0) await sleep(1)
    t.is(await first.heard(), 0)
    await sleep(30)
    const second = await fakeAgent(t, join(path, 'sock'), () => ok('{"whole":1}'))
    t.is((await running).stdout.toString(), '{"whole":1}')
    t.is(await second.heard(), 1)
    t.deepEqual(second.requests, first.requests)
  })

test('an agent that has too much to do is one that is away for a while', async t => {
  const path = await temporary(t)
  // Stopped with its queue full: connecting would block.
  const script = `require('net').createServer(s => s.on('error', () => {}).on('data', () => s.write(Buffer.from('${ok('{}').toString('hex')}', 'hex')))).listen({path: process.argv[1], backlog: 1}, () => console.log())`
  const server = spawn(process.execPath, ['-e', script, join(path, 'sock')])
  t.teardown(() => server.kill('SIGKILL'))
  await once(server.stdout, 'data')
  server.kill('SIGSTOP')
  const waiting = Array.from({length: 8}, () => connect(join(path, 'sock')).on('error', () => {}))
  t.teardown(() => {
    for (const socket of waiting) socket.destroy()
  })
  await sleep(50)
  const error = failure(t, await call(quick, path, 'ADD'))
  t.like(error, {code: 11, details: 'Resource temporarily unavailable'})
  const running = call(patient, path, 'ADD')
  await sleep(50)
  server.kill('SIGCONT')
  t.is((await running).stdout.toString(), '{}')
})
