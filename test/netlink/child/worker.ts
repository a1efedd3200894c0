/** Opens sockets, has them all at work, and says so; then ends as it was told to. */
import {parentPort, workerData} from 'node:worker_threads'
import {Kernel} from '../../../src/netlink/kernel.ts'
import {addLink, deleteLink, dumpLinks} from '../../../src/netlink/link.ts'
import {NetlinkSocket} from '../../../src/netlink/socket.ts'

const {netns, how} = workerData as {netns: string; how: string}

const kernels = await Promise.all(Array.from({length: 4}, () => Kernel.open({netns})))
await NetlinkSocket.open({groups: [1], receiveBuffer: 1 << 20, onData: () => {}})
for (const [i, kernel] of kernels.entries()) {
  const name = `w${i}`
  // Slow (a veth's removal waits for RCU: ending the worker waits for what has been sent), and fast.
  const requests = Array.from({length: 4}, () => [
    addLink({name, kind: {type: 'veth', peer: {name: `${name}p`}}}),
    deleteLink(name),
  ])
  kernel.batch(requests.flat()).catch(() => {})
  for (let n = 0; n < 10; n++) kernel.dump(dumpLinks()).catch(() => {})
  kernel.readSysctl('ipv4/ip_forward').catch(() => {})
}
parentPort!.postMessage('at work')
if (how === 'closed') for (const kernel of kernels) kernel.close()
if (how === 'exit' || how === 'closed') setImmediate(() => process.exit())
if (how === 'throw')
  setImmediate(() => {
    throw new Error('as told')
  })
