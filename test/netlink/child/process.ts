/** What /proc says of this process. */
import {readdirSync, readFileSync, readlinkSync} from 'node:fs'

const tasks = (): string[] => readdirSync('/proc/self/task')

/** A thread may end between its listing and its reading. */
function ifThere<T>(read: () => T): T[] {
  try {
    return [read()]
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code!)) return []
    throw error
  }
}

/** The addon's own threads. */
export const netlinkThreads = (): number =>
  tasks()
    .flatMap(task => ifThere(() => readFileSync(`/proc/self/task/${task}/comm`, 'utf8')))
    .filter(name => name === 'netgraft-nl\n').length

export const descriptors = (): number => readdirSync('/proc/self/fd').length

export const namespacesOfThreads = (): string[] => [
  ...new Set(tasks().flatMap(task => ifThere(() => readlinkSync(`/proc/self/task/${task}/ns/net`)))),
]

/** Waits for a fact, however long it takes: the test has a time limit. */
export async function until(fact: () => boolean): Promise<void> {
  while (!fact()) await new Promise(resolve => setTimeout(resolve, 1))
}
