import {mkdtemp, readdir, readFile, rename, rm, stat, unlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {CniError} from '../../src/cni/error.ts'
import {decodeRequest, encodeRequest} from '../../src/cni/protocol.ts'
import {drainSpool, type SpoolPorts} from '../../src/cni/spool.ts'

const request = (containerId: string): Buffer =>
  encodeRequest({
    id: '0'.repeat(32),
    env: new Map([
      ['CNI_COMMAND', 'DEL'],
      ['CNI_CONTAINERID', containerId],
    ]),
    stdin: Buffer.from('{}'),
  })

/** As the shim names them: 20 digits of nanoseconds, its process, the request. */
const nameAt = (ms: number, n = 1): string => `${`${ms}000000`.padStart(20, '0')}-${n}-${'0'.repeat(32)}.del`

/** What was run, as "container at", and what was told. */
async function spoolOf(t: ExecutionContext, files: {readonly [name: string]: Buffer | string} = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'ng-spool-'))
  t.teardown(() => rm(folder, {recursive: true, force: true, maxRetries: 5}))
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  const ran: string[] = []
  const told: string[] = []
  const drain = (run: (containerId: string) => unknown = () => {}) => {
    const ports: SpoolPorts = {
      decode: decodeRequest,
      run: async ({env}, at) => {
        ran.push(`${env.get('CNI_CONTAINERID')} ${at}`)
        await run(env.get('CNI_CONTAINERID')!)
      },
      tell: problem => told.push(problem.replaceAll(folder, '')),
    }
    return drainSpool(folder, ports)
  }
  return {folder, ran, told, drain, left: async () => (await readdir(folder)).toSorted()}
}

test('the oldest first, each once, with the time at which it was asked for', async t => {
  const {drain, ran, told, left} = await spoolOf(t, {
    [nameAt(1_700_000_000_002)]: request('b'),
    [nameAt(999)]: request('a'),
    [nameAt(1_700_000_000_002, 2)]: request('c'),
    [nameAt(4_000_000_000_000)]: request('d'),
  })
  t.is(await drain(), 4)
  t.deepEqual(ran, ['a 999', 'b 1700000000002', 'c 1700000000002', 'd 4000000000000'])
  t.deepEqual(told, [])
  t.deepEqual(await left(), [])
  t.is(await drain(), 0)
})

test('a folder that is not there yet is made, for nobody but root', async t => {
  const {folder, told} = await spoolOf(t)
  const deep = join(folder, 'a', 'spool')
  t.is(await drainSpool(deep, {decode: decodeRequest, run: async () => {}, tell: each => told.push(each)}), 0)
  t.is((await stat(deep)).mode & 0o777, 0o700)
})

test('what cannot be read is put aside once, whole, and told', async t => {
  const cut = request('a').subarray(0, -1)
  const {drain, ran, told, left, folder} = await spoolOf(t, {
    [nameAt(1)]: cut,
    [nameAt(2)]: '',
    [nameAt(3)]: request('b'),
    'hello.del': 'hello',
  })
  t.is(await drain(), 1)
  t.deepEqual(ran, ['b 3'])
  const aside = [nameAt(1), nameAt(2), 'hello.del'].map(name => `${name}.unreadable`)
  t.deepEqual(await left(), aside)
  t.deepEqual(
    told,
    [nameAt(1), nameAt(2), 'hello.del'].map(
      name => `/${name} holds no request that can be read; it is kept as ${name}.unreadable`,
    ),
  )
  t.deepEqual(await readFile(join(folder, aside[0]!)), cut)
  t.is(await drain(), 0)
  t.is(told.length, 3)
})

test('what is not a finished DEL is passed over', async t => {
  const names = [`.${nameAt(1)}`, nameAt(1).replace('.del', '.tmp'), 'notes']
  const {drain, ran, told, left} = await spoolOf(t, Object.fromEntries(names.map(name => [name, request('a')])))
  t.is(await drain(), 0)
  t.deepEqual([ran, told], [[], []])
  t.deepEqual(await left(), names.toSorted())
})

test('one that fails stays and is told, the others are carried out, and it is tried again', async t => {
  const {drain, ran, told, left} = await spoolOf(t, {[nameAt(1)]: request('a'), [nameAt(2)]: request('b')})
  const fails = [
    new CniError('failed', 'the kernel said no'),
    Object.assign(new Error('no such file'), {code: 'ENOENT'}),
  ]
  for (const error of fails) {
    await drain(container => {
      if (container === 'a') throw error
    })
    t.deepEqual(await left(), [nameAt(1)])
  }
  t.deepEqual(
    told,
    fails.map(({message}) => `the DEL in /${nameAt(1)} could not be carried out and stays: ${message}`),
  )
  t.is(await drain(), 1)
  t.deepEqual(ran, ['a 1', 'b 2', 'a 1', 'a 1'])
  t.deepEqual(await left(), [])
})

test('a file that goes while others are carried out, or while it is itself, is nothing to tell', async t => {
  const {drain, ran, told, left, folder} = await spoolOf(t, {
    [nameAt(1)]: request('a'),
    [nameAt(2)]: request('b'),
    [nameAt(3)]: request('c'),
  })
  const done = await drain(async container => {
    if (container === 'a') await unlink(join(folder, nameAt(2)))
    if (container === 'c') await rename(join(folder, nameAt(3)), join(folder, 'gone'))
  })
  t.is(done, 2)
  t.deepEqual(ran, ['a 1', 'c 3'])
  t.deepEqual(told, [])
  t.deepEqual(await left(), ['gone'])
})

test('one that comes while others are carried out waits for the next time', async t => {
  const {drain, ran, left, folder} = await spoolOf(t, {[nameAt(2)]: request('b')})
  await drain(() => writeFile(join(folder, nameAt(1)), request('a')))
  t.deepEqual(await left(), [nameAt(1)])
  t.is(await drain(), 1)
  t.deepEqual(ran, ['b 2', 'a 1'])
})

test('one whose name tells no time is of now', async t => {
  const before = Date.now()
  const {drain, ran} = await spoolOf(t, {'by-hand.del': request('a')})
  await drain()
  const at = Number(ran[0]!.split(' ')[1])
  t.true(at >= before && at <= Date.now())
})
