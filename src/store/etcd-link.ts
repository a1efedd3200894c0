/** The way to etcd: its credentials are read when it is needed, and again when it does not let us in any more. */
import {readFile} from 'node:fs/promises'
import {quoted} from '../model/errors.ts'
import {StoreError} from '../model/store.ts'
import type {CallLimits, EtcdConnection, EtcdSettings} from './etcd-client.ts'
import type {Failure} from './etcd-failure.ts'

/** As the configuration has it: files are read here. */
export interface EtcdOptions {
  readonly endpoints: readonly string[]
  /** Files, PEM. */
  readonly tls?: {
    readonly ca?: string | undefined
    readonly cert?: string | undefined
    readonly key?: string | undefined
  }
  readonly user?: string | undefined
  readonly password?: string | undefined
  /** A file with the password, instead. */
  readonly passwordFile?: string | undefined
}

export interface EtcdLink {
  /**
   * `what` is asked, for sentences: "create pairs a/b". Of a write an answer that does not come means that it may have
   * been done. Rejects with a StoreError, or with the signal's reason when that aborts.
   */
  ask<T>(what: Question, run: (connection: EtcdConnection, limits: CallLimits) => Promise<T>): Promise<T>
  /** For streams. Rejects as `ask`. */
  connection(): Promise<EtcdConnection>
  /** What a stream failed with, as `ask` would say it. */
  explain(what: string, failure: Failure): StoreError
  /** "etcd at http://127.0.0.1:2379". */
  readonly where: string
  close(): void
}

export interface Question extends CallLimits {
  readonly what: string
  /** @default false */
  readonly write?: boolean
}

/** What was asked for is of a past that etcd has forgotten: everything is to be read again. */
export class Compacted extends StoreError {}

interface Line {
  /** What it was made of. */
  readonly made: string
  readonly connection: EtcdConnection
}

export function openEtcdLink(options: EtcdOptions): EtcdLink {
  const where = `etcd at ${options.endpoints.join(', ')}`
  let line: Promise<Line> | undefined
  /** Whether the files may say something newer. */
  let suspect = false
  let closed = false

  const connection = async (): Promise<EtcdConnection> => {
    if (closed) throw new StoreError('closed', `the connection to ${where} has been closed by ourselves`)
    if (line && suspect) {
      suspect = false
      const old = line
      const [{made, connection}, settings] = await Promise.all([old, readSettings(options, where)])
      if (made !== textOf(settings) && line === old) {
        line = undefined
        connection.close()
      }
    }
    const mine = (line ??= openLine(options, where))
    try {
      const {connection} = await mine
      if (!closed) return connection
      connection.close()
      throw new StoreError('closed', `the connection to ${where} has been closed by ourselves`)
    } catch (error) {
      if (line === mine) line = undefined
      throw error
    }
  }

  const explain = (what: string, failure: Failure, write = false): StoreError => {
    if (failure.kind === 'denied' || failure.kind === 'unsent') suspect = true
    return sentence(where, what, failure, write)
  }

  return {
    where,
    connection,
    explain,
    ask: async ({what, write, ...limits}, run) => {
      const open = await connection()
      limits.signal.throwIfAborted()
      try {
        return await run(open, limits)
      } catch (error) {
        limits.signal.throwIfAborted()
        if (error instanceof Error) throw error
        throw explain(what, error as Failure, write)
      }
    },
    close: () => {
      closed = true
      line?.then(
        ({connection}) => connection.close(),
        () => {},
      )
      line = undefined
    },
  }
}

async function openLine(options: EtcdOptions, where: string): Promise<Line> {
  const settings = await readSettings(options, where)
  const {connect} = await import('./etcd-client.ts').catch(cause => {
    const why = `${where} cannot be asked, because our part that speaks with it cannot be loaded`
    throw new StoreError('refused', `${why}: install all files of Netgraft together`, {cause})
  })
  try {
    return {made: textOf(settings), connection: connect(settings)}
  } catch (cause) {
    const told = cause instanceof Error ? cause.message : String(cause)
    throw new StoreError('refused', `${where} cannot be asked (${told}): check the files in store.tls`, {cause})
  }
}

const textOf = ({tls, auth}: EtcdSettings): string =>
  JSON.stringify([tls?.ca?.toString('latin1'), tls?.cert?.toString('latin1'), tls?.key?.toString('latin1'), auth])

async function readSettings({endpoints, tls, ...login}: EtcdOptions, where: string): Promise<EtcdSettings> {
  const read = async (key: string, path: string | undefined): Promise<Buffer | undefined> => {
    if (path === undefined) return undefined
    try {
      return await readFile(path)
    } catch (cause) {
      const why = `${quoted(path)} cannot be read (${(cause as NodeJS.ErrnoException).code})`
      throw new StoreError('refused', `${where} cannot be asked, since ${why}: check ${key}`, {cause})
    }
  }
  const [ca, cert, key] = await Promise.all([
    read('store.tls.ca', tls?.ca),
    read('store.tls.cert', tls?.cert),
    read('store.tls.key', tls?.key),
  ])
  const filed = (await read('store.passwordFile', login.passwordFile))?.toString('utf8').replace(/\r?\n$/, '')
  const {user} = login
  return {
    endpoints,
    ...(tls && {tls: {ca, cert, key}}),
    ...(user !== undefined && {auth: {user, password: filed ?? login.password ?? ''}}),
  }
}

function sentence(where: string, what: string, {kind, details, cause}: Failure, write: boolean): StoreError {
  const told = `(${details})`
  switch (kind) {
    case 'unsent':
      return new StoreError(
        'unreachable',
        `${where} cannot be reached ${told}: is it running, and are store.endpoints its addresses?`,
        {cause},
      )
    case 'denied':
      return new StoreError(
        'refused',
        `${where} does not allow us to ${what} ${told}: check store.user, its password and its role`,
        {cause},
      )
    case 'refused':
      return new StoreError('refused', `${where} refused to ${what} ${told}: look into its log`, {cause})
    case 'compacted':
      return new Compacted('nonsense', `${where} has forgotten what we wanted to ${what} ${told}`, {cause})
    case 'lost':
      return write
        ? new StoreError(
            'uncertain',
            `${where} was asked to ${what}, and its answer was lost ${told}: read whether it was done`,
            {cause},
          )
        : new StoreError(
            'unreachable',
            `${where} gave no answer when asked to ${what} ${told}: is it running, and not overloaded?`,
            {
              cause,
            },
          )
  }
}
