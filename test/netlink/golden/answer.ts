import type {Message} from '../../../src/netlink/message.ts'

/** What the kernel sent to us, and what it means. */
export interface GoldenAnswer {
  readonly name: string
  readonly decode: (message: Message) => unknown
  readonly want: object
  /** Annotated. Captured on kernel 6.18 with our own socket. */
  readonly bytes: string
}
