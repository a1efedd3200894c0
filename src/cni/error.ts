/** What the runtime is told when something is refused or fails. CNI spec 1.1.0, section 5 ("Error"). */
import {NetgraftError} from '../model/errors.ts'

/** The codes that the specification reserves, and ours from 100 on. */
export const CNI_CODES = {
  /** The config's cniVersion is none that we speak. */
  incompatibleVersion: 1,
  /** A key of the config that we cannot serve. */
  unsupportedField: 2,
  /** The container is unknown, or its namespace has gone: nothing has to be cleaned up. */
  unknownContainer: 3,
  /** A CNI_* variable is missing or cannot be what it says. */
  invalidEnvironment: 4,
  io: 5,
  /** What came on standard input is no JSON, or not the JSON of a config. */
  undecodable: 6,
  /** The config is JSON, but something in it is wrong. */
  invalidConfig: 7,
  /** Something is under way: the runtime should try again later. */
  tryAgainLater: 11,
  /** STATUS: no ADD can be served. */
  unavailable: 50,
  /** STATUS: not available, and running containers may have limited connectivity. */
  limitedConnectivity: 51,
  /** Anything that went wrong while it was carried out: the kernel refused, an address range is exhausted. */
  failed: 100,
  /** A plugin that was run failed without saying why in CNI's form, took too long, or said too much. */
  delegateFailed: 101,
} as const

export type CniCode = keyof typeof CNI_CODES

/** `message`: one sentence that says what, where and what to do. */
export class CniError extends NetgraftError {
  readonly code: CniCode
  /** As the runtime sees it: that of {@link CniError.code}, or what a delegate said itself. */
  readonly number: number
  /** More of it, for people: a delegate's own details, the kernel's words. */
  readonly details: string | undefined

  constructor(
    code: CniCode,
    message: string,
    options: {readonly number?: number; readonly details?: string; readonly cause?: unknown} = {},
  ) {
    super(message, options.cause === undefined ? undefined : {cause: options.cause})
    this.name = 'CniError'
    this.code = code
    this.number = options.number ?? CNI_CODES[code]
    this.details = options.details
  }
}

/** The JSON of an error, on standard output of the plugin. */
export const formatError = ({number, message, details}: CniError, cniVersion: string): string =>
  JSON.stringify({cniVersion, code: number, msg: message, ...(details !== undefined && {details})})
