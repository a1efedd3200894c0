/** Where a real containerd has its pods. */
import {randomUUID} from 'node:crypto'
import {statSync} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'
import test from 'ava'
import {CriError} from '../../src/cri/error.ts'
import {type Cri, openCri, type PodIdentity} from '../../src/cri/sandboxes.ts'
import {bridge, UPSTREAM} from '../containerd/conflist.ts'
import {startContainerd} from '../containerd/containerd.ts'

const {serial} = test
const {signal} = new AbortController()

serial('a sandbox is found by its pod, also after the runtime has been started anew', async t => {
  const containerd = await startContainerd(t, {conflist: bridge, binFolders: [UPSTREAM]})
  const cri = openCri({sockets: [`${containerd.folder}/absent.sock`, containerd.socket]})
  t.teardown(() => cri.close())
  const find = (pod: PodIdentity) => cri.findSandbox(pod, signal)

  t.deepEqual(await cri.listSandboxes(signal), [])
  const pod = await containerd.runPod({name: 'a', namespace: 'shop'})
  const identity = {namespace: 'shop', name: 'a', uid: pod.uid}
  const found = await find(identity)
  t.is(found!.id, pod.id)
  t.is(found!.netns, pod.netns)
  t.true(statSync(found!.netns).isFile())
  t.true(Math.abs(found!.createdAt - Date.now()) < 3_600_000)

  t.is(await find({...identity, uid: randomUUID()}), undefined)
  // A static pod's mirror has another uid.
  t.deepEqual(await find({...identity, uid: randomUUID(), configHash: pod.uid}), found)
  // The hash of somebody else's.
  t.is(await find({...identity, name: 'b', uid: randomUUID(), configHash: pod.uid}), undefined)
  t.is(await find({...identity, namespace: 'other', uid: randomUUID(), configHash: pod.uid}), undefined)

  await containerd.restart(async () => {
    t.is((await t.throwsAsync(find(identity), {instanceOf: CriError}))!.code, 'unavailable')
  })
  t.deepEqual(await settled(cri, identity), found)

  await pod.stop()
  t.is(await find(identity), undefined)
  await pod.remove()
  t.is(await find(identity), undefined)
})

serial('of two sandboxes of one pod the one that is ready; none in the network of the node', async t => {
  const containerd = await startContainerd(t, {conflist: bridge, binFolders: [UPSTREAM]})
  const cri = openCri({sockets: [containerd.socket]})
  t.teardown(() => cri.close())
  const uid = randomUUID()
  const dead = await containerd.runPod({name: 'a', uid})
  await dead.stop()
  const alive = await containerd.runPod({name: 'a', uid, attempt: 1})
  const host = await containerd.runPod({name: 'h', hostNetwork: true})

  t.is((await cri.findSandbox({namespace: 'default', name: 'a', uid}, signal))!.id, alive.id)
  t.is(await cri.findSandbox({namespace: 'default', name: 'h', uid: host.uid}, signal), undefined)
  const listed = await cri.listSandboxes(signal)
  // In whatever order the runtime lists them.
  t.deepEqual(
    Object.fromEntries(listed.map(({id, ...rest}) => [id, rest])),
    Object.fromEntries([
      [dead.id, {uid, namespace: 'default', name: 'a', state: 'notReady'}],
      [alive.id, {uid, namespace: 'default', name: 'a', state: 'ready'}],
      [host.id, {uid: host.uid, namespace: 'default', name: 'h', state: 'ready'}],
    ]),
  )
})

/** What it finds once the runtime has read what it knew before. */
async function settled(cri: Cri, pod: PodIdentity) {
  for (;;) {
    try {
      return await cri.findSandbox(pod, signal)
    } catch (error) {
      if ((error as CriError).code !== 'unavailable') throw error
      await sleep(50)
    }
  }
}
