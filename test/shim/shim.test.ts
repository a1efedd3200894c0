/** What the runtime and the agent see of the shim while everything is as it should be. */
import {rm} from 'node:fs/promises'
import {createServer, type Socket} from 'node:net'
import {join} from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import {encodeAnswer} from '../../src/cni/protocol.ts'
import {buildShim, failure, fakeAgent, folder, ok, QUICK, run, temporary} from './support.ts'

const home = await folder()
const shim = join(home, 'shim')
/** Does not wait long for its input. */
const hasty = join(home, 'hasty')
test.before(async () => {
  await buildShim(shim, {waits: QUICK})
  await buildShim(hasty, {waits: {...QUICK, STDIN_WAIT_MS: 100}})
})
test.after.always(() => rm(home, {recursive: true, force: true, maxRetries: 5}))

const VERBS = ['ADD', 'CHECK', 'DEL', 'GC', 'STATUS']

for (const verb of VERBS)
  test(`${verb} is forwarded as it is, and the answer printed as it is`, async t => {
    const path = join(await temporary(t), 'sock')
    const config = ` {"socket" : ${JSON.stringify(path)}, "name": "é\\u00e9", "x": [1e9, {"socket": "/other"}]}\n`
    const body = Buffer.from([0, 1, 0xff, 10])
    const agent = await fakeAgent(t, path, (_, __, nth) => encodeAnswer({status: nth === 0 ? 0 : 1, stdout: body}))
    const env = {
      CNI_COMMAND: verb,
      CNI_ARGS: 'A=é;B="\n',
      CNI_EMPTY: '',
      _CNI_LOGGING_LEVEL: 'debug',
      PATH: '/bin',
      _CNI_OTHER: 'x',
      XCNI_A: 'x',
    }
    for (const status of [0, 1]) {
      const ran = await run(shim, {env, input: config})
      t.deepEqual(ran, {status, signal: null, stdout: body, stderr: ''})
    }
    t.is(await agent.heard(), 2)
    const {PATH, _CNI_OTHER, XCNI_A, ...forwarded} = env
    for (const request of agent.requests) {
      t.deepEqual(Object.fromEntries(request.env), forwarded)
      t.is(request.stdin.toString(), config)
    }
    t.not(agent.requests[0]!.id, agent.requests[1]!.id)
  })

test('VERSION needs no agent', async t => {
  const cases: readonly [input: string, cniVersion: string][] = [
    ['{"cniVersion":"0.4.0"}', '0.4.0'],
    ['{"cniVersion":"1.\\u0030.0","socket":7}', '1.0.0'],
    ['{"cniVersion":"a\\"b"}', '1.1.0'],
    ['{"cniVersion":"12345678901234567"}', '1.1.0'],
    ['{"cniVersion":1}', '1.1.0'],
    ['{"x":{"cniVersion":"0.4.0"}}', '1.1.0'],
    ['', '1.1.0'],
    ['\0\xff', '1.1.0'],
  ]
  for (const [input, cniVersion] of cases) {
    const {status, stdout, stderr} = await run(shim, {env: {CNI_COMMAND: 'VERSION'}, input})
    t.deepEqual({status, stderr}, {status: 0, stderr: ''})
    const supportedVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']
    t.deepEqual(JSON.parse(stdout.toString()), {cniVersion, supportedVersions}, input)
  }
})

test('a command that is none is an error in the version of the config', async t => {
  for (const command of [undefined, '', 'add', 'ADD ', 'A"\\\n\x01é', 'x'.repeat(100_000)]) {
    const env = command === undefined ? {} : {CNI_COMMAND: command}
    const error = failure(t, await run(shim, {env, input: '{"cniVersion":"0.3.1"}'}))
    t.like(error, {code: 4, cniVersion: '0.3.1'})
    t.regex(error.msg, /^CNI_COMMAND is .{1,130}: a runtime sets it to ADD, CHECK, DEL, GC, STATUS or VERSION$/)
  }
})

test('input: at most 1 MiB, and what is closed or a terminal is empty', async t => {
  const agent = await fakeAgent(t, `${shim}.sock`, request => ok(`${request.stdin.length}`))
  const env = {CNI_COMMAND: 'ADD'}
  t.is((await run(shim, {env, input: Buffer.alloc(2 ** 20, ' ')})).stdout.toString(), `${2 ** 20}`)
  t.is(failure(t, await run(shim, {env, input: Buffer.alloc(2 ** 20 + 1, ' ')})).code, 6)
  t.is(failure(t, await run(shim, {env: {CNI_COMMAND: 'DEL'}, input: Buffer.alloc(2 ** 22, ' ')})).code, 6)
  t.is((await run('/bin/sh', {args: ['-c', 'exec "$0" <&-', shim], env})).stdout.toString(), '0')
  t.is((await run('/bin/sh', {args: ['-c', 'exec "$0" </dev/null', shim], env})).stdout.toString(), '0')
  const terminal = {...env, PATH: '/usr/bin:/bin'}
  t.is((await run('script', {args: ['-qec', shim, '/dev/null'], env: terminal, input: 'open'})).stdout.toString(), '0')
  const error = failure(t, await run(hasty, {env, input: 'open'}))
  t.is(error.code, 5)
  t.regex(error.msg, /cannot be read from standard input/)
  t.is(failure(t, await run('/bin/sh', {args: ['-c', 'exec "$0" </', shim], env})).code, 5)
  await agent.heard()
})

test('environment: at most 256 KiB of it is forwarded, however much else there is', async t => {
  const path = join(await temporary(t), 'sock')
  const agent = await fakeAgent(t, path)
  const input = JSON.stringify({socket: path})
  const most = 2 ** 18 - 'CNI_COMMAND=ADD\0CNI_A=\0CNI_B=\0CNI_C=\0'.length
  const env = {CNI_COMMAND: 'ADD', CNI_A: 'x'.repeat(120_000), CNI_B: 'x'.repeat(120_000), OTHER: 'y'.repeat(120_000)}
  t.is((await run(shim, {env: {...env, CNI_C: 'x'.repeat(most - 240_000)}, input})).status, 0)
  t.is(agent.requests.length, 1)
  t.is(failure(t, await run(shim, {env: {...env, CNI_C: 'x'.repeat(most - 240_000 + 1)}, input})).code, 4)
})

test('output that cannot be written is not acknowledged', async t => {
  const agent = await fakeAgent(t, `${shim}-out`, () => ok('{"some":"result"}'))
  const input = JSON.stringify({socket: agent.path})
  for (const to of ['>/dev/full', '>&-', '>&- 2>&-', '>&- <&-']) {
    const ran = await run('/bin/sh', {args: ['-c', `exec "$0" ${to}`, shim], env: {CNI_COMMAND: 'ADD'}, input})
    t.deepEqual([ran.status, ran.stdout.toString(), ran.stderr], [1, '', ''], to)
  }
  t.is(agent.requests.length, 3)
  t.is(await agent.heard(), 0)
})

test('the largest answer is printed whole; a larger one is no answer', async t => {
  const path = join(await temporary(t), 'sock')
  const largest = Buffer.alloc(2 ** 24, 'x')
  const agent = await fakeAgent(t, path, (_, __, nth) => {
    if (nth === 0) return ok(largest)
    const header = ok('')
    header.writeUInt32LE(2 ** 24 + 1, 8)
    return header
  })
  const call = {env: {CNI_COMMAND: 'ADD'}, input: JSON.stringify({socket: path})}
  t.true((await run(shim, call)).stdout.equals(largest))
  t.is(failure(t, await run(shim, call)).code, 5)
  t.is(await agent.heard(), 1)
})

test('who refuses a request need not read all of it', async t => {
  const path = join(await temporary(t), 'sock')
  const refusal = encodeAnswer({status: 1, stdout: Buffer.from('{"code":6}')})
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket.on('error', () => {}))
    socket.once('data', () => socket.pause().write(refusal))
  }).listen(path)
  t.teardown(() => server.close())
  const input = JSON.stringify({socket: path}).padEnd(2 ** 20)
  const ran = await run(shim, {env: {CNI_COMMAND: 'ADD'}, input})
  t.deepEqual([ran.status, ran.stdout.toString()], [1, '{"code":6}'])
  // An acknowledgement would have been read as part of the request.
  const rest: Buffer[] = []
  for (const socket of sockets) for await (const chunk of socket) rest.push(chunk)
  t.true(Buffer.concat(rest).every(byte => byte === 0x20))
})

test('property: the socket that JSON.parse would find is the one that is called', async t => {
  const right = join(await temporary(t), 'sock"é\\')
  const agent = await fakeAgent(t, right)
  const spelled = fc.array(fc.boolean(), {minLength: 200, maxLength: 200}).map(
    escaped =>
      `"${Array.from({length: right.length}, (_, i) => {
        const plain = JSON.stringify(right[i]).slice(1, -1)
        return escaped[i] ? `\\u${right.charCodeAt(i).toString(16).padStart(4, '0')}` : plain
      }).join('')}"`,
  )
  const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/)
  const member = fc.tuple(fc.oneof(fc.constantFrom('socket', 'spool', 'name', ''), fc.string()), fc.jsonValue())
  const config = fc
    .tuple(fc.array(member), fc.array(member), spelled, fc.constantFrom('"socket"', '"\\u0073ocket"'), space)
    .map(([before, after, value, key, gap]) => {
      const others = after.filter(([name]) => name !== 'socket')
      const texts = (members: typeof before) =>
        members.map(([name, json]) => `${JSON.stringify(name)}${gap}:${gap}${JSON.stringify(json, null, gap)}`)
      return `${gap}{${gap}${[...texts(before), `${key}${gap}:${gap}${value}`, ...texts(others)].join(`${gap},`)}}${gap}`
    })
    .filter(text => (JSON.parse(text) as {socket: string}).socket === right)
  let calls = 0
  await fc.assert(
    fc.asyncProperty(config, async input => {
      // Not refused for a spool folder that is none, as an ADD would be.
      const ran = await run(shim, {env: {CNI_COMMAND: 'DEL'}, input})
      t.deepEqual([ran.status, ran.stdout.toString(), ran.stderr], [0, '{}', ''], input)
      calls++
      t.is(agent.requests.length, calls, input)
    }),
    {numRuns: 300},
  )
})
