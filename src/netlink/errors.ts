/** The kernel's refusals. linux/netlink.h (struct nlmsgerr, NLMSGERR_ATTR_*). */
import {getSystemErrorMap} from 'node:util'
import {NetgraftError} from '../model/errors.ts'
import {attributes, type Message, read} from './message.ts'

const NAMES: ReadonlyMap<number, [name: string, text: string]> = getSystemErrorMap()
const NLM_F_CAPPED = 0x100
const NLM_F_ACK_TLVS = 0x200
const ERROR_HEADER_BYTES = 20
const ATTR = {MSG: 1, OFFSET: 2} as const

/** One request that the kernel refused. `code` is the errno's name. */
export class NetlinkError extends NetgraftError {
  /** What was asked, as an `ip` command would say it. */
  readonly op: string
  readonly errno: number
  readonly code: string
  /** The kernel's own explanation (extended ACK), when it gave one. */
  readonly hint: string | undefined
  /** Where in the request the offending attribute starts, bytes. */
  readonly offset: number | undefined

  constructor(op: string, errno: number, extended: {hint?: string | undefined; offset?: number | undefined} = {}) {
    const [code, text] = NAMES.get(-errno) ?? [`E${errno}`, `errno ${errno}`]
    super(`${op}: ${extended.hint ? `${extended.hint} (${code})` : `${text} (${code})`}`)
    this.name = 'NetlinkError'
    this.op = op
    this.errno = errno
    this.code = code
    this.hint = extended.hint
    this.offset = extended.offset
  }
}

/** A socket, or a sysctl reached through its namespace, that cannot be used; in words for whoever knows neither. */
export class NetlinkSocketError extends NetgraftError {
  readonly errno: number
  readonly code: string

  /** `because`: what the errno means here, where its own text would mislead. */
  constructor(errno: number, what: string, because?: string) {
    const [code, text] = NAMES.get(-errno) ?? [`E${errno}`, `errno ${errno}`]
    super(`${what}: ${because ?? text} (${code})`)
    this.name = 'NetlinkSocketError'
    this.errno = errno
    this.code = code
  }
}

/** The errno and extended ACK of an NLMSG_ERROR; errno 0 is a plain acknowledgement. */
export function decodeError(message: Message): {errno: number; hint?: string | undefined; offset?: number | undefined} {
  const {body, flags} = message
  const errno = body.length >= 4 ? 0 - body.readInt32LE(0) : 0
  if (!(flags & NLM_F_ACK_TLVS) || body.length < ERROR_HEADER_BYTES) return {errno}
  // Capped, the request's header alone stands before the attributes; else the whole request does.
  const echoed = flags & NLM_F_CAPPED ? 16 : body.readUInt32LE(4)
  if (echoed > body.length) return {errno}
  let hint: string | undefined
  let offset: number | undefined
  attributes(body, 4 + ((echoed + 3) & ~3), (type, payload) => {
    if (type === ATTR.MSG) hint = read.text(payload)
    else if (type === ATTR.OFFSET) offset = read.u32(payload)
  })
  return {errno, hint, offset}
}
