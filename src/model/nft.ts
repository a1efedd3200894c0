/** The kernel's packet filter as the agent programs it: one table, in the JSON of libnftables-json(5). */
import {NetgraftError} from './errors.ts'

export interface Nft {
  /** Everything of a table of family inet, as `nft -j list table` says it. Undefined: there is none. Rejects with {@link NftError}. */
  list(table: string): Promise<readonly unknown[] | undefined>
  /** All of these commands or none, in one transaction. Rejects with {@link NftError}. */
  apply(commands: readonly NftCommand[]): Promise<void>
}

/** {"add": {"set": {…}}} and the like. */
export interface NftCommand {
  readonly [verb: string]: {readonly [object: string]: {readonly [key: string]: unknown}}
}

/**
 * `missing`: there is no such program; `unsupported`: the kernel tells it nothing; `unreadable`: it cannot say what stands
 * in a table; `refused`: this one was not done.
 */
export type NftTrouble = 'missing' | 'unsupported' | 'unreadable' | 'refused' | 'timeout'

/** The message is one whole sentence part. */
export class NftError extends NetgraftError {
  readonly code = 'ENFT'
  readonly trouble: NftTrouble

  constructor(trouble: NftTrouble, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'NftError'
    this.trouble = trouble
  }
}
