/** Listens on the path that its argument names, until it is killed. */
import {createServer} from 'node:net'

createServer().listen(process.argv[2]!, () => process.send?.('listening'))
