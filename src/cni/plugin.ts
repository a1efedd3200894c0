/** A plugin as the agent calls it, whether it runs in the agent or is a program. */
import type {Sandbox} from '../model/namespace.ts'
import type {CniResult} from './result.ts'

/** One plugin's config, whole, as it would be on a program's standard input. */
export interface PluginConfig {
  readonly cniVersion: string
  readonly name: string
  readonly type: string
  readonly ipam?: {readonly type?: string; readonly [key: string]: unknown}
  readonly dns?: {readonly [key: string]: unknown}
  /** What the runtime says for the capabilities that the config declares. */
  readonly runtimeConfig?: {readonly [key: string]: unknown}
  readonly args?: {readonly [key: string]: unknown}
  /** In the config's cniVersion. */
  readonly prevResult?: unknown
  readonly [key: string]: unknown
}

export interface PluginCall {
  /** CNI_CONTAINERID. */
  readonly containerId: string
  /** CNI_NETNS. Empty where a DEL has none. */
  readonly netns: string
  /** CNI_IFNAME. */
  readonly ifname: string
  /** CNI_ARGS, as it is: "K=V;K=V". */
  readonly args: string
  /** CNI_PATH: folders. */
  readonly path: readonly string[]
  readonly config: PluginConfig
  /** The namespace, open and checked; undefined for a DEL without one, or whose has gone. */
  readonly sandbox: Sandbox | undefined
  /** The deadline. */
  readonly signal: AbortSignal
  /**
   * Work of a DEL that goes on behind the answer: a veth takes the kernel 16 ms. The journal keeps the attachment until it
   * has ended, and a rejection has the DEL done again.
   */
  readonly later: (work: Promise<unknown>) => void
}

/** Each verb rejects with CniError. */
export interface Plugin {
  /** Rejects when there is no such program: nothing could be called. */
  present?(call: PluginCall): Promise<void>
  /** Undoes what it did itself when it fails. */
  add(call: PluginCall): Promise<CniResult>
  /** Rejects when something is not as ADD left it (`config.prevResult` is ADD's result). */
  check(call: PluginCall): Promise<void>
  /** What is not there any more is a success. */
  del(call: PluginCall): Promise<void>
  /** Frees what belongs to none of the attachments that the config lists. Since 1.1.0; of no container. */
  gc?(call: PluginCall): Promise<void>
  /** Rejects when no ADD can be served. Since 1.1.0; of no container. */
  status?(call: PluginCall): Promise<void>
}

/** A type that runs in the agent. */
export interface NativePlugin extends Plugin {
  /** Whether every key of the config is one that this type serves just as the program of that name does. */
  knows(config: PluginConfig): boolean
  /**
   * Puts right on the host what somebody has changed of a standing attachment, ADD's result being `config.prevResult`:
   * what was done, in words. Rejects with what cannot be put right: with InterfaceGone where it has to be made anew.
   */
  repair?(call: PluginCall): Promise<readonly string[]>
  /**
   * Makes a standing attachment anew whose interface has gone from the pod, with the MAC and the addresses of ADD's result,
   * `config.prevResult`: IPAM's lease stands. Undoes what it did itself when it fails, but for that lease.
   */
  rebuild?(call: PluginCall): Promise<CniResult>
  /**
   * Changes a standing attachment (its result so far is `config.prevResult`) into what the call's config and arguments say,
   * `before` being what it was made of: the result. Undefined: that cannot be done in place, and nothing has been changed.
   * A rejection leaves it as it was. Called again after it was cut short, it ends in the same state.
   */
  update?(call: PluginCall, before: Pick<PluginCall, 'config' | 'args'>): Promise<CniResult | undefined>
}

/** Finds who serves a type: in the agent, or a program in one of the call's folders. Throws CniError. */
export type FindPlugin = (config: {readonly type?: unknown}, call: PluginCall) => Plugin
