/**
 * `node api-process.ts <API port> <API socket> <agent's HTTP port> <agent's HTTP socket> <kubeconfig>
 * <nodes> <backend>`: the embedded API server
 * with so many nodes, in the namespace of the agent: a process of its own, so that what it costs is nobody else's. The
 * sockets are for those in other namespaces. Prints "ready".
 */
import {writeFileSync} from 'node:fs'
import {startApiServer} from '../src/lab/apiserver/server.ts'
import {servePipe} from '../src/lab/pipe.ts'
import type {Backend} from './cluster.ts'
import {nodeObject} from './cluster.ts'

const [port, socketPath, agentPort, agentSocket, kubeconfig, nodes, backend] = process.argv.slice(2)
const api = await startApiServer({port: Number(port), socketPath: socketPath!})
for (let n = 0; n < Number(nodes); n++) api.create(nodeObject(n, backend as Backend))
writeFileSync(kubeconfig!, api.kubeconfig())
await servePipe({path: agentSocket!}, {host: '127.0.0.1', port: Number(agentPort)})
process.stdout.write('ready\n')
