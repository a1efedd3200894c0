/** What only the API server has: definitions, metadata of others, Leases that nobody removes. */
import {setTimeout as wait} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import type {ApiServer} from '../../src/lab/apiserver/server.ts'
import type {Store} from '../../src/model/store.ts'
import {openKubeStore} from '../../src/store/kubernetes.ts'
import type {StoreOptions, Unusable} from '../../src/store/options.ts'
import {code, entry, signal, text} from './conformance.ts'
import {connect, createDefinitions, startServer} from './kubernetes-support.ts'
import {heard, look, PAIRS, thing, until, VNIS, wire} from './support.ts'

const NAMESPACE = 'kube-system'
const LEASES = {resource: 'leases', namespace: NAMESPACE}

async function open(
  t: ExecutionContext,
  server: ApiServer,
  options: StoreOptions = {},
  url = server.url,
): Promise<Store> {
  return openKubeStore({...options, kube: await connect(t, server, url), namespace: NAMESPACE})
}

test('without its definitions, or its namespace, it says what to apply, and goes on once they are there', async t => {
  const server = await startServer(t)
  const pairs = (await open(t, server)).collection(PAIRS)
  const seen = look(t, pairs.entries$)
  const error = await t.throwsAsync(pairs.create('a/x', thing(1), signal))
  t.is(
    error.message,
    'the API server has nothing at /apis/netgraft.dev/v1alpha1/namespaces/a/pairs: apply deploy/crds, and see whether the namespace is there',
  )
  t.is(await code(pairs.list(signal)), 'refused false')
  await until('the view says why', () => seen.views.some(view => !view.synced && view.reason.includes('404')))
  await createDefinitions(server)
  entry(await pairs.create('a/x', thing(1), signal))
  await until('it is seen', () => text(seen.items) === 'a/x 1')
  t.is(await code(pairs.create('absent/x', thing(1), signal)), 'refused false')
})

test('what others have put into the metadata stays, and their writes are seen', async t => {
  const server = await startServer(t)
  await createDefinitions(server)
  const pairs = (await open(t, server)).collection(PAIRS)
  const {revision} = entry(await pairs.create('a/x', thing(1), signal))
  const ref = {resource: 'pairs.netgraft.dev', namespace: 'a', name: 'x'}
  server.patch(ref, {metadata: {labels: {their: 'label'}, finalizers: ['their.org/finalizer']}})
  t.is(await pairs.replace('a/x', thing(2), revision, signal), 'changed')
  const known = entry(await pairs.read('a/x', signal))
  const {revision: last} = entry(await pairs.replace('a/x', thing(2, 'up'), known.revision, signal))
  t.like(server.get(ref), {
    metadata: {labels: {their: 'label'}, finalizers: ['their.org/finalizer']},
    spec: {n: 2},
    status: {state: 'up'},
  })
  t.is(await pairs.delete('a/x', last, signal), 'deleted')
  t.truthy(server.get(ref), 'the finalizer holds it')
})

test('kubectl shows pairs and identifiers', async t => {
  const server = await startServer(t)
  await createDefinitions(server)
  const ends = [
    {namespace: 'a', pod: 'primary', interface: 'in1', node: 'n1'},
    {namespace: 'a', pod: 'pair', interface: 'in2', node: 'n2'},
  ]
  const at = {apiVersion: 'netgraft.dev/v1alpha1', metadata: {name: 'x', namespace: 'a'}}
  server.create({...at, kind: 'Pair', spec: {ends, vni: 4097}, status: {state: 'up', kind: 'vxlan'}})
  server.create({...at, kind: 'Vni', metadata: {name: '4097'}, spec: {pair: 'a/x', node: 'n1'}})
  const table = async (path: string) => {
    const headers = {accept: 'application/json;as=Table;v=v1;g=meta.k8s.io'}
    const answer = await fetch(`${server.url}/apis/netgraft.dev/v1alpha1/${path}`, {headers})
    const {columnDefinitions, rows} = (await answer.json()) as {
      columnDefinitions: {name: string; priority: number}[]
      rows: {cells: unknown[]}[]
    }
    return columnDefinitions
      .map(({name, priority}, i) => (priority > 0 || name === 'Age' ? '' : `${name}=${rows[0]!.cells[i]} `))
      .join('')
      .trim()
  }
  t.is(
    await table('namespaces/a/pairs'),
    'Name=x A=primary Interface A=in1 B=pair Interface B=in2 Kind=vxlan VNI=4097 State=up',
  )
  t.is(await table('vnis'), 'Name=4097 Pair=a/x Node=n1')
})

test('while the API server is away nobody can renew, so nobody dies of that', async t => {
  const server = await startServer(t)
  const store = await open(t, server, {deadlineMs: 1000})
  const told = heard(t, store.own('node-1', {ttlMs: 2000}))
  const owners = look(t, (await open(t, server, {deadlineMs: 1000})).owners$)
  await until('it is seen', () => `${owners.keys}` === 'node-1')
  const before = owners.views.length
  await server.faults.down()
  await until('it knows that nobody sees it', () => told.all.at(-1)?.held === false)
  await wait(3000)
  await server.faults.up()
  await until('it is back', () => told.all.at(-1)?.held === true)
  await wait(2500)
  t.is(`${owners.keys}`, 'node-1')
  t.true(owners.views.slice(before).every(view => view.synced && view.items.has('node-1')))
})

test('a watch that has stopped without a word lets nobody die', async t => {
  const server = await startServer(t)
  heard(t, (await open(t, server)).own('node-1', {ttlMs: 2000}))
  const owners = look(t, (await open(t, server)).owners$)
  await until('it is seen', () => `${owners.keys}` === 'node-1')
  server.faults.stallWatches(true)
  await wait(5000)
  t.is(`${owners.keys}`, 'node-1')
  server.faults.stallWatches(false)
})

test('a clock that is wrong by years harms nobody, and whoever does not renew is dead all the same', async t => {
  const server = await startServer(t)
  const lease = (name: string, spec: Record<string, unknown>, labels: Record<string, string> = OURS) =>
    server.create({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {name, namespace: NAMESPACE, labels},
      spec,
    })
  const OURS = {'netgraft.dev/sign-of-life': 'true'}
  const told: Unusable[] = []
  const spec = (year: number) => ({
    holderIdentity: 'i',
    leaseDurationSeconds: 2,
    renewTime: `${year}-01-01T00:00:00.000000Z`,
  })
  lease('netgraft-early', spec(1970), OURS)
  lease('netgraft-late', spec(2300), OURS)
  lease('netgraft-dead', spec(2300), OURS)
  lease('kubelet', spec(2300), {})
  lease('stranger', spec(2300), OURS)
  lease('netgraft-nobody', {leaseDurationSeconds: 2}, OURS)
  lease('netgraft-eternal', {holderIdentity: 'i', leaseDurationSeconds: 1e9}, OURS)
  lease('netgraft-text', {holderIdentity: 'i', leaseDurationSeconds: '2'}, OURS)
  const owners = look(t, (await open(t, server, {tell: unusable => told.push(unusable)})).owners$)
  await until('all that can be alive are', () => `${owners.keys}` === 'dead,early,late')
  for (let i = 0; i < 8; i++) {
    for (const [name, year] of [
      ['early', 1970],
      ['late', 2300],
    ] as const)
      server.patch({...LEASES, name: `netgraft-${name}`}, {spec: {renewTime: `${year - i - 1}-01-01T00:00:00.000000Z`}})
    await wait(500)
  }
  t.is(`${owners.keys}`, 'early,late')
  server.delete({...LEASES, name: 'netgraft-late'})
  await until('what is removed is gone at once', () => owners.keys?.includes('late') === false)
  server.patch({...LEASES, name: 'netgraft-dead'}, {spec: {holderIdentity: 'j'}})
  await until('who comes back is alive', () => owners.items?.get('dead')?.instance === 'j')
  t.deepEqual(
    told.map(({what, key}) => `${what} ${key}`).sort(),
    ['netgraft-eternal', 'netgraft-nobody', 'netgraft-text', 'stranger'].map(name => `owners ${name}`),
  )
})

test('a renewal whose answer was lost is no reason to fight with oneself', async t => {
  const server = await startServer(t)
  const {port, mute, mend} = await wire(t, server.port)
  const told = heard(t, (await open(t, server, {}, `http://127.0.0.1:${port}`)).own('node-1', {ttlMs: 6000}))
  await until('it is shown', () => told.all.length === 1)
  const revision = () => server.get({...LEASES, name: 'netgraft-node-1'})?.metadata.resourceVersion
  const before = revision()
  mute()
  await until('a renewal has arrived', () => revision() !== before)
  const muted = revision()
  await mend()
  await until('the next one has', () => revision() !== muted)
  await wait(500)
  t.deepEqual(told.all, [{held: true}])
})

test('busy, refused, uncertain', async t => {
  const server = await startServer(t)
  await createDefinitions(server)
  const vnis = (await open(t, server)).collection(VNIS)
  for (const [status, read, write] of [
    [429, 'busy true', 'busy true'],
    [403, 'refused false', 'refused false'],
    [401, 'refused false', 'refused false'],
    [500, 'unreachable true', 'uncertain true'],
    [503, 'unreachable true', 'uncertain true'],
  ] as const) {
    server.faults.fail(1, status)
    t.is(await code(vnis.read('1', signal)), read, `${status}`)
    server.faults.fail(1, status)
    t.is(await code(vnis.create('1', thing(1), signal)), write, `${status}`)
  }
  t.is(await code(vnis.read('1', signal)), 'done')
  await server.faults.down()
  // The first may find a connection that stood until then.
  const create = () => code(vnis.create('1', thing(1), signal))
  await until('it is sure that nothing was sent', async () => (await create()) === 'unreachable true')
})
