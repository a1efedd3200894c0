/** What the codecs hand to the kernel port: a change to make, or a dump to read. */
import type {Writer} from './message.ts'

/** One change. `encode` writes the message's body: its fixed struct, then attributes. */
export interface Request {
  /** `nlmsg_type`. */
  readonly type: number
  /** NLM_F_* beyond REQUEST and ACK. */
  readonly flags: number
  /** As an `ip` command would say it, for errors. */
  readonly describe: () => string
  readonly encode: (to: Writer) => void
}

/** A dump with the kernel's own (strict) filters. `decode` returns undefined for what the kernel could not filter out. */
export interface Dump<T> extends Request {
  /** `nlmsg_type` of the answers. */
  readonly answer: number
  readonly decode: (body: Buffer) => T | undefined
}
