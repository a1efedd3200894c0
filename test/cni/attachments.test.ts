/** Attachments are begun, and undone for as long as it takes. Needs root. */
import test from 'ava'
import {CniError} from '../../src/cni/error.ts'
import {InterfaceGone} from '../../src/cni/interface-gone.ts'
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
