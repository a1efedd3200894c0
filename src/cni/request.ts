/** A CNI call as the runtime made it: its variables checked one by one, before anything is done. CNI spec 1.1.0, section 2. */
import {InvalidInput, quoted} from '../model/errors.ts'
import {ifnameFault} from '../model/ifname.ts'
import {CniError} from './error.ts'
import type {ShimRequest} from './protocol.ts'

export const COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const
export type Command = (typeof COMMANDS)[number]

/** What Kubernetes' runtimes say of the pod in CNI_ARGS. Other runtimes leave some of it away. */
export interface PodRef {
  readonly namespace: string
  readonly name: string
  readonly uid?: string
}

/** Which interface of which container: what an attachment is known by. */
export interface AttachmentKey {
  /** CNI_CONTAINERID: with Kubernetes, the sandbox's id. */
  readonly containerId: string
  /** CNI_IFNAME. */
  readonly ifname: string
}

/** Variables that a command does not have are empty. */
export interface CniRequest extends AttachmentKey {
  /** Of the shim's run: the same when it asks again. */
  readonly id: string
  readonly command: Command
  /** CNI_NETNS. */
  readonly netns: string
  /** CNI_ARGS, as it is. */
  readonly args: string
  readonly pod: PodRef | undefined
  /** CNI_PATH. */
  readonly path: readonly string[]
  /** Standard input, not parsed yet. */
  readonly stdin: string
}

/** Which variables each command must have; the specification's table, section 2. */
const NEEDS: Readonly<Record<Command, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  GC: [],
  STATUS: [],
  VERSION: [],
}

/** The journal has a file for each: its name must fit. */
const CONTAINER_ID_MAX = 200
const PATH_MAX = 4096
/** Folders of plugins. */
const FOLDERS_MAX = 64

/** Throws {@link CniError}. */
export function decodeCall({id, env, stdin}: ShimRequest): CniRequest {
  const command = env.get('CNI_COMMAND') ?? ''
  if (!isCommand(command))
    throw refuse(
      `CNI_COMMAND is ${command === '' ? 'not set' : quoted(command)}; it must be one of ${COMMANDS.join(', ')}`,
    )
  for (const name of NEEDS[command]) if (!env.get(name)) throw refuse(`${name} is not set; ${command} needs it`)
  const has = (name: string) => NEEDS[command].includes(name) || command === 'DEL'
  const value = (name: string, check: (text: string) => string | undefined): string => {
    const text = has(name) ? (env.get(name) ?? '') : ''
    const fault = text === '' ? undefined : check(text)
    if (fault !== undefined) throw refuse(`${name} ${quoted(text)} ${fault}`)
    return text
  }
  const args = has('CNI_CONTAINERID') ? (env.get('CNI_ARGS') ?? '') : ''
  return {
    id,
    command,
    containerId: value('CNI_CONTAINERID', containerIdFault),
    netns: value('CNI_NETNS', pathFault),
    ifname: value('CNI_IFNAME', ifnameFault),
    args,
    pod: podOf(parseArgs(args)),
    path: command === 'VERSION' ? [] : folders(env.get('CNI_PATH') ?? ''),
    stdin: text(stdin),
  }
}

const isCommand = (text: string): text is Command => (COMMANDS as readonly string[]).includes(text)

const refuse = (message: string): CniError => new CniError('invalidEnvironment', message)

function text(stdin: Buffer): string {
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(stdin)
  } catch (cause) {
    throw new CniError('undecodable', 'the config on standard input is not UTF-8 text', {cause})
  }
}

/** Undefined: it may be one. CNI spec, section 2: CNI_CONTAINERID. */
export const containerIdFault = (id: string): string | undefined =>
  id.length > CONTAINER_ID_MAX
    ? `has more than ${CONTAINER_ID_MAX} characters`
    : /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(id)
      ? undefined
      : 'is no container id; letters, digits, dots, dashes and underscores are allowed, the first one a letter or digit'

const pathFault = (path: string): string | undefined =>
  !path.startsWith('/')
    ? 'is not an absolute path'
    : path.length > PATH_MAX
      ? `has more than ${PATH_MAX} characters`
      : undefined

function folders(list: string): string[] {
  const found = list.split(':').filter(folder => folder !== '')
  const stray = found.find(folder => !folder.startsWith('/'))
  if (stray !== undefined) throw refuse(`CNI_PATH has ${quoted(stray)}, which is not an absolute path`)
  if (found.length > FOLDERS_MAX) throw refuse(`CNI_PATH has ${found.length} folders; ${FOLDERS_MAX} are the most`)
  return found
}

/** "K=V;K=V". Throws {@link CniError}. */
export function parseArgs(text: string): ReadonlyMap<string, string> {
  const args = new Map<string, string>()
  for (const pair of text.split(';')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    if (at <= 0) throw refuse(`CNI_ARGS has ${quoted(pair)}, which is not KEY=VALUE`)
    args.set(pair.slice(0, at), pair.slice(at + 1))
  }
  return args
}

/** Wider than what Kubernetes allows: other runtimes name their containers here, too. */
const POD_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}$/
const POD_UID = /^[a-zA-Z0-9][a-zA-Z0-9-]{0,63}$/

function podOf(args: ReadonlyMap<string, string>): PodRef | undefined {
  const value = (name: string, form: RegExp): string => {
    const given = args.get(name) ?? ''
    if (given !== '' && !form.test(given)) throw refuse(`CNI_ARGS: ${name} ${quoted(given)} cannot be that of a pod`)
    return given
  }
  const namespace = value('K8S_POD_NAMESPACE', POD_NAME)
  const name = value('K8S_POD_NAME', POD_NAME)
  const uid = value('K8S_POD_UID', POD_UID)
  const infra = args.get('K8S_POD_INFRA_CONTAINER_ID')
  const fault = infra ? containerIdFault(infra) : undefined
  if (fault !== undefined) throw refuse(`CNI_ARGS: K8S_POD_INFRA_CONTAINER_ID ${quoted(infra!)} ${fault}`)
  return namespace === '' || name === '' ? undefined : {namespace, name, ...(uid !== '' && {uid})}
}

/** What went wrong, as the runtime is to hear it. */
export function asCniError(error: unknown): CniError {
  if (error instanceof CniError) return error
  if (error instanceof InvalidInput) return new CniError('invalidEnvironment', error.message, {cause: error})
  const {name, message} = error instanceof Error ? error : new Error(String(error))
  // AbortSignal.timeout's.
  if (name === 'TimeoutError')
    return new CniError('tryAgainLater', 'it took longer than cni.deadlineSeconds; the runtime tries again', {
      cause: error,
    })
  return new CniError('failed', message.replaceAll(/\s*\n\s*/g, ' '), {cause: error})
}
