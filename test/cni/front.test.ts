/** The verbs, where the order of events matters: with a plugin that does as the test says. Needs root. */
import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import {CniError} from '../../src/cni/error.ts'
import {hostName} from '../../src/cni/types/marks.ts'
import {namespaces} from '../netlink/namespace.ts'
import {requestOf, siteOf, until} from './attachments-support.ts'
import {KEY} from './journal-support.ts'

const OTHER = 'f'.repeat(32)
const codeOf = ({status, body}: {status: number; body: string}) => (status === 0 ? 0 : JSON.parse(body).code)

test('the same request has the same answer, while it is known; another one has to wait for a DEL', async t => {
  const [pod] = await namespaces(t, 1)
  const site = await siteOf(t)
  const first = await site.front.handle(requestOf('ADD', pod.path))
  t.is(first.status, 0)
  t.is((await site.front.handle(requestOf('ADD', pod.path))).body, first.body)
  t.is(codeOf(await site.front.handle(requestOf('ADD', pod.path, {id: OTHER}))), 100)
  t.is(codeOf(await site.front.handle(requestOf('DEL', pod.path))), 0)
  await site.attachments.settled(KEY)
  t.is(codeOf(await site.front.handle(requestOf('ADD', pod.path, {id: OTHER}))), 0)
  t.deepEqual(site.calls, ['ADD c1', 'DEL c1', 'ADD c1'])
})

test('what nobody has heard of is taken back, unless it has been made anew', async t => {
  const [pod] = await namespaces(t, 1)
  const site = await siteOf(t)
  const first = await site.front.handle(requestOf('ADD', pod.path))
  await site.front.handle(requestOf('DEL', pod.path))
  await site.attachments.settled(KEY)
  const second = await site.front.handle(requestOf('ADD', pod.path, {id: OTHER}))
  await first.unheard!()
  t.is(site.attachments.entries.size, 1)
  await second.unheard!()
  await until(() => site.attachments.entries.size === 0)
  t.is((await site.front.handle(requestOf('DEL', pod.path))).unheard, undefined)
})

test('requests of one container wait for each other, and an ADD for what is still being removed', async t => {
  const [pod] = await namespaces(t, 1)
  const {promise, resolve} = Promise.withResolvers<void>()
  const site = await siteOf(t, {del: ({later}) => later(promise), add: () => sleep(20)})
  const all = [
    site.front.handle(requestOf('ADD', pod.path)),
    site.front.handle(requestOf('CHECK', pod.path)),
    site.front.handle(requestOf('DEL', pod.path)),
    site.front.handle(requestOf('CHECK', pod.path)),
    site.front.handle(requestOf('ADD', pod.path, {id: OTHER})),
  ]
  t.deepEqual((await Promise.all(all.slice(0, 4))).map(codeOf), [0, 0, 0, 3])
  t.deepEqual(site.calls, ['ADD c1', 'CHECK c1', 'DEL c1'])
  resolve()
  t.is(codeOf(await all[4]!), 0)
  t.deepEqual(site.calls, ['ADD c1', 'CHECK c1', 'DEL c1', 'ADD c1'])
})

test('GC takes what is not listed, is not being made, and was there before', async t => {
  const [pod] = await namespaces(t, 1)
  const {promise, resolve} = Promise.withResolvers<void>()
  const site = await siteOf(t, {add: ({containerId}) => (containerId === 'slow' ? promise : undefined)})
  for (const containerId of ['kept', 'stale']) await site.front.handle(requestOf('ADD', pod.path, {containerId}))
  const slow = site.front.handle(requestOf('ADD', pod.path, {containerId: 'slow'}))
  await until(() => site.attachments.entries.size === 3)
  await sleep(2)
  const config = {'cni.dev/valid-attachments': [{containerID: 'kept', ifname: 'eth1'}]}
  t.is(codeOf(await site.front.handle(requestOf('GC', '', {config}))), 0)
  resolve()
  t.is(codeOf(await slow), 0)
  await until(() => site.attachments.entries.size === 2)
  t.deepEqual([...site.attachments.entries.keys()].sort(), ['kept@eth0', 'slow@eth0'])
  for (const bad of [null, 7, {}, 'x', [7], [null], [{}], [{containerID: 7}]])
    t.is(codeOf(await site.front.handle(requestOf('GC', '', {config: {'cni.dev/attachments': bad}}))), 7)
})

test('a DEL of what is known needs no config; one of the spool that makes no sense is dropped', async t => {
  const [pod] = await namespaces(t, 1)
  const site = await siteOf(t)
  await site.front.handle(requestOf('ADD', pod.path))
  t.is(codeOf(await site.front.handle(requestOf('DEL', pod.path, {input: 'no JSON'}))), 0)
  await site.attachments.settled(KEY)
  t.is(codeOf(await site.front.handle(requestOf('DEL', pod.path, {input: 'no JSON'}))), 6)
  await site.front.spooled(requestOf('DEL', pod.path, {input: 'no JSON'}), Date.now())
  await site.front.spooled(requestOf('DEL', pod.path, {containerId: '../x'}), Date.now())
  t.is(site.told.filter(line => line.includes('it is dropped')).length, 2)
})

test('a DEL of the spool that is older than what stands is passed over; one that fails is tried again', async t => {
  const [pod] = await namespaces(t, 1)
  let broken = true
  const site = await siteOf(t, {
    del: () => {
      if (broken) throw new CniError('failed', 'not now')
    },
  })
  await site.front.handle(requestOf('ADD', pod.path))
  await site.front.spooled(requestOf('DEL', pod.path), Date.now() - 10_000)
  t.is(site.attachments.entries.get('c1@eth0')?.state, 'added')
  // Of what is unknown nobody else would try again.
  await t.throwsAsync(site.front.spooled(requestOf('DEL', '', {containerId: 'unknown'}), Date.now()), {
    message: /not now/,
  })
  await site.front.spooled(requestOf('DEL', pod.path), Date.now() + 1000)
  t.is(site.attachments.entries.get('c1@eth0')?.state, 'deleting')
  broken = false
  await until(() => site.attachments.entries.size === 0)
})

test('as a chained plugin it takes nothing away; what was its own it does', async t => {
  const [pod] = await namespaces(t, 1)
  const site = await siteOf(t)
  const prevResult = (name: string) => ({
    cniVersion: '1.1.0',
    interfaces: [{name}, {name: 'eth0', sandbox: pod.path}],
    dns: {},
  })
  const others = {config: {prevResult: prevResult('veth0')}}
  for (const verb of ['ADD', 'CHECK', 'DEL'])
    t.is(codeOf(await site.front.handle(requestOf(verb, pod.path, others))), 0)
  t.deepEqual(site.calls, [])
  const own = {config: {prevResult: prevResult(hostName(KEY))}}
  t.is(codeOf(await site.front.handle(requestOf('CHECK', pod.path, own))), 3)
  t.is(codeOf(await site.front.handle(requestOf('DEL', pod.path, own))), 0)
  t.deepEqual(site.calls, ['DEL c1'])
})

test('every answer is told, with its error', async t => {
  const [pod] = await namespaces(t, 1)
  const site = await siteOf(t)
  for (const verb of ['ADD', 'ADD', 'CHECK', 'DEL', 'STATUS', 'VERSION', 'X'])
    await site.front.handle(requestOf(verb, pod.path, {id: site.events.length === 0 ? OTHER : undefined} as object))
  t.deepEqual(
    site.events.map(({command, error}) => [command, error?.number ?? 0]),
    [
      ['ADD', 0],
      ['ADD', 100],
      ['CHECK', 0],
      ['DEL', 0],
      ['STATUS', 0],
      ['VERSION', 0],
      [undefined, 4],
    ],
  )
  t.true(site.events.every(({ms}) => ms >= 0))
})
