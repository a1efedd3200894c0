/** Runs a program to its end, however it behaves: bounded in time and output, and nothing of it stays when it fails. */
import {type ChildProcess, spawn} from 'node:child_process'
import {constants, existsSync} from 'node:fs'
import {type FileHandle, open, unlink} from 'node:fs/promises'
import {join} from 'node:path'
import type {Readable} from 'node:stream'
import {setTimeout as sleep} from 'node:timers/promises'

export interface ProgramRun {
  /** Absolute. */
  readonly file: string
  readonly args?: readonly string[]
  /** The whole of it. */
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string
  readonly limits: ProgramLimits
  /** Stops it like its deadline. */
  readonly signal: AbortSignal
}

export interface ProgramLimits {
  /** Milliseconds from start to end. */
  readonly timeoutMs: number
  /** Bytes of standard output; more stops the program. */
  readonly outputBytes: number
  /** Bytes of standard error that are kept; more is read and thrown away. */
  readonly errorBytes: number
  /** Milliseconds between SIGTERM and SIGKILL. */
  readonly graceMs: number
  /** For standard input, which is a file without a name. */
  readonly folder: string
}

export interface ProgramEnd {
  /** Why it did not end by itself. */
  readonly stopped?: 'timeout' | 'aborted' | 'output'
  /** Exit status; null when a signal has ended it. */
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Milliseconds for what a program has left in its pipes, when others still hold them. */
const LINGER_MS = 1000
/** Milliseconds for a process to end that has been killed: one that hangs in the kernel is waited for no longer. */
const KILLED_MS = 5000

/**
 * The program leads a process group of its own. When it fails or is stopped, the whole group is killed; what it leaves
 * running after a success stays. Rejects with what spawn(2) says.
 */
export async function runProgram(run: ProgramRun): Promise<ProgramEnd> {
  if (run.signal.aborted) return {stopped: 'aborted', status: null, signal: null, stdout: '', stderr: ''}
  // A file, not the socket that Node would make: scripts open /dev/stdin, and one that reads nothing blocks nobody.
  const input = await nameless(run.limits.folder)
  try {
    const bytes = Buffer.from(run.stdin)
    // The program shares the offset, which positioned writes leave at the beginning.
    for (let at = 0; at < bytes.length; ) at += (await input.write(bytes, at, bytes.length - at, at)).bytesWritten
    return await runWith(run, input.fd)
  } finally {
    await input.close()
  }
}

async function runWith({file, args = [], env, limits, signal}: ProgramRun, stdin: number): Promise<ProgramEnd> {
  const child = spawn(file, args, {env, cwd: '/', detached: true, stdio: [stdin, 'pipe', 'pipe']})
  // Listeners come before anything is waited for: it may end, and its output be thrown away, at the next turn.
  const begun = new Promise<void>((resolve, reject) => child.once('spawn', resolve).on('error', reject))
  const stopping = Promise.withResolvers<void>()
  let stopped: ProgramEnd['stopped']
  const stop = (why: NonNullable<ProgramEnd['stopped']>) => {
    stopped ??= why
    stopping.resolve()
  }
  const stdout = collect(child.stdout, limits.outputBytes, () => stop('output'))
  const stderr = collect(child.stderr, limits.errorBytes, () => {})
  const exited = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
  const abort = () => stop('aborted')
  signal.addEventListener('abort', abort, {once: true})
  if (signal.aborted) abort()
  const timer = setTimeout(() => stop('timeout'), limits.timeoutMs)
  try {
    await begun
    await Promise.race([exited, stopping.promise])
    // Output is read to its end, unless somebody else keeps the pipes open.
    if (!stopped) await Promise.race([closed, stopping.promise, unref(LINGER_MS)])
    if (stopped || child.exitCode !== 0) await killGroup(child, exited, limits.graceMs)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    child.stdout?.destroy()
    child.stderr?.destroy()
    child.unref()
  }
  const end = {status: child.exitCode, signal: child.signalCode, stdout: stdout(), stderr: stderr()}
  return stopped ? {...end, stopped} : end
}

/** O_TMPFILE, linux/fcntl.h: without the bit of O_DIRECTORY, which differs between architectures. */
const TMPFILE = 0o20000000

async function nameless(folder: string): Promise<FileHandle> {
  const flags = TMPFILE | constants.O_DIRECTORY | constants.O_RDWR
  return open(folder, flags, 0o600).catch(async () => {
    // Not every file system has them.
    const path = join(folder, `netgraft-stdin-${crypto.randomUUID()}`)
    const file = await open(path, 'wx+', 0o600)
    await unlink(path)
    return file
  })
}

/** Keeps the first `limit` bytes; `more` is called when there are more. */
function collect(stream: Readable | null, limit: number, more: () => void): () => string {
  const chunks: Buffer[] = []
  let size = 0
  // There is none where there are too many open files, whatever the types say of null and undefined.
  stream?.on('data', (chunk: Buffer) => {
    if (size < limit) chunks.push(chunk.subarray(0, limit - size))
    size += chunk.length
    if (size > limit) more()
  })
  // A read error ends the stream like its end.
  stream?.on('error', () => {})
  return () => Buffer.concat(chunks).toString()
}

/** Resolves when the leader has ended, and the others cannot go on. */
async function killGroup(child: ChildProcess, exited: Promise<void>, graceMs: number): Promise<void> {
  const group = child.pid!
  if (hasEnded(child)) return killRest(group)
  signalGroup(group, 'SIGTERM')
  await Promise.race([exited, unref(graceMs)])
  if (hasEnded(child)) return killRest(group)
  signalGroup(group, 'SIGKILL')
  await Promise.race([exited, unref(KILLED_MS)])
}

const hasEnded = ({exitCode, signalCode}: ChildProcess): boolean => exitCode !== null || signalCode !== null

/**
 * The leader has been waited for. As long as its group has members, the number is given to no new process; if there is
 * one of that number, the group is empty and the number is somebody else's.
 */
function killRest(group: number): void {
  if (!existsSync(`/proc/${group}`)) signalGroup(group, 'SIGKILL')
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const unref = (ms: number): Promise<void> => sleep(ms, undefined, {ref: false})
