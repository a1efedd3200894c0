/** A DEL that nobody could take is kept whole or not at all, and has only succeeded when it is kept. */
import {mkdir, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {constants} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {decodeRequest} from '../../src/cni/protocol.ts'
import {buildShim, each, failure, fakeAgent, folder, ok, QUICK, type Ran, run, temporary} from './support.ts'

const home = await folder()
const shim = join(home, 'shim')
/** The same with the system's C library, into which failures can be put. */
const dynamic = join(home, 'dynamic')
const interpose = join(home, 'interpose.so')
test.before(async () => {
  const waits = {...QUICK, DEL_WAIT_MS: 10}
  await buildShim(shim, {waits})
  await buildShim(dynamic, {waits, dynamic: true})
  const source = join(import.meta.dirname, 'interpose.c')
  const built = await run('cc', {
    args: ['-O1', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-o', interpose, source],
    env: {PATH: process.env.PATH ?? ''},
  })
  if (built.status !== 0) throw new Error(built.stderr)
})
test.after.always(() => rm(home, {recursive: true, force: true, maxRetries: 5}))

const env = {CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'é'}
const NAME = /^\d{20}-\d+-[0-9a-f]{32}\.del$/
const configOf = (path: string): string => JSON.stringify({socket: `${path}/sock`, spool: `${path}/a//b/spool/`})
const spooled = async (path: string): Promise<string[]> =>
  (await readdir(join(path, 'a/b/spool')).catch(() => [])).toSorted()

async function isWhole(t: ExecutionContext, path: string, name: string, input: string): Promise<void> {
  t.regex(name, NAME)
  const {id, env: variables, stdin} = decodeRequest(await readFile(join(path, 'a/b/spool', name)))
  t.is(id, name.split(/[-.]/)[2]!)
  t.deepEqual(Object.fromEntries(variables), env)
  t.is(stdin.toString(), input)
}

test('a DEL is kept as a file of root alone, with all that was said', async t => {
  const path = await temporary(t)
  const before = Date.now()
  const inputs = [configOf(path), configOf(path).padEnd(2 ** 20)]
  for (const input of inputs) t.like(await run(shim, {env, input}), {status: 0, stderr: ''})
  const names = await spooled(path)
  t.is(names.length, 2)
  for (const [i, name] of names.entries()) {
    await isWhole(t, path, name, inputs[i]!)
    t.is((await stat(join(path, 'a/b/spool', name))).mode & 0o7777, 0o600)
    const at = Number(BigInt(name.slice(0, 20)) / 1_000_000n)
    t.true(at >= before && at <= Date.now())
  }
  t.is((await stat(join(path, 'a/b'))).mode & 0o7777, 0o755)
  t.is((await stat(join(path, 'a/b/spool'))).mode & 0o7777, 0o700)
})

test('many at once are as many files', async t => {
  const path = await temporary(t)
  const input = configOf(path)
  await each(Array.from({length: 40}), 8, async () => {
    t.is((await run(shim, {env, input})).status, 0)
  })
  const names = await spooled(path)
  t.is(names.length, 40)
  for (const name of names) await isWhole(t, path, name, input)
})

/** In a mount namespace of its own, with a tmpfs over the spool folder. */
async function onTmpfs(path: string, options: string, input: string): Promise<Ran & {left: string}> {
  const at = join(path, 'a/b/spool')
  await mkdir(at, {recursive: true})
  const script = `mount -t tmpfs -o ${options} none "$1" && { "$0"; status=$?; ls -A "$1" >"$2"; exit $status; }`
  const args = ['-m', '/bin/sh', '-c', script, shim, at, join(path, 'left')]
  const ran = await run('unshare', {args, env: {...env, PATH: '/usr/bin:/usr/sbin:/bin:/sbin'}, input})
  return {...ran, left: await readFile(join(path, 'left'), 'utf8')}
}

test('a folder that cannot be written to is an error', async t => {
  const path = await temporary(t)
  const {left, ...ran} = await onTmpfs(path, 'ro', configOf(path))
  const error = failure(t, ran)
  t.like(error, {code: 5, details: 'Read-only file system'})
  t.regex(error.msg, /this DEL cannot be kept for it in ".*\/spool\/": make that folder writable/)
  t.is(left, '')
})

test('a disk that is full is an error, and nothing is left on it', async t => {
  const path = await temporary(t)
  const {left, ...ran} = await onTmpfs(path, 'size=64k', configOf(path).padEnd(2 ** 20))
  t.like(failure(t, ran), {code: 5, details: 'No space left on device'})
  t.is(left, '')
})

test('a folder that is a file, or that would be inside one, is an error', async t => {
  const path = await temporary(t)
  await writeFile(join(path, 'file'), '')
  for (const spool of [`${path}/file`, `${path}/file/spool`, '/proc/self/nowhere', `/${'x'.repeat(300)}`]) {
    const input = JSON.stringify({socket: `${path}/sock`, spool})
    t.is(failure(t, await run(shim, {env, input})).code, 5, spool)
  }
})

/** Runs with a deed at the first step, at the second… until it has ended before the step came. */
async function atEveryStep(
  deed: string,
  call: {env: Record<string, string>; input: string},
  judge: (ran: Ran, step: number) => Promise<void>,
  steps: number,
): Promise<void> {
  const numbers = Array.from({length: steps}, (_, i) => i + 1)
  await each(numbers, 1, async step => {
    const faulty = {...call.env, LD_PRELOAD: interpose, STEP: `${step}`, DEED: deed}
    await judge(await run(dynamic, {...call, env: faulty}), step)
  })
}

const DEEDS = {
  kill: 'kill',
  'do half': 'short',
  ...Object.fromEntries(
    (['EINTR', 'EIO', 'ENOSPC', 'EAGAIN'] as const).map(name => [`fail with ${name}`, `${constants.errno[name]}`]),
  ),
}

for (const [what, deed] of Object.entries(DEEDS))
  test(`a DEL without agent whose system calls ${what}, one after the other`, async t => {
    const path = await temporary(t)
    const input = configOf(path)
    let kept = 0
    const judge = async (ran: Ran) => {
      const names = await spooled(path)
      const visible = names.filter(name => !name.startsWith('.'))
      for (const name of visible) await isWhole(t, path, name, input)
      if (ran.signal === null && ran.status === 0) {
        t.is(ran.stdout.length, 0)
        t.is(visible.length, 1)
        kept++
      } else if (ran.signal === null) {
        // It may be there all the same: when only the folder's own fsync has failed. Of a temporary file nothing is left
        // unless it was the removal that failed.
        if (ran.stdout.length > 0) t.is(failure(t, ran).code, 5)
      } else t.is(ran.signal, 'SIGKILL')
      await rm(join(path, 'a'), {recursive: true, force: true, maxRetries: 5})
    }
    await atEveryStep(deed, {env, input}, judge, 60)
    // The last ones had ended before their step.
    t.true(kept > 10)
  })

for (const [what, deed] of Object.entries(DEEDS))
  test(`an ADD whose system calls ${what}, one after the other`, async t => {
    const path = await temporary(t)
    const body = JSON.stringify({filler: 'x'.repeat(1000)})
    const agent = await fakeAgent(t, join(path, 'sock'), () => ok(body))
    const input = configOf(path)
    let printed = 0
    const judge = async (ran: Ran) => {
      const heard = await agent.heard()
      // The agent is told only of what the runtime has got, and the runtime of success only when the agent knows.
      if (heard > told || ran.status === 0) t.is(ran.stdout.toString(), body)
      if (ran.status === 0) t.is(heard, told + 1)
      else if (ran.status === 1 && ran.stdout.length > 0 && ran.stdout.toString() !== body) failure(t, ran)
      if (ran.status === 0) printed++
      told = heard
    }
    let told = 0
    await atEveryStep(deed, {env: {...env, CNI_COMMAND: 'ADD'}, input}, judge, 30)
    t.true(printed > 10)
  })
