/** {@link Files} over a thread of the addon (struct file_step, native/netlink.c). */
import {getSystemErrorMap} from 'node:util'
import type {FileOutcome, FileStep, Files} from '../model/files.ts'
import {NetlinkSocket} from './socket.ts'

/** `enum file_do`. */
const DO: readonly FileStep['do'][] = [
  'create',
  'write',
  'write at',
  'link',
  'unlink',
  'stamp',
  'sync',
  'stat',
  'lock',
  'close',
]
const STEP_BYTES = 24
const OUTCOME_BYTES = 24
const MODE = 0o600
const NAMES = getSystemErrorMap()

export async function openFiles(): Promise<Files> {
  const thread = await NetlinkSocket.openFiles()
  return {
    run: async steps => {
      const answer = await thread.files(Buffer.concat(steps.map(encode)))
      return steps.map((step, i) => decode(step, answer.subarray(i * OUTCOME_BYTES)))
    },
    close: () => thread.close(),
  }
}

function encode(step: FileStep): Buffer {
  const path = Buffer.from(`${step.path}\0`)
  const other = 'to' in step ? Buffer.from(`${step.to}\0`) : EMPTY
  const data = 'text' in step ? Buffer.from(step.text) : EMPTY
  const size = STEP_BYTES + path.length + other.length + data.length
  const bytes = Buffer.alloc((size + 7) & ~7)
  bytes[0] = DO.indexOf(step.do)
  bytes[1] = step.mayFail ? 1 : 0
  bytes.writeUInt16LE(path.length, 2)
  bytes.writeUInt16LE(other.length, 4)
  bytes.writeUInt16LE('mode' in step && step.mode !== undefined ? step.mode : MODE, 6)
  bytes.writeUInt32LE(data.length, 8)
  bytes.writeBigInt64LE(numberOf(step), 16)
  path.copy(bytes, STEP_BYTES)
  other.copy(bytes, STEP_BYTES + path.length)
  data.copy(bytes, STEP_BYTES + path.length + other.length)
  return bytes
}

function numberOf(step: FileStep): bigint {
  if (step.do === 'write at') return BigInt(step.at)
  if (step.do === 'stamp') return step.ns
  return step.do === 'close' ? BigInt(step.fd) : 0n
}

const EMPTY = Buffer.alloc(0)

function decode(step: FileStep, bytes: Buffer): FileOutcome {
  const errno = bytes.readInt32LE(0)
  if (errno !== 0) return {code: NAMES.get(-errno)?.[0] ?? `E${errno}`}
  if (step.do === 'stat') return {state: `${bytes.readBigUInt64LE(8)}:${bytes.readBigInt64LE(16)}`}
  return step.do === 'lock' ? {fd: bytes.readInt32LE(4)} : {}
}
