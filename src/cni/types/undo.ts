/** The way back out of an ADD. */
import {quoted} from '../../model/errors.ts'
import type {Sandbox} from '../../model/namespace.ts'
import {CniError} from '../error.ts'
import type {PluginCall} from '../plugin.ts'

/** Throws CniError where there is none. */
export function sandboxOf({sandbox, netns}: PluginCall): Sandbox {
  if (!sandbox) throw new CniError('unknownContainer', `the namespace ${quoted(netns)} is not there`)
  return sandbox
}

export function checkDeadline({signal, ifname}: PluginCall): void {
  if (!signal.aborted) return
  throw new CniError('tryAgainLater', `the time was up while ${quoted(ifname)} was set up: it has been undone`)
}

/** Undoes backwards. Resolves with the error, to which is added what could not be undone. */
export async function undone(error: unknown, undo: readonly (() => Promise<void>)[]): Promise<unknown> {
  const failures: string[] = []
  for (const step of undo.toReversed()) await step().catch((failure: Error) => failures.push(failure.message))
  if (failures.length === 0) return error
  const {code, message, number} = error instanceof CniError ? error : new CniError('failed', (error as Error).message)
  return new CniError(code, message, {number, details: `not undone: ${failures.join('; ')}`, cause: error})
}
