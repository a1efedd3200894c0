/** Which of the two kinds a name means, as far as is known. */
import test, {type ExecutionContext} from 'ava'
import {createDefinitions} from '../../src/agent/definitions.ts'
import type {KubeClient, Resource} from '../../src/kube/client.ts'
import {parseConfig} from '../../src/model/config.ts'
import type {Logger} from '../../src/model/logger.ts'
import {createMetrics} from '../../src/observe/metrics.ts'
import {ApiError, type ListWatchTransport, type WatchEvent} from '../../src/streams/list-watch.ts'

const NADS = 'network-attachment-definitions'
const NETWORKS = 'networks'
const LATELY = {lately: true, signal: new AbortController().signal}
const KNOWN = {...LATELY, lately: false}

const definition = (name: string) => ({
  metadata: {namespace: 'a', name, resourceVersion: '1'},
  spec: {config: '{"type": "bridge"}'},
})

/** What the server has of each resource; undefined: its watch says nothing. A number: it refuses, with that status. */
type Served = Readonly<Record<typeof NADS | typeof NETWORKS, readonly string[] | number | undefined>>

/** `answers`: to single questions. */
async function start(t: ExecutionContext, watched: Served, answers: Served) {
  const asked: string[] = []
  async function* watch(resource: keyof Served): AsyncGenerator<WatchEvent> {
    const items = watched[resource]
    if (typeof items === 'number') throw new ApiError('ESTATUS', 'refused', {status: items})
    for (const name of items ?? []) yield {type: 'ADDED', object: definition(name), at: 0}
    const metadata = {resourceVersion: '1', annotations: {'k8s.io/initial-events-end': 'true'}}
    if (items) yield {type: 'BOOKMARK', object: {metadata}, at: 0}
    await new Promise(() => {})
  }
  const client = {
    listWatch: ({resource}: Resource): ListWatchTransport => ({
      watch: () => watch(resource as keyof Served),
      list: () => new Promise(() => {}),
    }),
    request: async (_: string, path: string) => {
      const [resource, name] = path.split('/').slice(-2) as [keyof Served, string]
      asked.push(`${resource} ${name}`)
      const items = answers[resource] ?? []
      if (typeof items === 'number') throw new ApiError('ESTATUS', 'refused', {status: items})
      if (!items.includes(name)) throw new ApiError('ESTATUS', 'none', {status: 404})
      return definition(name)
    },
  } as unknown as KubeClient
  const ignore = () => {}
  const log = {debug: ignore, info: ignore, warn: ignore, error: ignore} as unknown as Logger
  const config = parseConfig({})
  const definitions = createDefinitions({config, client, log, metrics: createMetrics({version: ''})})
  const subscription = definitions.changed$.subscribe()
  t.teardown(() => subscription.unsubscribe())
  await new Promise(resolve => setTimeout(resolve, 20))
  const find = async (dialect: 'npwg' | 'kaloom', options: typeof LATELY = KNOWN) =>
    (await definitions.find({namespace: 'a', name: 'green'}, dialect, options))?.kind
  return {find, asked}
}

test('of two of one name each annotation means its own kind', async t => {
  const {find, asked} = await start(t, {[NADS]: ['green'], [NETWORKS]: ['green']}, {[NADS]: [], [NETWORKS]: []})
  t.is(await find('npwg'), 'NetworkAttachmentDefinition')
  t.is(await find('kaloom'), 'Network')
  t.deepEqual(asked, [])
})

test("the other kind's does not take the place of one that is not known yet", async t => {
  const {find, asked} = await start(t, {[NADS]: ['green'], [NETWORKS]: undefined}, {[NADS]: [], [NETWORKS]: ['green']})
  t.is(await find('kaloom'), 'Network')
  t.is(await find('npwg'), 'NetworkAttachmentDefinition')
  t.deepEqual(asked, ['networks green'])
})

test('while that cannot be asked, nothing is said of it', async t => {
  const {find} = await start(t, {[NADS]: ['green'], [NETWORKS]: undefined}, {[NADS]: [], [NETWORKS]: 503})
  await t.throwsAsync(find('kaloom'), {instanceOf: ApiError})
  t.is(await find('npwg'), 'NetworkAttachmentDefinition')
})

test("a kind that the cluster does not have, or that we may not read, is in nobody else's way", async t => {
  for (const status of [403, 404]) {
    const {find} = await start(t, {[NADS]: ['green'], [NETWORKS]: status}, {[NADS]: [], [NETWORKS]: status})
    t.is(await find('kaloom'), 'NetworkAttachmentDefinition', `${status}`)
    const none = await start(t, {[NADS]: [], [NETWORKS]: status}, {[NADS]: [], [NETWORKS]: status})
    if (status === 404) t.is(await none.find('kaloom', LATELY), undefined)
    else await t.throwsAsync(none.find('kaloom', LATELY), {instanceOf: ApiError})
  }
})

test('what the watch has not told of yet is asked for, and not again at once', async t => {
  const {find, asked} = await start(t, {[NADS]: [], [NETWORKS]: []}, {[NADS]: [], [NETWORKS]: ['green']})
  t.is(await find('npwg'), undefined)
  t.deepEqual(asked, [])
  t.is(await find('npwg', LATELY), 'Network')
  t.is(await find('npwg', LATELY), 'Network')
  t.deepEqual(asked, [`${NADS} green`, 'networks green', 'networks green'])
})
