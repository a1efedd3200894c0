/** The configuration as plain values, without what nobody may see. Pure. */
import type {Config} from '../model/config.ts'
import {Cidr, Ip} from '../model/ip.ts'

/** Stands for a secret. */
export const HIDDEN = '(hidden)'

/** Keys whose value is a secret itself. That of a file's path is not. */
const SECRET = /^(password|secret|token)$/i

export const plainConfig = (config: Config): object => plain(config) as object

function plain(value: unknown): unknown {
  if (value instanceof Ip || value instanceof Cidr) return `${value}`
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, each]) => [key, plain(each)]))
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, SECRET.test(key) && each !== undefined ? HIDDEN : plain(each)]),
  )
}
