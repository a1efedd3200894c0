/** The agent's log: JSON lines on stdout, written by pino, without ever waiting for whoever reads them. */
import {type DestinationStream, pino} from 'pino'
import {Cidr, Ip} from '../model/ip.ts'
import type {LogFields, Logger, LogLevel} from '../model/logger.ts'
import {createRecent} from './recent.ts'
import {limitRepeats, type RepeatOptions} from './repeats.ts'
import {type LineSink, openStdout} from './stdout.ts'

export interface LogOptions {
  readonly level: LogLevel
  /** @default stdout, without blocking */
  readonly destination?: Pick<LineSink, 'write'> & Partial<LineSink>
  readonly repeats?: RepeatOptions & {
    /** With the level and the message, what makes two lines the same. @default see REPEAT_FIELDS */
    readonly fields?: readonly string[]
  }
}

/** The logger that owns the destination. */
export interface RootLogger extends Logger {
  /** May be set at any time; holds for every child. */
  level: LogLevel
  /** Lines of the last time, see {@link createRecent}. */
  recent(): readonly string[]
  /** Tells the repeats counted so far, writes out what waits, and lets go of the destination. */
  close(): void
}

/** Fields that tell two occurrences of one message apart. Only fields with few values belong here. */
const REPEAT_FIELDS = ['domain', 'network', 'resource', 'reason', 'code', 'kind'] as const

type Level = LogLevel | 'fatal'

export function createLogger({level, destination, repeats = {}}: LogOptions): RootLogger {
  const sink = destination ?? openStdout({droppedLine})
  const recent = createRecent()
  const stream: DestinationStream = {
    write: line => {
      recent.add(line)
      sink.write(line)
    },
  }
  const out = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {level: label => ({level: label}), log: plainFields},
      serializers: {err: plainError},
    },
    stream,
  )
  const keyFields = repeats.fields ?? REPEAT_FIELDS

  function write(level: Level, message: string, fields: LogFields): void {
    try {
      out[level](fields, message)
    } catch {
      // A field that cannot be written (its toJSON throws, say) must not cost the message.
      out[level](message)
    }
  }

  const limiter = limitRepeats<{level: Level; message: string; fields: LogFields}>(
    ({level, message, fields}, count, elapsed) =>
      write(level, `${message} (repeated ${count} times in ${Math.round(elapsed / 1000)} s)`, fields),
    repeats,
  )

  function say(level: LogLevel, message: string, bound: LogFields, fields: LogFields | undefined): void {
    if (!out.isLevelEnabled(level)) return
    const all = merge(bound, fields)
    const whole = level === 'trace' || level === 'debug'
    if (whole || limiter.pass(repeatKey(level, message, all, keyFields), {level, message, fields: all}))
      write(level, message, all)
  }

  const logger = (bound: LogFields): Logger => ({
    trace: (message, fields) => say('trace', message, bound, fields),
    debug: (message, fields) => say('debug', message, bound, fields),
    info: (message, fields) => say('info', message, bound, fields),
    warn: (message, fields) => say('warn', message, bound, fields),
    error: (message, fields) => say('error', message, bound, fields),
    fatal: (message, fields) => {
      write('fatal', message, merge(bound, fields))
      sink.flushSync?.()
    },
    child: fields => logger(merge(bound, fields)),
  })

  function close(): void {
    process.off('exit', close)
    limiter.close()
    sink.flushSync?.()
    sink.close?.()
  }
  process.on('exit', close)

  return {
    ...logger({}),
    get level() {
      return out.level as LogLevel
    },
    set level(next) {
      out.level = next
    },
    recent: recent.lines,
    close,
  }
}

function merge(bound: LogFields, fields: LogFields | undefined): LogFields {
  try {
    return {...bound, ...fields}
  } catch {
    return bound // a getter that throws
  }
}

const droppedLine = (count: number): string =>
  `${JSON.stringify({level: 'warn', time: new Date().toISOString(), msg: 'lines were dropped, as nobody read the log', count})}\n`

function repeatKey(level: Level, message: string, fields: LogFields, keyFields: readonly string[]): string {
  let key = `${level} ${message}`
  for (const name of keyFields) {
    const value = fields[name]
    if (typeof value === 'string' || typeof value === 'number') key += `\0${name}=${String(value).slice(0, 100)}`
  }
  return key
}

/** Our own values as their text. */
function plainFields(fields: Record<string, unknown>): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields))
    plain[name] = Array.isArray(value) ? value.map(plainValue) : plainValue(value)
  return plain
}

function plainValue(value: unknown): unknown {
  if (value instanceof Ip || value instanceof Cidr) return value.toString()
  if (value instanceof Map || value instanceof Set) return `${value.size} entries`
  if (typeof value === 'bigint') return value.toString()
  return value
}

/** Causes deeper than this say nothing more, and a chain may be a ring. */
const CAUSES = 5

/** Only what an error is known to have: an HTTP client's errors carry whole requests, credentials included. */
function plainError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === 'object' ? 'an object that is no error' : String(error)
  const {name, message, stack, cause} = error
  const code: unknown = (error as {code?: unknown}).code
  return {
    type: name === 'Error' ? error.constructor.name : name,
    ...((typeof code === 'string' || typeof code === 'number') && {code}),
    message,
    ...(error instanceof AggregateError && {errors: error.errors.slice(0, CAUSES).map(inner => text(inner))}),
    ...(depth === 0 && stack !== undefined && {stack}),
    ...(cause !== undefined && depth < CAUSES && {cause: plainError(cause, depth + 1)}),
  }
}

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error))
