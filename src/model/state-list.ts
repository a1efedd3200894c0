/** Lists of states in annotations: with the time since when each is so, and no longer than an annotation may be. Pure. */
import {depthOf} from './json-depth.ts'

/** Bytes: those of all annotations of an object may be 256 KiB together. */
const STATUS_MAX = 64 * 1024

/**
 * JSON. `before`: the annotation as it is, or has been; what has not changed keeps its time. `now`: milliseconds since the
 * epoch. What is too much for an annotation is counted at its end, by what `more` makes of the sentence.
 */
export function stateList<S extends object>(
  states: readonly S[],
  before: readonly (string | null | undefined)[],
  now: number,
  more: (reason: string) => S,
): string {
  const known = before.flatMap(text => listIn(text))
  const times = new Map(known.map(({since, ...state}) => [textOf(state), since]))
  const since = new Date(now).toISOString().replace(/\.\d+/, '')
  const listed: string[] = []
  let bytes = 0
  for (const [i, state] of states.entries()) {
    const time = times.get(textOf(state))
    const text = JSON.stringify({...state, since: typeof time === 'string' ? time : since})
    bytes += Buffer.byteLength(text)
    if (bytes > STATUS_MAX) {
      listed.push(JSON.stringify(more(`${states.length - i} more are not listed: an annotation has no room for them`)))
      break
    }
    listed.push(text)
  }
  return `[${listed.join()}]`
}

/** Equal states have equal texts, whatever their keys' order. */
const textOf = (state: object): string =>
  JSON.stringify(
    Object.entries(state)
      .filter(([_, value]) => value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )

/** Objects and lists within each other: what nests deeper could be read, but not be written again. */
const DEPTH_MAX = 64

/** The objects of a JSON list that anybody may have written. */
export function listIn(text: string | null | undefined): readonly {readonly [key: string]: unknown}[] {
  try {
    if (depthOf(text ?? '') > DEPTH_MAX) return []
    const list: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(list) ? list.filter(each => typeof each === 'object' && each !== null) : []
  } catch {
    return []
  }
}
