import {readdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import type {RunnableList} from '../../src/cni/config.ts'
import {CniError} from '../../src/cni/error.ts'
import {execPlugin} from '../../src/cni/exec.ts'
import {AddFailed, addList, checkList, delList, gcList, type ListCall, statusList} from '../../src/cni/list.ts'
import type {FindPlugin, Plugin} from '../../src/cni/plugin.ts'
import type {CniResult} from '../../src/cni/result.ts'
import {parseResult} from '../../src/cni/versions.ts'
import {namespaces} from '../netlink/namespace.ts'
import {calls, gone, listCall, noted, plugins, SEARCH_PATH, temporary, upstreamIn} from './exec-support.ts'

const find = execPlugin({searchPath: SEARCH_PATH, timeoutMs: 60_000, graceMs: 100})

const listOf = (...types: string[]): RunnableList => ({
  cniVersion: '1.0.0',
  name: 'pod',
  plugins: types.map(type => ({type})),
})

/** A folder with recording plugins of these names, and the call that finds them. */
async function recorders(t: ExecutionContext, ...names: string[]): Promise<{folder: string; call: ListCall}> {
  const folder = await plugins(t, Object.fromEntries(names.map(name => [name, 'record'])))
  return {folder, call: listCall({path: [folder]})}
}

const answers = (folder: string, name: string, verb: string, answer: object, status = 0) =>
  Promise.all([
    writeFile(join(folder, `${name}.${verb}.answer`), JSON.stringify(answer)),
    writeFile(join(folder, `${name}.${verb}.status`), String(status)),
  ])

const sequence = async (folder: string) => (await calls(folder)).map(({verb, plugin}) => `${verb} ${plugin}`)

const some = {
  cniVersion: '1.0.0',
  interfaces: [{name: 'eth0', sandbox: '/run/netns/a', vendor: {x: 1}}],
  ips: [{address: '10.0.0.2/24', interface: 0, gateway: '10.0.0.1', vendor: 'y'}],
  routes: [{dst: '0.0.0.0/0', vendor: [1]}],
  dns: {nameservers: ['10.0.0.10'], vendor: 2},
  vendor: {deep: [{er: null}]},
}

test('each plugin gets exactly what the one before has said', async t => {
  const {folder, call} = await recorders(t, 'one', 'two', 'three')
  await answers(folder, 'one', 'ADD', some)
  const other = {...some, ips: [{address: 'fd00::1/64'}], interfaces: undefined}
  await answers(folder, 'two', 'ADD', other)
  await answers(folder, 'three', 'ADD', some)
  const result = await addList(listOf('one', 'two', 'three'), call, find)
  t.deepEqual(result, parseResult(some, '1.0.0'))
  const configs = (await calls(folder)).map(({config}) => config)
  t.deepEqual(
    configs.map(({prevResult}) => prevResult),
    [undefined, some, JSON.parse(JSON.stringify(other))],
  )
  t.deepEqual(configs[0]!, {type: 'one', name: 'pod', cniVersion: '1.0.0'})
})

test('what came before the list goes to its first plugin', async t => {
  const {folder, call} = await recorders(t, 'one')
  await addList(listOf('one'), call, find, {prevResult: parseResult(some, '1.0.0')})
  t.deepEqual((await calls(folder))[0]!.config.prevResult, some)
})

test('each plugin gets the capabilities that it declares', async t => {
  const {folder, call} = await recorders(t, 'one', 'two', 'three')
  const list: RunnableList = {
    ...listOf(),
    plugins: [
      {type: 'one', capabilities: {portMappings: true, mac: false}},
      {type: 'two'},
      {type: 'three', capabilities: {mac: true, ips: true}},
    ],
    runtimeConfig: {portMappings: [{hostPort: 1}], mac: '02:00:00:00:00:01', bandwidth: {}},
  }
  const result = await addList(list, call, find)
  await delList(list, call, find, result)
  t.deepEqual(
    (await calls(folder)).map(({config}) => config.runtimeConfig),
    [
      {portMappings: [{hostPort: 1}]},
      undefined,
      {mac: '02:00:00:00:00:01'},
      {mac: '02:00:00:00:00:01'},
      undefined,
      {portMappings: [{hostPort: 1}]},
    ],
  )
})

test('a failed ADD is undone backwards, the failed plugin included', async t => {
  const {folder, call} = await recorders(t, 'one', 'two', 'three')
  await answers(folder, 'one', 'ADD', some)
  await answers(folder, 'two', 'ADD', {code: 11, msg: 'later', details: 'why'}, 1)
  const error = await t.throwsAsync(addList(listOf('one', 'two', 'three'), call, find), {instanceOf: AddFailed})
  t.deepEqual(await sequence(folder), ['ADD one', 'ADD two', 'DEL two', 'DEL one'])
  t.like(error, {
    message: `network "pod": ADD of plugins[1] ("two") failed: "${folder}/two": later`,
    number: 11,
    code: 'tryAgainLater',
    details: 'why',
    leftovers: [],
  })
  t.deepEqual((await calls(folder))[3]!.config.prevResult, some, 'with what is known')
})

test('what cannot be undone is told', async t => {
  const {folder, call} = await recorders(t, 'one', 'two')
  await answers(folder, 'one', 'DEL', {code: 5, msg: 'stuck'}, 1)
  await answers(folder, 'two', 'ADD', {code: 7, msg: 'no'}, 1)
  const error = await t.throwsAsync(addList(listOf('one', 'two'), call, find), {instanceOf: AddFailed})
  t.is(error!.number, 7)
  t.is(error!.details, `not undone: network "pod": DEL of plugins[0] ("one") failed: "${folder}/one": stuck`)
  t.is(error!.leftovers.length, 1)
  t.is(error!.leftovers[0]!.number, 5)
  const alone = await t.throwsAsync(addList(listOf('one', 'two'), call, find, {undo: false}), {instanceOf: AddFailed})
  t.is(alone!.details, undefined)
  t.deepEqual((await sequence(folder)).slice(4), ['ADD one', 'ADD two'])
})

test('a missing program undoes what was before it', async t => {
  const {folder, call} = await recorders(t, 'one')
  const error = await t.throwsAsync(addList(listOf('one', 'missing', 'one'), call, find), {instanceOf: AddFailed})
  t.true(
    error!.message.startsWith('network "pod": ADD of plugins[1] ("missing") failed: there is no program "missing"'),
  )
  t.deepEqual(error!.leftovers, [])
  t.deepEqual(await sequence(folder), ['ADD one', 'DEL one'])
})

test('a hanging plugin is stopped and undone when the call is over', async t => {
  const folder = await plugins(t, {one: 'record', hang: 'hang'})
  const over = new AbortController()
  const adding = addList(listOf('one', 'hang'), listCall({path: [folder], signal: over.signal}), find, {undoMs: 500})
  const failed = t.throwsAsync(adding, {instanceOf: AddFailed})
  const before = await noted(t, folder)
  over.abort()
  t.regex((await failed)!.message, /plugins\[1\] \("hang"\) failed: .* was stopped/)
  for (const pid of [...before, ...(await noted(t, folder))]) await gone(pid)
  t.deepEqual(await sequence(folder), ['ADD one', 'DEL one'])
})

test('nothing is begun of a list that cannot be right', async t => {
  const {folder, call} = await recorders(t, 'one')
  for (const [list, number] of [
    [listOf(), 7],
    [listOf('one', '../one'), 7],
    [{...listOf('one'), cniVersion: '0.2.0'}, 1],
    [{...listOf('one'), name: 'a b'}, 7],
  ] as const)
    t.is((await t.throwsAsync(addList(list, call, find), {instanceOf: CniError}))!.number, number)
  t.deepEqual(await calls(folder), [])
})

test('DEL goes on past failures and tells all of them', async t => {
  const {folder, call} = await recorders(t, 'one', 'two', 'three')
  await answers(folder, 'three', 'DEL', {code: 11, msg: 'busy', details: 'd3'}, 1)
  await answers(folder, 'one', 'DEL', {code: 5, msg: 'io', details: 'd1'}, 1)
  const list = listOf('one', 'two', 'gone', 'three')
  const error = await t.throwsAsync(delList(list, call, find, undefined), {instanceOf: CniError})
  t.deepEqual(await sequence(folder), ['DEL three', 'DEL two', 'DEL one'])
  t.is(error!.number, 11)
  t.regex(error!.message, /plugins\[3\].*: busy; .*plugins\[2\].*no program "gone".*; .*plugins\[0\].*: io$/)
  t.is(error!.details, 'd3\nd1')
})

test('DEL and CHECK have the result of the whole ADD, since 0.4.0', async t => {
  const {folder, call} = await recorders(t, 'one', 'two')
  const result = parseResult(some, '1.0.0')
  const list = listOf('one', 'two')
  await delList(list, call, find, result)
  await checkList(list, call, find, result)
  await delList({...list, cniVersion: '0.3.1'}, call, find, result)
  await delList(list, call, find, undefined)
  t.deepEqual(
    (await calls(folder)).map(({config}) => config.prevResult),
    [some, some, some, some, undefined, undefined, undefined, undefined],
  )
  t.deepEqual((await sequence(folder)).slice(2, 4), ['CHECK one', 'CHECK two'])
})

test('CHECK: not of old lists, not of those that do not want it, and it stops at what is wrong', async t => {
  const {folder, call} = await recorders(t, 'one', 'two')
  const result = parseResult(some, '1.0.0')
  const list = listOf('one', 'two')
  const old = await t.throwsAsync(checkList({...list, cniVersion: '0.3.1'}, call, find, result), {instanceOf: CniError})
  t.is(old!.message, 'network "pod" has cniVersion 0.3.1; CHECK needs 0.4.0 or newer')
  await checkList({...list, disableCheck: true}, call, find, result)
  t.deepEqual(await calls(folder), [])
  await answers(folder, 'one', 'CHECK', {code: 105, msg: 'address missing'}, 1)
  const error = await t.throwsAsync(checkList(list, call, find, result), {instanceOf: CniError})
  t.is(error!.message, `network "pod": CHECK of plugins[0] ("one") failed: "${folder}/one": address missing`)
  t.is(error!.number, 105)
  t.deepEqual(await sequence(folder), ['CHECK one'])
})

test('GC and STATUS reach the plugins that know them', async t => {
  const {folder, call} = await recorders(t, 'one', 'two', 'three')
  const versions = {cniVersion: '1.1.0', supportedVersions: ['1.0.0', '1.1.0']}
  for (const name of ['one', 'three']) await answers(folder, name, 'VERSION', versions)
  await answers(folder, 'two', 'VERSION', {supportedVersions: ['0.4.0', '1.0.0']})
  await answers(folder, 'one', 'GC', {code: 5, msg: 'io'}, 1)
  await answers(folder, 'three', 'STATUS', {code: 50, msg: 'no address left'}, 1)
  const valid = [{containerID: 'a', ifname: 'eth0'}]
  const old = listOf('one', 'two', 'three')
  const list = {...old, cniVersion: '1.1.0'}
  const none = listCall({...call, containerId: '', netns: '', ifname: '', args: ''})
  await gcList(old, none, find, valid)
  await gcList({...list, disableGC: true}, none, find, valid)
  await statusList(old, none, find)
  t.deepEqual(await calls(folder), [])
  t.regex((await t.throwsAsync(gcList(list, none, find, valid)))!.message, /GC of plugins\[0\] .*: io$/)
  const status = await t.throwsAsync(statusList(list, none, find), {instanceOf: CniError})
  t.like(status, {number: 50, code: 'unavailable'})
  const seen = (await calls(folder)).filter(({verb}) => verb !== 'VERSION')
  t.deepEqual(
    seen.map(({verb, plugin}) => `${verb} ${plugin}`),
    ['GC one', 'GC three', 'STATUS one', 'STATUS three'],
  )
  t.deepEqual(seen[0]!.config, {
    type: 'one',
    name: 'pod',
    cniVersion: '1.1.0',
    'cni.dev/valid-attachments': valid,
    'cni.dev/attachments': valid,
  })
})

test('work that an undone plugin leaves for later is waited for', async t => {
  const nothing: CniResult = {interfaces: [], ips: [], routes: [], dns: {}}
  const native: Plugin = {
    add: async ({config}) => {
      if (config.type === 'bad') throw new Error('not even a CniError')
      return nothing
    },
    check: async () => {},
    del: async ({later, config}) => {
      later(config.type === 'bad' ? Promise.reject(new Error('still there')) : Promise.resolve())
    },
  }
  const error = await t.throwsAsync(
    addList(listOf('good', 'bad'), listCall(), () => native),
    {instanceOf: AddFailed},
  )
  t.is(error!.message, 'network "pod": ADD of plugins[1] ("bad") failed: not even a CniError')
  t.is(error!.number, 100)
  t.deepEqual(
    error!.leftovers.map(({message}) => message),
    ['still there'],
  )
  const throwing: FindPlugin = () => {
    throw new CniError('unsupportedField', 'nobody serves it')
  }
  t.is((await t.throwsAsync(addList(listOf('a'), listCall(), throwing), {instanceOf: AddFailed}))!.number, 2)
})

test("upstream's plugins in a chain: ADD, CHECK, DEL, at each of their versions", async t => {
  for (const cniVersion of ['0.4.0', '1.0.0', '1.1.0']) {
    const [host, pod] = await namespaces(t, 2)
    const state = await temporary(t)
    const list: RunnableList = {
      cniVersion,
      name: 'ng-list',
      plugins: [
        {
          type: 'bridge',
          bridge: 'br0',
          isGateway: true,
          ipam: {type: 'host-local', dataDir: state, subnet: '10.66.0.0/24', routes: [{dst: '0.0.0.0/0'}]},
        },
        {type: 'bandwidth', capabilities: {bandwidth: true}},
        {type: 'tuning', dataDir: state, sysctl: {'net.ipv4.conf.eth0.arp_notify': '1'}, mtu: 1300},
        {type: 'portmap', capabilities: {portMappings: true}, snat: true},
      ],
      runtimeConfig: {
        portMappings: [{hostPort: 8080, containerPort: 80, protocol: 'tcp'}],
        bandwidth: {ingressRate: 8_000_000, ingressBurst: 8_000_000},
        ips: [],
      },
    }
    const stored: RunnableList = JSON.parse(JSON.stringify(list))
    const call = listCall({path: [await upstreamIn(t, host)], netns: pod.path})
    const result = await addList(stored, call, find)
    t.deepEqual(
      result.ips.map(({address}) => address),
      ['10.66.0.2/24'],
    )
    const veth = result.interfaces[1]!.name
    const rules = () => host.exec('iptables-save', '-t', 'nat')
    t.true(rules().includes('10.66.0.2:80'))
    t.is(pod.json('link', 'show', 'dev', 'eth0')[0].mtu, 1300)
    t.true(host.exec('tc', 'qdisc', 'show', 'dev', veth).includes('tbf'))
    // This portmap's CHECK looks for IPv6's rules whatever the addresses.
    const checkable = {...stored, plugins: stored.plugins.slice(0, 3)}
    await checkList(checkable, call, find, result)
    pod.ip('link', 'set', 'dev', 'eth0', 'mtu', '1400')
    const broken = await t.throwsAsync(checkList(checkable, call, find, result), {instanceOf: CniError})
    t.regex(broken!.message, /^network "ng-list": CHECK of plugins\[2\] \("tuning"\) failed: .*tuning": .*MTU/i)

    await t.throwsAsync(addList(stored, {...call, containerId: 'ng-other'}, find), {instanceOf: AddFailed})
    t.deepEqual(
      (await readdir(join(state, 'ng-list'))).filter(name => name === '10.66.0.3'),
      [],
      'undone',
    )

    await delList(stored, call, find, result)
    await delList(stored, call, find, result)
    await delList(stored, {...call, netns: ''}, find, undefined)
    t.deepEqual(
      host.json('link', 'show').filter(link => link.linkinfo?.info_kind === 'veth'),
      [],
    )
    t.false(rules().includes('10.66.0.2'))
    t.deepEqual(
      (await readdir(join(state, 'ng-list'))).filter(name => name.startsWith('10.')),
      [],
    )
  }
})
