/** What is bundled apart from the agent works by itself: no file of its own is read, and nothing is installed beside it. */
import {copyFile} from 'node:fs/promises'
import {join} from 'node:path'
import test from 'ava'
import type * as client from '../../src/store/etcd-client.ts'
import {folder, startEtcd} from './support.ts'

const DIST = join(import.meta.dirname, '..', '..', 'dist')

test('the bundle asks etcd', async t => {
  const file = join(await folder(t), 'netgraft-etcd.mjs')
  await copyFile(join(DIST, 'netgraft-etcd.js'), file)
  const {connect} = (await import(file)) as typeof client

  const etcd = await startEtcd(t.teardown.bind(t))
  const connection = connect({endpoints: [`http://127.0.0.1:${etcd.port}`]})
  t.teardown(() => connection.close())
  const limits = {deadlineMs: 5000, signal: new AbortController().signal}
  const [key, value] = [Buffer.from('/k'), Buffer.from('v')]
  const {succeeded, header} = await connection.txn({success: [{request_put: {key, value}}]}, limits)
  t.true(succeeded)
  const {items} = await connection.range({key}, limits)
  t.deepEqual(
    items.map(item => [`${item.key}`, `${item.value}`, item.revision]),
    [['/k', 'v', header.revision]],
  )
  for await (const answer of connection.watch(
    {key, range_end: Buffer.from('/l'), from: header.revision},
    limits.signal,
  )) {
    if (answer.type === 'progress') continue
    t.is(`${answer.item.value}`, 'v')
    break
  }
})
