/** Ends, or not, with an open socket. `idle`: nothing holds it. `busy`: a request does. `listen`: a multicast socket does. */
import {Kernel} from '../../../src/netlink/kernel.ts'
import {addLink, deleteLink} from '../../../src/netlink/link.ts'
import {NetlinkSocket} from '../../../src/netlink/socket.ts'

const [netns, how] = [process.argv[2]!, process.argv[3]!]
const kernel = await Kernel.open({netns})
if (how === 'busy') {
  const slow = [addLink({name: 'v', kind: {type: 'veth', peer: {name: 'w'}}}), deleteLink('v')]
  kernel.batch(Array.from({length: 5}, () => slow).flat()).then(results => console.log(`${results.length} results`))
}
if (how === 'listen') {
  const socket = await NetlinkSocket.open({groups: [1], receiveBuffer: 1 << 20, onData: () => {}})
  setTimeout(() => socket.close(), 20)
}
process.on('exit', () => console.log('end'))
