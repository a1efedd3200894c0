/** Masquerade of single pods (ipMasq of a config): towards everything but their own subnet. */
import type {Cidr, Ip} from './ip.ts'

export interface Masquerade {
  /** Resolves once the kernel has it. Of an owner that has some already, these take their place. */
  add(owner: string, pods: readonly {readonly ip: Ip; readonly subnet: Cidr}[]): Promise<void>
  /** Resolves once the kernel has none of this owner's. What is not there any more is a success. */
  remove(owner: string): Promise<void>
}
