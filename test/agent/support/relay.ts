/** Run inside a node's namespace: unix sockets, which see no namespaces, made into TCP ports there, and the other way round. */
import {connect, createServer, type NetConnectOpts, type Server, type Socket} from 'node:net'

const [, , apiSocket, apiPort, metricsSocket, metricsPort] = process.argv

function relay(target: NetConnectOpts): Server {
  return createServer({allowHalfOpen: true}, near => {
    const far = connect({...target, allowHalfOpen: true})
    join(near, far)
    join(far, near)
  })
}

function join(from: Socket, to: Socket): void {
  from.pipe(to)
  from.on('error', () => to.destroy())
  from.on('close', () => to.destroy())
}

const ready = () => process.stdout.write('ready\n')
relay({path: apiSocket!}).listen(Number(apiPort), '127.0.0.1', () => {
  relay({port: Number(metricsPort), host: '127.0.0.1'}).listen(metricsSocket, ready)
})
