/**
 * Values of a config that nobody has checked yet, read as Go's decoder reads them for the programs of the same name: null
 * is as good as absent, everything else must have the right type. Each throws CniError, naming the key.
 */
import {quoted} from '../../model/errors.ts'
import {CniError} from '../error.ts'

export type Json = {readonly [key: string]: unknown}

const refused = (where: string, want: string, value: unknown): CniError =>
  new CniError('invalidConfig', `${where} must be ${want}, not ${shown(value)}`)

/** Never throws, whatever the value. */
export const shown = (value: unknown): string =>
  typeof value === 'string' ? quoted(value) : quoted(JSON.stringify(value) ?? String(value))

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Empty when absent. */
export function objectOf(value: unknown, where: string): Json {
  if (value === undefined || value === null) return {}
  if (!isObject(value)) throw refused(where, 'an object', value)
  return value
}

/** Empty when absent. */
export function listOf(value: unknown, where: string): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw refused(where, 'a list', value)
  return value
}

/** Empty when absent. */
export function textOf(value: unknown, where: string): string {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw refused(where, 'a text', value)
  return value
}

export const textsOf = (value: unknown, where: string): string[] =>
  listOf(value, where).map((item, i) => textOf(item, `${where}[${i}]`))

/** Whether the object has no other keys. What is no object has none: reading it says what is wrong. */
export const onlyKeys = (value: unknown, known: ReadonlySet<string>): boolean =>
  !isObject(value) || Object.keys(value).every(key => known.has(key))

/** Whether no key is one of these in another spelling: Go's decoder would take it for the key. */
export const plainlySpelled = (value: unknown, names: readonly string[]): boolean =>
  !isObject(value) ||
  Object.keys(value).every(key => names.includes(key) || !names.some(name => name.toLowerCase() === key.toLowerCase()))
