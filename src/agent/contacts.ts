/** When the API server was heard of last, by resource. */
import type {Metrics} from '../observe/metrics.ts'

export interface Contact {
  /** A sign of life has come. */
  readonly heard: () => void
  /** The cluster has no such resource: nothing is to be heard of it. */
  readonly absent: () => void
}

export interface Contacts {
  /** Another watch of the resource, which counts from now on. */
  watch(): Contact
}

/** The metric tells of the watch that was heard of least lately, once all of them have been heard of. */
export function contactsWith(resource: string, {apiLastContact}: Pick<Metrics, 'apiLastContact'>): Contacts {
  /** Seconds since the epoch. Undefined: not yet. */
  const watches = new Map<symbol, number | undefined>()
  const tell = (): void => {
    let least = Number.POSITIVE_INFINITY
    for (const at of watches.values()) least = Math.min(least, at ?? Number.NEGATIVE_INFINITY)
    if (Number.isFinite(least)) apiLastContact.set({resource}, least)
    else apiLastContact.remove({resource})
  }
  return {
    watch: () => {
      const watch = Symbol(resource)
      const hear = (at: number | undefined): void => {
        watches.set(watch, at)
        tell()
      }
      watches.set(watch, undefined)
      return {
        heard: () => hear(Date.now() / 1000),
        absent: () => hear(undefined),
      }
    },
  }
}
