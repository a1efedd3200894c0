/**
 * A process on the nodes' wire, between them and the lab, which is in another network namespace: unix sockets reach
 * across. `node relay.ts <api socket> <http socket> <port> <address>...`
 *
 * TCP to `<address>:<port>` goes to the API server's socket, byte for byte. An HTTP request to the second socket that
 * names a whole URL is made from here, as a proxy does.
 */
import http from 'node:http'
import {createConnection, createServer} from 'node:net'
import {pipeline} from 'node:stream'

const [apiSocket, httpSocket, port, ...addresses] = process.argv.slice(2)
if (!apiSocket || !httpSocket || !port || addresses.length === 0)
  throw new Error('usage: relay.ts <api socket> <http socket> <port> <address>...')

const listening = addresses.map(host => {
  const server = createServer(near => {
    const far = createConnection(apiSocket)
    near.setNoDelay(true)
    // Whichever of the two ends, in order or not, takes the other with it.
    pipeline(near, far, near, () => {
      near.destroy()
      far.destroy()
    })
  })
  return new Promise<void>(resolve => server.listen({host, port: Number(port)}, resolve))
})

const proxy = http.createServer((request, response) => {
  const forward = http.get(request.url!, {agent: false, timeout: 2000}, answer => {
    response.writeHead(answer.statusCode!, answer.headers)
    pipeline(answer, response, () => {})
  })
  forward.on('timeout', () => forward.destroy(new Error('no answer')))
  forward.on('error', error => response.headersSent || response.writeHead(502).end(error.message))
  response.on('close', () => forward.destroy())
})
listening.push(new Promise(resolve => proxy.listen(httpSocket, resolve)))

await Promise.all(listening)
process.stdout.write('ready\n')
