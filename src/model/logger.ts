/** What the rest of the agent knows of logging: say a fixed sentence, with its data beside it. */

/** From the most talkative to the most silent. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * The data of a line. An error goes under `err` and is written with its code and its causes; addresses and prefixes
 * are written as text.
 */
export type LogFields = {readonly [field: string]: unknown} & {
  readonly time?: never
  readonly level?: never
  readonly msg?: never
}

/**
 * The message is a fixed sentence without data ("route refused"): repeats are recognised by it. Never throws, never
 * blocks. What repeats too often is counted instead of written.
 */
export interface Logger {
  trace(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** The last words of the process: written out before the call returns, as far as the reader takes them. */
  fatal(message: string, fields?: LogFields): void
  /** The same logger with fields that every line carries. */
  child(fields: LogFields): Logger
}
