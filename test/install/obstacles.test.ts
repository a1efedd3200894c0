/** What can stand in the way: one sentence, and nothing has changed. Needs root. */
import {execFile, execFileSync} from 'node:child_process'
import {chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {promisify} from 'node:util'
import test from 'ava'
import {install, uninstall} from '../../src/install/install.ts'
import {InstallError} from '../../src/install/problem.ts'
import {CONF, FOREIGN, type Host, hostOf, program, stateOf, temporary, writeJson} from './support.ts'

const bin = (host: Host) => join(host.binFolder, 'netgraft')
const conf = (host: Host) => join(host.confFolder, CONF)

/** `put` may return options. */
type Obstacle = readonly [what: string, put: (host: Host) => unknown, message: RegExp]

const IN_PLACE: readonly Obstacle[] = [
  ['a folder', host => mkdirSync(bin(host)), /\/bin\/netgraft is a folder and not the shim of Netgraft; move it away$/],
  [
    'a link to a shim',
    host => symlinkSync(host.shim, bin(host)),
    /\/bin\/netgraft is a symbolic link and not the shim of Netgraft; move it away$/,
  ],
  [
    'another program',
    host => program(bin(host)),
    /\/bin\/netgraft is there and not the shim of Netgraft; move it away$/,
  ],
  ['a pipe', host => execFileSync('mkfifo', [bin(host)]), /\/bin\/netgraft is no regular file and not the shim/],
  [
    'something huge',
    host => {
      writeFileSync(bin(host), '')
      truncateSync(bin(host), 2 ** 33)
    },
    /\/bin\/netgraft is a file of 8589934592 bytes and not the shim/,
  ],
  ['a folder for a conflist', host => mkdirSync(conf(host)), /conflist is a folder and not a conflist of Netgraft/],
  [
    "somebody else's conflist",
    host => writeJson(conf(host), FOREIGN),
    /conflist is there and not a conflist of Netgraft/,
  ],
  ['an empty conflist', host => writeFileSync(conf(host), ''), /conflist is there and not a conflist of Netgraft/],
  [
    'a link for a conflist',
    host => symlinkSync('/dev/null', conf(host)),
    /conflist is a symbolic link and not a conflist of Netgraft/,
  ],
  [
    'a pipe for a conflist',
    host => execFileSync('mkfifo', [conf(host)]),
    /conflist is no regular file and not a conflist/,
  ],
]

const OTHERS: readonly Obstacle[] = [
  ['no shim', host => ({shim: join(host.root, 'none')}), /\/none cannot be read \(no such file or directory\); /],
  [
    'a shim that is none',
    () => ({shim: '/usr/bin/true'}),
    /^\/usr\/bin\/true is not the shim of Netgraft; name the file/,
  ],
  ['a shim that is a folder', () => ({shim: '/usr'}), /^\/usr is not the shim of Netgraft; name the file/],
  ...['', '.conflist/..', 'a/b.conflist', 'x.conf', '../x.conflist', `${'x'.repeat(300)}.conflist`, 'a\0.conflist'].map(
    (confName): Obstacle => [
      `the name ${JSON.stringify(confName).slice(0, 20)}`,
      () => ({confName}),
      /cannot be the name of the conflist; choose a file name \(no path\) that ends in \.conflist$/,
    ],
  ),
  [
    'a file for a folder',
    host => {
      writeFileSync(join(host.root, 'file'), '')
      return {confFolder: join(host.root, 'file')}
    },
    /\/file is not a folder; move it away or name another folder$/,
  ],
  [
    'a file on the way to a folder',
    host => {
      writeFileSync(join(host.root, 'file'), '')
      return {confFolder: join(host.root, 'file/a/b')}
    },
    /\/file\/a\/b cannot be read \(not a directory\); something on the way to it is no folder$/,
  ],
  [
    'a link that leads nowhere for a folder',
    host => {
      symlinkSync('nowhere', join(host.root, 'link'))
      return {confFolder: join(host.root, 'link')}
    },
    /\/link is a symbolic link that leads nowhere; mend it$/,
  ],
  [
    'a link that leads to itself for a folder',
    host => {
      symlinkSync('link', join(host.root, 'link'))
      return {confFolder: join(host.root, 'link')}
    },
    /\/link cannot be read \(too many symbolic links encountered\); its symbolic links lead in a circle$/,
  ],
  [
    'a default network that is broken',
    host => {
      writeFileSync(join(host.confFolder, '10-x.conflist'), '{')
      return {keepDefault: true}
    },
    /10-x\.conflist, the default network today, cannot be kept: it is not JSON \(.*\); correct it, or leave --keep-default away$/,
  ],
  [
    'a default network that is a link to nothing',
    host => {
      symlinkSync('nothing', join(host.confFolder, '10-x.conflist'))
      return {keepDefault: true}
    },
    /10-x\.conflist cannot be read \(no such file or directory\); /,
  ],
  [
    'a default network that is a pipe',
    host => {
      execFileSync('mkfifo', [join(host.confFolder, '10-x.conf')])
      return {keepDefault: true}
    },
    /10-x\.conf, the default network today, cannot be kept: it is not a file; correct it/,
  ],
  ['no default network', () => ({keepDefault: true}), /\/conf has no other network that could be kept; wait for it/],
]

for (const [what, put, message] of [...IN_PLACE, ...OTHERS]) {
  test(`in the way of an install: ${what}`, async t => {
    const host = hostOf(t)
    const options = {...host, ...(put(host) as Partial<Host> | undefined)}
    // What is missing is not made for an install that fails.
    if (options.confFolder !== host.confFolder) rmSync(host.binFolder, {recursive: true, maxRetries: 5})
    const before = stateOf(host, {identity: true})
    const error = await t.throwsAsync(install(options), {instanceOf: InstallError})
    t.regex(error!.message, message)
    t.notRegex(error!.message, /\n/)
    t.deepEqual(stateOf(host, {identity: true}), before)
  })
}

for (const [what, put] of IN_PLACE) {
  test(`left alone by an uninstall: ${what}`, async t => {
    const host = hostOf(t)
    put(host)
    const before = stateOf(host, {identity: true})
    t.deepEqual((await uninstall(host)).files, [])
    t.deepEqual(stateOf(host, {identity: true}), before)
  })
}

test('a disk that is full or read-only, and a file that cannot change: one sentence, and nothing has changed', async t => {
  const script = join(import.meta.dirname, 'child', 'bad-disk.ts')
  const words = ['--mount', process.execPath, '--no-warnings', script, temporary(t)]
  const {stdout} = await promisify(execFile)('unshare', words)
  t.deepEqual(JSON.parse(stdout), [
    'conf full: CONF/05-netgraft.conflist cannot be written (no space left on device); make room',
    'bin full: BIN/netgraft cannot be written (no space left on device); make room',
    'conf read-only: CONF/05-netgraft.conflist cannot be written (read-only file system); mount the folder writable',
    'bin read-only: BIN/netgraft cannot be written (read-only file system); mount the folder writable',
    'all read-only, nothing to do: unchanged BIN/netgraft, unchanged CONF/05-netgraft.conflist',
    'read-only uninstall: CONF/05-netgraft.conflist cannot be removed (read-only file system); mount the folder writable',
    'a mount in the way: CONF/05-netgraft.conflist cannot be written (resource busy or locked); something is mounted there: mount the folder around it instead',
    'half an uninstall: BIN/netgraft cannot be removed (resource busy or locked); something is mounted there: mount the folder around it instead',
  ])
})

test('a lock that cannot be had: told, and nothing has changed', async t => {
  const host = hostOf(t)
  const before = stateOf(host, {identity: true})
  const patience = new Error('the time is up')
  // The kernel's locks, with less patience.
  const locks = {acquire: (path: string) => host.locks.acquire(path, AbortSignal.abort(patience))}
  const error = await t.throwsAsync(install({...host, locks}))
  t.regex(error!.message, /\/(bin|conf) cannot be locked \(the time is up\)/)
  t.deepEqual(stateOf(host, {identity: true}), before)
})

test('a folder without permissions does not stop root', async t => {
  const host = hostOf(t)
  chmodSync(host.confFolder, 0)
  await t.notThrowsAsync(install(host))
})
