/** What keeps Events from being told keeps nothing else from it. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {Subject} from 'rxjs'
import {ATTACHMENTS_STORY} from '../../src/agent/attach-tell.ts'
import type {PodReport} from '../../src/agent/pod-pass.ts'
import {type TellEdges, tellPods} from '../../src/agent/pod-tell.ts'
import {KubeClient} from '../../src/kube/client.ts'
import {Credentials} from '../../src/kube/credentials.ts'
import {startApiServer} from '../../src/lab/apiserver/server.ts'
import {parseConfig} from '../../src/model/config.ts'
import type {Logger} from '../../src/model/logger.ts'
import {createMetrics} from '../../src/observe/metrics.ts'
import {ApiError} from '../../src/streams/list-watch.ts'
import {POD_ANNOTATIONS, type PodFacts, projectPod} from '../../src/streams/pods.ts'

/** `refusals`: the statuses with which the next Events are refused. */
async function start(t: ExecutionContext, refusals: number[]) {
  const server = await startApiServer()
  const folder = await mkdtemp(join(tmpdir(), 'netgraft-tell-'))
  const kubeconfig = join(folder, 'kubeconfig')
  await writeFile(kubeconfig, server.kubeconfig())
  const credentials = new Credentials({kubeconfig})
  const real = new KubeClient(credentials)
  let posts = 0
  const client = {
    request: async (...[method, path, options]: Parameters<KubeClient['request']>) => {
      if (!path.endsWith('/events')) return real.request(method, path, options)
      const status = refusals.shift()
      try {
        if (status !== undefined) throw new ApiError('ESTATUS', 'no', {status})
        return await real.request(method, path, options)
      } finally {
        posts += 1
      }
    },
  } as unknown as KubeClient
  server.create({apiVersion: 'v1', kind: 'Pod', metadata: {namespace: 'default', name: 'p'}, spec: {}})
  const object = () => server.list('pods', 'default')[0]!
  const items = new Map<string, PodFacts>()
  const warned: string[] = []
  const ignore = () => {}
  const log = {debug: ignore, info: ignore, warn: (text: string) => warned.push(text)} as unknown as Logger
  const reports$ = new Subject<PodReport>()
  const pods = {items} as unknown as TellEdges['pods']
  const edges = {config: parseConfig({}), client, pods, log, metrics: createMetrics({version: ''})}
  const subscription = reports$.pipe(tellPods(edges, ATTACHMENTS_STORY)).subscribe()
  t.teardown(async () => {
    subscription.unsubscribe()
    credentials.close()
    await server.close()
    await rm(folder, {recursive: true, maxRetries: 5})
  })
  /** "a b": what is attached now. Until its status says so and `n` Events have been posted. */
  const tell = async (names: string, n: number) => {
    const pod = projectPod(object())
    items.set('default/p', pod)
    const states = names.split(' ').map(name => ({name, interface: name, state: 'attached' as const}))
    reports$.next({key: 'default/p', pod, states, actions: [], more: [], failed: false})
    const told = () => JSON.parse(object().metadata.annotations?.[POD_ANNOTATIONS.attachmentsStatus] ?? '[]')
    while (posts < n || told().length !== states.length) await new Promise(resolve => setTimeout(resolve, 5))
    items.set('default/p', projectPod(object()))
  }
  const events = () =>
    server
      .list('events', 'default')
      .map(({message}) => message as string)
      .sort()
  return {tell, events, warned, posts: () => posts}
}

test('who may not write Events is told so once, and writes the status all the same', async t => {
  const {tell, events, warned, posts} = await start(t, [403, 403])
  await tell('a b c', 1)
  await tell('a b c d', 2)
  t.is(posts(), 2)
  t.deepEqual(warned, ['the API server refuses Events on pods; they are left out'])
  await tell('a b c d e f', 4)
  t.is(posts(), 4)
  t.deepEqual(events(), ['attached e as e', 'attached f as f'])
  t.is(warned.length, 1)
})

test('an Event that nobody wants is not sent for ever', async t => {
  const {tell, events, warned, posts} = await start(t, [422, 500, 400])
  await tell('a b c', 4)
  await tell('a b c d', 5)
  t.is(posts(), 5)
  t.deepEqual(events(), ['attached c as c', 'attached d as d'])
  t.is(warned.filter(text => text.includes('left out')).length, 2)
})
