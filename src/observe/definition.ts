/** What is said of a metric beforehand. */

/** The values of a label: all of them, or how many different ones are kept before the rest becomes "other". */
export type LabelValues = readonly (string | number)[] | {readonly atMost: number}
export type Labels = Readonly<Record<string, LabelValues>>
type Kind = 'counter' | 'gauge' | 'histogram'

export interface Definition {
  readonly kind: Kind
  readonly name: string
  readonly help: string
  readonly labels: Labels
  /** Seconds. */
  readonly buckets?: readonly number[]
}

export const counter = <const L extends Labels>(name: string, help: string, labels: L) =>
  ({kind: 'counter', name, help, labels}) as const
export const gauge = <const L extends Labels>(name: string, help: string, labels: L) =>
  ({kind: 'gauge', name, help, labels}) as const
export const histogram = <const L extends Labels>(name: string, help: string, labels: L, buckets: readonly number[]) =>
  ({kind: 'histogram', name, help, labels, buckets}) as const

export const NETWORK = {atMost: 64}
export const RESOURCE = {atMost: 16}
export const REASON = {atMost: 16}
/** Errno names and HTTP status codes. */
export const CODE = {atMost: 32}
/** Who is asked: the API server, or etcd where that is the store. */
export const SERVER = ['kubernetes', 'etcd'] as const
