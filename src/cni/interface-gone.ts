/** An interface that is not in its pod any more, though nobody has asked for its end. */
import {quoted} from '../model/errors.ts'
import type {NamespaceKernel} from '../model/namespace.ts'
import {CniError} from './error.ts'
import type {CniInterface} from './result.ts'

/** What stands of an attachment is too little to be put right: it has to be made anew. */
export class InterfaceGone extends CniError {
  constructor(message: string) {
    super('failed', message)
    this.name = 'InterfaceGone'
  }
}

/** Rejects with {@link InterfaceGone}. One that the pod has renamed is still there: it has its MAC. */
export async function requireInside(pod: NamespaceKernel, {name, mac}: CniInterface): Promise<void> {
  if (await pod.link(name)) return
  if ((await renamed(pod, mac)) === undefined) throw new InterfaceGone(`${quoted(name)} has gone from the pod`)
}

/** The name that a link of that MAC has in the pod now. */
export async function renamed(pod: NamespaceKernel, mac: string | undefined): Promise<string | undefined> {
  if (mac === undefined) return undefined
  return (await pod.links()).find(link => link.mac === mac.toLowerCase())?.name
}
