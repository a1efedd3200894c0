/** What only etcd has: members, restarts, strangers' bytes, TLS and users. */
import {execFile} from 'node:child_process'
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test, {type ExecutionContext} from 'ava'
import type {Store} from '../../src/model/store.ts'
import {MAX_VALUE} from '../../src/store/document.ts'
import {type EtcdStoreOptions, openEtcdStore} from '../../src/store/etcd.ts'
import type {Unusable} from '../../src/store/options.ts'
import {code, entry, signal, text} from './conformance.ts'
import {type EtcdTls, folder, heard, look, PAIRS, startEtcd, thing, until, wire} from './support.ts'

const start = (t: ExecutionContext, tls?: EtcdTls) => startEtcd(t.teardown.bind(t), tls)

function open(t: ExecutionContext, options: EtcdStoreOptions): Store {
  const store = openEtcdStore(options)
  t.teardown(() => store.close())
  return store
}

const message = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => '',
    error => error.message,
  )

test('after a restart of etcd calls, watches and signs of life go on', async t => {
  const etcd = await start(t)
  const endpoints = [`http://127.0.0.1:${etcd.port}`]
  const store = open(t, {endpoints})
  const pairs = store.collection(PAIRS)
  const told = heard(t, store.own('node-1', {ttlMs: 5000}))
  const [seen, owners] = [look(t, pairs.entries$), look(t, store.owners$)]
  entry(await pairs.create('a/x', thing(1), signal))
  await until('all is seen', () => seen.items?.size === 1 && owners.items?.size === 1)
  await etcd.stop()
  const away = `etcd at ${endpoints[0]} cannot be reached (`
  await until('it says so', async () => (await message(pairs.read('a/x', signal))).startsWith(away))
  await etcd.start()
  entry(await open(t, {endpoints}).collection(PAIRS).create('a/y', thing(2), signal))
  await until('the watch goes on', () => text(seen.items) === 'a/x 1, a/y 2')
  await until('calls do', async () => (await code(pairs.read('a/x', signal))) === 'done')
  await until('it shows a sign of life', () => told.all.at(-1)?.held === true && `${owners.keys}` === 'node-1')
  t.true(seen.views.slice(1).every(view => view.synced))
})

test('a member that is away is passed over', async t => {
  const etcd = await start(t)
  const endpoints = ['http://127.0.0.1:1', `http://127.0.0.1:${etcd.port}`, 'http://127.0.0.1:2']
  const pairs = open(t, {endpoints}).collection(PAIRS)
  const seen = look(t, pairs.entries$)
  for (let i = 0; i < 30; i++) entry(await pairs.create(`a/${i}`, thing(i), signal))
  await until('all is seen', () => seen.items?.size === 30)
  t.is((await pairs.list(signal)).size, 30)
})

test('what is deleted, or has not been renewed, goes, and nobody is told that it cannot be used', async t => {
  const etcd = await start(t)
  const told: Unusable[] = []
  const store = open(t, {endpoints: [`http://127.0.0.1:${etcd.port}`], tell: unusable => told.push(unusable)})
  const pairs = store.collection(PAIRS)
  const [seen, owners] = [look(t, pairs.entries$), look(t, store.owners$)]
  const sign = heard(t, store.own('node-1', {ttlMs: 1000}))
  const {revision} = entry(await pairs.create('a/x', thing(1), signal))
  await until('all is seen', () => seen.items?.size === 1 && owners.items?.size === 1)
  sign.stop()
  t.is(await pairs.delete('a/x', revision, signal), 'deleted')
  await until('both go', () => seen.items?.size === 0 && owners.items?.size === 0)
  t.deepEqual(told, [])
})

test("strangers' keys and bytes under the prefix harm nobody", async t => {
  const etcd = await start(t)
  const told: Unusable[] = []
  const endpoints = [`http://127.0.0.1:${etcd.port}`]
  const store = open(t, {endpoints, tell: unusable => told.push(unusable)})
  const pairs = store.collection(PAIRS)
  entry(await pairs.create('a/good', thing(1), signal))
  const key = (...parts: (string | Buffer)[]) =>
    Buffer.concat(['/netgraft/pairs/', ...parts].map(part => Buffer.from(part)))
  const value = (of: string | Buffer) => Buffer.from(of)
  const deep = `{"spec":{"n":1,"deep":${'['.repeat(1e5)}${']'.repeat(1e5)}}}`
  for (const [at, of] of [
    [key(''), '{"spec":{"n":1}}'],
    [key('x'), '{"spec":{"n":1}}'],
    [key('a/'), '{"spec":{"n":1}}'],
    [key('a/b/c'), '{"spec":{"n":1}}'],
    [key('a/__proto__'), '{"spec":{"n":1}}'],
    [key('a/', Buffer.from([0xff, 0, 10])), '{"spec":{"n":1}}'],
    [key('a/empty'), ''],
    [key('a/text'), 'text'],
    [key('a/null'), 'null'],
    [key('a/list'), '[]'],
    [key('a/spec'), '{"spec":[]}'],
    [key('a/status'), '{"spec":{"n":1},"status":7}'],
    [key('a/wrong'), '{"spec":{"n":"\\u0000\\n1"}}'],
    [key('a/bytes'), Buffer.from([0xff, 0xfe])],
    [key('a/deep'), deep],
    [key('a/large'), `{"spec":{"n":1,"pad":"${'x'.repeat(MAX_VALUE)}"}}`],
    [key('a/proto'), '{"spec":{"n":1},"__proto__":{"polluted":true}}'],
  ] as const)
    await etcd.client.kv.put({key: at, value: value(of)})
  await etcd.client.put('/netgraft/owners/node-x').value('')
  await etcd.client.put('/netgraft/owners/a/b').value('i')
  await etcd.client.put('/netgraft-other/pairs/a/x').value('{"spec":{"n":1}}')
  const [seen, owners] = [look(t, pairs.entries$), look(t, store.owners$)]
  await until('it is synced', () => seen.items !== undefined && owners.items !== undefined)
  t.is(text(seen.items), 'a/good 1, a/proto 1')
  t.is(text(await pairs.list(signal)), 'a/good 1, a/proto 1')
  t.deepEqual(owners.keys, [])
  t.is(told.length, 18)
  t.is(new Set(told.map(({what, key}) => `${what} ${key}`)).size, 18)
  for (const {reason} of told) t.regex(reason, /^[^\p{C}]{1,200}$/u)
  t.is(({} as {polluted?: boolean}).polluted, undefined)
})

test('a prefix that begins another one keeps apart from it', async t => {
  const etcd = await start(t)
  const endpoints = [`http://127.0.0.1:${etcd.port}`]
  const stores = ['/n', '/n-x', '/n/pairs', '/n/pairs/a'].map(prefix => open(t, {endpoints, prefix}).collection(PAIRS))
  for (const [n, pairs] of stores.entries()) entry(await pairs.create('a/x', thing(n), signal))
  for (const [n, pairs] of stores.entries())
    t.true(
      text(await pairs.list(signal))
        .split(', ')
        .includes(`a/x ${n}`),
    )
  t.is(text(await stores[1]!.list(signal)), 'a/x 1')
})

test('a user with a password, whose role has the prefix alone', async t => {
  const etcd = await start(t)
  const {client} = etcd
  const role = await client.role('netgraft').create()
  await role.grant({permission: 'Readwrite', range: client.range({prefix: '/netgraft/'})})
  await (await client.user('netgraft').create('right')).addRole('netgraft')
  await (await client.user('root').create('root')).addRole('root')
  await client.auth.authEnable()

  const endpoints = [`http://127.0.0.1:${etcd.port}`]
  const passwordFile = join(await folder(t), 'password')
  const pairs = (options: Partial<EtcdStoreOptions>) => open(t, {endpoints, ...options}).collection(PAIRS)

  t.is(await code(pairs({}).read('a/x', signal)), 'refused false')
  t.is(await code(pairs({user: 'netgraft', password: 'wrong'}).read('a/x', signal)), 'refused false')
  const ours = {user: 'netgraft', password: 'right'}
  t.is(await code(pairs({...ours, prefix: '/other'}).read('a/x', signal)), 'refused false')
  t.regex(await message(pairs({...ours, passwordFile}).read('a/x', signal)), /"\/.*password" cannot be read \(ENOENT\)/)
  t.is(await code(pairs(ours).create('a/x', thing(1), signal)), 'done')

  await writeFile(passwordFile, 'old\n')
  const filed = pairs({user: 'netgraft', passwordFile})
  const seen = look(t, filed.entries$)
  t.is(await code(filed.read('a/x', signal)), 'refused false')
  await writeFile(passwordFile, 'right\n')
  await until('the new password is used', async () => (await code(filed.read('a/x', signal))) === 'done')
  await until('also by the watch', () => text(seen.items) === 'a/x 1')

  // Its tokens are gone with the process.
  const alone = look(t, pairs(ours).entries$)
  await until('it is synced', () => alone.items !== undefined)
  await etcd.stop()
  await etcd.start()
  await until('a new token is got', async () => (await code(filed.read('a/x', signal))) === 'done')
  entry(await filed.create('a/y', thing(2), signal))
  await until('also by the watch', () => text(seen.items) === 'a/x 1, a/y 2')
  await until('and by one that is alone', () => text(alone.items) === 'a/x 1, a/y 2')
})

test('TLS, with certificates on both sides', async t => {
  const path = await folder(t)
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, {cwd: path})
  const authority = async (name: string) => {
    const args = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    await openssl('req', '-x509', ...args, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`)
  }
  const certificate = async (name: string, ca: string) => {
    const args = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', `/CN=${name}`]
    await openssl('req', '-new', ...args, '-keyout', `${name}.key`, '-out', `${name}.csr`)
    await writeFile(join(path, `${name}.ext`), 'subjectAltName=IP:127.0.0.1\n')
    const signing = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-days', '2']
    await openssl('x509', '-req', '-in', `${name}.csr`, ...signing, '-extfile', `${name}.ext`, '-out', `${name}.pem`)
  }
  await authority('ca')
  await authority('stranger')
  await certificate('etcd', 'ca')
  await certificate('agent', 'ca')
  await certificate('intruder', 'stranger')
  const file = (name: string) => join(path, name)
  const etcd = await start(t, {ca: file('ca.pem'), cert: file('etcd.pem'), key: file('etcd.key')})
  const {port} = await wire(t, etcd.port, '127.0.0.2')
  const ask = (ca: string | undefined, name?: string, at = `127.0.0.1:${etcd.port}`) => {
    const endpoints = [`https://${at}`]
    const tls = {ca: ca && file(ca), ...(name !== undefined && {cert: file(`${name}.pem`), key: file(`${name}.key`)})}
    return open(t, {endpoints, tls, deadlineMs: 3000}).collection(PAIRS).read('a/x', signal)
  }
  t.is(await code(ask('ca.pem', 'agent')), 'done')
  for (const [ca, name] of [
    ['stranger.pem', 'agent'],
    ['ca.pem', 'intruder'],
    ['ca.pem'],
    [undefined, 'agent'],
  ] as const)
    t.regex(await code(ask(ca, name)), /^(unreachable|refused)/, `${ca} ${name}`)
  // An address is no name that could be sent, and is held against the certificate all the same.
  t.regex(
    await message(ask('ca.pem', 'agent', `127.0.0.2:${port}`)),
    /cannot be reached \(.*IP: 127\.0\.0\.2 is not in the cert's list/,
  )
  t.regex(await message(ask('absent.pem', 'agent')), /absent\.pem" cannot be read \(ENOENT\): check store\.tls\.ca/)
  await writeFile(file('nonsense.pem'), 'nonsense')
  t.regex(await message(ask('nonsense.pem', 'agent')), /check the files in store\.tls|cannot be reached/)
})
