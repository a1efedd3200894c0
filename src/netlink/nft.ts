/** The `nft` program as a port. It is started for each question and each transaction: about 10 ms. */
import {type ChildProcessByStdio, spawn} from 'node:child_process'
import {randomUUID} from 'node:crypto'
import {constants} from 'node:fs'
import {type FileHandle, open, unlink} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Readable} from 'node:stream'
import {quoted} from '../model/errors.ts'
import {type Nft, NftError} from '../model/nft.ts'

export interface NftOptions {
  /** An absolute path. @default "/usr/sbin/nft" */
  readonly program?: string
  /** Folders to look for `nft` in where that program is not there, as in PATH. @default none */
  readonly path?: string | undefined
  /** A path ("/run/netns/x", "/proc/1/ns/net"): it is entered with nsenter(1). @default the process's own namespace */
  readonly netns?: string | undefined
  /** Where commands pass through a file that has no name any more when nft reads it. @default os.tmpdir() */
  readonly folder?: string
  /** Milliseconds that a call may take. @default 10000 */
  readonly timeoutMs?: number
  /** Bytes that it may print. @default 64 MiB */
  readonly outputLimit?: number
}

export interface NftProgram extends Nft {
  /** Whether one of the last calls had this netlink port: changes that carry it are its own. */
  wrote(port: number): boolean
}

const OUTPUT_LIMIT = 64 << 20
const ERRORS_LIMIT = 4096
/** Calls whose changes may still be on their way to a monitor. */
const RECENT = 16

export function nftProgram(options: NftOptions = {}): NftProgram {
  const {program = '/usr/sbin/nft', path, folder = tmpdir()} = options
  const recent: number[] = []
  const onPid = (pid: number) => {
    recent.push(pid)
    if (recent.length > RECENT) recent.shift()
  }
  const run = async (args: readonly string[], input?: FileHandle): Promise<Output> => {
    try {
      return await start(program, args, input, options, onPid)
    } catch (error) {
      if (!path || !(error instanceof NftError && error.trouble === 'missing')) throw error
      return await start('nft', args, input, options, onPid)
    }
  }

  return {
    // A netlink socket that is bound to no port gets the number of its process.
    wrote: port => recent.includes(port),
    list: async table => {
      const listed = await run(['-j', 'list', 'table', 'inet', table])
      const objects = listed.status === 0 ? objectsOf(listed.text) : undefined
      if (objects) return objects
      const tables = await run(['-j', 'list', 'tables', 'inet'])
      if (tables.status !== 0)
        throw new NftError(
          'unsupported',
          `nft cannot read the kernel's tables (${tables.errors}): does this kernel have nf_tables, and the agent CAP_NET_ADMIN?`,
        )
      if (listed.status !== 0 && objectsOf(tables.text)?.every(object => nameOf(object) !== table)) return undefined
      const why = listed.status === 0 ? `it printed ${quoted(listed.text)}, which is no listing` : listed.errors
      // Version 1.0.6 prints whatever is in its memory for the flags of a table.
      throw new NftError('unreadable', `nft cannot read table inet ${table}: ${why}`)
    },
    apply: async commands => {
      const input = await unnamed(folder, JSON.stringify({nftables: commands}))
      try {
        const {status, errors} = await run(['-j', '-f', '-'], input)
        if (status !== 0) throw new NftError('refused', `nft refused a change: ${errors}`)
      } finally {
        await input.close()
      }
    },
  }
}

interface Output {
  readonly status: number
  readonly text: string
  /** The first line of what it complained of, quoted. */
  readonly errors: string
}

function start(
  program: string,
  args: readonly string[],
  input: FileHandle | undefined,
  {path = '', netns, timeoutMs = 10_000, outputLimit = OUTPUT_LIMIT}: NftOptions,
  onPid: (pid: number) => void,
): Promise<Output> {
  const [file, argv] =
    netns === undefined ? [program, args] : ['/usr/bin/nsenter', [`--net=${netns}`, program, ...args]]
  return new Promise((resolve, reject) => {
    const stdio = [input?.fd ?? 'ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe']
    let child: ChildProcessByStdio<null, Readable, Readable>
    try {
      child = spawn(file, argv, {env: {PATH: path, LC_ALL: 'C'}, stdio})
    } catch (cause) {
      // Some errors are thrown, others emitted.
      return reject(missing(file, cause as NodeJS.ErrnoException))
    }
    if (child.pid !== undefined) onPid(child.pid)
    const text: Buffer[] = []
    let [size, errors] = [0, '']
    const cutOff = (error: NftError) => {
      child.kill('SIGKILL')
      // Whoever else holds its output may hold it for ever.
      for (const stream of child.stdio) stream?.destroy()
      reject(error)
    }
    const timer = setTimeout(
      () => cutOff(new NftError('timeout', `nft ${args.join(' ')} did not end in ${timeoutMs} ms and was killed`)),
      timeoutMs,
    )
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > outputLimit)
        cutOff(new NftError('refused', `nft ${args.join(' ')} printed more than ${outputLimit} bytes`))
      else text.push(chunk)
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      if (errors.length < ERRORS_LIMIT) errors += chunk
    })
    child.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      reject(missing(file, cause))
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      // nsenter's own word for a program that is not there.
      if (netns !== undefined && code === NOT_FOUND) return reject(missing(program))
      const said = errors.trim().split('\n')[0] || (signal ? `killed by ${signal}` : `exit status ${code}`)
      resolve({status: code ?? -1, text: Buffer.concat(text).toString(), errors: quoted(said)})
    })
  })
}

const NOT_FOUND = 127

/** O_TMPFILE, linux/fcntl.h: without the bit of O_DIRECTORY, which differs between architectures. */
const TMPFILE = 0o20000000

/** nft opens its standard input by name (/dev/stdin), which the socket pair that Node makes for a pipe does not allow. */
async function unnamed(folder: string, text: string): Promise<FileHandle> {
  let file: FileHandle | undefined
  try {
    file = await open(folder, TMPFILE | constants.O_DIRECTORY | constants.O_RDWR, 0o600).catch(async () => {
      // Not every file system has them.
      const path = join(folder, `netgraft-nft-${randomUUID()}`)
      const named = await open(path, 'wx+', 0o600)
      await unlink(path)
      return named
    })
    await file.writeFile(text)
    return file
  } catch (cause) {
    await file?.close()
    const {code} = cause as NodeJS.ErrnoException
    throw new NftError(
      'unsupported',
      `nft's commands cannot be written into ${quoted(folder)} (${code}): make it writable`,
      {
        cause,
      },
    )
  }
}

const missing = (program: string, cause?: NodeJS.ErrnoException): NftError =>
  new NftError(
    'missing',
    cause && cause.code !== 'ENOENT'
      ? `${quoted(program)} cannot be started (${cause.code}): masquerade needs the nft program`
      : `${quoted(program)} is not there: masquerade needs the nft program; install nftables`,
    {cause},
  )

/** Undefined: it is no listing. */
function objectsOf(text: string): readonly unknown[] | undefined {
  try {
    const {nftables} = JSON.parse(text) as {nftables?: unknown}
    return Array.isArray(nftables) ? nftables : undefined
  } catch {
    return undefined
  }
}

const nameOf = (object: unknown): unknown => (object as {table?: {name?: unknown}} | null)?.table?.name
