/** Opens and closes kernel ports many times; prints what is left of descriptors, threads and namespaces. */
import {readlinkSync} from 'node:fs'
import {Kernel} from '../../../src/netlink/kernel.ts'
import {dumpLinks} from '../../../src/netlink/link.ts'
import {descriptors, namespacesOfThreads, netlinkThreads, until} from './process.ts'

const [netns, count] = [process.argv[2]!, Number(process.argv[3])]

async function cycle(): Promise<number> {
  const kernel = await Kernel.open({netns})
  await kernel.dump(dumpLinks())
  const threads = netlinkThreads()
  kernel.close()
  return threads
}

const own = readlinkSync('/proc/self/ns/net')
// Once before the count: Node opens some descriptors of its own when they are first needed.
await cycle()
await until(() => netlinkThreads() === 0)
const before = descriptors()

let most = 0
for (let i = 0; i < count; i += 10) most = Math.max(most, ...(await Promise.all(Array.from({length: 10}, cycle))))
for (let i = 0; i < count / 10; i++) await Kernel.open({netns: '/etc/passwd'}).catch(() => undefined)
await until(() => netlinkThreads() === 0 && descriptors() <= before)

console.log(
  JSON.stringify({
    atWork: most > 0,
    ownNamespaceKept: readlinkSync('/proc/self/ns/net') === own,
    threadsElsewhere: namespacesOfThreads().filter(each => each !== own).length,
  }),
)
