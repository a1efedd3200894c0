/** What a folder of leases holds, as it was read once: `<address>` names its owner, `last_reserved_ip.<n>` an address. */
import {readFile} from 'node:fs'
import {readdir} from 'node:fs/promises'
import {isIP} from 'node:net'
import {join} from 'node:path'
import {promisify} from 'node:util'
import type {LeaseView} from './host-local-plan.ts'

const LAST = /^last_reserved_ip\.(\d{1,6})$/
/** Files that are open at once. */
const AT_ONCE = 32
/** Of hundreds of files, a quarter of the time that node:fs/promises takes. */
const contentOf = promisify(readFile)

export interface Memory extends LeaseView {
  readonly owners: ReadonlyMap<string, string>
  readonly lasts: ReadonlyMap<number, string>
  take(address: string, owner: string): void
  free(address: string): void
  setLast(set: number, address: string): void
}

export function createMemory(): Memory {
  const owners = new Map<string, string>()
  const owned = new Map<string, Set<string>>()
  const lasts = new Map<number, string>()
  const free = (address: string): void => {
    const owner = owners.get(address)
    if (owner === undefined) return
    owners.delete(address)
    const addresses = owned.get(owner)
    addresses?.delete(address)
    if (addresses?.size === 0) owned.delete(owner)
  }
  return {
    owners,
    lasts,
    of: owner => [...(owned.get(owner) ?? [])],
    last: set => lasts.get(set),
    take: (address, owner) => {
      free(address)
      owners.set(address, owner)
      const addresses = owned.get(owner) ?? new Set()
      owned.set(owner, addresses.add(address))
    },
    free,
    setLast: (set, address) => void lasts.set(set, address),
  }
}

/** Rejects with what readdir(3) says. A file that cannot be read is a lease of nobody: its address is in use all the same. */
export async function readMemory(folder: string): Promise<Memory> {
  const memory = createMemory()
  const names = await readdir(folder)
  const read = async (name: string): Promise<void> => {
    const [, set] = LAST.exec(name) ?? []
    if (set === undefined && (isIP(name) === 0 || name.includes('%'))) return
    const content = await contentOf(join(folder, name), 'utf8').catch((error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? undefined : '',
    )
    if (content === undefined) return
    if (set === undefined) memory.take(name, content.trim())
    else memory.setLast(Number(set), content)
  }
  const workers = Array.from({length: AT_ONCE}, async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) await read(name)
  })
  await Promise.all(workers)
  return memory
}
