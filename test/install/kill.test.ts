/** Whatever ends an install or an uninstall in its middle, nothing is half. Needs root. */
import {execFile, spawn} from 'node:child_process'
import {once} from 'node:events'
import {cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as wait} from 'node:timers/promises'
import {promisify} from 'node:util'
import test from 'ava'
import {isOurConflist} from '../../src/install/conflist.ts'
import {install, uninstall} from '../../src/install/install.ts'
import {CONF, FOREIGN, type Host, hostIn, program, shimBytes, stateOf, temporary, writeJson} from './support.ts'

const CHILDREN = join(import.meta.dirname, 'child')
const run = promisify(execFile)

interface Scenario {
  readonly what: string
  readonly verb: 'install' | 'uninstall'
  /** Makes the host's folders as they are before; the options. */
  readonly prepare: (root: string) => Promise<Host>
}

const SCENARIOS: readonly Scenario[] = [
  {
    what: 'the first install, into folders that are not there',
    verb: 'install',
    prepare: async root => {
      const host = hostIn(root)
      for (const folder of [host.binFolder, host.confFolder]) rmSync(folder, {recursive: true, maxRetries: 5})
      return {...host, binFolder: join(host.binFolder, 'cni/bin')}
    },
  },
  {
    what: 'an install of another version, under another name, beside other networks',
    verb: 'install',
    prepare: async root => {
      const host = hostIn(root)
      program(join(host.binFolder, 'portmap'))
      writeJson(join(host.confFolder, '10-flannel.conflist'), FOREIGN)
      await install(host)
      writeFileSync(host.shim, shimBytes('2'))
      return {...host, confName: '01-netgraft.conflist', keepDefault: true}
    },
  },
  {
    what: 'an uninstall',
    verb: 'uninstall',
    prepare: async root => {
      const host = hostIn(root)
      program(join(host.binFolder, 'portmap'))
      writeJson(join(host.confFolder, '10-flannel.conflist'), FOREIGN)
      await install(host)
      return host
    },
  },
]

const conflists = ({confFolder}: Host) =>
  existsSync(confFolder)
    ? readdirSync(confFolder).filter(
        name => name.endsWith('.conflist') && isOurConflist(readFileSync(join(confFolder, name))),
      )
    : []

const shimOf = ({binFolder}: Host) => {
  const path = join(binFolder, 'netgraft')
  return existsSync(path) ? readFileSync(path) : undefined
}

/** Apart from files that no runtime looks at. */
const settled = (host: Host) => stateOf(host).filter(line => !line.includes('.new '))

const perform = (verb: 'install' | 'uninstall', host: Host) => (verb === 'install' ? install(host) : uninstall(host))

for (const {what, verb, prepare} of SCENARIOS) {
  test.serial(`kill -9 at every step of ${what}`, async t => {
    const root = temporary(t)
    let kills = 0
    for (;;) {
      const here = join(root, `${kills}`)
      mkdirSync(here)
      const host = await prepare(here)
      const before = {shim: shimOf(host), conflists: conflists(host), foreign: settled(host).length}
      const words = [join(CHILDREN, 'step.ts'), 'kill', verb, JSON.stringify(host), `${kills + 1}`]
      const child = spawn(process.execPath, ['--no-warnings', ...words], {stdio: ['ignore', 'pipe', 'inherit']})
      const [, signal] = await once(child, 'close')
      const [shim, own] = [shimOf(host), conflists(host)]

      // Never a conflist without its program, and never none where one has been.
      if (own.length > 0) t.truthy(shim, `kill ${kills}`)
      if (verb === 'install' && before.conflists.length > 0) t.true(own.length > 0, `kill ${kills}`)
      const versions = [before.shim, readFileSync(host.shim)]
      t.true(versions.some(each => (shim === undefined ? each === shim : each?.equals(shim))) || verb === 'uninstall')
      t.deepEqual(
        readdirSync(here, {recursive: true, encoding: 'utf8'}).filter(
          name => /\.(conf|conflist|json)$/.test(name) && !own.includes(name.slice('conf/'.length)),
        ),
        what.includes('first') ? [] : ['conf/10-flannel.conflist'],
        `kill ${kills}`,
      )

      // The next one does what is left to do, and cleans up.
      await perform(verb, host)
      const after = stateOf(host)
      await perform(verb, host)
      t.deepEqual(stateOf(host), after)
      t.deepEqual(settled(host), after, `left over after kill ${kills}`)
      t.is(conflists(host).length, verb === 'install' ? 1 : 0)
      if (signal !== 'SIGKILL') break
      kills++
    }
    t.log(`killed ${kills} times`)
    t.true(kills >= (verb === 'install' ? 12 : 4), `${kills}`)
  })

  test.serial(`each step of ${what} fails once: one sentence, and everything is as it was`, async t => {
    const root = temporary(t)
    const host = await prepare(root)
    mkdirSync(join(root, 'backup'))
    for (const name of ['bin', 'conf'])
      if (existsSync(join(root, name))) cpSync(join(root, name), join(root, 'backup', name), {recursive: true})
    const words = ['--no-warnings', join(CHILDREN, 'step.ts'), 'fail', verb, JSON.stringify(host)]
    const {stdout} = await run(process.execPath, words)
    const told = JSON.parse(stdout) as string[]
    const sentence =
      /^as before, EINSTALL: \/\S+ cannot be (made|read|locked|written|removed) \(i\/o error\); look into/
    t.deepEqual(
      told.filter(each => each !== 'done' && !sentence.test(each)),
      [],
    )
    t.log(`${told.length} steps, ${told.filter(each => each === 'done').length} of them not needed`)
    t.true(told.length > 12)
  })
}

test.serial('several at once, each with its own mind: at every moment one is installed, whole', async t => {
  const root = temporary(t)
  const host = hostIn(root)
  const hosts = ['1', '2', '3'].map(version => {
    const shim = join(root, `shim-${version}`)
    writeFileSync(shim, shimBytes(version))
    return {...host, shim, confName: `0${version}-netgraft.conflist`}
  })
  await install({...host, ...hosts[0]})
  const children = hosts.map((_, i) => {
    const turns = [...hosts.slice(i), ...hosts.slice(0, i)]
    const words = ['--no-warnings', join(CHILDREN, 'install-often.ts'), '40', JSON.stringify(turns)]
    return run(process.execPath, words)
  })
  let working = true
  const all = Promise.all(children).finally(() => {
    working = false
  })
  const seen = new Set<string>()
  let looks = 0
  while (working) {
    const shim = shimOf(host)!.toString()
    if (!hosts.some(each => readFileSync(each.shim, 'utf8') === shim)) t.fail('a shim that is none')
    const names = readdirSync(host.confFolder).filter(name => name.endsWith('.conflist'))
    if (names.length === 0) t.fail('no conflist')
    for (const name of names) seen.add(name)
    looks++
    await wait(1)
  }
  t.deepEqual(
    (await all).map(({stdout}) => stdout),
    Array(3).fill('done\n'),
  )
  t.log(`${looks} looks, ${seen.size} names seen`)
  t.is(readdirSync(host.confFolder).length, 1)
  t.deepEqual(readdirSync(host.binFolder), ['netgraft'])
})

test.serial('installs and uninstalls at once in one process: the end is one or the other', async t => {
  const host = hostIn(temporary(t))
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({length: 10}, (_, i) => perform(i % 3 === 0 ? 'uninstall' : 'install', host)))
    t.is(existsSync(join(host.confFolder, CONF)), existsSync(join(host.binFolder, 'netgraft')))
    t.deepEqual(settled(host), stateOf(host))
  }
})
