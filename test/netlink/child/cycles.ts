/** Opens and closes kernel ports many times; prints what is left of descriptors, threads and namespaces. */
import {readdirSync, readlinkSync} from 'node:fs'
import {readFile} from 'node:fs/promises'
import {Kernel} from '../../../src/netlink/kernel.ts'
import {dumpLinks} from '../../../src/netlink/link.ts'

const [netns, count] = [process.argv[2]!, Number(process.argv[3])]

const descriptors = () => readdirSync('/proc/self/fd').length
const threads = () => readdirSync('/proc/self/task').length
const namespaces = () =>
  new Set(readdirSync('/proc/self/task').map(task => readlinkSync(`/proc/self/task/${task}/ns/net`)))

async function cycle(): Promise<void> {
  const kernel = await Kernel.open({netns})
  await kernel.dump(dumpLinks())
  kernel.close()
}

/** Threads end a moment after close(): this awaits the fact, however long it takes (the test has a time limit). */
async function settled(): Promise<void> {
  while (threads() > before.threads || descriptors() > before.descriptors) await new Promise(setImmediate)
}

const own = readlinkSync('/proc/self/ns/net')
// libuv's pool starts before the count, and with it whatever Node opens once.
await readFile('/proc/self/status')
await Promise.all(Array.from({length: 16}, () => readFile('/proc/self/status')))
await cycle()
await new Promise(resolve => setTimeout(resolve, 100))
const before = {descriptors: descriptors(), threads: threads()}

for (let i = 0; i < count; i += 10) await Promise.all(Array.from({length: 10}, cycle))
for (let i = 0; i < count / 10; i++) await Kernel.open({netns: '/etc/passwd'}).catch(() => undefined)
await settled()

console.log(
  JSON.stringify({
    descriptors: descriptors() - before.descriptors,
    threads: threads() - before.threads,
    own: readlinkSync('/proc/self/ns/net') === own,
    namespaces: [...namespaces()].map(each => each === own),
  }),
)
