/** The shim's own executable, and a stand-in for the agent on the other end of its socket. */
import {spawn} from 'node:child_process'
import {chmod, mkdtemp, rm} from 'node:fs/promises'
import {createServer, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {ExecutionContext} from 'ava'
import {ACKNOWLEDGED, encodeAnswer, RequestReader, type ShimRequest} from '../../src/cni/protocol.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** Waits for an agent that is away, short enough for a test. Milliseconds. The other waits stay: a busy machine needs them. */
export const QUICK = {
  ADD_WAIT_MS: 60,
  CHECK_WAIT_MS: 60,
  DEL_WAIT_MS: 60,
  GC_WAIT_MS: 60,
  STATUS_WAIT_MS: 60,
  RETRY_MS: 5,
}

/** A folder that everybody may look into. */
export async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ng-shim-'))
  await chmod(path, 0o755)
  return path
}

/** One that is removed when the test ends. */
export async function temporary(t: ExecutionContext): Promise<string> {
  const path = await folder()
  t.teardown(() => rm(path, {recursive: true, force: true, maxRetries: 5}))
  return path
}

export interface BuildOptions {
  readonly waits?: Partial<typeof QUICK> & {readonly ANSWER_WAIT_MS?: number; readonly STDIN_WAIT_MS?: number}
  readonly flags?: readonly string[]
  /** Dynamic, with the system's C library: what sanitizers and preloaded libraries need. */
  readonly dynamic?: boolean
}

/** Compiles into `out`, without a warning. Nothing is looked for in the folders of a real agent. */
export async function buildShim(out: string, {waits = {}, flags = [], dynamic = false}: BuildOptions = {}) {
  const defines = [
    ...Object.entries(waits).map(([name, value]) => `-D${name}=${value}`),
    `-DDEFAULT_SOCKET="${out}.sock"`,
    `-DDEFAULT_SPOOL="${out}.spool"`,
  ]
  const env = {PATH: process.env.PATH ?? '', ...(dynamic && {CC: 'cc', LINK: ''})}
  const built = await run(join(ROOT, 'scripts', 'build-shim'), {args: [out, '-Werror', ...defines, ...flags], env})
  if (built.status !== 0) throw new Error(built.stderr)
  return out
}

export interface RunOptions {
  readonly args?: readonly string[]
  /** All of it. */
  readonly env?: Readonly<Record<string, string>>
  /** 'open': nobody writes and nobody closes. */
  readonly input?: string | Buffer | 'open'
  /** Of the user, and of its group. */
  readonly uid?: number
}

export interface Ran {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

export function run(program: string, {args = [], env = {}, input = '', uid}: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {env, ...(uid !== undefined && {uid, gid: uid})})
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.on('error', reject)
    child.stdout.on('data', chunk => out.push(chunk))
    child.stderr.on('data', chunk => err.push(chunk))
    // It may end without having read.
    child.stdin.on('error', () => {})
    if (input !== 'open') child.stdin.end(input)
    child.on('close', (status, signal) => {
      child.stdin.destroy()
      resolve({status, signal, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString()})
    })
  })
}

export interface CniFailure {
  readonly cniVersion: string
  readonly code: number
  readonly msg: string
  readonly details?: string
}

/** What the shim printed, which must be an error in CNI's form. */
export function failure(t: ExecutionContext, {status, signal, stdout, stderr}: Ran): CniFailure {
  t.deepEqual({status, signal, stderr}, {status: 1, signal: null, stderr: ''})
  t.true(new TextDecoder('utf-8', {fatal: true}).decode(stdout).endsWith('}\n'))
  const error = JSON.parse(stdout.toString()) as CniFailure
  t.is(typeof error.msg, 'string')
  t.true(Number.isInteger(error.code) && error.code > 0)
  return error
}

/** Answers a request, or does something else to its connection; `nth` counts from 0. */
export type Reply = (request: ShimRequest, socket: Socket, nth: number) => Buffer | undefined

export interface FakeAgent {
  readonly path: string
  readonly requests: ShimRequest[]
  /** What was wrong with what was no request. */
  readonly refusals: string[]
  /** Resolves when every connection has ended: how many answers the shim says that it has printed. */
  heard(): Promise<number>
  /** Lets its connections die with it. */
  close(): Promise<void>
}

/** Listens until the test ends. */
export async function fakeAgent(t: ExecutionContext, path: string, reply: Reply = () => ok('{}')): Promise<FakeAgent> {
  const requests: ShimRequest[] = []
  const refusals: string[] = []
  const ended: Promise<number>[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    const reader = new RequestReader()
    let acknowledged = 0
    let answered = false
    sockets.add(socket)
    socket.on('error', () => {})
    ended.push(new Promise(resolve => socket.on('close', () => resolve(acknowledged))))
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', chunk => {
      if (answered) {
        acknowledged += chunk.equals(Buffer.from([ACKNOWLEDGED])) ? 1 : Number.NaN
        return
      }
      let request: ShimRequest | undefined
      try {
        request = reader.push(chunk)
      } catch (error) {
        answered = true
        refusals.push((error as Error).message)
        socket.write(encodeAnswer({status: 1, stdout: Buffer.from('{"code":6,"msg":"refused"}')}))
      }
      if (!request) return
      answered = true
      requests.push(request)
      const answer = reply(request, socket, requests.length - 1)
      if (answer) socket.write(answer)
    })
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen({path, backlog: 512}, resolve))
  const close = () =>
    new Promise<void>(resolve => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  t.teardown(close)
  return {
    path,
    requests,
    refusals,
    heard: async () => (await Promise.all(ended)).reduce((sum, each) => sum + each, 0),
    close,
  }
}

export const ok = (stdout: string | Buffer): Buffer => encodeAnswer({status: 0, stdout: Buffer.from(stdout)})

/** Calls it for every item, a few at a time. */
export async function each<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values()
  const worker = async () => {
    for (const item of rest) await work(item)
  }
  await Promise.all(Array.from({length: atOnce}, worker))
}
