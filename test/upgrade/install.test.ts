/** The plugin and its conflist are replaced while the runtime calls: there is a whole one at every moment. Needs root. */
import {copyFileSync, mkdirSync, readdirSync, readFileSync} from 'node:fs'
import {appendFile} from 'node:fs/promises'
import {join} from 'node:path'
import test from 'ava'
import {SHIM} from '../agent/support/cni.ts'
import {startNetworks} from '../agent/support/networks.ts'
import {BUNDLE, built, run} from '../agent/support/node.ts'
import {requests, temporary} from './support.ts'

test.before(built)

test('"netgraft install" of one version after the other, while pods start and end', async t => {
  t.timeout(300_000)
  const networks = await startNetworks(t)
  const root = temporary(t)
  const [bin, conf] = [join(root, 'bin'), join(root, 'net.d')]
  for (const folder of [bin, conf]) mkdirSync(folder)
  const shims = [join(root, 'one'), join(root, 'two')]
  for (const path of shims) copyFileSync(SHIM, path)
  // What stands behind an ELF file's end is nobody's business.
  await appendFile(shims[1]!, 'another version')
  const install = async (round: number) => {
    const words = ['install', '--cni-bin', bin, '--cni-conf', conf, '--shim', shims[round % 2]!]
    const name = ['--conf-name', `0${round % 3}-netgraft.conflist`]
    await run(process.execPath, [BUNDLE, ...words, ...name])
  }
  await install(0)
  networks.runtime.program = join(bin, 'netgraft')
  let isOver = false
  const seen = new Set<string>()
  /** What a runtime finds that looks at any moment: a conflist, whole, in the folder. */
  const looking = (async () => {
    while (!isOver) {
      const names = readdirSync(conf).filter(name => /\.(conf|conflist|json)$/.test(name))
      t.true(names.length >= 1)
      for (const name of names) {
        try {
          t.is(JSON.parse(readFileSync(join(conf, name), 'utf8')).name, 'netgraft')
          seen.add(name)
        } catch (error) {
          // It has another name by now.
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        }
      }
      await new Promise(setImmediate)
    }
  })()
  const asked = await requests(networks)
  for (let round = 1; round <= 12; round++) {
    await install(round)
    t.true(readFileSync(join(bin, 'netgraft')).equals(readFileSync(shims[round % 2]!)))
  }
  const {failed, done} = await asked()
  isOver = true
  await looking
  t.deepEqual(failed, [])
  t.true(done > 0)
  t.is(seen.size, 3)
  t.deepEqual(readdirSync(bin), ['netgraft'])
  t.deepEqual(readdirSync(conf), ['00-netgraft.conflist'])
  await networks.runtime.clean()
  t.log(`12 installs, ${done} requests`)
})
