/** A listener whose connections go on to another one, byte for byte. */
import {once} from 'node:events'
import {createConnection, createServer, type ListenOptions, type NetConnectOpts} from 'node:net'

export interface Pipe {
  /** Cuts the open connections too. */
  close(): void
}

/** Resolves when it listens. */
export async function servePipe(from: ListenOptions, to: NetConnectOpts): Promise<Pipe> {
  const open = new Set<() => void>()
  const server = createServer({noDelay: true}, near => {
    const far = createConnection(to)
    // Whichever of the two ends, in order or not, takes the other with it.
    const cut = () => {
      near.destroy()
      far.destroy()
      open.delete(cut)
    }
    open.add(cut)
    for (const socket of [near, far]) socket.on('error', () => {}).once('close', cut)
    near.pipe(far)
    far.pipe(near)
  })
  await once(server.listen(from), 'listening')
  return {
    close() {
      server.close()
      for (const cut of open) cut()
    },
  }
}
