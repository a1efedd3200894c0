/** The command line: options, and what is wrong with them. */
import {parseArgs} from 'node:util'

/** The command line is wrong. Exit status 2. */
export class UsageError extends Error {}

export interface OptionType {
  readonly type: 'string' | 'boolean'
  readonly short?: string
}

/** Throws {@link UsageError}. */
export function options<const O extends Readonly<Record<string, OptionType>>>(
  args: string[],
  types: O,
  positionals: number,
) {
  try {
    const parsed = parseArgs({args, options: types, allowPositionals: true})
    if (parsed.positionals.length !== positionals)
      throw new Error(`expected ${positionals} argument(s), got ${parsed.positionals.length}`)
    return parsed
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
