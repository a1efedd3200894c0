/** Serves the path that its argument names, never answers, and ends the serving, but not itself, when it is told so. */
import {serve} from '../../../src/cni/server.ts'
import {addon} from '../../../src/netlink/addon.ts'

const subscription = serve({
  path: process.argv[2]!,
  credentials: addon.peerCredentials,
  tell: problem => console.error(problem),
  listening: () => process.send?.('listening'),
}).subscribe(() => process.send?.('asked'))

process.once('message', () => {
  subscription.unsubscribe()
  process.disconnect()
})
