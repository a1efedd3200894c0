/** What a process without CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_NET_BROADCAST is told. */
import {Kernel} from '../../../src/netlink/kernel.ts'
import {addLink} from '../../../src/netlink/link.ts'
import {NetlinkSocket} from '../../../src/netlink/socket.ts'

const text = (error: unknown) => (error as Error).message
const kernel = await Kernel.open()
console.log(
  JSON.stringify({
    change: await kernel.do(addLink({name: 'ng-refused', kind: {type: 'bridge'}})).catch(text),
    open: await Kernel.open({netns: process.argv[2]!}).catch(text),
    listen: await NetlinkSocket.open({receiveBuffer: 1 << 16, groups: [1], allNsids: true}).catch(text),
  }),
)
