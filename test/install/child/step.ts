/**
 * Counts what an install or uninstall asks of the file system, in the order in which it does.
 * `kill N`: dies, as of kill -9, before the Nth thing that changes something; a file is half-written by then. Prints how
 * it went if it gets to the end. `fail`: has each thing, reading too, fail once, and prints how that went.
 */
import {mkdirSync, rmSync} from 'node:fs'
import fs from 'node:fs/promises'
import {syncBuiltinESMExports} from 'node:module'
import {join} from 'node:path'
import {install, uninstall} from '../../../src/install/install.ts'
import {fileLocks} from '../../../src/netlink/file-lock.ts'
import {type Host, stateOf} from '../support.ts'

type Call = (...args: unknown[]) => Promise<unknown>
type Calls = Record<string, Call>

/** What is done before a call, and in its place if it returns something. */
let before: (name: string, args: unknown[], handle?: Calls) => Promise<unknown> | undefined = () => undefined

function watch(calls: Calls, names: readonly string[], on: 'handle' | 'module'): void {
  for (const name of names) {
    const real = calls[name]!
    calls[name] = async function (this: Calls, ...args: unknown[]) {
      await before(name, args, on === 'handle' ? this : undefined)
      return real.apply(this, args)
    }
  }
}

const any = await fs.open('/dev/null')
const prototype = Object.getPrototypeOf(any) as Calls
await any.close()
const writeHalf = prototype.writeFile!
watch(prototype, ['writeFile', 'chmod', 'sync', 'readFile'], 'handle')
const functions = ['open', 'rename', 'unlink', 'mkdir', 'rmdir', 'chmod', 'lstat', 'stat', 'readdir', 'readFile']
watch(fs as unknown as Calls, functions, 'module')
syncBuiltinESMExports()

const [how, verb, text, at] = process.argv.slice(2) as [string, 'install' | 'uninstall', string, string]
const host: Host = {...JSON.parse(text), locks: fileLocks}
const run = () => (verb === 'install' ? install(host) : uninstall(host))

if (how === 'kill') {
  const harmless = new Set(['lstat', 'stat', 'readdir', 'readFile'])
  let count = 0
  before = async (name, args, handle) => {
    if (harmless.has(name) || (name === 'open' && args[1] !== 'wx') || ++count < Number(at)) return
    if (handle && name === 'writeFile') {
      const content = args[0] as Buffer
      await writeHalf.call(handle, content.subarray(0, content.length / 2))
    }
    process.kill(process.pid, 'SIGKILL')
  }
  await run()
  console.log(JSON.stringify({count}))
}

if (how === 'fail') {
  const told: string[] = []
  const whole = stateOf(host).join('\n')
  for (let failing = 1; ; failing++) {
    let count = 0
    before = async (name, args) => {
      if (++count === failing)
        throw Object.assign(new Error(`${name} ${args[0]}`), {code: 'EIO', errno: -5, syscall: name})
    }
    const how = await run().then(
      () => 'done',
      error => `${error.code}: ${error.message}`,
    )
    before = () => undefined
    if (count < failing) break
    const same = stateOf(host).join('\n') === whole
    told.push(how === 'done' ? how : `${same ? 'as before' : `CHANGED to ${stateOf(host).join('; ')}`}, ${how}`)
    if (how !== 'done') continue
    // It was something that does not matter: back to where it began.
    for (const name of ['bin', 'conf']) rmSync(join(host.root, name), {recursive: true, force: true, maxRetries: 5})
    await fs.cp(join(host.root, 'backup'), host.root, {recursive: true})
  }
  mkdirSync(host.root, {recursive: true})
  console.log(JSON.stringify(told))
}
