/**
 * What has been begun and must be undone one day: a file for each attachment, written before anything is done for it.
 *
 * A file has one JSON value a line. The first is the plan, with every byte that a DEL needs; a line for each further turn
 * of its life is appended: `{"added": …}` with the result, `{"updated": …, "result": …}` with the plan that takes the
 * place of the first one, `{"deleting": …}`. A file that has become long is written anew, without what has been replaced,
 * and goes once everything of the attachment has gone. A line that a kill has cut short was never acted upon.
 */
import {mkdir, readdir, readFile, rename, unlink} from 'node:fs/promises'
import {join} from 'node:path'
import type {DefinitionRef, Selection} from '../model/attachment.ts'
import {NetgraftError, quoted} from '../model/errors.ts'
import type {FileStep, Files} from '../model/files.ts'
import {createEntryIndex, type EntryIndex} from './entry-index.ts'
import {NewerState, JOURNAL_VERSION as VERSION, versionOf} from './journal-version.ts'
import {isRecord} from './record.ts'
import type {AttachmentKey, PodRef} from './request.ts'
import type {CniResult} from './result.ts'

const MODE = {folder: 0o700, file: 0o600} as const
const SUFFIX = '.json'
/** Of a file that is to take the place of another. */
const FRESH = `${SUFFIX}.new`
/** Bytes, and how many times what is needed. */
const LONG = {bytes: 64 * 1024, times: 4} as const

/** A list of plugins as it was configured, and what the runtime said for it. */
export interface PlannedList {
  readonly cniVersion: string
  readonly name: string
  readonly plugins: readonly {readonly type: string; readonly [key: string]: unknown}[]
  readonly runtimeConfig?: {readonly [key: string]: unknown}
}

export interface Plan extends AttachmentKey {
  /** Of the shim's run that asked for it. */
  readonly request: string
  readonly netns: string
  /** {@link Sandbox.id}, and the boot that it belongs to: numbers begin anew. */
  readonly sandbox: string
  readonly boot: string
  readonly args: string
  readonly path: readonly string[]
  readonly pod?: PodRef | undefined
  /** Of the runtime's config. */
  readonly network: string
  readonly list: PlannedList
  /** Of a further network of the pod: what asked for it. Absent: the pod's first interface. */
  readonly attachment?: PlannedAttachment
  /** Where the runtime's config says what tunnels of the pod's pairs start from. */
  readonly parent?: PlannedParent
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface PlannedParent {
  /** Of the host. */
  readonly interface?: string
  readonly address?: string
}

/** A further network of a pod, as it was asked for. What is asked for now is compared with this, not with what came of it. */
export interface PlannedAttachment {
  /**
   * pod: made within the pod's ADD, and nothing without it. annotation: on the running pod. request: another controller
   * asked for it, and is the one to end it.
   */
  readonly origin: 'pod' | 'annotation' | 'request'
  readonly selection: Selection
  readonly definition: DefinitionRef
  /** Of the definition: its config, parsed and written again. */
  readonly config: string
  /** Of the pod's allocated devices. */
  readonly device?: string
  /** The kubelet's device resource of which it is one. */
  readonly resource?: string
}

export interface Entry {
  readonly plan: Plan
  /** adding: nobody has been told of it yet. */
  readonly state: 'adding' | 'added' | 'deleting'
  /** Of `added`, and of what was added before it was deleted. */
  readonly result?: CniResult
}

/** Not the first interface of its pod. */
export const isFurther = ({attachment}: Plan): boolean => attachment !== undefined && !attachment.selection.primary

/** The further networks of a container. */
export const furtherOf = ({ofContainer}: EntryIndex, containerId: string): Entry[] =>
  ofContainer(containerId).filter(({plan}) => isFurther(plan))

export class JournalError extends NetgraftError {
  readonly code = 'EJOURNAL'
}

/** What is asked for one attachment comes one after the other. */
export interface Journal extends EntryIndex {
  readonly entries: ReadonlyMap<string, Entry>
  /** `durable`: also after a power failure. */
  begin(plan: Plan, durable: boolean): Promise<void>
  added(key: AttachmentKey, result: CniResult): Promise<void>
  /** It has been changed in place: this is what a DEL is to end from now on. */
  updated(plan: Plan, result: CniResult): Promise<void>
  deleting(key: AttachmentKey): Promise<void>
  /** Called after every change of an entry, and when it has gone. One listener. */
  onChange(listener: (key: string, entry: Entry | undefined) => void): void
  /** Nothing of the attachment is left. */
  end(key: AttachmentKey): Promise<void>
}

export const keyOf = ({containerId, ifname}: AttachmentKey): string => `${containerId}@${ifname}`

/**
 * Makes the folder if it is not there. `tell`: of files that are not read. Rejects with what the system says, and with
 * {@link NewerState}: a newer agent has written there, and nothing is changed.
 */
export async function openJournal(folder: string, files: Files, tell: (problem: string) => void): Promise<Journal> {
  await mkdir(folder, {recursive: true, mode: MODE.folder})
  const entries = new Map<string, Entry>()
  /** Bytes of whole lines that each file has. What stands behind them was cut short: the next line takes its place. */
  const whole = new Map<string, number>()
  const index = createEntryIndex()
  for (const {entry, bytes} of await readAll(folder, tell)) {
    entries.set(keyOf(entry.plan), entry)
    index.put(keyOf(entry.plan), entry)
    whole.set(keyOf(entry.plan), bytes)
  }
  let tellChange: Parameters<Journal['onChange']>[0] = () => {}
  const put = (key: string, entry: Entry): void => {
    entries.set(key, entry)
    index.put(key, entry)
    tellChange(key, entry)
  }
  const fileOf = (key: AttachmentKey) => join(folder, `${keyOf(key)}${SUFFIX}`)

  const append = async (key: AttachmentKey, line: object, next: (entry: Entry) => Entry): Promise<void> => {
    const known = entries.get(keyOf(key))
    const at = whole.get(keyOf(key))
    if (!known || at === undefined) throw new JournalError(`${keyOf(key)} is not in the journal`)
    const text = `${JSON.stringify(line)}\n`
    const path = fileOf(key)
    const [outcome] = await files.run([{do: 'write at', path, text, at}])
    if (outcome?.code) throw unwritten(path, outcome.code)
    whole.set(keyOf(key), at + Buffer.byteLength(text))
    put(keyOf(key), next(known))
  }

  /** Its updates would fill the disk, one day. */
  const rewrite = async (plan: Plan, result: CniResult, text: string): Promise<void> => {
    const path = fileOf(plan)
    const fresh = join(folder, `${keyOf(plan)}${FRESH}`)
    const [, made, synced] = await files.run([
      {do: 'unlink', path: fresh, mayFail: true},
      {do: 'create', path: fresh, text, mode: MODE.file},
      {do: 'sync', path: fresh},
    ])
    const code = made?.code ?? synced?.code
    if (code) throw unwritten(fresh, code)
    await rename(fresh, path).catch(error => {
      throw unwritten(path, error.message)
    })
    whole.set(keyOf(plan), Buffer.byteLength(text))
    put(keyOf(plan), {plan, state: 'added', result})
  }

  return {
    entries,
    ofContainer: index.ofContainer,
    ofPod: index.ofPod,
    begin: async (plan, durable) => {
      if (entries.has(keyOf(plan))) throw new JournalError(`${keyOf(plan)} is in the journal already; DEL comes first`)
      const path = fileOf(plan)
      const text = `${JSON.stringify({version: VERSION, ...plan})}\n`
      const kept: FileStep[] = durable ? [path, folder].map(each => ({do: 'sync', path: each})) : []
      const make = () => files.run([{do: 'create', path, text, mode: MODE.file}, ...kept])
      let outcomes = await make()
      if (outcomes[0]?.code === 'ENOENT') {
        // Somebody has removed the folder.
        await mkdir(folder, {recursive: true, mode: MODE.folder}).catch(error => {
          throw unwritten(path, error.message)
        })
        outcomes = await make()
      }
      const [made, ...synced] = outcomes
      if (made?.code === 'EEXIST')
        throw new JournalError(
          `${path} is there, but was not written by this agent, or not whole; look into it, and remove it`,
        )
      if (made?.code) throw unwritten(path, made.code)
      const unkept = synced.find(({code}) => code)
      if (unkept) {
        await files.run([{do: 'unlink', path}])
        throw unwritten(path, unkept.code!)
      }
      whole.set(keyOf(plan), Buffer.byteLength(text))
      put(keyOf(plan), {plan, state: 'adding'})
    },
    added: (key, result) => append(key, {added: result}, ({plan}) => ({plan, state: 'added', result})),
    updated: async (plan, result) => {
      const length = whole.get(keyOf(plan)) ?? 0
      if (length > LONG.bytes) {
        const text = `${JSON.stringify({version: VERSION, ...plan})}\n${JSON.stringify({added: result})}\n`
        if (length > LONG.times * Buffer.byteLength(text)) return rewrite(plan, result, text)
      }
      await append(plan, {updated: plan, result}, () => ({plan, state: 'added', result}))
    },
    onChange: listener => {
      tellChange = listener
    },
    deleting: key => append(key, {deleting: Date.now()}, entry => ({...entry, state: 'deleting'})),
    end: async key => {
      const path = fileOf(key)
      const [outcome] = await files.run([{do: 'unlink', path}])
      if (outcome?.code && outcome.code !== 'ENOENT')
        throw new JournalError(`${path} cannot be removed: ${outcome.code}`)
      entries.delete(keyOf(key))
      index.remove(keyOf(key))
      whole.delete(keyOf(key))
      tellChange(keyOf(key), undefined)
    },
  }
}

const unwritten = (path: string, why: string): JournalError =>
  new JournalError(`${path} cannot be written: ${why}; its file system needs looking after`)

/** `bytes`: of its whole lines. */
async function readAll(folder: string, tell: (problem: string) => void): Promise<{entry: Entry; bytes: number}[]> {
  const found: {entry: Entry; bytes: number}[] = []
  const leftovers: string[] = []
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    // Of a kill in between: the file whose place it was to take is whole.
    if (name.endsWith(FRESH)) leftovers.push(path)
    if (!name.endsWith(SUFFIX)) continue
    try {
      const content = await readFile(path)
      const version = versionOf(content.toString('latin1', 0, VERSION_BYTES)) ?? VERSION
      if (version > VERSION) throw new NewerState(path, version, VERSION)
      const bytes = content.lastIndexOf('\n') + 1
      if (bytes === 0 && isTorn(content)) {
        leftovers.push(path)
        continue
      }
      const entry = parse(content.toString('utf8', 0, bytes))
      if (`${keyOf(entry.plan)}${SUFFIX}` !== name)
        throw new JournalError('it is of another attachment than its name says')
      found.push({entry, bytes})
    } catch (error) {
      if (error instanceof NewerState) throw error
      tell(`${path} is left alone: ${(error as Error).message}`)
    }
  }
  // Only now: none is of a newer agent.
  for (const path of leftovers) await unlink(path).catch(() => {})
  return found
}

/** More than {@link OPENING}, whatever the number. */
const VERSION_BYTES = 32

/** Its first line was never whole: nothing was done for it. After a power failure, zeros can stand for what was written. */
function isTorn(content: Buffer): boolean {
  const length = Math.min(content.length, OPENING.length)
  return content.every(byte => byte === 0) || content.compare(OPENING, 0, length, 0, length) === 0
}

const OPENING = Buffer.from(`{"version":${VERSION},`)

/** Throws JournalError. */
export function parse(text: string): Entry {
  // What stands behind the last line's end was cut short.
  const [first = '', ...turns] = text.split('\n').slice(0, -1)
  const {version, ...plan} = readLine(first) as {version?: unknown} & Plan
  if (version !== VERSION)
    throw new JournalError(
      `its version is ${quoted(String(version))}, and this agent knows ${VERSION}; use a newer agent`,
    )
  if (!isPlan(plan)) throw new JournalError('its first line is no plan')
  let entry: Entry = {plan, state: 'adding'}
  for (const line of turns) {
    const turn = readLine(line) as {added?: unknown; updated?: unknown; result?: unknown; deleting?: unknown}
    if (isResult(turn.added)) entry = {...entry, state: 'added', result: turn.added}
    else if (isRecord(turn.updated) && isResult(turn.result)) {
      const updated = turn.updated as unknown as Plan
      if (!isPlan(updated)) throw new JournalError('a line of it is no plan')
      entry = {plan: updated, state: 'added', result: turn.result}
    } else if (turn.deleting !== undefined) entry = {...entry, state: 'deleting'}
  }
  return entry
}

function readLine(line: string): unknown {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null) return value
  } catch {}
  throw new JournalError(`it has a line that is no JSON object: ${quoted(line)}`)
}

const isPlan = (plan: Plan): boolean =>
  [plan.request, plan.containerId, plan.ifname, plan.netns, plan.sandbox, plan.boot, plan.args, plan.network].every(
    value => typeof value === 'string',
  ) &&
  typeof plan.at === 'number' &&
  Array.isArray(plan.path) &&
  Array.isArray(plan.list?.plugins) &&
  plan.list.plugins.every(isRecord)

const isResult = (result: unknown): result is CniResult =>
  isRecord(result) && Array.isArray(result.interfaces) && Array.isArray(result.ips) && Array.isArray(result.routes)
