/** What an earlier agent, a dead runtime or a reboot has left: judged by the journal and the kernel, never by a pod's name or phase. */
import {stat} from 'node:fs/promises'
import {dirname} from 'node:path'
import type {Logger} from '../model/logger.ts'
import type {Attachments} from './attachments.ts'
import {type NodeLocal, ownerOf} from './ipam/node-local.ts'
import {type Entry, isFurther, keyOf} from './journal.ts'
import type {Serial} from './serial.ts'
import type {Stray} from './strays.ts'

export interface RecoveryPorts {
  readonly attachments: Attachments
  readonly nodeLocal: NodeLocal
  readonly serial: Serial
  /** Of the attachments that have an end on the host: their keys. Its other end is in a namespace that lives. */
  readonly onHost: () => Promise<ReadonlySet<string>>
  /** Ends the programs that an earlier agent has left at work for these: how many there were. */
  readonly killOrphans?: (entries: readonly Entry[]) => Promise<number>
  /** Pods that the journal has lost. */
  readonly strays: () => Promise<readonly Stray[]>
  readonly log: Logger
}

/** Milliseconds that requests wait for what was half-done; programs that hang are waited for behind them. */
const HALF_DONE_MS = 5000

/** Before the first request: addresses that are in use are known, and what was half-done is undone. */
export async function recover(ports: RecoveryPorts): Promise<void> {
  const {attachments, nodeLocal, log} = ports
  const entries = [...attachments.entries.values()]
  for (const {plan, result} of entries) {
    const isOurs = plan.list.plugins.some(({ipam}) => (ipam as {type?: unknown} | undefined)?.type === 'node-local')
    if (result && isOurs)
      nodeLocal.restore(
        ownerOf(plan),
        result.ips.map(({address}) => address),
      )
  }
  const strays = await ports.strays().catch((error): [] => {
    log.error('pods that the journal does not know cannot be looked for', {err: error})
    return []
  })
  for (const stray of strays) nodeLocal.restore(ownerOf(stray), stray.addresses)
  if (strays.length > 0)
    log.warn('pods stand that the journal does not know: was its folder removed? They keep their addresses', {
      count: strays.length,
    })
  const halfDone = entries.filter(entry => entry.state !== 'added' || isOrphan(entry, entries))
  if (entries.length > 0)
    log.info('attachments found', {standing: entries.length - halfDone.length, halfDone: halfDone.length})
  const orphans = (await ports.killOrphans?.(halfDone)) ?? 0
  if (orphans > 0)
    log.warn('plugins that an earlier agent had started were still at work; they are ended', {processes: orphans})
  const undone = Promise.all(halfDone.map(entry => remove(ports, entry)))
  await Promise.race([undone, new Promise(resolve => setTimeout(resolve, HALF_DONE_MS).unref())])
}

/** Made within an ADD that was never answered: its first interface is not there. */
const isOrphan = ({plan}: Entry, entries: readonly Entry[]): boolean =>
  plan.attachment?.origin === 'pod' &&
  isFurther(plan) &&
  !entries.some(
    ({plan: other, state}) =>
      other.containerId === plan.containerId &&
      other.request === plan.request &&
      state === 'added' &&
      !isFurther(other),
  )

/** Removes attachments whose sandbox has gone without a DEL: how many. */
export async function removeDead(ports: RecoveryPorts): Promise<number> {
  const {attachments, log} = ports
  const standing = [...attachments.entries.values()].filter(({state}) => state === 'added')
  if (standing.length === 0) return 0
  const onHost = await ports.onHost()
  let dead = 0
  for (const entry of standing) {
    // It may have been removed, or made anew, while others were looked at.
    if (attachments.entries.get(keyOf(entry.plan)) !== entry) continue
    if (onHost.has(keyOf(entry.plan)) || (await attachments.lives(entry)) || (await isHidden(entry, attachments.boot)))
      continue
    dead++
    log.info('an attachment whose namespace has gone is removed', {
      container: entry.plan.containerId,
      interface: entry.plan.ifname,
    })
    await remove(ports, entry)
  }
  return dead
}

const remove = ({serial, attachments}: RecoveryPorts, entry: Entry): Promise<void> =>
  serial.run(entry.plan.containerId, async () => {
    if (attachments.entries.get(keyOf(entry.plan)) === entry) await attachments.remove(entry)
  })

/** The folder of the namespaces is not to be seen from here: nothing can be said of what should be in it. */
async function isHidden({plan}: Entry, boot: string): Promise<boolean> {
  if (plan.boot !== boot) return false
  return stat(dirname(plan.netns)).then(
    () => false,
    () => true,
  )
}
