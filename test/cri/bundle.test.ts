/** What is bundled apart from the agent works by itself: no file of its own is read, and nothing is installed beside it. */
import {copyFile, mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test from 'ava'
import type * as grpc from '../../src/cri/grpc.ts'
import {freeSocket, serveRuntime} from './serve.ts'

const DIST = join(import.meta.dirname, '..', '..', 'dist')

test('the bundle asks a runtime', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ng-bundle-'))
  t.teardown(() => rm(folder, {recursive: true, maxRetries: 5}))
  const file = join(folder, 'netgraft-grpc.mjs')
  await copyFile(join(DIST, 'netgraft-grpc.js'), file)
  const {connect} = (await import(file)) as typeof grpc

  const socket = await freeSocket(t)
  await serveRuntime(t, socket, {ListPodSandbox: () => ({items: [{id: 'one', created_at: '7'}]})})
  const connection = connect(socket)
  t.teardown(() => connection.close())
  const {signal} = new AbortController()
  const answer = await connection.call('/runtime.v1.RuntimeService/ListPodSandbox', {}, {deadline: 5000, signal})
  t.deepEqual(
    answer.items.map(({id, created_at}) => [id, created_at]),
    [['one', '7']],
  )
})
