/** What a benchmark's command line may say. */
import {type ParseArgsConfig, parseArgs} from 'node:util'

/** The message is one sentence. */
export class UsageError extends Error {}

/** What all of them take, beside `repetitions` and `patience`, whose defaults are their own. */
const COMMON = {
  only: {type: 'string'},
  json: {type: 'string'},
  help: {type: 'boolean', short: 'h', default: false},
} as const

/** As written; with {@link COMMON}. Throws {@link UsageError}. */
export function readArguments<const O extends NonNullable<ParseArgsConfig['options']>>(args: string[], options: O) {
  try {
    return parseArgs({args, options: {...options, ...COMMON}}).values
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]!)
  }
}

interface Written {
  readonly only?: string | undefined
  readonly repetitions: string
  readonly patience: string
  readonly json?: string | undefined
  readonly help: boolean
}

/** Of `parts` those that are measured. Throws {@link UsageError}. */
export const commonOptions = <P extends string>(
  {only, repetitions, patience, json, help}: Written,
  parts: readonly P[],
  defaultJson: string,
) => ({
  parts: new Set(only === undefined ? parts : words('--only', only, parts)),
  repetitions: wholeNumber('--repetitions', repetitions, 1, 100),
  /** Milliseconds. */
  patience: wholeNumber('--patience', patience, 0, 3600) * 1000,
  json: json ?? defaultJson,
  help,
})

/** Of a list with commas. Throws {@link UsageError}. */
export function words<W extends string>(option: string, text: string, known: readonly W[]): W[] {
  return text.split(',').map(word => {
    if (!known.includes(word as W)) throw new UsageError(`${option} takes ${known.join(', ')}, not "${word}"`)
    return word as W
  })
}

/** Throws {@link UsageError}. */
export function wholeNumber(option: string, text: string, from: number, to: number): number {
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text) || value < from || value > to)
    throw new UsageError(`${option} takes whole numbers from ${from} to ${to}, not "${text}"`)
  return value
}
