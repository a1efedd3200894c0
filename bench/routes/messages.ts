/** What our code sends to the kernel, kept as bytes: the same messages again, for a program that only sends them. */
import type {Kernel} from '../../src/netlink/kernel.ts'
import {NLM_F, Writer} from '../../src/netlink/message.ts'
import type {Request} from '../../src/netlink/request.ts'

export interface Sent {
  /** As they went over the socket, but without sequence numbers and the last one's NLM_F_ACK. */
  readonly messages: Buffer
  /** `performance.now()` when the kernel had acknowledged the last of them. */
  readonly acknowledgedAt: number
}

/** From now on every batch of this kernel port is noted. The result gives what has been sent so far. */
export function noteBatches(kernel: Kernel): () => Sent {
  const requests: Request[] = []
  let acknowledgedAt = 0
  const batch = kernel.batch.bind(kernel)
  kernel.batch = async each => {
    const refusals = await batch(each)
    acknowledgedAt = performance.now()
    requests.push(...each)
    return refusals
  }
  return () => ({messages: encodeAll(requests), acknowledgedAt})
}

export function encodeAll(requests: readonly Request[]): Buffer {
  const writer = new Writer()
  for (const {type, flags, encode} of requests) {
    writer.begin(type, flags | NLM_F.REQUEST, 0)
    encode(writer)
    writer.end()
  }
  return writer.finish()
}
