/** Whatever two folders hold: an install works or changes nothing, and an uninstall takes back just that. Needs root. */
import {execFileSync} from 'node:child_process'
import {mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import {buildConflist, parseDelegate} from '../../src/install/conflist.ts'
import {install, uninstall} from '../../src/install/install.ts'
import {InstallError} from '../../src/install/problem.ts'
import {CONF, FOREIGN, type Host, hostIn, shimBytes, stateOf, temporary} from './support.ts'

const BIN_NAMES = ['netgraft', 'portmap', 'bandwidth', 'loopback', '.netgraft-0123456789ab.new', '.netgraft-x.new']
const CONF_NAMES = [
  CONF,
  '00-a.conf',
  '04-old.conflist',
  '05-netgraft.conf',
  '10-b.conflist',
  '20-c.json',
  '30-old.conflist',
  '.netgraft-ba9876543210.new',
  'x.bak',
]
const CONFNAMES = [CONF, '00-first.conflist', '25-late.conflist']

const PLAIN = {socket: '/run/netgraft/cni.sock', spool: '/var/lib/netgraft/spool', programs: [], delegates: []}
const foreign = Buffer.from(JSON.stringify(FOREIGN))
const CONTENTS = {
  shim: shimBytes('1'),
  'older shim': shimBytes('0'),
  ours: Buffer.from(buildConflist(PLAIN)),
  'ours with a delegate': Buffer.from(buildConflist({...PLAIN, delegates: [parseDelegate('x.conflist', foreign)]})),
  foreign,
  conf: Buffer.from('{"name":"mynet","type":"bridge"}'),
  broken: Buffer.from('{"name":"netgraft","plugins":[{"type":"netgraft"}'),
  empty: Buffer.alloc(0),
}
type Content = keyof typeof CONTENTS
const OUR_CONFLISTS: readonly string[] = ['ours', 'ours with a delegate']
const OUR_SHIMS: readonly string[] = ['shim', 'older shim']

const contents = Object.keys(CONTENTS) as Content[]
const file = fc.record({
  kind: fc.constant('file'),
  content: fc.constantFrom(...contents),
  mode: fc.constantFrom(0o600, 0o644, 0o755, 0o4755),
})
const thing = fc.oneof(
  {weight: 8, arbitrary: file},
  fc.record({kind: fc.constantFrom('folder', 'pipe', 'link', 'dangling')}),
)
type Thing = {readonly kind: string; readonly content?: Content; readonly mode?: number}

const folderOf = (names: readonly string[]) =>
  fc.uniqueArray(fc.tuple(fc.constantFrom(...names), thing), {selector: ([name]) => name, maxLength: 5})

const options = fc.record({
  confName: fc.constantFrom(...CONFNAMES),
  keepDefault: fc.boolean(),
  anyOrder: fc.boolean(),
})

function put(path: string, {kind, content, mode}: Thing): void {
  if (content !== undefined) writeFileSync(path, CONTENTS[content], {mode: mode!})
  else if (kind === 'folder') mkdirSync(path)
  else if (kind === 'pipe') execFileSync('mkfifo', [path])
  else symlinkSync(kind === 'link' ? '../netgraft-cni' : 'nothing', path)
}

/** Told from what was put there. */
function isOurs(folder: 'bin' | 'conf', name: string, {kind, content}: Thing): boolean {
  if (/^\.netgraft-[0-9a-f]{12}\.new$/.test(name)) return kind !== 'folder'
  return folder === 'bin'
    ? name === 'netgraft' && OUR_SHIMS.includes(content ?? '')
    : name.endsWith('.conflist') && OUR_CONFLISTS.includes(content ?? '')
}

test('an install works or changes nothing; twice is once; an uninstall leaves just what is not ours', async t => {
  const root = temporary(t)
  const ends = {installed: 0, refused: 0}
  await fc.assert(
    fc.asyncProperty(folderOf(BIN_NAMES), folderOf(CONF_NAMES), options, async (bin, conf, chosen) => {
      const here = mkdtempSync(join(root, 'host-'))
      const host: Host = hostIn(here, chosen)
      for (const [name, each] of bin) put(join(host.binFolder, name), each)
      for (const [name, each] of conf) put(join(host.confFolder, name), each)
      const state = () => stateOf(host, {identity: true}).filter(line => !/^(bin|conf) /.test(line))
      const ours = [
        ...bin.filter(([name, each]) => isOurs('bin', name, each)).map(([name]) => `bin/${name} `),
        ...conf.filter(([name, each]) => isOurs('conf', name, each)).map(([name]) => `conf/${name} `),
      ]
      const before = state()
      const notOurs = before.filter(line => !ours.some(start => line.startsWith(start)))

      const error = await install(host).then(
        () => undefined,
        reason => reason,
      )
      const after = state()
      if (error) {
        ends.refused++
        if (!(error instanceof InstallError) || error.message.includes('\n')) throw error
        t.deepEqual(
          after,
          before.filter(line => !/^\w+\/\.netgraft-[0-9a-f]{12}\.new 1[02]/.test(line)),
        )
      } else {
        ends.installed++
        t.deepEqual(
          after.filter(line => notOurs.includes(line)),
          notOurs,
        )
        t.is(after.length, notOurs.length + 2)
        await install(host)
        t.deepEqual(state(), after)
      }
      await uninstall(host)
      t.deepEqual(state(), notOurs)
      rmSync(here, {recursive: true, maxRetries: 5})
    }),
    {numRuns: 200},
  )
  t.log(`${ends.installed} installed, ${ends.refused} refused`)
  t.true(ends.installed > 10 && ends.refused > 10)
})
