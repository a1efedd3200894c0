/** Peers on sockets: servers of gRPC that say what a test wants them to say, and ones that speak no gRPC at all. */
import {mkdtemp, rm} from 'node:fs/promises'
import {createServer, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {
  type GrpcObject,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
  type sendUnaryData,
} from '@grpc/grpc-js'
import {loadSync} from '@grpc/proto-loader'
import type {ExecutionContext} from 'ava'

type Test = Pick<ExecutionContext<unknown>, 'teardown'>

/** Each method's answer, or what it throws: an error with a gRPC `code` and `details`. It may never come. */
export type Answers = Readonly<Record<string, (request: never) => unknown>>

export const RUNTIME = join(import.meta.dirname, '..', 'containerd', 'cri.proto')
export const POD_RESOURCES = join(import.meta.dirname, 'podresources.proto')

/** A path in a folder of its own. */
export async function freeSocket(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ng-cri-'))
  t.teardown(() => rm(folder, {recursive: true, maxRetries: 5}))
  return join(folder, 'peer.sock')
}

/** `service`: as "runtime.v1.RuntimeService". Resolves when it listens; ends it. */
export async function serveGrpc(
  t: Test,
  socket: string,
  {file, service, answers}: {readonly file: string; readonly service: string; readonly answers: Answers},
): Promise<() => void> {
  const definition = loadSync(file, {keepCase: true, enums: String, longs: String, defaults: true})
  const found = service
    .split('.')
    .reduce((object, name) => object[name] as GrpcObject, loadPackageDefinition(definition))
  const handlers = Object.entries(answers).map(([name, answer]) => [
    name,
    async ({request}: {request: never}, done: sendUnaryData<unknown>) => {
      try {
        done(null, await answer(request))
      } catch (error) {
        done(error as Error)
      }
    },
  ])
  const server = new Server({'grpc.max_send_message_length': -1})
  server.addService((found as unknown as ServiceClientConstructor).service, Object.fromEntries(handlers))
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), error =>
      error ? reject(error) : resolve(),
    ),
  )
  const end = () => server.forceShutdown()
  t.teardown(end)
  return end
}

export const serveRuntime = (t: Test, socket: string, answers: Answers): Promise<() => void> =>
  serveGrpc(t, socket, {file: RUNTIME, service: 'runtime.v1.RuntimeService', answers})

/** `behave` is told of each connection, which is read and thrown away. Resolves with those that are open. */
export async function serveBytes(
  t: Test,
  socket: string,
  behave: (connection: Socket) => void,
): Promise<ReadonlySet<Socket>> {
  const open = new Set<Socket>()
  const server = createServer(connection => {
    open.add(connection)
    connection.on('close', () => open.delete(connection)).on('error', () => {})
    connection.resume()
    behave(connection)
  })
  await new Promise<void>(resolve => server.listen(socket, resolve))
  t.teardown(() => {
    for (const connection of open) connection.destroy()
    server.close()
  })
  return open
}
