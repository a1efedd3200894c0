import {execFileSync, spawn} from 'node:child_process'
import {once} from 'node:events'
import {copyFile, mkdir, open, readFile, rename, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import test, {type ExecutionContext} from 'ava'
import {CniError} from '../../src/cni/error.ts'
import {type ExecOptions, execPlugin, hostMountHidden, hostMountNeeded} from '../../src/cni/exec.ts'
import {calls, gone, noted, pluginCall, plugins, SEARCH_PATH, script, temporary, UPSTREAM} from './exec-support.ts'

const finder = (options: Partial<ExecOptions> = {}) =>
  execPlugin({searchPath: SEARCH_PATH, timeoutMs: 60_000, ...options})

const add = (
  type: string,
  folder: string,
  {options, ...call}: {options?: Partial<ExecOptions>; signal?: AbortSignal} = {},
) => {
  const whole = pluginCall({type}, {path: [folder], ...call})
  return finder(options)({type}, whole).add(whole)
}

const fails = async (t: ExecutionContext, work: Promise<unknown>): Promise<CniError> =>
  (await t.throwsAsync(work, {instanceOf: CniError}))!

test('a program gets the CNI environment and no other, and its config on standard input', async t => {
  const folder = await plugins(t, {record: 'record'})
  const call = pluginCall({type: 'record', ünï: 'cödé', nested: {b: 1, a: [true, null]}}, {path: [folder, '/nowhere']})
  const result = await finder()({type: 'record'}, call).add(call)
  t.deepEqual(result, {interfaces: [], ips: [], routes: [], dns: {}})
  const [noted] = await calls(folder)
  t.is(JSON.stringify(noted!.config), JSON.stringify(call.config))
  const env = (await readFile(join(folder, 'record.ADD.env'), 'utf8')).trim().split('\n').sort()
  t.deepEqual(
    // What sh sets itself.
    env.filter(line => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line)),
    [
      'CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web-0',
      'CNI_COMMAND=ADD',
      'CNI_CONTAINERID=ng-container',
      'CNI_IFNAME=eth0',
      'CNI_NETNS=/run/netns/ng-none',
      `CNI_PATH=${folder}:/nowhere`,
      'NETGRAFT_PLUGIN=1',
      `PATH=${SEARCH_PATH}`,
    ],
  )
})

test('DEL and CHECK may say nothing', async t => {
  const folder = await plugins(t, {record: 'record'})
  const call = pluginCall({}, {path: [folder], netns: ''})
  const plugin = finder()({type: 'record'}, call)
  await plugin.check(call)
  await plugin.del(call)
  t.deepEqual(
    (await calls(folder)).map(({verb}) => verb),
    ['CHECK', 'DEL'],
  )
})

test('an ADD that says nothing, or what is no result, is a failure that shows it', async t => {
  const folder = await plugins(t, {record: 'record'})
  for (const [answer, said] of [
    ['', /it is empty/],
    ['hello', /not JSON/],
    ['[]', /must be an object/],
    ['{"cniVersion": "0.2.0", "ip4": {}}', /cniVersion is "0\.2\.0"; supported are 0\.3\.0/],
    ['{"ips": [{"address": "10.0.0.300/24"}]}', /ips\[0\]\.address: "10\.0\.0\.300\/24"|"10\.0\.0\.300"/],
    ['{"ips": "none"}', /ips must be a list/],
    ['['.repeat(100_000), /nests/],
  ] as const) {
    await writeFile(join(folder, 'record.ADD.answer'), answer)
    const error = await fails(t, add('record', folder))
    t.regex(error.message, said)
    t.true(error.message.startsWith(`"${folder}/record" answered ADD with no result that can be used: `))
    t.is(error.number, 101)
    if (answer !== '') t.true(error.details?.startsWith(answer.slice(0, 1000)))
  }
})

test('an error in CNI form keeps its number and its words', async t => {
  const folder = await plugins(t, {record: 'record'})
  const says = async (answer: object, status = 1) => {
    await writeFile(join(folder, 'record.ADD.answer'), JSON.stringify(answer))
    await writeFile(join(folder, 'record.ADD.status'), String(status))
    const {message, number, code, details} = await fails(t, add('record', folder))
    return {message: message.replace(folder, ''), number, code, details}
  }
  t.deepEqual(await says({cniVersion: '1.0.0', code: 11, msg: 'wait\na bit', details: 'until\nnoon'}), {
    message: '"/record": wait a bit',
    number: 11,
    code: 'tryAgainLater',
    details: 'until\nnoon',
  })
  t.like(await says({code: 999, msg: 'no'}), {message: '"/record": no', number: 999, code: 'delegateFailed'})
  t.like(await says({code: 101, msg: 'no'}), {number: 101, code: 'delegateFailed'})
  t.like(await says({code: 'x', msg: ''}), {message: '"/record": it gave no reason', number: 101})
  t.like(await says({code: 7, msg: 'no'}, 0), {message: '"/record": no', number: 7, code: 'invalidConfig'})
})

test('a program that is stopped leaves nothing behind', async t => {
  for (const program of ['hang', 'stubborn']) {
    const folder = await plugins(t, {[program]: program})
    const error = await fails(t, add(program, folder, {options: {timeoutMs: 500, graceMs: 100}}))
    t.is(error.message, `"${folder}/${program}" took longer than 0.5 s and was stopped`)
    for (const pid of await noted(t, folder)) await gone(pid)
  }
})

test('a call that is over stops its program', async t => {
  const folder = await plugins(t, {hang: 'hang'})
  const over = new AbortController()
  const adding = add('hang', folder, {signal: over.signal})
  const pids = await noted(t, folder)
  over.abort()
  t.regex((await fails(t, adding)).message, /was stopped: the time for the whole request is over/)
  for (const pid of pids) await gone(pid)
  t.regex((await fails(t, add('hang', folder, {signal: over.signal}))).message, /was not run/)
})

test('a child that holds standard output holds nobody up', async t => {
  const folder = await plugins(t, {leave: 'leave'})
  const {ips} = await add('leave', folder)
  t.deepEqual(ips, [{address: '10.0.0.1/24'}])
  const [, child] = await noted(t, folder)
  t.notThrows(() => process.kill(child, 0), 'what a success leaves running is its own business')
})

test('a failure takes its children with it', async t => {
  const folder = await plugins(t, {fall: 'fall'})
  const error = await fails(t, add('fall', folder))
  t.is(error.message, `"${folder}/fall" ended with status 3 without an error in CNI's form: "something is broken"`)
  t.is(error.details, 'something is broken')
  for (const pid of await noted(t, folder)) await gone(pid)
})

test('floods, crashes and closed doors', async t => {
  const folder = await plugins(t, {flood: 'flood', crash: 'crash', deaf: 'deaf'})
  const flood = await fails(t, add('flood', folder))
  t.is(flood.message, `"${folder}/flood" wrote more than 1048576 bytes and was stopped`)
  t.true(flood.details!.length <= 4096)
  const crash = await fails(t, add('crash', folder))
  t.true(crash.message.includes('was killed by SIGSEGV without an error in CNI\'s form: "panic: index out of range"'))
  const long = pluginCall({type: 'deaf', more: 'x'.repeat(900_000)}, {path: [folder]})
  t.is((await finder()({type: 'deaf'}, long).add(long)).ips.length, 1)
})

test('much on standard error is read, and its beginning kept', async t => {
  const folder = await temporary(t)
  await script(folder, 'loud', '#!/bin/sh\necho first >&2\nhead -c 10000000 /dev/zero | tr "\\0" x >&2\nexit 1\n')
  const {details, message} = await fails(t, add('loud', folder))
  t.is(details!.length, 64 * 1024)
  t.true(details!.startsWith('first\nxxx'))
  t.true(message.length < 1000)
})

test('the first folder that has the program, and can run it', async t => {
  const [first, second] = [await temporary(t), await plugins(t, {one: 'record', two: 'record', three: 'record'})]
  await mkdir(join(first, 'one'))
  await writeFile(join(first, 'two'), '#!/bin/sh\n')
  await script(first, 'three', '#!/bin/sh\necho {}\n')
  for (const type of ['one', 'two', 'three']) {
    const call = pluginCall({type}, {path: ['relative', '', first, second]})
    await finder()({type}, call).add(call)
  }
  t.deepEqual(
    (await calls(second)).map(({plugin}) => plugin),
    ['one', 'two'],
  )
  const error = await fails(t, add('two', first))
  t.is(
    error.message,
    `there is no program "two" in "${first}" ("${first}/two" is not executable); install the plugin, or name its folder in CNI_PATH`,
  )
  t.is(error.number, 101)
  const none = pluginCall({type: 'two'})
  t.regex((await fails(t, finder()({type: 'two'}, none).add(none))).message, /in no folder: CNI_PATH is empty;/)
})

test('a type that leads out of the folder is refused', t => {
  const call = pluginCall({})
  for (const type of ['../x', '/bin/sh', 'a/b', '..', '.', '', 'a\0b', 'x'.repeat(300), undefined, null, 7, {}, []])
    t.throws(() => finder()({type}, call), {instanceOf: CniError, message: /^type /})
})

test('what cannot be run says why', async t => {
  const folder = await temporary(t)
  await script(folder, 'interpreted', '#!/no/such/interpreter\n')
  t.regex((await fails(t, add('interpreted', folder))).message, /it has gone, or the interpreter that it needs is not/)
  await copyFile('/bin/true', join(folder, 'busy'))
  const writer = await open(join(folder, 'busy'), 'r+')
  t.regex((await fails(t, add('busy', folder))).message, /it is being written; replace programs by renaming/)
  // Put in place properly while we wait.
  const trying = add('busy', folder)
  await script(folder, 'new', '#!/bin/sh\necho {}\n')
  await rename(join(folder, 'new'), join(folder, 'busy'))
  await t.notThrowsAsync(trying)
  await writer.close()
  const call = pluginCall({type: 'busy'}, {path: [folder], args: 'x'.repeat(1 << 20)})
  t.regex((await fails(t, finder()({type: 'busy'}, call).add(call))).message, /its environment is too long/)
  const nul = pluginCall({type: 'busy'}, {path: [folder], args: 'a\0b'})
  t.is((await fails(t, finder()({type: 'busy'}, nul).add(nul))).number, 101)
})

test('so many at once', async t => {
  const folder = await plugins(t, {count: 'count'})
  const find = finder({maxConcurrent: 2})
  const call = pluginCall({type: 'count'}, {path: [folder]})
  await Promise.all(Array.from({length: 12}, () => find({type: 'count'}, call).del(call)))
  const seen = (await readFile(join(folder, 'seen'), 'utf8')).trim().split('\n').map(Number)
  t.is(seen.length, 12)
  t.true(seen.every(count => count <= 2))
})

test('a program that does not speak the version is called in one that it does', async t => {
  const folder = await plugins(t, {record: 'record'})
  const find = finder()
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{name: 'eth0', mtu: 1400}],
    ips: [{address: '10.0.0.1/24', interface: 0}],
  }
  const call = pluginCall({cniVersion: '1.1.0', prevResult}, {path: [folder]})
  await writeFile(join(folder, 'record.VERSION.answer'), '{"supportedVersions": ["0.2.0", "0.3.1", "0.4.0", "9.0.0"]}')
  await writeFile(join(folder, 'record.DEL.answer'), '{"code": 1, "msg": "incompatible CNI versions"}')
  await writeFile(join(folder, 'record.DEL.status'), '1')
  await fails(t, find({type: 'record'}, call).del(call))
  const seen = (await calls(folder)).map(({verb, config}) => `${verb} ${config.cniVersion}`)
  t.deepEqual(seen, ['DEL 1.1.0', 'VERSION 1.1.0', 'DEL 0.4.0'])
  t.deepEqual((await calls(folder))[2]!.config.prevResult, {
    cniVersion: '0.4.0',
    interfaces: [{name: 'eth0'}],
    ips: [{version: '4', address: '10.0.0.1/24', interface: 0}],
    dns: {},
  })
  await find({type: 'record'}, call).add(call)
  t.is((await calls(folder)).at(-1)!.config.cniVersion, '0.4.0', 'which it remembers')
})

test('upstream, in a version that is newer than it', async t => {
  const folder = await temporary(t)
  const find = finder()
  const ipam = {type: 'host-local', dataDir: join(folder, 'ipam'), subnet: '10.77.0.0/24'}
  const call = pluginCall({cniVersion: '1.1.0', type: 'bridge', ipam}, {path: [UPSTREAM]})
  const plugin = find({type: 'host-local'}, call)
  t.deepEqual((await plugin.add(call)).ips, [{address: '10.77.0.2/24', gateway: '10.77.0.1'}])
  await plugin.check(call)
  await plugin.gc!(call)
  await plugin.status!(call)
  await plugin.del(call)
  const twice = {...call, config: {...call.config, ipam: {...ipam, subnet: '10.77.0.0/33'}}}
  t.regex((await fails(t, plugin.add(twice))).message, /^"\/.*\/host-local": .*invalid CIDR address/)
})

/** What an agent with fewer capabilities than process 1 says of that. */
async function hiddenWithout(capability: string): Promise<string> {
  const code = `import {hostMountHidden} from ${JSON.stringify(new URL('../../src/cni/exec.ts', import.meta.url))}
    console.log(await hostMountHidden())`
  const args = ['--bounding-set', capability, process.execPath, '--no-warnings', '--input-type=module', '-e', code]
  return execFileSync('setpriv', args, {encoding: 'utf8'}).trim()
}

test('programs of another mount namespace', async t => {
  const folder = await temporary(t)
  await Promise.all(['bin', 'here'].map(name => mkdir(join(folder, name))))
  const bin = join(folder, 'bin')
  await script(join(folder, 'here'), 'hidden', '#!/bin/sh\necho \'{"ips": [{"address": "10.0.0.9/24"}]}\'\n')
  // The second link leads to what is not there for us.
  const mount = `mount -t tmpfs none ${bin} && cp ${folder}/here/hidden ${bin}/real && ln -s ${bin}/real ${bin}/hidden &&
    ln -s ${bin} ${bin}/folder && echo ready && exec sleep 1000`
  const host = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', mount], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => host.kill('SIGKILL'))
  await once(host.stdout!, 'data')
  const process = `/proc/${host.pid}`

  t.true(await hostMountNeeded(process))
  t.false(await hostMountNeeded('/proc/self'))
  t.false(await hostMountNeeded('/proc/0'), 'what cannot be seen cannot be entered')
  t.false(await hostMountHidden(process))
  t.is(await hiddenWithout('-sys_ptrace'), 'true')

  t.regex((await fails(t, add('hidden', bin))).message, /no program "hidden"/)
  const unseen = await fails(t, add('hidden', bin, {options: {hostHidden: true}}))
  t.regex(unseen.message, /; only the agent's own files are seen, not the host's: that takes CAP_SYS_PTRACE, /)
  const options = {hostMount: true, host: process}
  t.is((await add('hidden', bin, {options})).ips[0]!.address, '10.0.0.9/24')
  t.is((await add('hidden', join(bin, 'folder'), {options})).ips[0]!.address, '10.0.0.9/24')
  t.regex((await fails(t, add('other', bin, {options}))).message, /no program "other"/)
  t.is(execFileSync('ls', [bin], {encoding: 'utf8'}), '')
})
