/** Network definitions of both kinds, as facts of one. */
import test from 'ava'
import fc from 'fast-check'
import type {DefinitionKind} from '../../src/model/attachment.ts'
import {definitionStream, projectDefinition} from '../../src/streams/definitions.ts'
import {ApiError, type ListWatchTransport, type WatchEvent} from '../../src/streams/list-watch.ts'

const object = (spec: unknown, annotations?: object) => ({metadata: {namespace: 'n', name: 'green', annotations}, spec})

const configOf = (kind: DefinitionKind, spec: unknown): string => projectDefinition(kind, object(spec)).config

test('of NPWG the config as it is written', t => {
  t.deepEqual(projectDefinition('NetworkAttachmentDefinition', object({config: ' {"type": "x"}', plugin: 'y'})), {
    kind: 'NetworkAttachmentDefinition',
    namespace: 'n',
    name: 'green',
    config: ' {"type": "x"}',
  })
  for (const spec of [undefined, null, {}, {config: 7}, {config: null}])
    t.is(configOf('NetworkAttachmentDefinition', spec), '')
})

test("kaloom's plugin is the type, which the author's own goes before", t => {
  const network = (plugin: unknown, config: unknown) => configOf('Network', {plugin, config})
  t.is(network('bridge', '{"mtu":1400}'), '{"type":"bridge","mtu":1400}')
  t.is(network('bridge', '{"mtu":1400,"type":"macvlan"}'), '{"type":"macvlan","mtu":1400}')
  t.is(network('bridge', '[{"mtu":1400}]'), '{"type":"bridge","mtu":1400}')
  t.is(network('bridge', ''), '{"type":"bridge"}')
  t.is(network('bridge', undefined), '{"type":"bridge"}')
  for (const plugin of ['', undefined, 7]) t.is(network(plugin, '{"type":"x"}'), '{"type":"x"}')
  for (const config of ['{', '7', '[1,2]', '[]', 'null', '[[{}]]']) t.is(network('bridge', config), config)
})

test('the resource of its devices', t => {
  const name = 'k8s.v1.cni.cncf.io/resourceName'
  const resourceOf = (value: unknown) =>
    projectDefinition('NetworkAttachmentDefinition', object({}, {[name]: value})).resourceName
  t.is(resourceOf('intel.com/sriov'), 'intel.com/sriov')
  for (const value of ['', 7, null, undefined]) t.is(resourceOf(value), undefined)
})

test('whatever the spec, it is a definition; what is no object is told as such', t => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom('NetworkAttachmentDefinition' as const, 'Network' as const),
      (json, kind) => {
        if (json !== null) t.is(typeof configOf(kind, json), 'string')
        try {
          projectDefinition(kind, json)
        } catch (error) {
          t.true(error instanceof TypeError)
        }
      },
    ),
  )
})

/** Lists nothing, and then tells of these. */
function transport(events: readonly WatchEvent[]): ListWatchTransport {
  return {
    list: async () => ({resourceVersion: '1'}) as never,
    async *watch({sendInitialEvents}, signal) {
      if (sendInitialEvents) throw new ApiError('ESTATUS', 'no such thing', {status: 422})
      yield* events
      await new Promise(resolve => signal.addEventListener('abort', resolve))
    },
  }
}

test('by namespace and name; one that says the same again is no news', async t => {
  const event = (type: 'ADDED' | 'MODIFIED' | 'DELETED', name: string, config: string, revision: number) =>
    ({type, object: {metadata: {namespace: 'n', name, resourceVersion: `${revision}`}, spec: {config}}}) as WatchEvent
  const seen: string[] = []
  await new Promise<void>(resolve => {
    const subscription = definitionStream(
      'NetworkAttachmentDefinition',
      transport([
        event('ADDED', 'a', '1', 2),
        event('MODIFIED', 'a', '1', 3),
        event('MODIFIED', 'a', '2', 4),
        event('ADDED', 'b', '', 5),
        event('DELETED', 'a', '2', 6),
      ]),
    ).subscribe(view => {
      if (!view.synced) return
      const text = [...view.items].map(([key, {config}]) => `${key}=${config}`).join(' ')
      if (text !== seen.at(-1)) seen.push(text)
      if (text === 'n/b=') resolve()
    })
    t.teardown(() => subscription.unsubscribe())
  })
  t.is(seen.at(-1), 'n/b=')
})
