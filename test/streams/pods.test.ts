/** The pods of a node, as the lab's API server tells of them. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as wait} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {KubeClient} from '../../src/kube/client.ts'
import {Credentials} from '../../src/kube/credentials.ts'
import {startApiServer} from '../../src/lab/apiserver/server.ts'
import {POD_ANNOTATIONS, type PodFacts, podStream, projectPod} from '../../src/streams/pods.ts'
import type {View} from '../../src/streams/view.ts'

const META = {namespace: 'n', name: 'p', uid: 'u'}
const NONE = {...META, annotations: {}, labels: {}, createdAt: 0, hostNetwork: false, ending: false, hasAddress: false}

test('keeps of a pod what matters for its networks', t => {
  const annotations = Object.fromEntries(Object.values(POD_ANNOTATIONS).map((name, i) => [name, `${i}`]))
  t.deepEqual(
    projectPod({
      metadata: {...META, labels: {app: 'x'}, annotations: {...annotations, other: 'x', 'networks.example': 'y'}},
      spec: {nodeName: 'a', hostNetwork: true, containers: [{}]},
      status: {phase: 'Running', podIP: '10.0.0.1'},
    }),
    {...META, annotations, labels: {}, createdAt: 0, hostNetwork: true, ending: false, hasAddress: true},
  )
  t.deepEqual(projectPod({metadata: META}), NONE)
  t.deepEqual(projectPod({metadata: {...META, annotations: null}, spec: {}, status: {podIP: ''}}), NONE)
  t.deepEqual(projectPod({metadata: {...META, annotations: {networks: 7}}, spec: {hostNetwork: 'yes'}}), NONE)
})

test('what ends', t => {
  const ending = (metadata: object, status: object) => projectPod({metadata: {...META, ...metadata}, status}).ending
  t.true(ending({deletionTimestamp: '2030-01-01T00:00:00Z'}, {phase: 'Running'}))
  t.true(ending({}, {phase: 'Succeeded'}))
  t.true(ending({}, {phase: 'Failed'}))
  t.false(ending({}, {phase: 'Pending'}))
  t.false(ending({deletionTimestamp: null}, {phase: 'Unknown'}))
})

test('what is no pod is told as such', t => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.record({metadata: fc.jsonValue(), spec: fc.jsonValue()})), object => {
      try {
        projectPod(object)
      } catch (error) {
        t.true(error instanceof TypeError)
      }
    }),
  )
  t.pass()
})

async function follow(t: ExecutionContext) {
  const server = await startApiServer({bookmarkIntervalMs: 20})
  const folder = await mkdtemp(join(tmpdir(), 'netgraft-pods-'))
  const kubeconfig = join(folder, 'kubeconfig')
  await writeFile(kubeconfig, server.kubeconfig())
  const credentials = new Credentials({kubeconfig})
  const client = new KubeClient(credentials, {timeoutMs: 2000})
  t.teardown(async () => {
    credentials.close()
    await server.close()
    await rm(folder, {recursive: true, maxRetries: 5})
  })
  const views: View<string, PodFacts>[] = []
  const transport = client.listWatch({group: '', version: 'v1', resource: 'pods'})
  const start = () => {
    const options = {node: 'a', backoff: {baseMs: 5, capMs: 30}, confirmMs: 30}
    const subscription = podStream(transport, options).subscribe(view => views.push(view))
    t.teardown(() => subscription.unsubscribe())
  }
  /** "default/x=green kube-system/y". */
  const text = () => {
    const newest = views.at(-1)
    if (!newest?.synced) return 'unsynced'
    return [...newest.items]
      .map(([key, {annotations}]) => [key, annotations.networks].filter(Boolean).join('='))
      .toSorted()
      .join(' ')
  }
  const becomes = async (want: string) => {
    for (const late = performance.now() + 10_000; text() !== want && performance.now() < late; ) await wait(5)
    t.is(text(), want)
  }
  const create = (name: string, nodeName?: string, namespace = 'default') =>
    server.create({apiVersion: 'v1', kind: 'Pod', metadata: {name, namespace}, spec: {nodeName}})
  const annotate = (name: string, annotations: object) =>
    server.patch({resource: 'pods', namespace: 'default', name}, {metadata: {annotations}})
  return {server, start, becomes, create, annotate, views}
}

test('those of the node alone, in all namespaces', async t => {
  const {server, start, becomes, create, annotate} = await follow(t)
  create('mine', 'a')
  create('theirs', 'b')
  create('nobodys')
  create('mine', 'a', 'kube-system')
  start()
  await becomes('default/mine kube-system/mine')
  create('further', 'a')
  annotate('further', {networks: 'green'})
  await becomes('default/further=green default/mine kube-system/mine')
  server.delete({resource: 'pods', namespace: 'default', name: 'mine'})
  annotate('further', {networks: null})
  await becomes('default/further kube-system/mine')
})

test('what does not matter wakes nobody', async t => {
  const {server, start, becomes, create, annotate, views} = await follow(t)
  create('x', 'a')
  start()
  await becomes('default/x')
  const before = views.length
  annotate('x', {other: 'y'})
  server.patch({resource: 'pods', namespace: 'default', name: 'x', status: true}, {status: {phase: 'Running'}})
  annotate('x', {networks: 'green'})
  await becomes('default/x=green')
  t.is(views.length, before + 1)
})

test('a relist after a gap tells of what has come and gone', async t => {
  const {server, start, becomes, create, annotate} = await follow(t)
  for (const name of ['x', 'y', 'z']) create(name, 'a')
  start()
  await becomes('default/x default/y default/z')
  await server.faults.down()
  server.delete({resource: 'pods', namespace: 'default', name: 'x'})
  annotate('y', {networks: 'green'})
  create('w', 'a')
  server.faults.compact()
  await server.faults.up()
  await becomes('default/w default/y=green default/z')
})
