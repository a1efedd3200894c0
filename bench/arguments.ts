/** What a benchmark's command line may say. */

/** The message is one sentence. */
export class UsageError extends Error {}

/** Of what `parseArgs` throws. */
export const asUsageError = (error: unknown): UsageError => new UsageError((error as Error).message.split('. ')[0]!)

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
