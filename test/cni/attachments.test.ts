/** Attachments are begun, and undone for as long as it takes. Needs root. */
import test from 'ava'
import {CniError} from '../../src/cni/error.ts'
import {InterfaceGone} from '../../src/cni/interface-gone.ts'
import type {Plan} from '../../src/cni/journal.ts'
import type {PluginCall} from '../../src/cni/plugin.ts'
import {parseResult} from '../../src/cni/versions.ts'
import {namespaces} from '../netlink/namespace.ts'
import {OPTIONS, siteOf, until} from './attachments-support.ts'
import {folderOf, KEY, reopened} from './journal-support.ts'

const failing = (times: number) => {
  let n = 0
  return () => {
    if (n++ < times) throw new CniError('failed', 'not now')
  }
}

test('a removal that fails is answered, and tried again until it is done', async t => {
  const [pod] = await namespaces(t, 1)
  const site = await siteOf(t, {del: failing(3)})
  const {plan, sandbox} = await site.plan(pod.path)
  await site.attachments.add(plan, sandbox, OPTIONS)
  await site.attachments.remove(site.attachments.entries.get('c1@eth0')!)
  t.is(site.attachments.entries.get('c1@eth0')!.state, 'deleting')
  await site.attachments.settled(KEY)
  t.deepEqual(site.calls, ['ADD c1', 'DEL c1', 'DEL c1', 'DEL c1', 'DEL c1'])
  t.is(site.attachments.entries.size, 0)
  t.is(site.told.filter(line => line.includes('trying again')).length, 3)
})

test('an ADD that fails is undone, for as long as it takes', async t => {
  const [pod] = await namespaces(t, 1)
  const folder = await folderOf(t)
  let broken = true
  const fails = () => {
    if (broken) throw new CniError('failed', 'not now')
  }
  const site = await siteOf(t, {folder, add: fails, del: fails})
  const {plan, sandbox} = await site.plan(pod.path)
  await t.throwsAsync(site.attachments.add(plan, sandbox, OPTIONS), {message: /not now/})
  t.deepEqual(
    (await reopened(t, folder)).map(({state}) => state),
    ['deleting'],
  )
  broken = false
  await site.attachments.settled(KEY)
  t.deepEqual(await reopened(t, folder), [])
})

test('what no plugin can be called with is not begun', async t => {
  const [pod] = await namespaces(t, 1)
  const site = await siteOf(t)
  const list = {cniVersion: '1.0.0', name: 'pods', plugins: [{type: 'ptp'}, {type: '../x'}]}
  const {plan, sandbox} = await site.plan(pod.path, {list})
  await t.throwsAsync(site.attachments.add(plan, sandbox, OPTIONS), {code: 'invalidConfig'})
  t.is(site.attachments.entries.size, 0)
  t.deepEqual(site.calls, [])
})

test('work behind an answer keeps the journal, and a failure of it has the DEL done again', async t => {
  const [pod] = await namespaces(t, 1)
  const {promise, reject} = Promise.withResolvers<void>()
  let first = true
  const site = await siteOf(t, {
    del: ({later}) => {
      if (first) later(promise)
      first = false
    },
  })
  const {plan, sandbox} = await site.plan(pod.path)
  await site.attachments.add(plan, sandbox, OPTIONS)
  await site.attachments.remove(site.attachments.entries.get('c1@eth0')!)
  t.is(site.attachments.entries.get('c1@eth0')!.state, 'deleting')
  reject(new Error('it stays'))
  await until(() => site.attachments.entries.size === 0)
  t.deepEqual(site.calls, ['ADD c1', 'DEL c1', 'DEL c1'])
})

test('a namespace that has gone, and one that has taken its path, are not entered', async t => {
  const [pod] = await namespaces(t, 1)
  const site = await siteOf(t)
  for (const more of [{}, {sandbox: '1:1'}, {boot: 'another'}, {netns: '/nowhere'}]) {
    const {plan, sandbox} = await site.plan(pod.path)
    await site.attachments.add({...plan, ...more}, sandbox, OPTIONS)
    const entry = site.attachments.entries.get('c1@eth0')!
    const there = Object.keys(more).length === 0
    t.is(await site.attachments.lives(entry), there)
    if (!there) await t.throwsAsync(site.attachments.check(entry, OPTIONS.signal), {code: 'unknownContainer'})
    // The plugin of these tests makes none.
    if (there) await t.throwsAsync(site.attachments.repair(entry), {instanceOf: InterfaceGone})
    else t.deepEqual(await site.attachments.repair(entry), [])
    await site.attachments.remove(entry)
    await site.attachments.settled(KEY)
    t.is(site.calls.at(-1), there ? 'DEL c1' : 'DEL c1 without', JSON.stringify(more))
  }
})

const listOf = (...plugins: object[]): Plan['list'] =>
  ({cniVersion: '1.0.0', name: 'pods', plugins: plugins.map(plugin => ({type: 'ptp', ...plugin}))}) as Plan['list']

test('what is changed in place is in the journal, and what is not, is not', async t => {
  const [pod] = await namespaces(t, 1)
  const folder = await folderOf(t)
  const asked: string[] = []
  const site = await siteOf(t, {
    folder,
    more: {
      update: async ({config, args}, before) => {
        asked.push(`${before.config.mtu} ${before.args} -> ${config.mtu} ${args}`)
        if (config.mtu === 1) throw new CniError('failed', 'too small')
        const result = parseResult(config.prevResult, config.cniVersion)
        return config.mtu === 2 ? undefined : {...result, dns: {domain: `${config.mtu}`}}
      },
    },
  })
  const {plan, sandbox} = await site.plan(pod.path, {list: listOf({mtu: 1400}), args: 'A=1'})
  const result = await site.attachments.add(plan, sandbox, OPTIONS)
  const entry = () => site.attachments.entries.get('c1@eth0')!
  const update = (list: Plan['list'], more: Partial<Plan> = {}) =>
    site.attachments.update(entry(), {...plan, list, args: 'A=2', ...more})

  // Of several plugins, of another attachment, and what the plugin cannot do.
  t.is(await update(listOf({}, {})), undefined)
  t.is(await update(listOf({}), {ifname: 'net1'}), undefined)
  t.is(await update(listOf({mtu: 2})), undefined)
  await t.throwsAsync(update(listOf({mtu: 1})), {message: 'too small'})
  t.deepEqual(entry(), {plan, state: 'added', result})

  t.deepEqual(await update(listOf({mtu: 1300})), {...result, dns: {domain: '1300'}})
  const [found] = await reopened(t, folder)
  t.deepEqual(found, JSON.parse(JSON.stringify(entry())))
  t.deepEqual(found!.plan.list, listOf({mtu: 1300}))
  t.deepEqual(found!.result!.dns, {domain: '1300'})
  t.deepEqual(asked, ['1400 A=1 -> 2 A=2', '1400 A=1 -> 1 A=2', '1400 A=1 -> 1300 A=2'])

  // Only what asked for it is another: no plugin has anything to do.
  const attachment = {origin: 'annotation', selection: {}} as Plan['attachment']
  t.truthy(await update(listOf({mtu: 1300}), attachment && {attachment}))
  t.is(asked.length, 3)
  t.deepEqual((await reopened(t, folder))[0]!.plan.attachment, attachment)

  // A pod that has gone.
  pod.remove()
  t.is(await update(listOf({mtu: 1200})), undefined)
})

test('what is made anew is in the journal where it is another one', async t => {
  const [pod] = await namespaces(t, 1)
  let mac = '02:00:00:00:00:01'
  const rebuild = async ({config, ifname, netns}: PluginCall) => ({
    ...parseResult(config.prevResult, config.cniVersion),
    interfaces: [{name: ifname, mac, sandbox: netns}],
  })
  const site = await siteOf(t, {more: {rebuild}})
  const {plan, sandbox} = await site.plan(pod.path)
  await site.attachments.add(plan, sandbox, OPTIONS)
  const changed: string[] = []
  site.attachments.onChange(key => changed.push(key))
  const entry = () => site.attachments.entries.get('c1@eth0')!
  for (const next of [mac, mac, '02:00:00:00:00:02']) {
    mac = next
    t.is((await site.attachments.rebuild(entry(), {exactly: true}))!.interfaces[0]!.mac, next)
    t.is(entry().result!.interfaces[0]!.mac, next)
  }
  t.is(changed.length, 2)
  t.deepEqual(site.calls, ['ADD c1'])
  pod.remove()
  t.is(await site.attachments.rebuild(entry(), {exactly: true}), undefined)
})
