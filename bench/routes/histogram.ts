/** The agent's own measure of the same, read from its /metrics. */

export interface Histogram {
  readonly count: number
  readonly sum: number
  /** By upper bound, cumulative. */
  readonly buckets: ReadonlyMap<number, number>
  /** The upper bound of the bucket in which the value is that a share (0 to 1) of all do not exceed. */
  atMost(share: number): number
}

const NAME = 'netgraft_event_to_kernel_seconds'

/** Of node events. */
export function histogramOf(metrics: string): Histogram {
  const buckets = new Map<number, number>()
  let [count, sum] = [0, 0]
  for (const line of metrics.split('\n')) {
    if (!line.startsWith(NAME) || !line.includes('source="node"')) continue
    const value = Number(line.split(' ').at(-1))
    const [, bound] = /le="([^"]+)"/.exec(line) ?? []
    if (bound !== undefined) buckets.set(bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound), value)
    else if (line.startsWith(`${NAME}_count`)) count = value
    else if (line.startsWith(`${NAME}_sum`)) sum = value
  }
  return histogram(count, sum, buckets)
}

/** What came after an earlier reading. */
export const since = (now: Histogram, before: Histogram): Histogram =>
  histogram(
    now.count - before.count,
    now.sum - before.sum,
    new Map([...now.buckets].map(([bound, count]) => [bound, count - (before.buckets.get(bound) ?? 0)])),
  )

function histogram(count: number, sum: number, buckets: ReadonlyMap<number, number>): Histogram {
  const atMost = (share: number) => {
    const bounds = [...buckets.keys()].sort((a, b) => a - b)
    return bounds.find(bound => buckets.get(bound)! >= share * count) ?? Number.POSITIVE_INFINITY
  }
  return {count, sum, buckets, atMost}
}
