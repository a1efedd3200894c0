/** The network of one namespace, as a port: what pods are wired with. The edge is src/netlink/namespace.ts. */
import {NetgraftError} from './errors.ts'
import type {Family} from './ip.ts'
import type {Address, AddressSpec, IfIndex, Link, LinkSettings, LinkSpec, Neighbour, Route, RouteType} from './net.ts'
import type {Refusal} from './plans.ts'

/** One change of a namespace, in the words of `ip`. A link made earlier in the same batch is named, not numbered. */
export type Step =
  /** No change, but a look in between: the outcome's link is as the steps before have left it. */
  | {readonly op: 'read'; readonly object: 'link'; readonly item: IfIndex | string}
  | {readonly op: 'add'; readonly object: 'link'; readonly item: LinkSpec}
  | {readonly op: 'set'; readonly object: 'link'; readonly item: IfIndex | string; readonly to: LinkSettings}
  | {readonly op: 'delete'; readonly object: 'link'; readonly item: IfIndex | string}
  /** Every link of the group, with one grace period for all of them: a number made for that purpose alone. */
  | {readonly op: 'delete'; readonly object: 'link group'; readonly item: number}
  | {readonly op: 'add' | 'delete'; readonly object: 'address'; readonly item: AddressSpec}
  /** prepend: where a route of that destination and metric stands already, beside it and before it. */
  | {readonly op: 'add' | 'prepend' | 'replace' | 'delete'; readonly object: 'route'; readonly item: Route}
  | {readonly op: 'replace' | 'delete'; readonly object: 'neighbour'; readonly item: Neighbour}

/** What became of a step. */
export interface StepOutcome {
  /** The kernel's refusal. The steps behind it were tried all the same. */
  readonly refusal?: Refusal
  /** Of a link that was read, or added: as it is now. Of an added one undefined before Linux 6.2: read it by its name. */
  readonly link?: Link
}

/** What is asked for is done in the order of the calls, one after the other: nobody has to wait for what comes before. */
export interface NamespaceKernel {
  /** Makes changes in order, in as few system calls as are needed. Rejects only when an outcome is unknown. */
  change(steps: readonly Step[]): Promise<readonly StepOutcome[]>
  /** Undefined: there is no such link. */
  link(target: IfIndex | string): Promise<Link | undefined>
  links(): Promise<Link[]>
  /** `nsid`: in the namespace of that id, instead of this one. */
  addresses(filter?: {readonly family?: Family; readonly index?: IfIndex; readonly nsid?: number}): Promise<Address[]>
  routes(filter: {readonly family: Family; readonly table?: number; readonly type?: RouteType}): Promise<Route[]>
  /** Like `sysctl -n net.<name>`; `name` is the path under net ("ipv4/ip_forward"). Rejects with ENOENT where there is none. */
  readSysctl(name: string): Promise<string>
  writeSysctl(name: string, value: string): Promise<void>
  /** A socket that stays open keeps a deleted namespace alive. */
  close(): void
}

/** A pod's namespace, for the time of one request. */
export interface Sandbox {
  /** As the runtime named it: CNI_NETNS. */
  readonly path: string
  /** For `LinkSpec.netns`. */
  readonly fd: number
  /** "<device>:<inode>" of the namespace: the same while it lives, whatever path leads to it. */
  readonly id: string
  /** Opened when first asked for, closed with the sandbox. Rejects with what the kernel says. */
  kernel(): Promise<NamespaceKernel>
  close(): Promise<void>
}

/** The path leads nowhere, or no longer to a namespace: the sandbox has been taken down. */
export class SandboxGone extends NetgraftError {
  readonly code = 'ENOENT'
}

/** The doors to namespaces. */
export interface Namespaces {
  /**
   * Rejects with {@link SandboxGone} where there is nothing (any more), and with InvalidInput where the path leads to no
   * network namespace, or to the host's own.
   */
  open(path: string): Promise<Sandbox>
}
