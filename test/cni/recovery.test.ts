/** What an earlier agent has left. Needs root. */
import test from 'ava'
import {nodeLocal} from '../../src/cni/ipam/node-local.ts'
import {type RecoveryPorts, recover, removeDead} from '../../src/cni/recovery.ts'
import {findStrays} from '../../src/cni/strays.ts'
import {OWN_GROUP} from '../../src/model/plans.ts'
import {namespaceKernel} from '../../src/netlink/namespace.ts'
import {namespaces} from '../netlink/namespace.ts'
import {OPTIONS, siteOf, until} from './attachments-support.ts'
import {folderOf, planOf, RESULT} from './journal-support.ts'

const portsOf = (site: Awaited<ReturnType<typeof siteOf>>, more: Partial<RecoveryPorts> = {}): RecoveryPorts => ({
  attachments: site.attachments,
  serial: site.serial,
  nodeLocal: nodeLocal(async () => []),
  onHost: async () => new Set(),
  strays: async () => [],
  log: {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error: () => {},
    fatal: () => {},
  } as unknown as RecoveryPorts['log'],
  ...more,
})

test('what was half done is undone, what stands keeps its addresses', async t => {
  const [pod] = await namespaces(t, 1)
  const folder = await folderOf(t)
  const earlier = await siteOf(t, {folder})
  for (const containerId of ['begun', 'leaving', 'standing']) {
    const {plan} = await earlier.plan(pod.path, {containerId})
    await earlier.journal.begin(plan, false)
    if (containerId !== 'begun') await earlier.journal.added(plan, RESULT)
    if (containerId === 'leaving') await earlier.journal.deleting(plan)
  }
  const site = await siteOf(t, {folder})
  const addresses = nodeLocal(async () => [])
  await recover(
    portsOf(site, {
      nodeLocal: addresses,
      strays: async () => [{containerId: 'lost', ifname: 'eth0', addresses: ['10.1.2.9/24']}],
    }),
  )
  t.deepEqual(site.calls.toSorted(), ['DEL begun', 'DEL leaving'])
  await until(() => site.attachments.entries.size === 1)
  t.deepEqual([...site.attachments.entries.keys()], ['standing@eth0'])
  // That of the one that is leaving is its plugin's to free.
  t.true(addresses.size >= 2)
})

test('what cannot be looked for keeps nobody from starting', async t => {
  const site = await siteOf(t)
  await recover(portsOf(site, {strays: () => Promise.reject(new Error('no'))}))
  t.pass()
})

test('an attachment without its namespace is removed; one that cannot be seen is not', async t => {
  const [pod, gone] = await namespaces(t, 2)
  const site = await siteOf(t)
  const stands = {living: pod.path, gone: gone.path, seen: gone.path}
  for (const [containerId, netns] of Object.entries(stands)) {
    const {plan, sandbox} = await site.plan(netns, {containerId})
    await site.attachments.add(plan, sandbox, OPTIONS)
  }
  const hidden = planOf({containerId: 'hidden', netns: '/nowhere/at/all', boot: site.attachments.boot})
  const before = planOf({containerId: 'before', netns: '/nowhere/at/all', boot: 'an earlier one'})
  for (const plan of [hidden, before]) {
    await site.journal.begin(plan, false)
    await site.journal.added(plan, RESULT)
  }
  gone.remove()
  t.is(await removeDead(portsOf(site, {onHost: async () => new Set(['seen@eth0'])})), 2)
  await until(() => site.attachments.entries.size === 3)
  t.deepEqual([...site.attachments.entries.keys()].sort(), ['hidden@eth0', 'living@eth0', 'seen@eth0'])
  t.deepEqual(site.calls.filter(call => call.startsWith('DEL')).sort(), ['DEL before without', 'DEL gone without'])
})

test('strays are found by their ends on the host, with the addresses of their pods', async t => {
  const [host, pod, other] = await namespaces(t, 3)
  for (const [name, {name: netns}] of Object.entries({one: pod, two: other, three: pod})) {
    host.ip('link', 'add', name, 'group', `${OWN_GROUP}`, 'type', 'veth', 'peer', 'name', `p${name}`, 'netns', netns)
    if (name !== 'three') host.ip('link', 'set', name, 'alias', `netgraft:cni:${name}:eth0`)
  }
  pod.ip('addr', 'add', '10.1.2.5/24', 'dev', 'pone')
  pod.ip('addr', 'add', 'fd00::5/64', 'dev', 'pone', 'nodad')
  pod.ip('addr', 'add', '10.9.9.9/24', 'dev', 'pthree')
  other.ip('addr', 'add', '10.1.2.6/24', 'dev', 'ptwo')
  const kernel = namespaceKernel(await host.kernel())
  const strays = await findStrays(kernel, () => false)
  t.deepEqual(strays.map(({containerId, addresses}) => [containerId, addresses.toSorted()]).sort(), [
    ['one', ['10.1.2.5/24', 'fd00::5/64']],
    ['two', ['10.1.2.6/24']],
  ])
  t.deepEqual(
    (await findStrays(kernel, ({containerId}) => containerId === 'one')).map(each => each.containerId),
    ['two'],
  )
})
