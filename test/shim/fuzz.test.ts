/** Whatever comes, the shim ends by itself, with 0 or 1, and prints nothing but what is JSON. */
import {isAscii} from 'node:buffer'
import {chmod, mkdir, readdir, rm} from 'node:fs/promises'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {buildShim, each, type FakeAgent, fakeAgent, folder, ok, QUICK, type Ran, run} from './support.ts'

const home = await folder()
const shim = join(home, 'shim')
/** With the compiler's own checks of memory and arithmetic. */
const checked = join(home, 'checked')
test.before(async () => {
  for (const spool of ['spool', 'shim.spool', 'checked.spool']) {
    await mkdir(join(home, spool))
    await chmod(join(home, spool), 0o777)
  }
  const waits = {...QUICK, ADD_WAIT_MS: 0, CHECK_WAIT_MS: 0, DEL_WAIT_MS: 0, GC_WAIT_MS: 0, STATUS_WAIT_MS: 0}
  await buildShim(shim, {waits})
  const flags = ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all']
  await buildShim(checked, {waits, flags, dynamic: true})
})
test.after.always(() => rm(home, {recursive: true, force: true, maxRetries: 5}))

interface Call {
  /** Of bytes, one a character. */
  readonly env: Readonly<Record<string, string>>
  readonly input: Buffer
}

const latin = fc.string({unit: fc.nat(0xff).map(code => String.fromCharCode(code)), maxLength: 60})
const ascii = fc.string({unit: 'binary-ascii', maxLength: 60})
const withoutNul = fc
  .oneof({weight: 9, arbitrary: ascii}, {weight: 1, arbitrary: latin})
  .map(text => text.replaceAll('\0', ''))
const environment = fc.record(
  {
    CNI_COMMAND: fc.oneof(
      {weight: 8, arbitrary: fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION')},
      {weight: 1, arbitrary: withoutNul},
    ),
    CNI_CONTAINERID: withoutNul,
    CNI_NETNS: withoutNul,
    CNI_IFNAME: withoutNul,
    CNI_ARGS: withoutNul,
    CNI_: withoutNul,
    _CNI_LOGGING_FILE: withoutNul,
  },
  {requiredKeys: ['CNI_COMMAND']},
)

/** Keys that the shim looks for, values that it could use, and anything else; half of them lead to the socket. */
const config = (socket: string) =>
  fc
    .tuple(
      fc.dictionary(
        fc.oneof(fc.constantFrom('socket', 'spool', 'cniVersion', 'name'), latin),
        fc.oneof(fc.constantFrom('1.0.0', `${home}/spool`, '/', '/x'.repeat(2100)), latin, fc.jsonValue()),
      ),
      fc.boolean(),
    )
    .map(([members, right]) => JSON.stringify({...members, ...(right && {socket})}))
const fragment = fc.constantFrom(
  '{',
  '}',
  '[',
  ']',
  '"',
  '\\',
  '\\u',
  '\\ud800',
  '\\udc00',
  ',',
  ':',
  '"socket":"/',
  '\0',
)
const input = (socket: string): fc.Arbitrary<Buffer> =>
  fc.oneof(
    config(socket).map(text => Buffer.from(text)),
    fc.tuple(config(socket), fc.nat(), fc.nat(20), fc.oneof(latin, fragment)).map(([text, at, cut, more]) => {
      const bytes = Buffer.from(text)
      const place = at % bytes.length
      return Buffer.concat([bytes.subarray(0, place), Buffer.from(more, 'latin1'), bytes.subarray(place + cut)])
    }),
    fc.array(fragment, {maxLength: 200}).map(parts => Buffer.from(`{${parts.join('')}`)),
    latin.map(text => Buffer.from(text, 'latin1')),
    fc.nat(1000).map(depth => Buffer.from('{"a":['.repeat(depth))),
  )

const octal = (text: string): string =>
  [...Buffer.from(text, 'latin1')].map(byte => `\\${byte.toString(8).padStart(3, '0')}`).join('')

/** Nobody: what a spool folder is called is anything, too, and most of the machine must be out of reach. */
const uid = 65534

/** By a shell where there are bytes in the environment that Node cannot say. */
function call(program: string, {env, input}: Call): Promise<Ran> {
  const entries = Object.entries(env)
  if (entries.every(([, value]) => isAscii(Buffer.from(value)))) return run(program, {env, input, uid})
  // The dot keeps the newlines before it; it is taken off again.
  const lines = entries.map(([, value], i) => `v${i}="$(printf '${octal(value)}.')"`)
  const passed = entries.map(([name], i) => `"${name}=\${v${i}%.}"`)
  const script = [...lines, `exec env -i ${passed.join(' ')} "$0"`].join('\n')
  return run('/bin/sh', {args: ['-c', script, program], env: {PATH: '/usr/bin:/bin', LC_ALL: 'C'}, input, uid})
}

function judge(t: ExecutionContext, {status, signal, stdout, stderr}: Ran, {env, input}: Call): void {
  const what = () => JSON.stringify([env, input.toString('latin1').slice(0, 1000)])
  t.deepEqual({signal, stderr}, {signal: null, stderr: ''}, what())
  t.true(status === 0 || status === 1, what())
  if (stdout.length === 0) {
    t.is(status, 0, what())
    t.is(env.CNI_COMMAND, 'DEL', what())
    return
  }
  const text = new TextDecoder('utf-8', {fatal: true}).decode(stdout)
  t.notThrows(() => {
    const {code, msg} = JSON.parse(text) as {code?: number; msg?: string}
    t.is(status === 1, typeof code === 'number' && typeof msg === 'string', what())
  }, what())
}

const calls = (socket: string, count: number): Call[] =>
  fc.sample(fc.record({env: environment, input: input(socket)}), count)

for (const [name, program, count] of [
  ['as it is', shim, 1500],
  ['checked', checked, 400],
] as const) {
  test.serial(`with an agent that answers: ${name}`, async t => {
    t.timeout(100_000)
    const agents: FakeAgent[] = []
    for (const end of ['agent', 'sock']) agents.push(await fakeAgent(t, `${program}.${end}`, () => ok('{"answer":1}')))
    for (const {path} of agents) await chmod(path, 0o777)
    await each(calls(agents[0]!.path, count), 2, async each => judge(t, await call(program, each), each))
    for (const {requests, refusals} of agents) {
      t.true(requests.length > count / 30, `${requests.length}`)
      const others = refusals.filter(message => !message.endsWith('is not UTF-8 text'))
      t.deepEqual(others, [])
    }
  })

  test.serial(`without an agent: ${name}`, async t => {
    t.timeout(100_000)
    await each(calls(`${program}.nobody`, count), 2, async each => judge(t, await call(program, each), each))
    t.true((await readdir(`${program}.spool`)).length > count / 30)
  })
}

test('a config as deep as it can be', async t => {
  const env = {CNI_COMMAND: 'ADD'}
  for (const piece of ['[', '{"a":', '{"socket":[', ']', '}{', '"', '\\']) {
    const input = Buffer.from(`{"a":${piece.repeat(Math.floor(2 ** 20 / piece.length) - 5)}`)
    for (const program of [shim, checked]) judge(t, await call(program, {env, input}), {env, input})
  }
})

test('an environment of any size', async t => {
  const input = Buffer.from(JSON.stringify({socket: `${home}/nowhere`}))
  for (const size of [0, 1000, 100_000, 131_000])
    for (const count of [1, 2, 3, 10]) {
      const names = Array.from({length: count}, (_, i) => `CNI_${i}`)
      const env = {CNI_COMMAND: 'ADD', ...Object.fromEntries(names.map(name => [name, 'x'.repeat(size)]))}
      for (const program of [shim, checked]) judge(t, await run(program, {env, input}), {env, input})
    }
  for (const program of [shim, checked]) {
    const ran = await run('/bin/sh', {args: ['-c', 'exec env -i "$0"', program], env: {PATH: '/usr/bin:/bin'}})
    judge(t, ran, {env: {}, input: Buffer.alloc(0)})
  }
})
