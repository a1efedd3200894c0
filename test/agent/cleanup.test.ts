/** What cleanup takes back of the packet filter. Needs root. */
import test from 'ava'
import {cleanup} from '../../src/agent/cleanup.ts'
import {namespaces} from '../netlink/namespace.ts'

const NFT = '/usr/sbin/nft'

test('our tables are removed, others stay, and a second time there is nothing to do', async t => {
  const [at] = await namespaces(t, 1)
  for (const [family, table] of [
    ['inet', 'netgraft'],
    ['inet', 'netgraft-guard'],
    ['inet', 'other'],
    ['ip', 'netgraft'],
  ] as const)
    at.exec(NFT, 'add', 'table', family, table)
  t.deepEqual(await cleanup([107], {netns: at.path}), {
    removed: ['table inet netgraft', 'table inet netgraft-guard'],
    failed: [],
  })
  t.is(at.exec(NFT, 'list', 'tables'), 'table inet other\ntable ip netgraft\n')
  t.deepEqual(await cleanup([107], {netns: await at.fd()}), {removed: [], failed: []})
})
