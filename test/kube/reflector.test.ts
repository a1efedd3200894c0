/** The reflector of nodes, through the real transport, against an API server that breaks in every way it can. */
import {execFileSync} from 'node:child_process'
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as wait} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import {KubeClient} from '../../src/kube/client.ts'
import {type CredentialSource, Credentials} from '../../src/kube/credentials.ts'
import {type ApiServer, type ApiServerOptions, startApiServer} from '../../src/lab/apiserver/server.ts'
import type {NodeFacts, NodeName} from '../../src/model/facts.ts'
import {type NodeStreamOptions, nodeStream} from '../../src/streams/nodes.ts'
import type {Notice} from '../../src/streams/reflector.ts'
import type {View} from '../../src/streams/view.ts'

const name = (index: number) => `node-${String(index).padStart(4, '0')}`
const cidr = (index: number) => `10.${index >> 8}.${index & 255}.0/24`
const node = (index: number, podCIDR = cidr(index), labels = {}) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {name: name(index), labels},
  spec: {podCIDRs: [podCIDR]},
})
const ref = (index: number) => ({resource: 'nodes', name: name(index)})

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'netgraft-kube-'))
  t.teardown(() => rm(path, {recursive: true, maxRetries: 5}))
  return path
}

async function serve(t: ExecutionContext, nodes: number, options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = await startApiServer({bookmarkIntervalMs: 20, ...options})
  t.teardown(() => server.close())
  for (let index = 0; index < nodes; index++) server.create(node(index))
  return server
}

async function sourceOf(t: ExecutionContext, server: ApiServer, token?: string): Promise<CredentialSource> {
  const kubeconfig = join(await folder(t), 'kubeconfig')
  await writeFile(kubeconfig, server.kubeconfig(undefined, token))
  return {kubeconfig}
}

/** Follows the nodes, each as the third byte of its pod CIDR. */
function follow(t: ExecutionContext, source: CredentialSource, options: NodeStreamOptions = {}) {
  const credentials = new Credentials(source)
  const transport = new KubeClient(credentials, {timeoutMs: 2000}).listWatch({
    group: '',
    version: 'v1',
    resource: 'nodes',
  })
  const notices: Notice[] = []
  const reasons: string[] = []
  let newest: View<NodeName, NodeFacts> = {synced: false, reason: ''}
  let views = 0
  const settings = {backoff: {baseMs: 5, capMs: 30}, confirmMs: 30, notice: (n: Notice) => notices.push(n), ...options}
  const subscription = nodeStream(transport, settings).subscribe(view => {
    newest = view
    if (view.synced) views++
    else reasons.push(view.reason)
  })
  t.teardown(() => {
    subscription.unsubscribe()
    credentials.close()
  })
  const until = async (done: () => boolean) => {
    const late = performance.now() + 20_000
    while (!done()) {
      if (performance.now() > late)
        throw new Error(`in vain: ${JSON.stringify({reasons, notices: notices.slice(-10)})}`)
      await wait(5)
    }
  }
  const cidrOf = (index: number) =>
    newest.synced ? newest.items.get(name(index) as NodeName)?.podCIDRs.join(' ') : undefined
  return {
    notices,
    reasons,
    until,
    cidrOf,
    size: () => (newest.synced ? newest.items.size : -1),
    views: () => views,
    noticed: (type: Notice['type']) => until(() => notices.some(n => n.type === type)),
    has: async (nodes: number) => {
      await until(() => newest.synced && newest.items.size === nodes)
      t.is(newest.synced && newest.items.size, nodes)
    },
  }
}

test('5,000 nodes by a streaming list: one View, then one for each change that matters', async t => {
  const server = await serve(t, 5000)
  const {has, until, cidrOf, views, notices} = follow(t, await sourceOf(t, server))
  await has(5000)
  t.is(views(), 1)
  t.like(notices[0], {type: 'listed', items: 5000, streamed: true})
  for (let index = 0; index < 100; index++) server.patch({...ref(index), status: true}, {status: {phase: 'beat'}})
  server.patch(ref(42), {spec: {podCIDRs: ['10.99.0.0/24']}})
  await until(() => cidrOf(42) === '10.99.0.0/24')
  server.delete(ref(4999))
  await has(4999)
  t.is(views(), 3)
})

test('5,000 nodes page by page, with a page that expires', async t => {
  const server = await serve(t, 5000, {streamingLists: false})
  server.faults.gone(1)
  const {has, notices} = follow(t, await sourceOf(t, server))
  await has(5000)
  t.deepEqual(
    notices.map(n => n.type),
    ['paged', 'failed', 'listed'],
  )
  t.true(server.requests.filter(({path}) => path.includes('continue=')).length >= 9)
})

test('an API server that is away and comes back with other content', async t => {
  const server = await serve(t, 20)
  await server.faults.down()
  const {has, until, cidrOf, views, reasons} = follow(t, await sourceOf(t, server))
  await until(() => reasons.some(reason => /refused the connection.*; next try in 1 s$/.test(reason)))
  await server.faults.up()
  await has(20)

  await server.faults.down()
  server.delete(ref(3))
  server.create(node(100))
  server.patch(ref(4), {spec: {podCIDRs: ['10.99.0.0/24']}})
  await wait(50)
  t.is(views(), 1)
  await server.faults.up()
  await until(() => cidrOf(4) === '10.99.0.0/24')
  t.is(cidrOf(3), undefined)
  t.is(cidrOf(100), cidr(100))
})

test('a compaction: what happened unseen is found by listing again, in one View', async t => {
  const server = await serve(t, 20)
  const {has, views, notices} = follow(t, await sourceOf(t, server))
  await has(20)
  await server.faults.down()
  for (const index of [1, 2, 3]) server.delete(ref(index))
  server.create(node(50))
  server.faults.compact({cutWatches: true})
  await server.faults.up()
  await has(18)
  t.is(views(), 2)
  t.true(notices.some(n => n.type === 'failed' && n.gone))
})

test('80 % of the nodes lost unseen: they stay until a second list confirms it', async t => {
  const server = await serve(t, 50)
  const {has, noticed, notices, size, cidrOf} = follow(t, await sourceOf(t, server), {confirmMs: 150})
  await has(50)
  await server.faults.down()
  for (let index = 10; index < 50; index++) server.delete(ref(index))
  server.create(node(60))
  server.faults.compact({cutWatches: true})
  await server.faults.up()
  await noticed('held')
  t.is(size(), 51)
  t.is(cidrOf(60), cidr(60))
  await has(11)
  t.like(
    notices.find(n => n.type === 'held'),
    {held: 40, items: 11},
  )
})

test('a stalled watch is made anew and misses nothing', async t => {
  const server = await serve(t, 3)
  const {has, until, cidrOf, notices} = follow(t, await sourceOf(t, server), {silenceMs: 250})
  await has(3)
  server.faults.stallWatches(true)
  server.patch(ref(1), {spec: {podCIDRs: ['10.99.0.0/24']}})
  await until(() => notices.some(n => n.type === 'rewatch' && n.why === 'silent'))
  server.faults.cutWatches()
  server.faults.stallWatches(false)
  await until(() => cidrOf(1) === '10.99.0.0/24')
  t.is(notices.filter(n => n.type === 'listed').length, 1)
})

test('an event cut in its middle, watches cut, and refusals, one after the other', async t => {
  const server = await serve(t, 3)
  const {has, until, cidrOf, notices} = follow(t, await sourceOf(t, server))
  await has(3)
  server.faults.truncateNext()
  server.patch(ref(1), {spec: {podCIDRs: ['10.99.0.0/24']}})
  await until(() => cidrOf(1) === '10.99.0.0/24')
  server.faults.fail(3, 500)
  server.faults.cutWatches()
  server.patch(ref(1), {spec: {podCIDRs: ['10.99.1.0/24']}})
  await until(() => cidrOf(1) === '10.99.1.0/24')
  t.is(notices.filter(n => n.type === 'listed').length, 1)
})

test('selectors', async t => {
  const server = await serve(t, 3)
  server.create(node(7, cidr(7), {role: 'edge'}))
  const {has, cidrOf} = follow(t, await sourceOf(t, server), {labelSelector: 'role=edge'})
  await has(1)
  t.is(cidrOf(7), cidr(7))
  server.patch(ref(2), {metadata: {labels: {role: 'edge'}}})
  await has(2)
  server.patch(ref(7), {metadata: {labels: {role: null}}})
  await has(1)
  const field = follow(t, await sourceOf(t, server), {fieldSelector: `metadata.name=${name(1)}`})
  await field.has(1)
  t.is(field.cidrOf(1), cidr(1))
})

test('a service account over TLS and IPv6, whose token is rotated', async t => {
  const secrets = await folder(t)
  const [key, cert] = [join(secrets, 'key.pem'), join(secrets, 'ca.crt')]
  const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const subject = ['-subj', '/CN=api', '-addext', 'subjectAltName=IP:::1']
  execFileSync('openssl', [...make, '-keyout', key, '-out', cert, ...subject], {stdio: 'ignore'})
  const tls = {key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8')}
  let accepted = new Set(['first'])
  const server = await serve(t, 2, {host: '::1', tls, tokens: () => accepted})
  await writeFile(join(secrets, 'token'), 'first')
  const {has, until, notices} = follow(t, {host: '::1', port: `${server.port}`, secrets})
  await has(2)

  accepted = new Set(['second'])
  server.faults.cutWatches()
  server.create(node(5))
  await until(() => notices.some(n => n.type === 'failed' && n.error.status === 401))
  await writeFile(join(secrets, 'token'), 'second')
  await has(3)
  t.is(notices.filter(n => n.type === 'listed').length, 1)
})
