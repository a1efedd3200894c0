/** Plugins that are programs in the folders of CNI_PATH. CNI spec 1.1.0, section 4 ("Plugin Delegation") and section 2. */
import {stat} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {setTimeout as sleep} from 'node:timers/promises'
import {quoted} from '../model/errors.ts'
import {typeOf} from './config.ts'
import {CniError} from './error.ts'
import {findProgram, noting, type Program} from './find-program.ts'
import {STARTED_BY_US} from './orphans.ts'
import type {FindPlugin, PluginCall, PluginConfig} from './plugin.ts'
import {resultOf, successOf, versionsOf} from './program-answer.ts'
import type {CniResult} from './result.ts'
import {type ProgramEnd, type ProgramLimits, runProgram} from './run-program.ts'
import {createSlots} from './slots.ts'
import {convertResult, isAtLeast, VERSIONS} from './versions.ts'

export interface ExecOptions {
  /** PATH of the programs: where they find `iptables` and the like. */
  readonly searchPath: string
  /** Milliseconds that one run may take. The call's signal may end it before. */
  readonly timeoutMs: number
  /** Run programs of the host, where its files and sockets are, not of the agent's container: {@link hostMountNeeded}. */
  readonly hostMount?: boolean
  /** The host's files cannot be seen at all: {@link hostMountHidden}. */
  readonly hostHidden?: boolean
  /** Whose mount namespace that is. @default '/proc/1' */
  readonly host?: string
  /** Bytes of standard output. @default 1048576 */
  readonly maxOutputBytes?: number
  /** Programs that run at once; others wait. @default 16 */
  readonly maxConcurrent?: number
  /** Milliseconds between SIGTERM and SIGKILL. @default 1000 */
  readonly graceMs?: number
  /** For standard input: a file that never has a name, or had one for an instant. @default os.tmpdir() */
  readonly folder?: string
}

type Command = 'ADD' | 'CHECK' | 'DEL' | 'GC' | 'STATUS' | 'VERSION'

/** Bytes of standard error that are kept for people. */
const ERROR_BYTES = 64 * 1024
/** A program that is being replaced in place cannot be run: ETXTBSY. Tries, and milliseconds between them. */
const BUSY = {tries: 5, waitMs: 200} as const
/** Programs whose versions are remembered. */
const KNOWN_MAX = 100

/**
 * Looks for the program at each call. One that does not speak the config's version is called in the newest that it does.
 * A type that is no plain file name is refused at once.
 */
export function execPlugin(options: ExecOptions): FindPlugin {
  const {searchPath, hostMount = false, host = '/proc/1'} = options
  const limits: ProgramLimits = {
    timeoutMs: options.timeoutMs,
    outputBytes: options.maxOutputBytes ?? 1 << 20,
    errorBytes: ERROR_BYTES,
    graceMs: options.graceMs ?? 1000,
    folder: options.folder ?? tmpdir(),
  }
  const slots = createSlots(options.maxConcurrent ?? 16)
  const known = new Map<string, {readonly program: string; readonly versions: readonly string[]}>()

  const find = (type: string, call: PluginCall): Promise<Program> => {
    const found = findProgram(type, call.path, hostMount ? `${host}/root` : undefined)
    return options.hostHidden ? found.catch(noting(HIDDEN)) : found
  }

  /** Standard output of a success. */
  const exec = async (command: Command, {path}: Program, call: PluginCall, config: object): Promise<string> => {
    const env = {...environment(command, call), PATH: searchPath}
    // The agent's own: once it runs it is in the host's mount namespace, and looks for the program there.
    const [file, args] = hostMount ? ['nsenter', [`--mount=${host}/ns/mnt`, '--', path]] : [path, []]
    const stdin = JSON.stringify(config)
    const run = () => runProgram({file, args, env, stdin, limits, signal: call.signal})
    const end = await slots(call.signal, () => whenNotBusy(run, call.signal)).catch(error => {
      throw call.signal.aborted ? overtime(path) : notRun(error, path)
    })
    return successOf(end, path, limits)
  }

  const ask = async (program: Program, call: PluginCall): Promise<readonly string[]> => {
    const before = known.get(program.path)
    if (before?.program === program.version) return before.versions
    const config = {cniVersion: VERSIONS.at(-1)!}
    // One that does not know the verb is older than any version that we speak.
    const versions = await exec('VERSION', program, call, config).then(versionsOf, () => [])
    if (known.size >= KNOWN_MAX) known.clear()
    if (versions.length > 0) known.set(program.path, {program: program.version, versions})
    return versions
  }

  /** In the config's version, or in another one when the program has none of that. */
  const inItsVersion = async <T>(
    program: Program,
    call: PluginCall,
    run: (config: PluginConfig) => Promise<T>,
  ): Promise<T> => {
    const spoken = known.get(program.path)
    if (spoken?.program === program.version) return run(inVersion(call.config, spoken.versions))
    try {
      return await run(call.config)
    } catch (error) {
      if (!(error instanceof CniError) || error.code !== 'incompatibleVersion') throw error
      const config = inVersion(call.config, await ask(program, call))
      if (config === call.config) throw error
      return run(config)
    }
  }

  const verb = async (command: 'CHECK' | 'DEL', type: string, call: PluginCall): Promise<void> => {
    const program = await find(type, call)
    await inItsVersion(program, call, async config => {
      if (command === 'CHECK' && !isAtLeast(config.cniVersion, '0.4.0')) return
      await exec(command, program, call, config)
    })
  }

  /** What came with 1.1.0 is asked only of programs that say they speak that. */
  const newVerb = async (command: 'GC' | 'STATUS', type: string, call: PluginCall): Promise<void> => {
    const program = await find(type, call)
    const versions = await ask(program, call)
    if (versions.includes('1.1.0')) await exec(command, program, call, call.config)
  }

  const add = async (type: string, call: PluginCall): Promise<CniResult> => {
    const program = await find(type, call)
    return inItsVersion(program, call, async config =>
      resultOf(await exec('ADD', program, call, config), program.path, config.cniVersion),
    )
  }

  return ({type: written}) => {
    const type = typeOf(written, 'type')
    return {
      present: async call => void (await find(type, call)),
      add: call => add(type, call),
      check: call => verb('CHECK', type, call),
      del: call => verb('DEL', type, call),
      gc: call => newVerb('GC', type, call),
      status: call => newVerb('STATUS', type, call),
    }
  }
}

/** Whether the agent is in another mount namespace than the host's programs: where that cannot be seen, it is not. */
export async function hostMountNeeded(host = '/proc/1'): Promise<boolean> {
  const [own, other] = await Promise.all(
    ['/proc/self', host].map(process => stat(`${process}/ns/mnt`).catch(() => undefined)),
  )
  return own !== undefined && other !== undefined && !(own.dev === other.dev && own.ino === other.ino)
}

/** Whether it cannot be told: to look at a process that may do more than we takes CAP_SYS_PTRACE, and that no profile forbids it. */
export const hostMountHidden = (host = '/proc/1'): Promise<boolean> =>
  stat(`${host}/ns/mnt`).then(
    () => false,
    ({code}: NodeJS.ErrnoException) => code === 'EACCES' || code === 'EPERM',
  )

const HIDDEN =
  "only the agent's own files are seen, not the host's: that takes CAP_SYS_PTRACE, and AppArmor or SELinux to allow it"

/** As libcni sets it: a variable that a verb does not have is empty. */
const environment = (command: Command, {containerId, netns, ifname, args, path}: PluginCall) => ({
  CNI_COMMAND: command,
  CNI_CONTAINERID: containerId,
  CNI_NETNS: netns,
  CNI_IFNAME: ifname,
  CNI_ARGS: args,
  CNI_PATH: path.join(':'),
  ...STARTED_BY_US,
})

/** The config itself when the versions have its own, or none that we speak. */
function inVersion(config: PluginConfig, versions: readonly string[]): PluginConfig {
  const {cniVersion, prevResult} = config
  const common = VERSIONS.filter(version => versions.includes(version))
  if (common.includes(cniVersion as (typeof VERSIONS)[number])) return config
  const best = common.findLast(version => !isAtLeast(version, cniVersion as (typeof VERSIONS)[number])) ?? common[0]
  if (!best) return config
  return {
    ...config,
    cniVersion: best,
    ...(prevResult !== undefined && {prevResult: convertResult(prevResult, cniVersion, best)}),
  }
}

async function whenNotBusy(run: () => Promise<ProgramEnd>, signal: AbortSignal): Promise<ProgramEnd> {
  for (let tried = 1; ; tried++) {
    try {
      return await run()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ETXTBSY' || tried === BUSY.tries) throw error
      await sleep(BUSY.waitMs, undefined, {signal})
    }
  }
}

/** What spawn(2) says, for people. */
const REASONS: Readonly<Record<string, string>> = {
  ETXTBSY: 'it is being written; replace programs by renaming the new one over the old one',
  ENOENT: 'it has gone, or the interpreter that it needs is not there',
  EACCES: 'it may not be executed: look at its mode, its interpreter and the mount option noexec',
  E2BIG: 'its environment is too long: CNI_ARGS or CNI_PATH',
  ENOMEM: 'there is not enough memory',
  EAGAIN: 'there are too many processes',
  EMFILE: 'the agent has too many open files',
  ENOSPC: 'there is no room for its standard input',
}

function notRun(error: NodeJS.ErrnoException, path: string): CniError {
  const why = REASONS[error.code ?? ''] ?? error.message
  return new CniError('delegateFailed', `${quoted(path)} cannot be run: ${why}`, {cause: error})
}

const overtime = (path: string): CniError =>
  new CniError('delegateFailed', `${quoted(path)} was not run: the time for the whole request is over`)
