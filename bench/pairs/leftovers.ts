/** What must not be there once no pod is paired any more. */
import {setTimeout as sleep} from 'node:timers/promises'
import {Kernel} from '../../src/netlink/kernel.ts'
import {dumpLinks} from '../../src/netlink/link.ts'
import type {Session} from './session.ts'

/** Milliseconds. */
const PATIENCE = 10_000
const LOOK = 100
/** The documents through which nodes tell each other of pods. */
const COLLECTIONS = ['pairpods', 'vnis', 'pairs'] as const

/** In words: links of pairs in the nodes and the sandboxes, documents in the store. Waits a while for their end. */
export async function wrongLeftovers(session: Session): Promise<readonly string[]> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const left = [...(await links(session)), ...(await documents(session))]
    if (left.length === 0) return left
    if (performance.now() > deadline) {
      process.stderr.write(`left behind: ${left.slice(0, 10).join(', ')}\n`)
      return left
    }
    await sleep(LOOK)
  }
}

async function links({nodes, sandboxes}: Session): Promise<string[]> {
  const left: string[] = []
  for (const netns of [...nodes.map(({site}) => site.path), ...sandboxes]) {
    const kernel = await Kernel.open({netns})
    const all = await kernel.dump(dumpLinks())
    kernel.close()
    for (const {name, alias, kind} of all)
      if (alias?.startsWith('netgraft:pair:') || kind === 'vxlan') left.push(`${name} in ${netns}`)
  }
  return left
}

async function documents({store, api, etcdKeys}: Session): Promise<string[]> {
  if (store === 'etcd') {
    const keys = await etcdKeys()
    return keys.filter(key => COLLECTIONS.some(plural => key.includes(`/${plural}/`)))
  }
  const lists = await Promise.all(
    COLLECTIONS.map(async plural => {
      const {items} = JSON.parse(await api.send('GET', `/apis/netgraft.dev/v1alpha1/${plural}`)) as {
        items: {metadata: {name: string}}[]
      }
      return items.map(({metadata}) => `${plural} ${metadata.name}`)
    }),
  )
  return lists.flat()
}
