/** The admin API's view of the agent as a whole. */
import {readdir} from 'node:fs/promises'
import type {AdminCni, AdminNetworkStatus, AdminPairCounts, AdminStatus, AdminStore} from '../model/admin.ts'
import type {Config} from '../model/config.ts'
import {readiness} from '../observe/health.ts'
import type {AdminBoard, KnownRoutes} from './admin-board.ts'
import {spoolFolder} from './cni-folders.ts'
import type {Status} from './status.ts'

export interface StatusAsked {
  readonly config: Config
  readonly version: string
  readonly status: Status
  readonly board: AdminBoard
}

export async function adminStatus({config, version, status, board}: StatusAsked): Promise<AdminStatus> {
  const conditions = [...status.conditions].map(([name, condition]) => ({name, ...condition}))
  const node = config.node ?? board.self
  const cni = await cniOf(config, board)
  return {
    version,
    ...(node !== undefined && {node}),
    pid: process.pid,
    startedAt: board.startedAt.toISOString(),
    ready: readiness(status.conditions).ok,
    conditions,
    api: board.api,
    networks: config.networks.map(network => networkOf(network, board.routes.get(network.name))),
    ...(cni && {cni}),
    ...(board.pairs && {pairs: countEnds(board)}),
    store: storeOf(config, board),
  }
}

function networkOf({name, backend}: Config['networks'][number], known: KnownRoutes | undefined): AdminNetworkStatus {
  const {report, passedAt} = known ?? {}
  const {4: ipv4, 6: ipv6} = report?.mtu ?? {}
  return {
    network: name,
    backend,
    peers: report?.peers ?? 0,
    routes: {ipv4: report?.routes[4] ?? 0, ipv6: report?.routes[6] ?? 0},
    ranges: report?.ranges.map(String) ?? [],
    mtu: {...(ipv4 !== undefined && {ipv4}), ...(ipv6 !== undefined && {ipv6})},
    conflicts: report?.conflicts.length ?? 0,
    refused: report?.refused.length ?? 0,
    problems: report?.problems.map(({message}) => message) ?? [],
    ...(passedAt && {passedAt: passedAt.toISOString()}),
    ...(report?.error !== undefined && {broken: (report.error as Error)?.message ?? `${report.error}`}),
  }
}

async function cniOf(config: Config, {open}: AdminBoard): Promise<AdminCni | undefined> {
  if (!open) return undefined
  const journal = {adding: 0, added: 0, deleting: 0}
  for (const {state} of open.attachments.entries.values()) journal[state]++
  const names = await readdir(spoolFolder(config)).catch((): string[] => [])
  const spooled = names.filter(name => name.endsWith('.del') && !name.startsWith('.')).length
  return {requests: open.serial.size, spooled, journal}
}

function countEnds({pairs}: AdminBoard): AdminPairCounts {
  const counts = {up: 0, building: 0, waiting: 0, failed: 0, contradiction: 0}
  for (const {state} of pairs?.list().ends ?? []) counts[state]++
  return counts
}

function storeOf({store}: Config, {pairs}: AdminBoard): AdminStore {
  if (!pairs) return {type: store.type}
  const {ready, reason} = pairs.store()
  return {type: store.type, ready, ...(reason !== undefined && {reason})}
}
