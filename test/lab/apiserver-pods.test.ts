/** What an agent, a kubelet and a scheduler do to pods, and what they tell of them. */
import test from 'ava'
import type {ApiServer} from '../../src/lab/apiserver/server.ts'
import {call, patch, serve, shown, Watching} from './apiserver-client.ts'

const PODS = '/api/v1/namespaces/default/pods'
const EVENTS = '/api/v1/namespaces/default/events'

const pod = (name: string, nodeName?: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {name, namespace: 'default', labels: {app: 'x'}, annotations: {networks: '[]', other: 'kept'}, ...more},
  spec: {...(nodeName && {nodeName}), containers: [{name: 'c', image: 'none'}]},
})

const find = (server: ApiServer, name = 'p') => server.get({resource: 'pods', name})

test("a write of a pod's status changes its annotations and labels, and nothing else of it", async t => {
  const server = await serve(t)
  const before = server.create(pod('p', 'a'))
  const {status, body} = await patch(server, 'merge', `${PODS}/p/status`, {
    metadata: {
      annotations: {'k8s.v1.cni.cncf.io/network-status': '[{}]', networks: null},
      ownerReferences: [{uid: 'u'}],
    },
    spec: {nodeName: 'b'},
    status: {podIP: '10.0.0.1'},
  })
  t.is(status, 200)
  t.deepEqual(body.metadata.annotations, {'k8s.v1.cni.cncf.io/network-status': '[{}]', other: 'kept'})
  t.deepEqual([body.metadata.labels, body.metadata.ownerReferences], [{app: 'x'}, undefined])
  t.deepEqual(body.spec, before.spec)
  t.deepEqual(body.status, {...before.status, podIP: '10.0.0.1'})
  t.is(body.metadata.generation, before.metadata.generation)
})

test('a patch that names another uid or version is a conflict', async t => {
  const server = await serve(t)
  const {metadata} = server.create(pod('p', 'a'))
  const {uid, resourceVersion} = metadata
  for (const path of [`${PODS}/p`, `${PODS}/p/status`]) {
    const write = (identity: object) =>
      patch(server, 'merge', path, {metadata: {...identity, annotations: {x: `${Math.random()}`}}})
    t.is(
      shown(await write({uid: 'other'})),
      `409 Conflict: Operation cannot be fulfilled on pods "p": Precondition failed: UID in precondition: other, UID in object meta: ${uid}`,
    )
    t.regex(
      shown(await write({resourceVersion: '1'})),
      /^409 Conflict: .* has been modified; please apply your changes/,
    )
    t.is((await write({uid})).status, 200)
    t.is((await write({uid, resourceVersion: find(server)!.metadata.resourceVersion!})).status, 200)
  }
  t.not(find(server)!.metadata.resourceVersion, resourceVersion)
  t.is(find(server)!.metadata.uid, uid)
})

test("a node's pods: what is bound to it appears, what stops matching is DELETED", async t => {
  const server = await serve(t)
  server.create(pod('p'))
  server.create(pod('q', 'a'))
  const query = 'fieldSelector=spec.nodeName%3Da'
  t.is(shown(await call(server, 'GET', `/api/v1/pods?${query}`)), '200 PodList q')
  const watching = new Watching(server, `/api/v1/pods?watch=1&${query}`)
  t.is(await watching.take(1), 'ADDED q@4')
  const target = {apiVersion: 'v1', kind: 'Node', name: 'a'}
  const bind = (name: string) =>
    call(server, 'POST', `${PODS}/${name}/binding`, {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: {name},
      target,
    })
  t.is(shown(await bind('p')), '201 Status Success')
  t.is(await watching.take(1), 'ADDED p@5')
  t.is(find(server)!.spec!.nodeName, 'a')
  t.regex(shown(await bind('p')), /^409 Conflict: .* pods\/binding "p": pod p is already assigned to node "a"$/)
  t.is((await bind('nope')).status, 404)
  t.is((await call(server, 'GET', `${PODS}/p/binding`)).status, 405)
  t.is((await call(server, 'POST', `${PODS}/p/binding`, {target: {}})).status, 400)
  server.patch({resource: 'pods', name: 'p'}, {metadata: {annotations: {networks: '[{"name":"green"}]'}}})
  server.patch({resource: 'pods', name: 'q'}, {spec: {nodeName: 'b'}})
  server.patch({resource: 'pods', name: 'q'}, {metadata: {annotations: {unseen: 'here'}}})
  server.delete({resource: 'pods', name: 'p'})
  t.is(await watching.take(3), 'MODIFIED p@6, DELETED q@7, DELETED p@9')
})

test('a deleted pod waits for its kubelet, if there is one', async t => {
  const server = await serve(t, {gracefulPods: true, now: () => Date.parse('2026-01-02T03:04:05Z')})
  for (const [name, node] of [['p', 'a'], ['unbound'], ['forced', 'a']] as const) server.create(pod(name, node))
  const {body} = await call(server, 'DELETE', `${PODS}/p`)
  t.like(body.metadata, {deletionTimestamp: '2026-01-02T03:04:35Z', deletionGracePeriodSeconds: 30})
  const again = await call(server, 'DELETE', `${PODS}/p`)
  t.is(again.body.metadata.resourceVersion, body.metadata.resourceVersion)
  t.is((await patch(server, 'merge', `${PODS}/p`, {metadata: {annotations: {a: 'b'}}})).status, 200)
  t.truthy(find(server), 'an edit does not end it')
  const shorter = await call(server, 'DELETE', `${PODS}/p`, {gracePeriodSeconds: 5})
  t.is(shorter.body.metadata.deletionTimestamp, '2026-01-02T03:04:10Z')
  const wrong = {gracePeriodSeconds: 0, preconditions: {uid: 'other'}}
  t.is((await call(server, 'DELETE', `${PODS}/p`, wrong)).status, 409)
  const uid = body.metadata.uid
  t.is(
    shown(await call(server, 'DELETE', `${PODS}/p`, {gracePeriodSeconds: 0, preconditions: {uid}})),
    '200 Status Success',
  )
  t.is(find(server), undefined)
  t.is(shown(await call(server, 'DELETE', `${PODS}/unbound`)), '200 Status Success')
  t.is(shown(await call(server, 'DELETE', `${PODS}/forced?gracePeriodSeconds=0`)), '200 Status Success')
})

test('events: made, counted up, selected by what they are about', async t => {
  const server = await serve(t)
  const event = (name: string, about: string) => ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {name, namespace: 'default'},
    involvedObject: {apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: about, uid: `${about}-uid`},
    reason: 'NetworkAttached',
    message: 'green is net9f27410725ab',
    type: 'Normal',
    count: 1,
    firstTimestamp: '2026-01-02T03:04:05Z',
    lastTimestamp: '2026-01-02T03:04:05Z',
    source: {component: 'netgraft', host: 'n1'},
  })
  t.is(shown(await call(server, 'POST', EVENTS, event('p.1', 'p'))), '201 Event p.1')
  t.is((await call(server, 'POST', EVENTS, event('p.1', 'p'))).status, 409)
  t.is((await call(server, 'POST', EVENTS, event('q.1', 'q'))).status, 201)
  const again = {count: 2, lastTimestamp: '2026-01-02T03:05:05Z'}
  for (const kind of ['merge', 'strategic-merge'] as const)
    t.like((await patch(server, kind, `${EVENTS}/p.1`, again)).body, {...again, reason: 'NetworkAttached'})
  for (const [selector, want] of [
    ['involvedObject.name=p,involvedObject.kind=Pod', 'p.1'],
    ['involvedObject.uid=q-uid', 'q.1'],
    ['reason=NetworkAttached,type=Normal', 'p.1,q.1'],
    ['source=netgraft', 'p.1,q.1'],
    ['reportingComponent=netgraft', ''],
    ['involvedObject.apiVersion=v1,involvedObject.fieldPath=', 'p.1,q.1'],
  ] as const)
    t.is(
      shown(await call(server, 'GET', `${EVENTS}?fieldSelector=${encodeURIComponent(selector)}`)),
      `200 EventList ${want}`,
    )
})
