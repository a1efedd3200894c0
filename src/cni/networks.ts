/** What the front asks of those who know a pod's further networks. */
import type {OwnConfig} from './default-network.ts'
import {CniError} from './error.ts'
import type {PlannedAttachment, PlannedList} from './journal.ts'
import {type CniRequest, parseArgs} from './request.ts'

/** One interface of a pod, beside the first. */
export interface PlannedInterface {
  readonly ifname: string
  readonly list: PlannedList
  /** CNI_ARGS. */
  readonly args: string
  readonly attachment: PlannedAttachment
}

/** What a pod is to have when it starts. */
export interface PodStart {
  /** In the place of the configured network. */
  readonly first?: Omit<PlannedInterface, 'ifname'>
  /** In the order of the annotation. */
  readonly more: readonly PlannedInterface[]
  /** Of a pod that is not to start before: resolves then. Rejects with CniError (11). */
  readonly ready?: (signal: AbortSignal) => Promise<void>
}

export interface PodNetworks {
  /** Rejects with CniError; 11 where it cannot be known. */
  atStart(request: CniRequest, config: OwnConfig, signal: AbortSignal): Promise<PodStart>
  /** Whether it has the label `ratchet`. Rejects with CniError; 11 where it cannot be known. */
  eligible(request: CniRequest, signal: AbortSignal): Promise<boolean>
  /** Of another controller: K8S_POD_NETWORK in CNI_ARGS. Rejects with CniError. */
  one(request: CniRequest, network: string, config: OwnConfig, signal: AbortSignal): Promise<PlannedInterface>
}

/** K8S_POD_NETWORK of CNI_ARGS: another controller acts on that network alone. */
export const oneNetwork = ({args}: CniRequest): string | undefined =>
  parseArgs(args).get('K8S_POD_NETWORK') || undefined

export const NOTHING_MORE: PodStart = {more: []}

/** Of a node whose pods have their first network alone. */
export const NO_NETWORKS: PodNetworks = {
  atStart: async () => NOTHING_MORE,
  eligible: async () => false,
  one: async () => {
    throw new CniError('unsupportedField', 'this node attaches no further networks')
  },
}
