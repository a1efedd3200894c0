/** Run inside a node's namespace: etcd's unix socket, which sees no namespaces, made into a TCP port there. */
import {connect, createServer} from 'node:net'

const [, , path, port] = process.argv

createServer({noDelay: true}, near => {
  const far = connect({path: path!})
  near.pipe(far)
  far.pipe(near)
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const)
    one.on('error', () => {}).on('close', () => other.destroy())
}).listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'))
