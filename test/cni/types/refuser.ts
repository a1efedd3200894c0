/** A kernel that refuses one step, counted over all kernels: it never hears of it. */
import type {NamespaceKernel, Step} from '../../../src/model/namespace.ts'

export interface Refuser {
  readonly wrap: (kernel: NamespaceKernel) => NamespaceKernel
  /** Counts from now on, and refuses that step. */
  begin(nth: number): void
  readonly counted: () => number
}

/** `counts`: which steps may be refused. */
export function refuser(counts: (step: Step) => boolean): Refuser {
  let refused = 0
  let count = 0
  const wrap = (kernel: NamespaceKernel): NamespaceKernel => ({
    ...kernel,
    change: async steps => {
      const at = steps.findIndex(step => counts(step) && ++count === refused)
      if (at < 0) return kernel.change(steps)
      const [before, after] = [steps.slice(0, at), steps.slice(at + 1)]
      return [
        ...(before.length > 0 ? await kernel.change(before) : []),
        {refusal: {code: 'EPERM', message: `step ${refused} is refused`}},
        ...(after.length > 0 ? await kernel.change(after) : []),
      ]
    },
  })
  return {
    wrap,
    begin: nth => {
      refused = nth
      count = 0
    },
    counted: () => count,
  }
}
