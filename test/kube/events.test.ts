/** Events on pods. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import test from 'ava'
import {KubeClient} from '../../src/kube/client.ts'
import {Credentials} from '../../src/kube/credentials.ts'
import {createEvent} from '../../src/kube/events.ts'
import {startApiServer} from '../../src/lab/apiserver/server.ts'
import {ApiError} from '../../src/streams/list-watch.ts'

/** RFC 1123. */
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

test('an Event that is sent again is the same one; long words are cut', async t => {
  const server = await startApiServer()
  const folder = await mkdtemp(join(tmpdir(), 'netgraft-events-'))
  const kubeconfig = join(folder, 'kubeconfig')
  await writeFile(kubeconfig, server.kubeconfig())
  const credentials = new Credentials({kubeconfig})
  t.teardown(async () => {
    credentials.close()
    await server.close()
    await rm(folder, {recursive: true, maxRetries: 5})
  })
  const client = new KubeClient(credentials)
  const pod = {namespace: 'default', name: 'p'.repeat(253), uid: 'u'}
  const {signal} = new AbortController()
  const tell = (id: string, message: string) =>
    createEvent(client, pod, {type: 'Warning', reason: 'AttachFailed', message}, {id, host: 'a', signal})
  for (const id of ['1', '1', '2']) await tell(id, 'x'.repeat(5000))
  const events = server.list('events', 'default')
  t.is(events.length, 2)
  for (const {metadata, message, involvedObject} of events) {
    t.is(metadata.name!.length, 253)
    t.is(message, `${'x'.repeat(1023)}…`)
    t.like(involvedObject, {kind: 'Pod', name: pod.name, uid: 'u'})
  }
  for (const name of [
    `${'p'.repeat(240)}${'-'.repeat(12)}p`,
    `${'p'.repeat(250)}.pp`,
    `${'p'.repeat(240)}.a${'-'.repeat(10)}b`,
  ]) {
    t.is(name.length, 253)
    await createEvent(
      client,
      {...pod, name},
      {type: 'Normal', reason: 'Attached', message: ''},
      {id: '4', host: '', signal},
    )
  }
  for (const {metadata} of server.list('events', 'default')) t.regex(metadata.name!, SUBDOMAIN)
  server.faults.fail(1, 403)
  await t.throwsAsync(tell('3', 'x'), {instanceOf: ApiError})
})
