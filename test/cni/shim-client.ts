/** A connection to the agent's socket, as the shim makes it, for tests that want to do worse. */
import {connect, type Socket} from 'node:net'
import {decodeAnswer, type ShimAnswer} from '../../src/cni/protocol.ts'

export interface ShimClient {
  write(bytes: Buffer): void
  /** The whole answer. Rejects when the connection ends before. */
  answer(): Promise<ShimAnswer>
  /** Takes nothing more. */
  pause(): void
  destroy(): void
  readonly closed: Promise<void>
}

/** Bytes. */
const HEADER = 12

/** Rejects with what connect(2) says. */
export async function connectTo(path: string): Promise<ShimClient> {
  const socket: Socket = connect(path)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  const chunks: Buffer[] = []
  const whole = Promise.withResolvers<ShimAnswer>()
  whole.promise.catch(() => {})
  socket.on('data', chunk => {
    chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    if (bytes.length < HEADER || bytes.length < HEADER + bytes.readUInt32LE(8)) return
    whole.resolve(decodeAnswer(bytes))
  })
  socket.on('error', () => {})
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  void closed.then(() => whole.reject(new Error('the connection has ended without an answer')))
  return {
    write: bytes => void socket.write(bytes),
    answer: () => whole.promise,
    pause: () => void socket.pause(),
    destroy: () => void socket.destroy(),
    closed,
  }
}
