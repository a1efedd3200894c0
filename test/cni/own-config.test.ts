import test from 'ava'
import {CNI_CODES, CniError} from '../../src/cni/error.ts'
import {ownConfig} from '../../src/cni/own-config.ts'

const conf = (change: object = {}) => ({cniVersion: '1.0.0', name: 'netgraft', type: 'netgraft', ...change})
const EMPTY = {cniVersion: '1.0.0', name: 'netgraft', chain: [], delegates: [], runtimeConfig: {}}

test('what matters of our own config', t => {
  const rows: readonly [given: object, want: object][] = [
    [{}, {}],
    [{chain: null, delegates: null, runtimeConfig: null, prevResult: null}, {}],
    [{socket: '/run/x', spool: '/x', kubeconfig: '/y', cniDir: '/z', capabilities: {portMappings: true}}, {}],
    [{chain: [{type: 'portmap', snat: true}]}, {chain: [{type: 'portmap', snat: true}]}],
    [{delegates: [{type: 'a', masterPlugin: true}]}, {delegates: [{type: 'a', masterPlugin: true}]}],
    [{delegates: [{plugins: [{type: 'a'}]}]}, {delegates: [{plugins: [{type: 'a'}]}]}],
    [{runtimeConfig: {mac: 'x'}}, {runtimeConfig: {mac: 'x'}}],
    [{runtimeConfig: []}, {}],
    [{runtimeConfig: 'x'}, {}],
    [{prevResult: {ips: []}}, {prevResult: {ips: []}}],
    [{prevResult: false}, {prevResult: false}],
  ]
  for (const [given, want] of rows) t.deepEqual(ownConfig(conf(given)), {...EMPTY, ...want}, JSON.stringify(given))
})

test('what cannot be a config is refused with where it is', t => {
  const rows: readonly [given: object, message: string][] = [
    [{chain: {}}, 'chain must be a list of plugin configs'],
    [{chain: 'portmap'}, 'chain must be a list of plugin configs'],
    [{chain: ['portmap']}, 'chain[0] must be a plugin config'],
    [{chain: [{type: 'a'}, null]}, 'chain[1] must be a plugin config'],
    [{chain: [{type: 'a'}, []]}, 'chain[1] must be a plugin config'],
    [{chain: [{}]}, 'chain[0].type must be the name of a plugin'],
    [{chain: [{type: 'a'}, {type: 1}]}, 'chain[1].type must be the name of a plugin'],
    [{delegates: {type: 'a'}}, 'delegates must be a list of plugin configs'],
    [{delegates: [{type: 'a'}, 1]}, 'delegates[1] must be a plugin config'],
  ]
  for (const [given, message] of rows) {
    const error = t.throws(() => ownConfig(conf(given)), {instanceOf: CniError, message})
    t.is(error.number, CNI_CODES.invalidConfig)
  }
})
