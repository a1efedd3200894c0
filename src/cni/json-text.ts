/** JSON of programs and people, bounded before it is parsed: what comes out can be walked and written by recursion. */
import {depthOf} from '../model/json-depth.ts'
import {CniError} from './error.ts'

export interface JsonLimits {
  /** Characters. @default 1048576 */
  readonly length?: number
  /** Objects and lists within each other. @default 64 */
  readonly depth?: number
}

/** `what`: the beginning of the sentence ("standard input"). Throws CniError (6). */
export function parseJson(text: string, what: string, {length = 1 << 20, depth = 64}: JsonLimits = {}): unknown {
  if (text.length > length)
    throw new CniError('undecodable', `${what} is ${text.length} characters long; at most ${length} are read`)
  if (depthOf(text) > depth)
    throw new CniError('undecodable', `${what} nests objects and lists more than ${depth} deep`)
  try {
    return JSON.parse(text)
  } catch (cause) {
    const why = text.trim() === '' ? 'it is empty' : oneLine((cause as Error).message)
    throw new CniError('undecodable', `${what} is not JSON: ${why}`, {cause})
  }
}

/** Somebody's text as part of a sentence: on one line, and no longer than `limit` characters. */
export function oneLine(text: string, limit = 500): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not come through
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\s]+/g, ' ').trim()
  return line.length > limit ? `${line.slice(0, limit)}…` : line
}
