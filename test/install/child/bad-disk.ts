/** In a mount namespace of its own: installs onto disks that are full or read-only; prints how it went. */
import {execFileSync} from 'node:child_process'
import {mkdirSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {install, uninstall} from '../../../src/install/install.ts'
import {CONF, hostIn, shimBytes, stateOf} from '../support.ts'

const root = process.argv[2]!
const told: string[] = []
const mount = (...words: string[]) => execFileSync('mount', words, {stdio: ['ignore', 'ignore', 'inherit']})
mkdirSync(join(root, 'host'))
const host = hostIn(join(root, 'host'))
const folders = {bin: host.binFolder, conf: host.confFolder}

const short = (text: string) => text.replaceAll(folders.bin, 'BIN').replaceAll(folders.conf, 'CONF')

async function tell(what: string, work: () => Promise<{files: readonly string[]}>): Promise<void> {
  const before = stateOf(host, {identity: true}).join()
  const how = await work().then(
    ({files}) => files.join(', '),
    error => error.message,
  )
  const changed = stateOf(host, {identity: true}).join() !== before ? ' – and something has changed' : ''
  told.push(`${what}: ${short(how)}${changed}`)
}

for (const folder of Object.values(folders)) mount('-t', 'tmpfs', '-o', 'size=64k', 'ng-disk', folder)
for (const name of ['conf', 'bin'] as const) {
  const ballast = join(folders[name], 'ballast')
  try {
    writeFileSync(ballast, Buffer.alloc(1 << 20))
  } catch {}
  await tell(`${name} full`, () => install(host))
  rmSync(ballast)
}
for (const name of ['conf', 'bin'] as const) {
  mount('-o', 'remount,ro', folders[name])
  await tell(`${name} read-only`, () => install(host))
  mount('-o', 'remount,rw', folders[name])
}
await install(host)
for (const folder of Object.values(folders)) mount('-o', 'remount,ro', folder)
await tell('all read-only, nothing to do', () => install(host))
await tell('read-only uninstall', () => uninstall(host))
for (const folder of Object.values(folders)) mount('-o', 'remount,rw', folder)

// The new shim is in its place when the conflist's turn comes, the conflist away when the shim's does: both come back.
writeFileSync(host.shim, shimBytes('2'))
const files = {conf: join(folders.conf, CONF), bin: join(folders.bin, 'netgraft')}
mount('--bind', files.conf, files.conf)
const settled = () => stateOf(host).join()
let before = settled()
const refusedWith = (work: Promise<unknown>) => work.then(String, error => error.message as string)
let how = await refusedWith(install({...host, socket: '/other.sock'}))
told.push(`a mount in the way: ${short(how)}${settled() === before ? '' : ' – and something has changed'}`)
execFileSync('umount', [files.conf])
mount('--bind', files.bin, files.bin)
before = settled()
how = await refusedWith(uninstall(host))
told.push(`half an uninstall: ${short(how)}${settled() === before ? '' : ' – and something has changed'}`)
console.log(JSON.stringify(told))
