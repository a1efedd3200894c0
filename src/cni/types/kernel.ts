/** Small things that every type asks of a namespace. */
import type {NamespaceKernel, Step, StepOutcome} from '../../model/namespace.ts'
import type {Refusal} from '../../model/plans.ts'
import {CniError} from '../error.ts'

/** The kernel's refusal of something, as the runtime is told. */
export const refused = (what: string, {message}: Refusal): CniError => new CniError('failed', `${what}: ${message}`)

/** Makes changes that must all succeed, except those that `may` fail. Rejects with CniError, which begins with `what`. */
export async function changeAll(
  kernel: NamespaceKernel,
  what: string,
  steps: readonly Step[],
  may: (step: Step, refusal: Refusal) => boolean = () => false,
): Promise<readonly StepOutcome[]> {
  if (steps.length === 0) return []
  const outcomes = await kernel.change(steps)
  for (const [i, {refusal}] of outcomes.entries()) if (refusal && !may(steps[i]!, refusal)) throw refused(what, refusal)
  return outcomes
}

/** A sysctl that a kernel need not have, or that a read-only /proc keeps: as upstream, no reason to fail. */
export const trySysctl = (kernel: NamespaceKernel, name: string, value: string): Promise<void> =>
  kernel.writeSysctl(name, value).catch(() => {})

const FORWARDING = {4: 'ipv4/ip_forward', 6: 'ipv6/conf/all/forwarding'} as const

/** Rejects with CniError. */
export async function enableForwarding(kernel: NamespaceKernel, families: readonly (4 | 6)[]): Promise<void> {
  await Promise.all(
    families.map(async family => {
      const name = FORWARDING[family]
      try {
        if ((await kernel.readSysctl(name)) !== '1') await kernel.writeSysctl(name, '1')
      } catch (cause) {
        const detail = (cause as Error).message
        throw new CniError('failed', `forwarding of IPv${family} cannot be switched on: ${detail}`, {cause})
      }
    }),
  )
}

/** Once all have ended, however they ended: what is undone then is undone for good. Rejects with the first's reason. */
export async function settled<T extends readonly unknown[]>(
  work: readonly [...{[K in keyof T]: Promise<T[K]>}],
): Promise<T> {
  const results: readonly PromiseSettledResult<unknown>[] = await Promise.allSettled(work)
  const failed = results.find(result => result.status === 'rejected')
  if (failed) throw failed.reason
  return results.map(result => (result as PromiseFulfilledResult<unknown>).value) as unknown as T
}
