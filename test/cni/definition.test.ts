/** Definitions, and what a pod asks of them, as lists of plugins. */
import test from 'ava'
import fc from 'fast-check'
import {pluginConfig} from '../../src/cni/config.ts'
import {argsOf, canonicalConfig, listOf} from '../../src/cni/definition.ts'
import {CniError} from '../../src/cni/error.ts'
import type {Definition, Selection} from '../../src/model/attachment.ts'

const definition = (config: unknown): Definition => ({
  kind: 'NetworkAttachmentDefinition',
  namespace: 'n',
  name: 'green',
  config: typeof config === 'string' ? config : JSON.stringify(config),
})

const NOTHING: Selection = {dialect: 'npwg', namespace: 'n', name: 'green'}

function made(config: unknown, selection: Partial<Selection> = {}, device?: string) {
  const of = definition(config)
  const canonical = canonicalConfig(of)
  return listOf(of, {selection: {...NOTHING, ...selection}, config: canonical, device, cniVersion: '1.0.0'})
}

function refusal(config: unknown): string {
  try {
    return `made ${JSON.stringify(made(config))}`
  } catch (error) {
    return error instanceof CniError ? error.message : `threw ${error}`
  }
}

test('a config is the same, however it is spaced; it begins with what it begins with', t => {
  t.is(canonicalConfig(definition(' {"type" : "bridge",\n "a": [1, 2]}')), '{"type":"bridge","a":[1,2]}')
})

test('what is no config', t => {
  for (const text of [
    '',
    ' ',
    '{',
    '{"type":"bridge"}}',
    '[]',
    '[{"type":"bridge"}]',
    'null',
    '"bridge"',
    '7',
    '{"a":1}',
  ])
    t.regex(refusal(text), /NetworkAttachmentDefinition "n\/green"/, text)
  for (const config of [
    {type: 'netgraft'},
    {plugins: [{type: 'a'}, {type: 'netgraft'}]},
    {type: 'a', ipam: {type: 'netgraft'}},
  ])
    t.regex(refusal(config), /^NetworkAttachmentDefinition "n\/green": type "netgraft" would ask us again/)
  for (const type of ['../a', '/a', '..', '', 7, null, {}]) t.throws(() => made({type}), {instanceOf: CniError})
})

test('the name and the version are filled in where they are missing', t => {
  const facts = (config: unknown) => {
    const {name, cniVersion} = made(config)
    return `${name} ${cniVersion}`
  }
  t.is(facts({type: 'a'}), 'green 1.0.0')
  t.is(facts({type: 'a', name: 'other', cniVersion: '0.3.1'}), 'other 0.3.1')
  t.is(facts({type: 'a', name: '', cniVersion: ''}), 'green 1.0.0')
  t.is(facts({cniVersion: null, plugins: [{type: 'a'}]}), 'green 1.0.0')
  t.is(facts({cniVersions: ['0.4.0', '0.3.1'], plugins: [{type: 'a'}]}), 'green 0.4.0')
  t.is(facts({cniVersion: '0.3.1', cniVersions: ['1.1.0', '8.0.0'], plugins: [{type: 'a'}]}), 'green 1.1.0')
})

const ASKED: Partial<Selection> = {
  mac: '02:00:00:00:00:01',
  ips: ['10.0.0.5/24'],
  infinibandGuid: '00:00:00:00:00:00:00:01',
  portMappings: [{hostPort: 80, containerPort: 8080, protocol: 'tcp'}],
  bandwidth: {ingressRate: 1},
}

test('each plugin gets of what is asked for that of which it is capable', t => {
  const list = made(
    {
      plugins: [
        {type: 'a', capabilities: {mac: true, ips: false}},
        {
          type: 'b',
          capabilities: {portMappings: true, bandwidth: true, infinibandGUID: true, deviceID: true, dns: true},
        },
        {type: 'c', runtimeConfig: {mac: 'x'}},
      ],
    },
    ASKED,
    '0000:03:02.0',
  )
  const [a, b, c] = list.plugins.map((_, i) => pluginConfig(list, i))
  t.deepEqual(a!.runtimeConfig, {mac: '02:00:00:00:00:01'})
  t.deepEqual(b!.runtimeConfig, {
    infinibandGUID: '00:00:00:00:00:00:00:01',
    portMappings: [{hostPort: 80, containerPort: 8080, protocol: 'tcp'}],
    bandwidth: {ingressRate: 1},
    deviceID: '0000:03:02.0',
  })
  t.deepEqual(c!.runtimeConfig, {mac: 'x'})
  t.deepEqual(
    list.plugins.map(({deviceID, pciBusID}) => [deviceID, pciBusID]),
    [
      ['0000:03:02.0', '0000:03:02.0'],
      [undefined, undefined],
      [undefined, undefined],
    ],
  )
  t.false('runtimeConfig' in made({type: 'a', capabilities: {mac: true}}))
})

test('cni-args go into args.cni of each plugin, where the author has not written something else', t => {
  const cniArgs = {ips: ['10.0.0.9'], mode: 'pod'}
  const of = (args: unknown) => made({plugins: [{type: 'a', args}, {type: 'b'}]}, {cniArgs}).plugins
  t.deepEqual(
    of({cni: {mode: 'author'}, other: 1}).map(({args}) => args),
    [{cni: {ips: ['10.0.0.9'], mode: 'author'}, other: 1}, {cni: cniArgs}],
  )
  t.deepEqual(of({cni: null})[0]!.args, {cni: cniArgs})
  t.deepEqual(made({type: 'a', args: {cni: {x: 1}}}).plugins[0]!.args, {cni: {x: 1}})
})

test('CNI_ARGS', t => {
  const pod = {namespace: 'n', name: 'p', uid: 'u'}
  t.is(
    argsOf(pod, 'c', {}),
    'IgnoreUnknown=1;K8S_POD_NAMESPACE=n;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c;K8S_POD_UID=u',
  )
  t.is(
    argsOf({namespace: 'n', name: 'p'} as never, 'c', {mac: '02:00:00:00:00:01', ips: ['10.0.0.5/24', 'fd00::5']}),
    'IgnoreUnknown=1;K8S_POD_NAMESPACE=n;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c;CNI_IFMAC=02:00:00:00:00:01;MAC=02:00:00:00:00:01;IP=10.0.0.5/24,fd00::5',
  )
  t.false(argsOf(pod, 'c', {ips: []}).includes('IP='))
})

test('whatever is written, it is a list or a CniError, and names only programs that its author has named', t => {
  const type = fc.oneof(fc.constantFrom('a', 'b', 'netgraft', '../a', ''), fc.string(), fc.jsonValue())
  const ipam = fc.oneof(fc.record({type}), fc.jsonValue())
  const plugin = fc.record({type, ipam, capabilities: fc.jsonValue(), args: fc.jsonValue()}, {requiredKeys: []})
  const config = fc.oneof(
    fc.record({cniVersion: fc.jsonValue(), name: fc.jsonValue(), plugins: fc.array(plugin)}, {requiredKeys: []}),
    plugin,
    fc.jsonValue(),
  )
  fc.assert(
    fc.property(config, fc.dictionary(fc.string(), fc.jsonValue()), (whole, cniArgs) => {
      try {
        const {plugins} = made(whole, {...ASKED, cniArgs})
        const written = JSON.stringify(whole)
        for (const {type, ipam} of plugins as readonly {type: string; ipam?: {type?: unknown}}[]) {
          t.true(written.includes(JSON.stringify(type)))
          t.notRegex(type, /\//)
          t.not(type, 'netgraft')
          t.not(ipam?.type, 'netgraft')
        }
      } catch (error) {
        t.true(error instanceof CniError, String(error))
      }
    }),
  )
})
