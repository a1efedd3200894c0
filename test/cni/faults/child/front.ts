/** The CNI front as the agent opens it, without an API server: its doors counted, its requests called directly. */

import {join} from 'node:path'
import {masked} from '../../../../src/agent/cni.ts'
import {type OpenFront, openFront} from '../../../../src/agent/cni-open.ts'
import {NO_NETWORKS, type PlannedInterface} from '../../../../src/cni/networks.ts'
import {decodeRequest} from '../../../../src/cni/protocol.ts'
import {recover, removeDead} from '../../../../src/cni/recovery.ts'
import {drainSpool} from '../../../../src/cni/spool.ts'
import {createMasquerade, type Masquerading} from '../../../../src/masquerade/masquerade.ts'
import type {Config} from '../../../../src/model/config.ts'
import {parseCidr} from '../../../../src/model/ip.ts'
import type {Logger} from '../../../../src/model/logger.ts'
import {nftProgram} from '../../../../src/netlink/nft.ts'
import {countedDoors, countedNft} from './doors.ts'
import type {Points} from './points.ts'

export interface AgentOptions {
  /** State and sockets. */
  readonly folder: string
  /** Of the host. @default the process's own */
  readonly netns?: string
  /** Pod ranges of the node. */
  readonly ranges: readonly string[]
  /** Pods are masqueraded by themselves: the packet filter is looked after, too. */
  readonly masquerade: boolean
  /** What every pod gets beside its first network. */
  readonly further?: readonly PlannedInterface[]
}

export interface Agent extends OpenFront {
  readonly masquerading: Masquerading
  /** What was logged as a warning or an error. */
  readonly troubles: readonly string[]
  /** What the agent does before it serves. Resolves when nothing goes on behind it. */
  recover(): Promise<void>
  /** Sandboxes without a DEL. Resolves likewise. */
  removeDead(): Promise<void>
  /** DELs that the shim has left. Resolves likewise. */
  drain(): Promise<void>
  settled(): Promise<void>
}

export async function openAgent(
  {folder, netns, ranges, masquerade, further}: AgentOptions,
  points: Points,
): Promise<Agent> {
  const troubles: string[] = []
  const quiet = () => {}
  const tell = (message: string, fields: object = {}) => void troubles.push(`${message} ${JSON.stringify(fields)}`)
  const log: Logger = {trace: quiet, debug: quiet, info: quiet, warn: tell, error: tell, fatal: tell, child: () => log}
  const config = {
    folders: {state: join(folder, 'state'), run: join(folder, 'run')},
    clusterCIDRs: [],
    serviceCIDRs: [],
    cni: {concurrency: 16, deadlineSeconds: 60},
    networks: [{pods: {mode: 'ptp', bridge: 'ng-br0'}}],
  } as unknown as Config
  const masquerading = createMasquerade(countedNft(points, nftProgram({netns})))
  const open = await openFront(
    {
      config,
      log,
      searchPath: '/usr/sbin:/usr/bin:/sbin:/bin',
      waiting: () => {},
      site: async () => ({ranges: ranges.map(parseCidr), mtu: {4: 1400, 6: 1400}}),
      masquerade: masquerading,
      networks: further ? {...NO_NETWORKS, atStart: async () => ({more: further})} : NO_NETWORKS,
      done: quiet,
      did: quiet,
      signal: new AbortController().signal,
    },
    countedDoors(points, netns),
  )
  masquerading.restore(masked(open.attachments.entries.values()))
  const settled = async (): Promise<void> => {
    for (const {plan} of open.attachments.entries.values()) await open.attachments.settled(plan)
  }
  return {
    ...open,
    masquerading,
    troubles,
    settled,
    recover: async () => {
      await recover(open)
      if (masquerade) await masquerading.reconcile(undefined)
      await settled()
    },
    removeDead: async () => {
      await removeDead(open)
      await settled()
    },
    drain: async () => {
      await drainSpool(join(config.folders.state, 'spool'), {
        decode: decodeRequest,
        run: open.front.spooled,
        tell: problem => tell(problem),
      })
      await settled()
    },
  }
}
