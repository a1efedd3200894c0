import type {Request} from '../../../src/netlink/request.ts'

/** What `ip` or `bridge` (iproute2 6.1) sent to the kernel for a command, and our request for the same. */
export interface GoldenRequest {
  readonly command: string
  readonly request: Request
  /** Where ours is meant to differ, line by line of its tree. */
  readonly differs?: {
    readonly why: string
    /** Lines that only ours has. */
    readonly adds?: readonly string[]
    /** Lines that only theirs has. */
    readonly lacks?: readonly string[]
  }
  /** Theirs, annotated. Captured with `strace -e trace=sendmsg -e write=all`. */
  readonly bytes: string
}
