/** The plugins of a network are run again for an interface that has gone. */
import test from 'ava'
import {CniError} from '../../src/cni/error.ts'
import type {PlannedList} from '../../src/cni/journal.ts'
import type {FindPlugin, NativePlugin, PluginCall} from '../../src/cni/plugin.ts'
import {rebuildList} from '../../src/cni/rebuild-list.ts'
import type {CniResult} from '../../src/cni/result.ts'
import {parseResult} from '../../src/cni/versions.ts'

const CALL: Omit<PluginCall, 'config'> = {
  containerId: 'c1',
  netns: '/run/netns/x',
  ifname: 'net1',
  args: 'K8S_POD_NAME=a;IgnoreUnknown=1',
  path: [],
  sandbox: undefined,
  signal: new AbortController().signal,
  later: () => {},
}
const RESULT: CniResult = {
  interfaces: [{name: 'veth1'}, {name: 'net1', mac: '02:00:00:00:00:01', sandbox: '/run/netns/x'}],
  ips: [
    {address: '10.9.0.2/24', interface: 1},
    {address: 'fd09::2/64', interface: 1},
  ],
  routes: [],
  dns: {},
}

interface Told {
  readonly calls: string[]
  readonly whole: PluginCall[]
  readonly find: FindPlugin
}

/** `fails`: "ADD b", by how many of these calls fail. Of the types in `native` the first plugin is one of ours. */
function plugins(fails: Record<string, number> = {}, native: readonly string[] = []): Told {
  const calls: string[] = []
  const whole: PluginCall[] = []
  const note = (verb: string, call: PluginCall) => {
    const {type, ipam, runtimeConfig} = call.config
    const said = runtimeConfig ? ` ${JSON.stringify(runtimeConfig)}` : ''
    calls.push(`${verb} ${type}${verb === 'DEL' && native.includes(type) && !ipam ? ' without its lease' : ''}${said}`)
    whole.push(call)
    const key = `${verb} ${type}`
    if ((fails[key] ?? 0) > 0) {
      fails[key]!--
      throw new CniError('failed', `no ${key}`)
    }
    return parseResult(call.config.prevResult ?? RESULT, call.config.cniVersion)
  }
  const plugin: Partial<NativePlugin> = {
    add: async call => note('ADD', call),
    del: async call => void note('DEL', call),
  }
  const find = ({type}: {readonly type?: unknown}) =>
    (native.includes(`${type}`)
      ? {...plugin, rebuild: async (call: PluginCall) => note('REBUILD', call)}
      : plugin) as NativePlugin
  return {calls, whole, find}
}

const listOf = (...list: PlannedList['plugins']): PlannedList => ({cniVersion: '1.0.0', name: 'lan', plugins: list})
const A = {type: 'a', ipam: {type: 'host-local'}}
const B = {type: 'b'}
const C = {type: 'c'}
const EXACTLY = {exactly: true}

test('ours is made anew; what is behind it is ended, and begun again with its result', async t => {
  const {calls, whole, find} = plugins({'DEL c': 1}, ['a'])
  t.deepEqual(await rebuildList(listOf(A, B, C), CALL, find, RESULT, EXACTLY), RESULT)
  t.deepEqual(calls, ['DEL c', 'DEL b', 'REBUILD a', 'ADD b', 'ADD c'])
  t.true(whole.every(({config}) => config.prevResult !== undefined))
})

test('when something behind it fails, all is ended but the lease', async t => {
  const {calls, find} = plugins({'ADD c': 1}, ['a'])
  await t.throwsAsync(rebuildList(listOf(A, B, C), CALL, find, RESULT, EXACTLY), {
    message: /ADD of plugins\[2\] \("c"\) failed: no ADD c/,
  })
  t.deepEqual(calls, [
    ...['DEL c', 'DEL b', 'REBUILD a', 'ADD b', 'ADD c'],
    ...['DEL c', 'DEL b', 'DEL a without its lease'],
  ])
})

test('programs are ended and begun again, and asked for what they gave', async t => {
  const {calls, whole, find} = plugins({'DEL a': 1})
  t.deepEqual(await rebuildList(listOf(A, B), CALL, find, RESULT, EXACTLY), RESULT)
  t.deepEqual(calls, ['DEL b', 'DEL a', 'ADD a', 'ADD b'])
  t.is(whole[2]!.args, `${CALL.args};MAC=02:00:00:00:00:01;IP=10.9.0.2/24,fd09::2/64`)
  t.is(whole[0]!.args, CALL.args)
})

test('by capabilities, where they are declared', async t => {
  const {calls, whole, find} = plugins()
  const capable = {...A, capabilities: {mac: true, ips: true}}
  await rebuildList(listOf(capable), {...CALL, args: ''}, find, RESULT, EXACTLY)
  const said = {mac: '02:00:00:00:00:01', ips: ['10.9.0.2/24', 'fd09::2/64']}
  t.deepEqual(calls, ['DEL a', `ADD a ${JSON.stringify(said)}`])
  t.is(whole[1]!.args, 'IgnoreUnknown=1;MAC=02:00:00:00:00:01')
})

test('what somebody has asked for goes before, and static addresses are not asked for twice', async t => {
  const {whole, find} = plugins()
  const args = 'IgnoreUnknown=1;MAC=02:00:00:00:00:09;IP=10.9.0.9'
  await rebuildList(listOf(A), {...CALL, args}, find, RESULT, EXACTLY)
  t.is(whole[1]!.args, args)
  await rebuildList(listOf({...A, ipam: {type: 'static'}}), {...CALL, args: ''}, find, RESULT, EXACTLY)
  t.is(whole[3]!.args, 'IgnoreUnknown=1;MAC=02:00:00:00:00:01')
})

test('who does not give that may give something else, unless it has to be exactly that', async t => {
  const first = plugins({'ADD a': 1})
  await t.throwsAsync(rebuildList(listOf(A), CALL, first.find, RESULT, EXACTLY), {message: /no ADD a/})
  t.deepEqual(first.calls, ['DEL a', 'ADD a', 'DEL a'])
  const second = plugins({'ADD a': 1})
  await rebuildList(listOf(A), CALL, second.find, RESULT, {exactly: false})
  t.deepEqual(second.calls, ['DEL a', 'ADD a', 'DEL a', 'ADD a'])
  t.is(second.whole[3]!.args, CALL.args)
})
