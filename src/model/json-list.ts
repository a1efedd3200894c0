/** The JSON list that an annotation holds: bounded before anything else is looked at. */
import {brief, Fault, shown} from './fields.ts'
import {depthOf} from './json-depth.ts'

/** For sentences. */
export interface ListWords {
  /** "networks" */
  readonly items: string
  /** What is done with them: "are attached to a pod". */
  readonly deed: string
  readonly example: string
}

/** Bytes. What the API server takes for all annotations of an object together. */
const LENGTH_MAX = 256 * 1024
/** Objects and lists within each other. */
const DEPTH_MAX = 64
/** Elements. Far beyond what pods have; whoever edits an annotation must not hold up the node for it. */
const COUNT_MAX = 1024

/** Throws {@link Fault}. */
export function mustNotBeLong(text: string, at: string, {items}: ListWords): void {
  if (Buffer.byteLength(text) > LENGTH_MAX)
    throw new Fault(at, `is longer than ${LENGTH_MAX} bytes; shorten it to the ${items} that the pod needs`)
}

/** Throws {@link Fault}. */
export function notTooMany<T>(list: readonly T[], at: string, {items, deed}: ListWords): readonly T[] {
  if (list.length <= COUNT_MAX) return list
  throw new Fault(at, `names ${list.length} ${items}; at most ${COUNT_MAX} ${deed}: shorten it`)
}

/** Throws {@link Fault}. */
export function listIn(text: string, at: string, words: ListWords): readonly unknown[] {
  mustNotBeLong(text, at, words)
  if (depthOf(text) > DEPTH_MAX)
    throw new Fault(at, `nests objects and lists more than ${DEPTH_MAX} deep; write a list of flat elements`)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new Fault(at, `is not JSON: ${brief((error as Error).message)}; write a list, as in ${words.example}`)
  }
  if (!Array.isArray(json)) throw new Fault(at, `is ${shown(json)}; write a list, as in ${words.example}`)
  return notTooMany(json, at, words)
}
