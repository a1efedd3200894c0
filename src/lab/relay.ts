/**
 * A process on the nodes' wire, between them and the lab, which is in another network namespace: unix sockets reach
 * across. `node relay.ts <api socket> <http socket> <port> <address>...`
 *
 * TCP to `<address>:<port>` goes to the API server's socket, byte for byte. An HTTP request to the second socket that
 * names a whole URL is made from here, as a proxy does.
 */
import {once} from 'node:events'
import http from 'node:http'
import {servePipe} from './pipe.ts'

const [apiSocket, httpSocket, port, ...addresses] = process.argv.slice(2)
if (!apiSocket || !httpSocket || !port || addresses.length === 0)
  throw new Error('usage: relay.ts <api socket> <http socket> <port> <address>...')

const proxy = http.createServer((request, response) => {
  const forward = http.get(request.url!, {agent: false, timeout: 2000}, answer => {
    response.writeHead(answer.statusCode!, {'content-type': answer.headers['content-type'] ?? 'text/plain'})
    answer.pipe(response)
  })
  forward.on('timeout', () => forward.destroy(new Error('no answer')))
  forward.on('error', error => {
    if (response.headersSent) response.destroy()
    else response.writeHead(502).end(error.message)
  })
  response.on('close', () => forward.destroy())
})

await Promise.all(addresses.map(host => servePipe({host, port: Number(port)}, {path: apiSocket})))
await once(proxy.listen(httpSocket), 'listening')
process.stdout.write('ready\n')
