/** Pods before they have a network: namespaces with lo up, made beforehand, used by each side in its turn. */
import {namespacePrefix} from '../../src/lab/plan.ts'
import type {Run} from '../../src/lab/run.ts'
import {Kernel} from '../../src/netlink/kernel.ts'
import {dumpLinks, setLink} from '../../src/netlink/link.ts'

/** Their files. The run removes them at its end. */
export async function makeSandboxes(run: Run, count: number): Promise<string[]> {
  const names = Array.from({length: count}, (_, n) => `${namespacePrefix(run.id)}pod${n}`)
  await run.addNamespaces(names)
  const paths = names.map(name => `/run/netns/${name}`)
  for (const netns of paths) {
    const kernel = await Kernel.open({netns})
    const lo = (await kernel.dump(dumpLinks())).find(({loopback}) => loopback)!
    await kernel.batch([setLink(lo.index, {up: true})])
    kernel.close()
  }
  return paths
}
