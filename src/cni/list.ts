/** The plugins of a network, one after the other, as a runtime calls them. CNI spec 1.1.0, section 3. */
import {quoted} from '../model/errors.ts'
import {pluginConfig, type RunnableList, readConfig} from './config.ts'
import {CniError} from './error.ts'
import {ProgramMissing} from './find-program.ts'
import type {FindPlugin, Plugin, PluginCall} from './plugin.ts'
import type {CniResult} from './result.ts'
import {isAtLeast} from './versions.ts'

/** What all plugins of a list are called with; each has its own config. */
export type ListCall = Omit<PluginCall, 'config'>

export interface AddListOptions {
  /** Of what was called before the list. */
  readonly prevResult?: CniResult
  /** Milliseconds for each plugin's DEL when the ADD has failed. @default 30000 */
  readonly undoMs?: number
  /** The first plugin to be called; those before it stand. @default 0 */
  readonly from?: number
  /** False: nothing is undone here; the caller does {@link delList}. @default true */
  readonly undo?: boolean
}

/** One plugin's ADD failed. The code is that of the plugin. */
export class AddFailed extends CniError {
  /** What could not be undone: empty when nothing is left. */
  readonly leftovers: readonly CniError[]

  constructor(cause: CniError, message: string, leftovers: readonly CniError[]) {
    const undone = leftovers.map(({message}) => `not undone: ${message}`)
    const details = [...(cause.details === undefined ? [] : [cause.details]), ...undone].join('\n')
    super(cause.code, message, {number: cause.number, cause, ...(details !== '' && {details})})
    this.name = 'AddFailed'
    this.leftovers = leftovers
  }
}

/**
 * Each plugin gets the result of the one before; the result of the last one is that of the list. What a failure leaves is
 * undone first, from the failed plugin backwards, whether or not the call's time is over. Rejects with CniError.
 */
export async function addList(
  list: RunnableList,
  call: ListCall,
  find: FindPlugin,
  {prevResult, undoMs = 30_000, undo = true, from = 0}: AddListOptions = {},
): Promise<CniResult> {
  // Nothing is begun that cannot be ended.
  readConfig(list)
  let result = prevResult
  for (let index = from; index < list.plugins.length; index++) {
    try {
      result = await one(list, index, call, find, {prevResult: result}, (plugin, whole) => plugin.add(whole))
    } catch (error) {
      const failed = errorOf(error)
      // What is missing has not begun, and is missing for DEL as well.
      const last = failed instanceof ProgramMissing ? index - 1 : index
      const leftovers = undo ? await undoAdd(list, {from, last}, call, find, result, undoMs) : []
      throw new AddFailed(failed, describe(list, index, 'ADD', failed), leftovers)
    }
  }
  return result!
}

/**
 * `result`: of the ADD, which each plugin gets since 0.4.0; `from`: the first plugin, which is called last. Goes on past
 * errors. Rejects with one CniError of all.
 */
export async function delList(
  list: RunnableList,
  call: ListCall,
  find: FindPlugin,
  result: CniResult | undefined,
  from = 0,
): Promise<void> {
  throwAll(await delRange(list, {from, last: list.plugins.length - 1}, () => call, find, result))
}

/** `result`: of the ADD. Stops at the first plugin that finds something wrong. Rejects with CniError. */
export async function checkList(
  list: RunnableList,
  call: ListCall,
  find: FindPlugin,
  result: CniResult,
): Promise<void> {
  if (!isAtLeast(list.cniVersion, '0.4.0'))
    throw new CniError(
      'incompatibleVersion',
      `network ${quoted(list.name)} has cniVersion ${list.cniVersion}; CHECK needs 0.4.0 or newer`,
    )
  if (list.disableCheck) return
  for (const index of list.plugins.keys())
    await one(list, index, call, find, {prevResult: result}, (plugin, whole) => plugin.check(whole)).catch(error => {
      throw renamed(list, index, 'CHECK', errorOf(error))
    })
}

/** Which interface of which container stays, in the words of libcni. */
export interface ValidAttachment {
  readonly containerID: string
  readonly ifname: string
}

/** Goes on past errors. Nothing is done below 1.1.0, or where the list says so. Rejects with one CniError of all. */
export async function gcList(
  list: RunnableList,
  call: ListCall,
  find: FindPlugin,
  attachments: readonly ValidAttachment[],
): Promise<void> {
  if (!isAtLeast(list.cniVersion, '1.1.0') || list.disableGC) return
  // The specification's key, and what libcni called it at first.
  const keys = {'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments}
  const errors: CniError[] = []
  for (const index of list.plugins.keys())
    await one(list, index, call, find, {keys, capabilities: false}, async (plugin, whole) => plugin.gc?.(whole)).catch(
      error => errors.push(renamed(list, index, 'GC', errorOf(error))),
    )
  throwAll(errors)
}

/** Rejects with the CniError of the first plugin that cannot serve an ADD. Nothing is asked below 1.1.0. */
export async function statusList(list: RunnableList, call: ListCall, find: FindPlugin): Promise<void> {
  if (!isAtLeast(list.cniVersion, '1.1.0')) return
  for (const index of list.plugins.keys())
    await one(list, index, call, find, {capabilities: false}, async (plugin, whole) => plugin.status?.(whole)).catch(
      error => {
        throw renamed(list, index, 'STATUS', errorOf(error))
      },
    )
}

async function one<T>(
  list: RunnableList,
  index: number,
  call: ListCall,
  find: FindPlugin,
  injected: Parameters<typeof pluginConfig>[2],
  verb: (plugin: Plugin, call: PluginCall) => Promise<T>,
): Promise<T> {
  const whole = {...call, config: pluginConfig(list, index, injected)}
  return verb(find(whole.config, whole), whole)
}

/** Work that would go on behind the answer is waited for: the answer is an error, and says what is left. */
async function undoAdd(
  list: RunnableList,
  range: Range,
  call: ListCall,
  find: FindPlugin,
  result: CniResult | undefined,
  undoMs: number,
): Promise<CniError[]> {
  const behind: Promise<CniError | undefined>[] = []
  const later = (work: Promise<unknown>) => behind.push(work.then(() => undefined, errorOf))
  const errors = await delRange(
    list,
    range,
    () => ({...call, later, signal: AbortSignal.timeout(undoMs)}),
    find,
    result,
  )
  return [...errors, ...(await Promise.all(behind)).filter(error => error !== undefined)]
}

/** Indexes of plugins. */
interface Range {
  readonly from: number
  readonly last: number
}

/** From plugin `last` backwards: what went wrong. */
async function delRange(
  list: RunnableList,
  {from, last}: Range,
  call: () => ListCall,
  find: FindPlugin,
  result: CniResult | undefined,
): Promise<CniError[]> {
  const prevResult = isAtLeast(list.cniVersion, '0.4.0') ? result : undefined
  const errors: CniError[] = []
  for (let index = last; index >= from; index--)
    await one(list, index, call(), find, {prevResult}, (plugin, whole) => plugin.del(whole)).catch(error =>
      errors.push(renamed(list, index, 'DEL', errorOf(error))),
    )
  return errors
}

function throwAll(errors: readonly CniError[]): void {
  const [first] = errors
  if (!first) return
  if (errors.length === 1) throw first
  const details = errors.flatMap(({details}) => details ?? []).join('\n')
  const message = errors.map(({message}) => message).join('; ')
  throw new CniError(first.code, message, {number: first.number, cause: first, ...(details !== '' && {details})})
}

/** The same error, with the place of the plugin before its words. */
function renamed(list: RunnableList, index: number, verb: string, error: CniError): CniError {
  const {code, number, details} = error
  const options = {number, cause: error, ...(details !== undefined && {details})}
  return new CniError(code, describe(list, index, verb, error), options)
}

/** 'network "pod": ADD of plugins[1] ("portmap") failed: …'. */
const describe = ({name, plugins}: RunnableList, index: number, verb: string, {message}: CniError): string =>
  `network ${quoted(name)}: ${verb} of plugins[${index}] (${quoted(plugins[index]!.type)}) failed: ${message}`

const errorOf = (error: unknown): CniError =>
  error instanceof CniError
    ? error
    : new CniError('failed', error instanceof Error ? error.message : String(error), {cause: error})
