/** A watchdog over an endless iteration: silence is told from quiet by whoever knows how often a sign of life is due. */

export class Silence extends Error {}

/**
 * Passes on what `open` brings. Throws {@link Silence} when nothing comes for `limitMs()` milliseconds, and then has
 * aborted what it opened; throws the signal's reason when that aborts. The consumer's own time does not count.
 */
export async function* untilSilent<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  limitMs: () => number,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const silence = new AbortController()
  const arm = () => setTimeout(() => silence.abort(new Silence('nothing came for too long')), limitMs())
  const either = AbortSignal.any([signal, silence.signal])
  let timer = arm()
  try {
    for await (const value of open(either)) {
      clearTimeout(timer)
      yield value
      timer = arm()
    }
  } catch (error) {
    either.throwIfAborted()
    throw error
  } finally {
    clearTimeout(timer)
  }
  either.throwIfAborted()
}
