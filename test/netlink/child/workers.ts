/** Workers that end, each in its own way, with open sockets and requests in flight. Prints how it went. */
import {Worker} from 'node:worker_threads'
import {netlinkThreads, until} from './process.ts'

const netns = process.argv[2]!
const worker = new URL('worker.ts', import.meta.url)

let workers = 0

async function run(how: string): Promise<void> {
  const child = new Worker(worker, {workerData: {netns, how}})
  const ended = new Promise<void>((resolve, reject) => {
    child.on('exit', () => resolve())
    child.on('error', error => (how === 'throw' ? resolve() : reject(error)))
  })
  await new Promise(resolve => child.once('message', resolve))
  if (how === 'terminate') await child.terminate()
  await ended
  workers++
}

for (let i = 0; i < 3; i++) for (const how of ['terminate', 'exit', 'throw', 'closed']) await run(how)
await until(() => netlinkThreads() === 0)
console.log(JSON.stringify({workers}))
