/** CNI_ARGS ("K=V;K=V") as the upstream plugins read it. */
import {quoted} from '../../model/errors.ts'
import {CniError} from '../error.ts'

const TRUTH: Readonly<Record<string, boolean>> = {'1': true, true: true, '0': false, false: false}

/**
 * The values of those keys; of a repeated one, the last. Throws CniError for what is no list of pairs, and for another key
 * unless IgnoreUnknown is among them.
 */
export function envArgs<K extends string>(args: string, keys: readonly K[]): Partial<Record<K, string>> {
  const values: Partial<Record<K, string>> = {}
  const unknown: string[] = []
  let ignore = false
  for (const pair of args === '' ? [] : args.split(';')) {
    const [key, value, more] = pair.split('=')
    if (key === undefined || value === undefined || more !== undefined)
      throw refused(`${quoted(pair)} is no pair of a name and a value, as in "IP=10.1.0.5"`)
    if (key === 'IgnoreUnknown') ignore = truth(value)
    else if (keys.some(known => known === key)) values[key as K] = value
    else unknown.push(key)
  }
  if (unknown.length > 0 && !ignore)
    throw refused(`${quoted(unknown.join(', '))} is not known here: remove it, or add "IgnoreUnknown=1"`)
  return values
}

function truth(value: string): boolean {
  const said = Object.hasOwn(TRUTH, value.toLowerCase()) ? TRUTH[value.toLowerCase()] : undefined
  if (said === undefined) throw refused(`IgnoreUnknown must be 1, 0, true or false, not ${quoted(value)}`)
  return said
}

const refused = (why: string): CniError => new CniError('invalidEnvironment', `CNI_ARGS: ${why}`)
