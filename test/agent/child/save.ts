/** Saves nodes in a loop until it is killed: those of one saving all name it, and say how many they are. */

import {SavedNodes} from '../../../src/agent/saved-nodes.ts'
import type {NodeFacts, NodeName} from '../../../src/model/facts.ts'
import {parseCidr, parseIp} from '../../../src/model/ip.ts'
import {createMetrics} from '../../../src/observe/metrics.ts'

const [, , folder = '', round = ''] = process.argv
const quiet = () => {}
const log = {trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet, child: () => log}
const saved = new SavedNodes({folder, cluster: () => 'c', log, metrics: createMetrics({version: ''})})
await saved.counted()

for (let saving = 1; ; saving++) {
  const count = 1 + ((saving * 37) % 400)
  const nodes = new Map<NodeName, NodeFacts>()
  for (let i = 0; i < count; i++) {
    const name = `node-${i}` as NodeName
    nodes.set(name, {
      name,
      machineId: `${round} ${saving} ${count}`,
      createdAt: i,
      podCIDRs: [parseCidr(`10.${i >> 8}.${i & 255}.0/24`)],
      addresses: [parseIp(`192.168.${i >> 8}.${i & 255}`)],
      vteps: [],
      problems: [],
    })
  }
  if (!(await saved.save(nodes))) process.exit(1)
  if (saving === 1) process.stdout.write('saving\n')
}
