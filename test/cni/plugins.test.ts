/** Who serves a type. */
import test from 'ava'
import {CniError} from '../../src/cni/error.ts'
import {execPlugin} from '../../src/cni/exec.ts'
import {ProgramMissing} from '../../src/cni/find-program.ts'
import type {NativePlugin, Plugin, PluginConfig} from '../../src/cni/plugin.ts'
import {createPlugins} from '../../src/cni/plugins.ts'
import {pluginCall} from './exec-support.ts'

const native = (name: string, keys: readonly string[]) =>
  ({
    name,
    knows: (config: PluginConfig) => !Object.keys(config).some(key => key.startsWith('x') && !keys.includes(key)),
  }) as unknown as NativePlugin
const program = {name: 'program'} as unknown as Plugin

const plugins = createPlugins(
  new Map([
    ['ptp', native('ptp', ['x1'])],
    ['host-local', native('host-local', [])],
    ['node-local', native('node-local', [])],
  ]),
  ({type}) => {
    if (type === 'missing') throw new CniError('failed', 'no such program')
    return program
  },
)

const served = (conf: {type?: unknown; [key: string]: unknown}, config: object = conf) =>
  (plugins.find(conf, pluginCall(config)) as unknown as {name: string}).name

test('the agent where it knows every key, else the program', t => {
  t.is(served({type: 'ptp'}), 'ptp')
  t.is(served({type: 'ptp', x1: 1}), 'ptp')
  t.is(served({type: 'ptp', x2: 1}), 'program')
  t.is(served({type: 'bridge'}), 'program')
  // An IPAM plugin is asked with the whole config.
  t.is(served({type: 'host-local'}, {type: 'bridge', ipam: {type: 'host-local'}}), 'host-local')
  for (const type of [undefined, null, 7, '', '__proto__', 'constructor']) t.is(served({type}), 'program')
  t.throws(() => served({type: 'missing'}), {code: 'failed'})
  t.throws(() => served({type: 'node-local', x: 1}), {code: 'unsupportedField'})
})

test('native is a list of which the agent makes everything', t => {
  const isNative = (...confs: {type: string; [key: string]: unknown}[]) =>
    plugins.isNative({cniVersion: '1.0.0', name: 'pods', plugins: confs})
  t.true(isNative({type: 'ptp', ipam: {type: 'node-local'}}))
  t.true(isNative({type: 'ptp'}))
  t.false(isNative({type: 'ptp', ipam: {type: 'dhcp'}}))
  t.false(isNative({type: 'ptp', x2: 1}))
  t.false(isNative({type: 'ptp'}, {type: 'portmap'}))
})

test('a program that is missing in the place of a type that the agent has: the sentence says what for', async t => {
  const missing = createPlugins(
    new Map([['bridge', {knows: () => false} as unknown as NativePlugin]]),
    execPlugin({searchPath: '', timeoutMs: 60_000}),
  )
  const said = async (type: string) => {
    const call = {...pluginCall({cniVersion: '1.0.0', name: 'net', type}), path: ['/nowhere']}
    const error = await t.throwsAsync(missing.find({type}, call).add(call), {instanceOf: ProgramMissing})
    return error.message
  }
  const absent = (type: string) =>
    `there is no program "${type}" in "/nowhere"; install the plugin, or name its folder in CNI_PATH`
  t.is(await said('ipvlan'), absent('ipvlan'))
  t.is(
    await said('bridge'),
    `${absent('bridge')}; it is needed, as the config has a key or value that the agent's own "bridge" does not serve`,
  )
})
