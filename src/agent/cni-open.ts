/** Puts the CNI front together: its kernel sockets, its journal, its types; and takes it apart again. */
import {join} from 'node:path'
import {standingResult} from '../cni/adopt.ts'
import {type AttachmentDeed, createAttachments} from '../cni/attachments.ts'
import type {PodSite} from '../cni/default-network.ts'
import {execPlugin, hostMountHidden, hostMountNeeded} from '../cni/exec.ts'
import {createFront, type Front, type FrontEvent} from '../cni/front.ts'
import {hostLocal} from '../cni/ipam/host-local.ts'
import {nodeLocal, type Ranges} from '../cni/ipam/node-local.ts'
import {staticIpam} from '../cni/ipam/static.ts'
import {keyOf, openJournal, type PlannedList} from '../cni/journal.ts'
import type {PodNetworks} from '../cni/networks.ts'
import {killOrphans} from '../cni/orphans.ts'
import {createPlugins} from '../cni/plugins.ts'
import type {RecoveryPorts} from '../cni/recovery.ts'
import {createRemovals} from '../cni/removals.ts'
import type {AttachmentKey} from '../cni/request.ts'
import type {CniResult} from '../cni/result.ts'
import {createSerial} from '../cni/serial.ts'
import {findStrays} from '../cni/strays.ts'
import {bridge} from '../cni/types/bridge.ts'
import {macvlan} from '../cni/types/macvlan.ts'
import {parseAlias} from '../cni/types/marks.ts'
import {ptp} from '../cni/types/ptp.ts'
import type {Config} from '../model/config.ts'
import type {FileLocks} from '../model/file-lock.ts'
import type {Files} from '../model/files.ts'
import type {Logger} from '../model/logger.ts'
import {makeFolder} from '../model/make-folder.ts'
import type {Masquerade} from '../model/masquerade.ts'
import type {NamespaceKernel, Namespaces, Sandbox} from '../model/namespace.ts'
import {fileLocks} from '../netlink/file-lock.ts'
import {openFiles} from '../netlink/files.ts'
import {Kernel} from '../netlink/kernel.ts'
import {namespaceKernel, namespaces} from '../netlink/namespace.ts'
import {Backoff} from '../streams/backoff.ts'

export interface CniOptions {
  readonly config: Config
  readonly log: Logger
  /** @default execution in the agent's own mount namespace finds programs by this */
  readonly searchPath: string
  readonly site: (signal: AbortSignal) => Promise<PodSite>
  readonly masquerade: Masquerade
  readonly networks: PodNetworks
  readonly done: (event: FrontEvent) => void
  readonly did: (deed: AttachmentDeed) => void
  /** Another process has held the state folder for a while: we wait until it ends. */
  readonly waiting: (folder: string) => void
  /** Of the agent's life. */
  readonly signal: AbortSignal
}

/** Through which everything outside the process is reached. */
export interface Doors {
  readonly kernel: () => Promise<NamespaceKernel>
  readonly namespaces: Namespaces
  readonly journal: typeof openJournal
  readonly locks: FileLocks
  readonly files: () => Promise<Files>
  readonly program: typeof execPlugin
}

const REAL: Doors = {
  kernel: () => Kernel.open().then(namespaceKernel),
  namespaces: namespaces(),
  journal: openJournal,
  locks: fileLocks,
  files: openFiles,
  program: execPlugin,
}

export interface OpenFront extends RecoveryPorts {
  readonly front: Front
  readonly namespaces: Namespaces
  /** Whether the agent itself makes all of it. */
  readonly isNative: (list: PlannedList) => boolean
  /** Of an interface that bears our marks, what ADD once answered. */
  readonly standing: (sandbox: Sandbox, key: AttachmentKey) => Promise<CniResult | undefined>
  /** Waits for what is under way, for a while. */
  close(): Promise<void>
}

/** Resolves once no other agent works with the same state folder. Rejects with what the system says. */
export async function openFront(options: CniOptions, doors: Doors = REAL): Promise<OpenFront> {
  const {config, log, signal} = options
  const state = config.folders.state
  await makeFolder(state, 0o700)
  // One that is being replaced ends within this time.
  const long = setTimeout(() => options.waiting(state), WAITING_MS)
  const lock = await doors.locks.acquire(state, signal).finally(() => clearTimeout(long))
  // Sockets of their own: a removal holds one for 16 ms and more, a pass over 5,000 routes another.
  // And leases need not wait for the journal's disk.
  const [host, removing, files, leases] = await Promise.all([
    doors.kernel(),
    doors.kernel(),
    doors.files(),
    doors.files(),
  ])
  const journal = await doors.journal(join(state, 'journal'), files, problem =>
    log.error('a journal entry cannot be used', {problem}),
  )

  const hostHidden = await hostMountHidden()
  if (hostHidden)
    log.info("the host's files cannot be seen: plugins that are programs are looked for among the agent's own")
  const serial = createSerial(config.cni.concurrency, PASSES)
  const addresses = nodeLocal(ranges(options.site))
  const types = {host, removals: createRemovals(removing), find, masquerade: options.masquerade}
  const plugins = createPlugins(
    new Map([
      ['ptp', ptp(types)],
      ['bridge', bridge(types)],
      ['macvlan', macvlan(types)],
      ['host-local', hostLocal({files: leases})],
      ['static', staticIpam()],
      ['node-local', addresses],
    ]),
    doors.program({
      hostMount: await hostMountNeeded(),
      hostHidden,
      searchPath: options.searchPath,
      timeoutMs: config.cni.deadlineSeconds * 1000,
    }),
  )
  function find(...args: Parameters<typeof plugins.find>): ReturnType<typeof plugins.find> {
    return plugins.find(...args)
  }

  const attachments = await createAttachments({
    journal,
    keep: [...config.clusterCIDRs, ...config.serviceCIDRs],
    namespaces: doors.namespaces,
    find,
    log,
    signal,
    retryMs,
    did: options.did,
  })
  const front = createFront({
    attachments,
    namespaces: doors.namespaces,
    find,
    serial,
    pods: config.networks[0]!.pods,
    networks: options.networks,
    site: options.site,
    isVolatile: plugins.isNative,
    deadlineMs: config.cni.deadlineSeconds * 1000,
    log,
    done: options.done,
  })
  return {
    front,
    namespaces: doors.namespaces,
    isNative: plugins.isNative,
    standing: (sandbox, key) => standingResult(host, sandbox, key),
    attachments,
    nodeLocal: addresses,
    serial,
    log,
    killOrphans: entries => killOrphans(entries.flatMap(({plan}) => (plugins.isNative(plan.list) ? [] : [plan]))),
    strays: () => findStrays(host, key => attachments.entries.has(keyOf(key))),
    onHost: async () => new Set((await host.links()).flatMap(({alias}) => parseAlias(alias) ?? []).map(keyOf)),
    close: async () => {
      const deadline = performance.now() + CLOSE_MS
      while (serial.size > 0 && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 10))
      // What goes on behind answers holds locks.
      await Promise.all([files, leases].map(each => each.run([])))
      for (const each of [host, removing, files, leases]) each.close()
      await lock.release()
    },
  }
}

/** Milliseconds. */
const WAITING_MS = 5_000
/** Pods whose networks are worked on at once beside requests: those whose plugins hang must not keep others waiting. */
const PASSES = 256
/** Milliseconds. */
const CLOSE_MS = 5000

const ranges =
  (site: CniOptions['site']): Ranges =>
  async (_, signal) =>
    (await site(signal)).ranges

function retryMs(attempt: number): number {
  const backoff = new Backoff({baseMs: 500, jitter: 'equal'})
  for (let n = 1; n < Math.min(attempt, 10); n++) backoff.next()
  return backoff.next()
}
