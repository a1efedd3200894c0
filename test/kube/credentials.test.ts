import {chmod, mkdir, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises'
import type {Agent} from 'node:https'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {stringify} from 'yaml'
import {Credentials, findCredentials} from '../../src/kube/credentials.ts'
import {ApiError} from '../../src/streams/list-watch.ts'

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'netgraft-kube-'))
  t.teardown(() => rm(path, {recursive: true, maxRetries: 5}))
  return path
}

/** Writes a kubeconfig with one cluster and user. */
async function kubeconfig(t: ExecutionContext, user: object, cluster: object = {}): Promise<string> {
  const path = join(await folder(t), 'kubeconfig')
  await write(path, user, cluster)
  return path
}

const write = (path: string, user: object, cluster: object = {}) =>
  writeFile(
    path,
    stringify({
      clusters: [{name: 'c', cluster: {server: 'https://api.example.com:6443', ...cluster}}],
      users: [{name: 'u', user}],
      contexts: [{name: 'x', context: {cluster: 'c', user: 'u'}}],
      'current-context': 'x',
    }),
  )

const authorization = async (credentials: Credentials) =>
  ((await credentials.access(1000)).options.headers as Record<string, string>).Authorization

test('the configured kubeconfig goes before the pod that we run in, and without either there is a sentence', t => {
  const env = {KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443'}
  t.deepEqual(findCredentials('/k', env), {kubeconfig: '/k'})
  t.deepEqual(findCredentials('', env), {host: '10.96.0.1', port: '443'})
  t.throws(() => findCredentials('', {}), {message: /KUBERNETES_SERVICE_HOST/})
})

for (const [host, server] of [
  ['10.96.0.1', 'https://10.96.0.1/'],
  ['fd00:10:96::1', 'https://[fd00:10:96::1]/'],
] as const) {
  test(`in a pod, the service account speaks to ${host}`, async t => {
    const secrets = await folder(t)
    await writeFile(join(secrets, 'token'), 'first')
    await writeFile(join(secrets, 'ca.crt'), 'an authority')
    const credentials = new Credentials({host, port: '443', secrets})
    const {server: url, options} = await credentials.access(1000)
    t.is(url.href, server)
    t.deepEqual(options.ca, Buffer.from('an authority'))
    t.is(await authorization(credentials), 'Bearer first')

    await writeFile(join(secrets, 'token'), 'second')
    credentials.renew()
    t.is(await authorization(credentials), 'Bearer second')
  })
}

test('a token, a token file beside the kubeconfig, and a password', async t => {
  const path = await kubeconfig(t, {token: 'abc'})
  t.is(await authorization(new Credentials({kubeconfig: path})), 'Bearer abc')

  await write(path, {tokenFile: 'token'})
  await writeFile(join(path, '../token'), 'of the file')
  t.is(await authorization(new Credentials({kubeconfig: path})), 'Bearer of the file')

  await write(path, {username: 'me', password: 'secret'})
  t.is((await new Credentials({kubeconfig: path}).access(1000)).options.auth, 'me:secret')
})

test('an exec plugin brings a token, and one that hangs is run once and told', async t => {
  const path = await kubeconfig(t, {exec: {apiVersion: 'client.authentication.k8s.io/v1', command: './plugin'}})
  const plugin = join(path, '../plugin')
  const exec = (script: string) => writeFile(plugin, `#!/bin/sh\n${script}\n`).then(() => chmod(plugin, 0o755))
  await write(path, {exec: {apiVersion: 'client.authentication.k8s.io/v1', command: plugin}})
  await exec(`echo '{"status":{"token":"fresh"}}'`)
  t.is(await authorization(new Credentials({kubeconfig: path})), 'Bearer fresh')

  const runs = join(path, '../runs')
  await mkdir(runs)
  await exec(`mktemp ${runs}/XXXXXX >/dev/null; sleep 0.3; echo '{"status":{"token":"late"}}'`)
  const credentials = new Credentials({kubeconfig: path})
  await t.throwsAsync(credentials.access(10), {instanceOf: ApiError, code: 'ECREDENTIALS', message: /has not answered/})
  t.is(await authorization(credentials), 'Bearer late')
  t.is((await readdir(runs)).length, 1)
})

test('a kubeconfig that is not there yet is read as soon as it is', async t => {
  const path = join(await folder(t), 'later')
  const credentials = new Credentials({kubeconfig: path})
  await t.throwsAsync(credentials.access(1000), {
    code: 'ECREDENTIALS',
    message: /the kubeconfig .*later cannot be used/,
  })
  await writeFile(path, 'clusters: [')
  await t.throwsAsync(credentials.access(1000), {code: 'ECREDENTIALS'})
  await writeFile(path, '{}')
  await t.throwsAsync(credentials.access(1000), {code: 'ECREDENTIALS', message: /names no cluster/})
  await write(path, {token: 'abc'})
  t.is(await authorization(credentials), 'Bearer abc')
})

test('a cluster is told from others by its certificate authority, else by its URL, and not at all without a kubeconfig', async t => {
  const clusterOf = async (cluster: object) => new Credentials({kubeconfig: await kubeconfig(t, {}, cluster)}).cluster()
  const authority = (text: string) => ({'certificate-authority-data': Buffer.from(text).toString('base64')})
  const one = await clusterOf(authority('one'))
  t.regex(one!, /^ca [0-9a-f]{64}$/)
  t.is(await clusterOf({...authority('one'), server: 'https://elsewhere:6443'}), one)
  t.not(await clusterOf(authority('two')), one)
  const secrets = await folder(t)
  await writeFile(join(secrets, 'ca.crt'), 'one')
  t.is(new Credentials({host: '10.96.0.1', port: '443', secrets}).cluster(), one)
  t.is(await clusterOf({}), 'https://api.example.com:6443')
  t.is(await clusterOf({'certificate-authority': join(secrets, 'nothing')}), undefined)
  t.is(new Credentials({kubeconfig: join(secrets, 'nothing')}).cluster(), undefined)
})

test('connections are kept as long as server and certificates stay the same', async t => {
  const data = (text: string) => Buffer.from(text).toString('base64')
  const path = await kubeconfig(t, {token: 'a'}, {'certificate-authority-data': data('one')})
  const credentials = new Credentials({kubeconfig: path})
  const agent = async () => (await credentials.access(1000)).options.agent as Agent
  const first = await agent()
  t.true(first.options.keepAlive)
  await write(path, {token: 'b'}, {'certificate-authority-data': data('one')})
  credentials.renew()
  t.is(await agent(), first)
  await write(path, {token: 'b'}, {'certificate-authority-data': data('two')})
  credentials.renew()
  t.not(await agent(), first)
})

test('plain http needs no permission, and a proxy is taken from the kubeconfig', async t => {
  const path = await kubeconfig(t, {}, {server: 'http://127.0.0.1:8001/prefix'})
  t.is((await new Credentials({kubeconfig: path}).access(1000)).server.href, 'http://127.0.0.1:8001/prefix')
  await write(path, {}, {'proxy-url': 'http://proxy.example.com:3128'})
  const {options} = await new Credentials({kubeconfig: path}).access(1000)
  t.is((options.agent as Agent).constructor.name, 'HttpsProxyAgent')
})
