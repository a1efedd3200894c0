import {execFileSync, spawn} from 'node:child_process'
import {once} from 'node:events'
import {closeSync, constants, mkdtempSync, openSync, readSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {fileURLToPath} from 'node:url'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {parseCidr, parseIp} from '../../src/model/ip.ts'
import type {LogFields} from '../../src/model/logger.ts'
import {createLogger, type LogOptions} from '../../src/observe/log.ts'
import {openStdout} from '../../src/observe/stdout.ts'

const FLOOD = fileURLToPath(new URL('flood.ts', import.meta.url))

function capture(options: Partial<LogOptions> = {}) {
  // biome-ignore lint/suspicious/noExplicitAny: lines of any shape are looked into
  const lines: Record<string, any>[] = []
  const log = createLogger({level: 'info', destination: {write: line => void lines.push(JSON.parse(line))}, ...options})
  return {
    log,
    lines,
    said: () => lines.map(line => `${line.level} ${line.msg}`.replace(/in \d+ s/, 'in N s')).join('\n'),
  }
}

test('a line has an ISO time, the level as a word, the fields and the message', t => {
  const {log, lines} = capture()
  log.info('route replaced', {network: 'default', metric: 2048})
  const {time, ...rest} = lines[0]!
  t.regex(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.deepEqual(rest, {level: 'info', network: 'default', metric: 2048, msg: 'route replaced'})
  log.close()
})

test('addresses, prefixes, bigints and collections are written as text', t => {
  const {log, lines} = capture()
  log.info('x', {ip: parseIp('10.0.0.1'), cidrs: [parseCidr('fd00::/64')], big: 1n, map: new Map([[1, 2]])})
  const {ip, cidrs, big, map} = lines[0]!
  t.deepEqual({ip, cidrs, big, map}, {ip: '10.0.0.1', cidrs: ['fd00::/64'], big: '1', map: '1 entries'})
  log.close()
})

test('an error is written with code and causes, and without whatever else it carries', t => {
  const {log, lines} = capture()
  const cause = Object.assign(new TypeError('refused', {cause: 'a text'}), {code: 'ECONNREFUSED'})
  const err = Object.assign(new Error('no list', {cause}), {request: {authorization: 'Bearer secret'}})
  log.error('list failed', {err})
  const {stack, ...rest} = lines[0]!.err
  t.regex(stack, /no list/)
  t.deepEqual(rest, {
    type: 'Error',
    message: 'no list',
    cause: {type: 'TypeError', code: 'ECONNREFUSED', message: 'refused', cause: 'a text'},
  })
  t.notRegex(JSON.stringify(lines), /secret/)
  log.close()
})

test('a ring of causes ends', t => {
  const {log, lines} = capture()
  const err = new Error('a')
  err.cause = new Error('b', {cause: err})
  log.error('x', {err})
  t.is(lines.length, 1)
  log.close()
})

test('fields of a child and the level at run time', t => {
  const {log, lines, said} = capture()
  const child = log.child({domain: 'routes'}).child({network: 'default'})
  child.debug('unsaid')
  log.level = 'debug'
  child.debug('said', {op: 'add'})
  log.level = 'error'
  child.warn('unsaid')
  t.is(said(), 'debug said')
  t.is(log.level, 'error')
  t.like(lines[0], {domain: 'routes', network: 'default', op: 'add'})
  log.close()
})

test('no message or field makes a log call throw or vanish', t => {
  const {log, lines} = capture({level: 'trace'})
  const ring: Record<string, unknown> = {}
  ring.ring = ring
  const fail = () => {
    throw new Error('a nasty field')
  }
  const nasty: LogFields[] = [
    {ring},
    {a: {toJSON: () => fail()}},
    Object.defineProperty({}, 'getter', {enumerable: true, get: fail}),
    {err: null},
    {err: {code: 1}},
    {err: Object.create(null)},
    {f: () => 1, s: Symbol('s'), u: undefined},
  ]
  for (const fields of nasty) log.trace('nasty', fields)
  t.is(lines.length, nasty.length)
  fc.assert(
    fc.property(
      fc.string(),
      fc.dictionary(fc.string(), fc.anything({withBigInt: true, withNullPrototype: true})),
      (msg, fields) => {
        const before = lines.length
        log.trace(msg, fields as LogFields)
        return lines.length === before + 1
      },
    ),
  )
  log.close()
})

test('repeats are held back and told once at the end of the window', async t => {
  const {log, said} = capture({repeats: {window: 300, limit: 2}})
  for (let i = 0; i < 243; i++) log.warn('route refused', {network: 'a', i})
  log.warn('route refused', {network: 'b'})
  log.error('route refused', {network: 'a'})
  await new Promise(resolve => setTimeout(resolve, 600))
  log.warn('route refused', {network: 'a'})
  t.is(
    said(),
    [
      'warn route refused',
      'warn route refused',
      'warn route refused',
      'error route refused',
      'warn route refused (repeated 241 times in N s)',
      'warn route refused',
    ].join('\n'),
  )
  log.close()
})

test('closing tells what was held back', t => {
  const {log, said} = capture({repeats: {limit: 1}})
  for (let i = 0; i < 4; i++) log.info('x')
  log.close()
  t.is(said(), 'info x\ninfo x (repeated 3 times in N s)')
})

/** A pipe that this process holds open (Node gives its children sockets, not pipes). */
function pipe(t: ExecutionContext): number {
  const folder = mkdtempSync(join(tmpdir(), 'log-'))
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  rmSync(folder, {recursive: true, maxRetries: 5})
  t.teardown(() => closeSync(fd))
  return fd
}

/** Runs the flood, for 30 s at most; `read` takes its lines, otherwise nobody does. */
async function flood(stdout: 'pipe' | number, args: string[], read?: (line: string) => void) {
  const child = spawn(process.execPath, [FLOOD, ...args], {
    stdio: ['ignore', stdout, 'pipe'],
    timeout: 30_000,
    killSignal: 'SIGKILL',
  })
  let told = ''
  child.stderr!.on('data', data => (told += data))
  if (read) createInterface({input: child.stdout!}).on('line', read)
  const [code, signal] = await once(child, read ? 'close' : 'exit')
  child.stdout?.destroy()
  const {blocked, rss} = JSON.parse(told.split('\n')[0]!) as {blocked: number; rss: number}
  return {end: code ?? signal, blocked, rss}
}

for (const kind of ['socket', 'pipe'] as const) {
  test.serial(
    `a ${kind} that nobody reads stops neither the main thread nor the exit, and memory stays bounded`,
    async t => {
      const result = await flood(kind === 'socket' ? 'pipe' : pipe(t), ['30000', 'exit'])
      t.log(result)
      t.is(result.end, 0)
      t.true(result.blocked < 5000, `the loop stood still for ${result.blocked} ms`)
      t.true(result.rss < 160, `${result.rss} MB`)
    },
  )
}

for (const [ending, end, last] of [
  ['exit', 0, {level: 'debug', i: 2999}],
  ['none', 0, {level: 'debug', i: 2999}],
  ['throw', 1, {level: 'debug', i: 2999}],
  ['fatal', 'SIGKILL', {level: 'fatal', msg: 'the end'}],
] as const) {
  test.serial(`every line arrives when the process ends by ${ending}`, async t => {
    const lines: string[] = []
    const result = await flood('pipe', ['3000', ending], line => void lines.push(line))
    t.is(result.end, end)
    t.is(lines.length, ending === 'fatal' ? 3001 : 3000)
    t.like(JSON.parse(lines.at(-1)!), last)
  })
}

test('a reader that comes back gets whole lines, and is told how many are missing', async t => {
  const fd = pipe(t)
  const sink = openStdout({fd, backlog: 100_000, droppedLine: count => `dropped ${count}\n`})
  const line = (i: number) => `${String(i).padStart(999, '.')}\n`
  for (let i = 0; i < 500; i++) sink.write(line(i))
  const read = takeLines(fd)
  sink.flushSync()
  const got: string[] = [...read()]
  while (!got.at(-1)?.startsWith('dropped')) {
    await new Promise(resolve => setTimeout(resolve, 20))
    got.push(...read())
  }
  const missing = Number(got.pop()!.split(' ')[1])
  t.is(got.length + missing, 500)
  t.deepEqual(
    got,
    Array.from({length: got.length}, (_, i) => line(i).trimEnd()),
  )
  sink.write('afterwards\n')
  t.deepEqual([...read()], ['afterwards'])
  sink.close()
})

test('a reader that is gone for good is survived', t => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'))
  t.teardown(() => rmSync(folder, {recursive: true, maxRetries: 5}))
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(path, constants.O_WRONLY)
  const sink = openStdout({fd: writer, droppedLine: String})
  closeSync(reader)
  sink.write('a\n')
  sink.write('b\n')
  sink.flushSync()
  sink.close()
  closeSync(writer)
  t.pass()
})

/** Reads what is there without waiting, as whole lines. */
function takeLines(fd: number): () => string[] {
  let rest = ''
  const buffer = Buffer.alloc(1 << 16)
  return () => {
    try {
      for (;;) rest += buffer.toString('utf8', 0, readSync(fd, buffer))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
    const lines = rest.split('\n')
    rest = lines.pop()!
    return lines
  }
}
