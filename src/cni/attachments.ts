/** The life of attachments: begun in the journal, carried out, and undone for as long as it takes. */
import {readFile} from 'node:fs/promises'
import {setTimeout as sleep} from 'node:timers/promises'
import {isDeepStrictEqual} from 'node:util'
import {InvalidInput} from '../model/errors.ts'
import type {Cidr} from '../model/ip.ts'
import type {Logger} from '../model/logger.ts'
import {type Namespaces, type Sandbox, SandboxGone} from '../model/namespace.ts'
import {pluginConfig, readConfig} from './config.ts'
import type {EntryIndex} from './entry-index.ts'
import {CniError} from './error.ts'
import {requireInside} from './interface-gone.ts'
import {type Entry, isFurther, type Journal, keyOf, type Plan} from './journal.ts'
import {createLater} from './later.ts'
import {AddFailed, addList, checkList, delList} from './list.ts'
import type {FindPlugin, NativePlugin, PluginCall} from './plugin.ts'
import {type RebuildOptions, rebuildList} from './rebuild-list.ts'
import type {AttachmentKey} from './request.ts'
import type {CniResult} from './result.ts'
import {createWaysOut, type WaysOut} from './ways-out.ts'

export interface AttachmentPorts {
  readonly journal: Journal
  /** Pod and service ranges, which a pod reaches through its first interface whatever its default route is. */
  readonly keep: readonly Cidr[]
  readonly namespaces: Namespaces
  readonly find: FindPlugin
  readonly log: Logger
  /** Of the agent's life: a removal that fails is tried again until then. */
  readonly signal: AbortSignal
  /** Milliseconds before a failed removal is tried again; grows with `attempt`. */
  readonly retryMs: (attempt: number) => number
  /** Called after each try. */
  readonly did: (deed: AttachmentDeed) => void
}

/** One try to make, change or end an attachment. */
export interface AttachmentDeed {
  /** update: in place. */
  readonly op: 'attach' | 'detach' | 'update' | 'rebuild'
  readonly plan: Plan
  /** Milliseconds. */
  readonly ms: number
  readonly failed: boolean
}

export interface Attachments extends EntryIndex {
  /** Leads the pod's default route through the interface, when its plan asks for that. */
  readonly route: WaysOut['set']
  readonly entries: ReadonlyMap<string, Entry>
  /** Calls after every change of an entry, and when it has gone. One listener. */
  readonly onChange: Journal['onChange']
  /** Rejects with CniError once everything of it has been undone, or is going to be. */
  add(plan: Plan, sandbox: Sandbox, options: AddOptions): Promise<CniResult>
  /** It stands, and bears our marks, but the journal has lost it: from here on it has it again. */
  adopt(plan: Plan, result: CniResult, durable: boolean): Promise<void>
  /** Rejects with CniError when the plan's plugins are not there, or none can be called with it: an ADD cannot succeed. */
  possible(plan: Plan): Promise<void>
  check(entry: Entry, signal: AbortSignal): Promise<void>
  /** Resolves when its addresses are unused and its interfaces are as good as gone: what is left goes on behind. */
  remove(entry: Entry): Promise<void>
  /**
   * Puts right on the host what somebody has changed: what was done. Rejects with what cannot be put right: with
   * InterfaceGone where it has to be made anew.
   */
  repair(entry: Entry): Promise<readonly string[]>
  /**
   * Makes it anew when its interface has gone from the pod, with what it had: the result, which the journal has. Rejects
   * with CniError. Undefined: the pod has gone, too.
   */
  rebuild(entry: Entry, options: RebuildOptions): Promise<CniResult | undefined>
  /**
   * Changes it in place into what the plan of the same attachment says: the result, which the journal then has with the
   * plan. Undefined: it must be removed and added, and nothing has been changed. Rejects with CniError, and it is as it was.
   */
  update(entry: Entry, plan: Plan): Promise<CniResult | undefined>
  /** Resolves when nothing is left of what is being removed there; at once, where nothing is. */
  settled(key: AttachmentKey): Promise<void>
  /** Why what is being removed there has not gone: what the last try met. Undefined: no try has failed. */
  trouble(key: AttachmentKey): string | undefined
  /** Whether its sandbox is still there. */
  lives(entry: Entry): Promise<boolean>
  /** Of the boot that we are in. */
  readonly boot: string
}

export interface AddOptions {
  readonly signal: AbortSignal
  /** Something of it outlives the machine's memory. */
  readonly durable: boolean
  /** Until this has succeeded it is not told of as added; when it fails, this one is undone, too. */
  readonly with?: (result: CniResult) => Promise<unknown>
}

/** Milliseconds for one try of a removal. */
const UNDO_MS = 60_000

export async function createAttachments(ports: AttachmentPorts): Promise<Attachments> {
  const {journal, namespaces, find, log} = ports
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
  const removals = new Map<string, Promise<void>>()
  /** Of removals: what the last try met. */
  const troubles = new Map<string, string>()
  const ways = createWaysOut(journal, ports.keep)

  const timed = async <T>(op: AttachmentDeed['op'], plan: Plan, work: () => Promise<T>): Promise<T> => {
    const began = performance.now()
    let failed = true
    try {
      const result = await work()
      failed = false
      return result
    } finally {
      ports.did({op, plan, ms: performance.now() - began, failed})
    }
  }

  /** Its namespace; undefined when that has gone, even if another one is to be found under its path. */
  const enter = async ({netns, sandbox: id, boot: then}: Plan): Promise<Sandbox | undefined> => {
    if (netns === '' || then !== boot) return undefined
    const sandbox = await namespaces.open(netns).catch(error => {
      if (error instanceof SandboxGone || error instanceof InvalidInput) return undefined
      throw error
    })
    if (!sandbox || sandbox.id === id) return sandbox
    await sandbox.close()
    return undefined
  }

  /** One try. `handedOver`: its addresses are unused, and what is left needs nobody to wait for it. */
  const undo = async ({plan, result}: Entry, handedOver: () => void): Promise<void> => {
    const sandbox = await enter(plan)
    const later = createLater()
    try {
      // Whatever becomes of that: the interface has to go.
      if (sandbox)
        await ways
          .restore(plan, sandbox)
          .catch(error => log.warn("a pod's default route could not be given back", {err: error}))
      const call = callOf(plan, sandbox, AbortSignal.timeout(UNDO_MS), later.add)
      await timed('detach', plan, () => delList(plan.list, call, find, result))
      handedOver()
      await later.done()
    } finally {
      await later.done().catch(() => {})
      await sandbox?.close()
    }
    await journal.end(plan)
  }

  const undoUntilDone = async (entry: Entry, handedOver: () => void): Promise<void> => {
    for (let attempt = 1; !ports.signal.aborted; attempt++) {
      try {
        return await undo(entry, handedOver)
      } catch (error) {
        const retryMs = Math.round(ports.retryMs(attempt))
        const {containerId: container, ifname} = entry.plan
        const detail = (error as Error).message
        troubles.set(keyOf(entry.plan), detail)
        log.warn('an attachment could not be removed; trying again', {container, interface: ifname, detail, retryMs})
        // The journal has it: nobody needs to wait, and nothing is forgotten.
        handedOver()
        await sleep(retryMs, undefined, {signal: ports.signal}).catch(() => {})
      }
    }
  }

  const begin = (entry: Entry): Promise<void> => {
    const key = keyOf(entry.plan)
    return new Promise(handedOver => {
      const removal = undoUntilDone(entry, handedOver).finally(() => {
        removals.delete(key)
        troubles.delete(key)
        // When the agent ends, the next one has it in its journal.
        handedOver()
      })
      removals.set(key, removal)
    })
  }

  /** In place, by the plugin. Undefined: it cannot. */
  const changed = async (
    old: Plan,
    plan: Plan,
    result: CniResult,
    sandbox: Sandbox,
  ): Promise<CniResult | undefined> => {
    const call = callOf(plan, sandbox, AbortSignal.timeout(UNDO_MS))
    const before = {...call, args: old.args, config: pluginConfig(old.list, 0, {prevResult: result})}
    const after = {...call, config: pluginConfig(plan.list, 0, {prevResult: result})}
    const plugin: Partial<NativePlugin> = find(after.config, after)
    if (plugin !== find(before.config, before) || !plugin.update) return undefined
    return timed('update', plan, async () => plugin.update!(after, before))
  }

  return {
    boot,
    route: ways.set,
    entries: journal.entries,
    ofContainer: journal.ofContainer,
    ofPod: journal.ofPod,
    onChange: journal.onChange,
    settled: async key => removals.get(keyOf(key)),
    trouble: key => troubles.get(keyOf(key)),
    add: async (plan, sandbox, {signal, durable, with: others}) => {
      // What no plugin can be called with could never be undone either.
      readConfig(plan.list)
      await journal.begin(plan, durable)
      try {
        const result = await timed('attach', plan, () => addList(plan.list, callOf(plan, sandbox, signal), find))
        await ways.set(plan, sandbox)
        await others?.(result)
        await journal.added(plan, result)
        return result
      } catch (error) {
        const entry = journal.entries.get(keyOf(plan))
        // What the list could undo itself needs no second DEL.
        if (error instanceof AddFailed && error.leftovers.length === 0) await journal.end(plan).catch(() => {})
        else if (entry) {
          await journal.deleting(plan).catch(() => {})
          await begin(entry)
        }
        throw error
      }
    },
    adopt: async (plan, result, durable) => {
      readConfig(plan.list)
      await journal.begin(plan, durable)
      await journal.added(plan, result)
    },
    possible: async plan => {
      readConfig(plan.list)
      const call = callOf(plan, undefined, AbortSignal.timeout(UNDO_MS))
      for (const index of plan.list.plugins.keys()) {
        const whole = {...call, config: pluginConfig(plan.list, index, {})}
        await find(whole.config, whole).present?.(whole)
      }
    },
    check: async ({plan, result}, signal) => {
      if (!result)
        throw new CniError('tryAgainLater', `${plan.ifname} of container ${plan.containerId} is not there yet`)
      const sandbox = await enter(plan)
      if (!sandbox)
        throw new CniError(
          'unknownContainer',
          `the namespace of container ${plan.containerId} (${plan.netns}) has gone`,
        )
      try {
        await checkList(plan.list, callOf(plan, sandbox, signal), find, result)
      } finally {
        await sandbox.close()
      }
    },
    repair: async ({plan, result}) => {
      const sandbox = await enter(plan)
      // There is nobody left to do it for.
      if (!sandbox) return []
      try {
        const config = pluginConfig(plan.list, 0, {prevResult: result})
        const call = {...callOf(plan, sandbox, AbortSignal.timeout(UNDO_MS)), config}
        const plugin: Partial<NativePlugin> = find(config, call)
        if (plugin.repair) return await plugin.repair(call)
        const inside = result?.interfaces.find(({name, sandbox: where}) => name === plan.ifname && where)
        if (inside) await requireInside(await sandbox.kernel(), inside)
        return []
      } finally {
        await sandbox.close()
      }
    },
    rebuild: async ({plan, result}, options) => {
      const sandbox = result && (await enter(plan))
      if (!sandbox) return undefined
      try {
        const call = callOf(plan, sandbox, AbortSignal.timeout(UNDO_MS))
        const made = await timed('rebuild', plan, () => rebuildList(plan.list, call, find, result, options))
        if (!isDeepStrictEqual(made, result)) await journal.updated(plan, made)
        await (isFurther(plan) ? ways.set(plan, sandbox) : ways.setAll(plan, sandbox))
        return made
      } finally {
        await sandbox.close()
      }
    },
    update: async (entry, plan) => {
      const {plan: old, result} = entry
      if (!result || keyOf(old) !== keyOf(plan)) return undefined
      const sameList = old.args === plan.args && isDeepStrictEqual(old.list, plan.list)
      if (!sameList && (old.list.plugins.length !== 1 || plan.list.plugins.length !== 1)) return undefined
      readConfig(plan.list)
      const sandbox = await enter(old)
      if (!sandbox) return undefined
      try {
        const made = sameList ? result : await changed(old, plan, result, sandbox)
        if (!made) return undefined
        await ways.restore(old, sandbox)
        await ways.set(plan, sandbox)
        await journal.updated(plan, made)
        return made
      } finally {
        await sandbox.close()
      }
    },
    remove: async entry => {
      if (removals.has(keyOf(entry.plan))) return
      // A full disk must not keep anything from going: without the line, the next agent finds an attachment without its link.
      if (entry.state !== 'deleting')
        await journal
          .deleting(entry.plan)
          .catch(error => log.error('the journal cannot be written; a removal goes on without it', {err: error}))
      await begin(entry)
    },
    lives: async ({plan}) => {
      const sandbox = await enter(plan)
      await sandbox?.close()
      return sandbox !== undefined
    },
  }
}

const callOf = (
  {containerId, netns, ifname, args, path}: Plan,
  sandbox: Sandbox | undefined,
  signal: AbortSignal,
  later: PluginCall['later'] = createLater().add,
): Omit<PluginCall, 'config'> => ({
  containerId,
  netns: sandbox ? netns : '',
  ifname,
  args,
  path,
  sandbox,
  signal,
  later,
})
