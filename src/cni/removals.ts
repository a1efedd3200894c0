/**
 * Links on their way out. Deleting a veth takes the kernel 16 to 30 ms, most of it a grace period that links of one
 * group share: so one deletion runs at a time, and what waits meanwhile goes together.
 */
import {randomInt} from 'node:crypto'
import {quoted} from '../model/errors.ts'
import type {NamespaceKernel} from '../model/namespace.ts'
import type {Link} from '../model/net.ts'
import {OWN_GROUP} from '../model/plans.ts'
import {CniError} from './error.ts'

export interface Removals {
  /**
   * Resolves once the link has gone. Rejects with CniError where the kernel refuses, or where the index or the alias
   * is not that link's any more.
   */
  remove(link: Link): Promise<void>
  /** The removal of a link of that name which is under way. */
  pending(name: string): Promise<void> | undefined
}

export interface RemovalsOptions {
  /**
   * Links deleted together. The kernel makes no other change meanwhile.
   * @default 32
   */
  readonly atOnce?: number
}

interface Waiting {
  readonly link: Link
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** `kernel`: with a socket of its own, since a deletion holds it. */
export function createRemovals(kernel: NamespaceKernel, {atOnce = 32}: RemovalsOptions = {}): Removals {
  const underWay = new Map<string, {readonly index: number; readonly gone: Promise<void>}>()
  const waiting: Waiting[] = []
  let group: Promise<number> | undefined
  let working = false

  const work = async (): Promise<void> => {
    working = true
    // What is asked for in the same turn of the loop goes together.
    await Promise.resolve()
    while (waiting.length > 0) {
      const batch = waiting.splice(0, atOnce)
      await removeBatch(batch).catch(error => {
        for (const {reject} of batch) reject(error as Error)
      })
    }
    working = false
  }

  const removeBatch = async (batch: readonly Waiting[]): Promise<void> => {
    const stand = await Promise.all(batch.map(({link}) => kernel.link(link.index)))
    const doomed = batch.filter((each, i) => {
      const now = stand[i]
      if (!now) each.resolve()
      else if (!isSame(now, each.link)) each.reject(isAnother(each.link))
      else return true
      return false
    })
    if (doomed.length > 1) await removeTogether(doomed)
    else if (doomed.length === 1) await removeAlone(doomed[0]!)
  }

  const removeAlone = async ({link, resolve, reject}: Waiting): Promise<void> => {
    const [outcome] = await kernel.change([{op: 'delete', object: 'link', item: link.index}])
    const refusal = outcome?.refusal
    if (!refusal || refusal.code === 'ENODEV') resolve()
    else reject(new CniError('failed', `${quoted(link.name)} cannot be deleted: ${refusal.message}`))
  }

  const removeTogether = async (doomed: readonly Waiting[]): Promise<void> => {
    group ??= freshGroup(kernel)
    const number = await group.catch(error => {
      group = undefined
      throw error
    })
    const outcomes = await kernel.change([
      ...doomed.map(({link}) => ({op: 'set', object: 'link', item: link.index, to: {group: number}}) as const),
      {op: 'delete', object: 'link group', item: number},
    ])
    const went = !outcomes.at(-1)?.refusal
    for (const [i, each] of doomed.entries()) {
      if (went && !outcomes[i]?.refusal) each.resolve()
      // It has gone by itself, or says why it does not go.
      else await removeAlone(each)
    }
  }

  return {
    remove: link => {
      const before = underWay.get(link.name)
      if (before?.index === link.index) return before.gone
      const {promise, resolve, reject} = Promise.withResolvers<void>()
      const gone = promise.finally(() => {
        if (underWay.get(link.name)?.gone === gone) underWay.delete(link.name)
      })
      // Whoever asked for it hears of a failure; others only wait for the end.
      gone.catch(() => {})
      underWay.set(link.name, {index: link.index, gone})
      waiting.push({link, resolve, reject})
      if (!working) void work()
      return gone
    },
    pending: name => underWay.get(name)?.gone,
  }
}

const isSame = (now: Link, then: Link): boolean => now.name === then.name && now.alias === then.alias

const isAnother = ({name, index}: Link): CniError =>
  new CniError('failed', `link ${index} was ${quoted(name)} and is another one now: it is left alone`)

/** A group that no link is in, and that nobody would think of. */
async function freshGroup(kernel: NamespaceKernel): Promise<number> {
  const taken = new Set([0, OWN_GROUP, ...(await kernel.links()).map(link => link.group)])
  for (;;) {
    const number = randomInt(1, 2 ** 31)
    if (!taken.has(number)) return number
  }
}
