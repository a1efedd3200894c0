/** Installing on a host and taking it back, on a real file system. Needs root. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import {install, uninstall} from '../../src/install/install.ts'
import {
  CONF,
  everything,
  FOREIGN,
  hostOf,
  mode,
  program,
  readConflist,
  shimBytes,
  stateOf,
  writeJson,
} from './support.ts'

/** What scripts/build-shim has made. */
const BUILT = join(import.meta.dirname, '..', '..', 'build', 'netgraft-cni')
/** Debian's package of upstream's plugins. */
const UPSTREAM = '/usr/lib/cni'

test('an empty host: both files, for those who need them', async t => {
  const host = hostOf(t)
  const {files, notes} = await install(host)
  const [bin, conf] = [join(host.binFolder, 'netgraft'), join(host.confFolder, CONF)]
  t.deepEqual(files, [`installed ${bin}`, `installed ${conf}`])
  t.deepEqual(notes, [
    `${host.binFolder} has no portmap: host ports of pods are not served`,
    `${host.binFolder} has no bandwidth: bandwidth limits of pods are not kept`,
  ])
  t.deepEqual([mode(bin), mode(conf)], ['755', '600'])
  t.deepEqual(readFileSync(bin), shimBytes('1'))
  t.is(readConflist(host).plugins[0].type, 'netgraft')
  t.deepEqual(readdirSync(host.binFolder), ['netgraft'])
  t.deepEqual(readdirSync(host.confFolder), [CONF])
})

test('the shim that is built is known as one', async t => {
  const host = hostOf(t, {shim: BUILT})
  await install(host)
  t.deepEqual(readFileSync(join(host.binFolder, 'netgraft')), readFileSync(BUILT))
  t.is((await uninstall(host)).files.length, 2)
})

test('again: nothing is written, and the same files stay', async t => {
  const host = hostOf(t)
  await install(host)
  const before = stateOf(host, {identity: true})
  const {files} = await install(host)
  t.deepEqual(files, [`unchanged ${join(host.binFolder, 'netgraft')}`, `unchanged ${join(host.confFolder, CONF)}`])
  t.deepEqual(stateOf(host, {identity: true}), before)
})

test("a mode or an owner that is not as it should be is put right, whatever the process's umask", async t => {
  const host = hostOf(t)
  await install(host)
  const good = stateOf(host)
  chmodSync(join(host.binFolder, 'netgraft'), 0o4777)
  chmodSync(join(host.confFolder, CONF), 0o644)
  t.is((await install(host)).files.filter(file => file.startsWith('replaced')).length, 2)
  t.deepEqual(stateOf(host), good)
  chownSync(join(host.binFolder, 'netgraft'), 65534, 65534)
  await install(host)
  t.deepEqual(stateOf(host), good)
})

test('folders that are missing are made, and stay when we go', async t => {
  const host = hostOf(t)
  rmSync(host.binFolder, {recursive: true, maxRetries: 5})
  rmSync(host.confFolder, {recursive: true, maxRetries: 5})
  const deep = {...host, binFolder: join(host.root, 'opt/cni/bin'), confFolder: join(host.root, 'etc/cni/net.d')}
  await install(deep)
  for (const folder of ['opt', 'opt/cni', deep.binFolder, deep.confFolder])
    t.is(mode(folder.startsWith('/') ? folder : join(host.root, folder)), '755')
  await uninstall(deep)
  t.deepEqual([readdirSync(deep.binFolder), readdirSync(deep.confFolder)], [[], []])
})

test('one folder may be both, and be reached over a link', async t => {
  const host = hostOf(t)
  symlinkSync(host.binFolder, join(host.root, 'link'))
  const both = {...host, confFolder: join(host.root, 'link')}
  await install(both)
  t.deepEqual(readdirSync(host.binFolder).sort(), [CONF, 'netgraft'])
  await uninstall(both)
  t.deepEqual(readdirSync(host.binFolder), [])
})

test("upstream's plugins are chained where they are programs", async t => {
  const host = hostOf(t)
  const types = () => (readConflist(host).plugins[0].chain ?? []).map(({type}: {type: string}) => type)
  for (const name of readdirSync(UPSTREAM))
    copyFileSync(join(UPSTREAM, name), join(host.binFolder, name), constants.COPYFILE_FICLONE)
  const before = everything(host.binFolder)
  t.deepEqual((await install(host)).notes, [])
  t.deepEqual(types(), ['portmap', 'bandwidth'])
  chmodSync(join(host.binFolder, 'portmap'), 0o644)
  await install(host)
  t.deepEqual(types(), ['bandwidth'])
  rmSync(join(host.binFolder, 'bandwidth'))
  mkdirSync(join(host.binFolder, 'bandwidth'))
  await install(host)
  t.deepEqual(types(), [])
  // From inside a container, only the host may be able to follow it.
  rmSync(join(host.binFolder, 'portmap'))
  symlinkSync('/nowhere/portmap', join(host.binFolder, 'portmap'))
  await install(host)
  t.deepEqual(types(), ['portmap'])
  for (const name of ['portmap', 'bandwidth']) {
    rmSync(join(host.binFolder, name), {recursive: true, maxRetries: 5})
    copyFileSync(join(UPSTREAM, name), join(host.binFolder, name), constants.COPYFILE_FICLONE)
  }
  await uninstall(host)
  t.deepEqual(everything(host.binFolder), before)
})

test('a program that is being run is replaced', async t => {
  const host = hostOf(t)
  const runnable = Buffer.concat([readFileSync('/usr/bin/sleep'), Buffer.from('\0netgraft-cni-shim\0')])
  writeFileSync(host.shim, runnable)
  await install(host)
  const running = spawn(join(host.binFolder, 'netgraft'), ['60'], {stdio: 'ignore'})
  t.teardown(() => running.kill('SIGKILL'))
  await once(running, 'spawn')
  writeFileSync(host.shim, shimBytes('2'))
  const {files} = await install(host)
  t.is(files[0], `replaced ${join(host.binFolder, 'netgraft')}`)
  t.deepEqual(readFileSync(join(host.binFolder, 'netgraft')), shimBytes('2'))
  t.is(running.exitCode, null)
})

test('the default network is kept on demand, follows its file, and is let go', async t => {
  const host = hostOf(t, {keepDefault: true})
  const path = join(host.confFolder, '10-flannel.conflist')
  const delegates = () => readConflist(host).plugins[0].delegates
  writeJson(join(host.confFolder, '87-podman.conflist'), {name: 'podman', plugins: [{type: 'bridge'}]})
  writeJson(path, FOREIGN)
  // Neither of them is a configuration to a runtime.
  writeFileSync(join(host.confFolder, '00-old.conflist.bak'), 'broken')
  mkdirSync(join(host.confFolder, '01-folder.conf'))
  t.is((await install(host)).notes[0], `${path} stays in charge of eth0`)
  t.deepEqual(delegates(), [FOREIGN])

  const changed = {...FOREIGN, cniVersion: '1.0.0'}
  writeJson(path, changed)
  await install(host)
  t.deepEqual(delegates(), [changed])

  // Gone for a moment, or for good: nobody can tell, and pods must not come up in another network meanwhile.
  renameSync(path, `${path}.bak`)
  rmSync(join(host.confFolder, '87-podman.conflist'))
  const before = stateOf(host, {identity: true})
  const error = await t.throwsAsync(install(host))
  t.regex(error!.message, /\/conf has no other network that could be kept; wait for it, or leave --keep-default away/)
  t.deepEqual(stateOf(host, {identity: true}), before)

  renameSync(`${path}.bak`, path)
  await install({...host, keepDefault: false})
  t.is(delegates(), undefined)
})

test('a single configuration, and a link to one, are kept, too', async t => {
  const host = hostOf(t, {keepDefault: true})
  const conf = {cniVersion: '0.4.0', name: 'mynet', type: 'bridge', ipam: {type: 'host-local', subnet: '10.1.0.0/16'}}
  writeJson(join(host.root, 'elsewhere'), conf)
  symlinkSync('../elsewhere', join(host.confFolder, '10-mynet.conf'))
  await install(host)
  t.deepEqual(readConflist(host).plugins[0].delegates, [conf])
  t.true(existsSync(join(host.confFolder, '10-mynet.conf')))
})

test('under another name it moves; what else names our plugin is not ours', async t => {
  const host = hostOf(t)
  const written = {name: 'mine', plugins: [{type: 'netgraft'}, {type: 'tuning'}]}
  writeJson(join(host.confFolder, '50-mine.conflist'), written)
  await install(host)
  const {files} = await install({...host, confName: '01-first.conflist'})
  t.deepEqual(files, [
    `installed ${join(host.confFolder, '01-first.conflist')}`,
    `removed ${join(host.confFolder, CONF)}`,
    `unchanged ${join(host.binFolder, 'netgraft')}`,
  ])
  t.deepEqual(readdirSync(host.confFolder), ['01-first.conflist', '50-mine.conflist'])
  // Back again behind itself: it is no other network that would come first.
  await install(host)
  t.deepEqual(readdirSync(host.confFolder), [CONF, '50-mine.conflist'])
  await uninstall(host)
  t.deepEqual(readdirSync(host.confFolder), ['50-mine.conflist'])
})

const ORDER: readonly [other: string, first: boolean][] = [
  ['00-multus.conf', true],
  ['00-multus.conflist', true],
  ['00-multus.json', true],
  ['.conf', true],
  ['.hidden.conflist', true],
  ['05-netgraft.conf', true],
  ['05-netgraft-x.conflist', true],
  ['05-Netgraft.conflist', true],
  ['05-netgraft.conflist.bak', false],
  ['00-multus.conflist.disabled', false],
  ['05-netgraftx.conflist', false],
  ['05-ünicode.conf', false],
  ['10-calico.conflist', false],
]

for (const [other, first] of ORDER) {
  test(`ours has to come first: ${other} ${first ? 'does' : 'does not'} stand in its way`, async t => {
    const host = hostOf(t)
    writeJson(join(host.confFolder, other), FOREIGN)
    const before = stateOf(host, {identity: true})
    if (!first) {
      await t.notThrowsAsync(install(host))
      return
    }
    const error = await t.throwsAsync(install(host))
    t.is(
      error!.message,
      `${join(host.confFolder, other)} comes before "${CONF}", and the runtime takes the first; remove it, choose a name that comes before it with --conf-name, or, where the runtime chooses by the network's name, say --any-order`,
    )
    t.deepEqual(stateOf(host, {identity: true}), before)
    await t.notThrowsAsync(install({...host, anyOrder: true}))
  })
}

test('nothing to take back is fine, also without folders; what is not ours is left and named', async t => {
  const host = hostOf(t)
  t.deepEqual(await uninstall(host), {files: [], notes: []})
  program(join(host.binFolder, 'netgraft'))
  writeJson(join(host.confFolder, CONF), FOREIGN)
  const before = stateOf(host, {identity: true})
  const path = join(host.binFolder, 'netgraft')
  t.deepEqual(await uninstall(host), {files: [], notes: [`left ${path}: it is not the shim of Netgraft`]})
  t.deepEqual(stateOf(host, {identity: true}), before)
  const nowhere = {...host, binFolder: join(host.root, 'a/b'), confFolder: join(host.root, 'c')}
  t.deepEqual(await uninstall(nowhere), {files: [], notes: []})
  t.false(existsSync(join(host.root, 'a')))
})

test('a shim of any version is taken back, the conflist before it', async t => {
  const host = hostOf(t)
  await install(host)
  writeFileSync(host.shim, shimBytes('2'))
  await install(host)
  rmSync(host.shim)
  t.deepEqual((await uninstall(host)).files, [
    `removed ${join(host.confFolder, CONF)}`,
    `removed ${join(host.binFolder, 'netgraft')}`,
  ])
  t.deepEqual(stateOf(host).length, 2)
})
