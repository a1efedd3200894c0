/** Which devices a kubelet says that a pod has. */
import test, {type ExecutionContext} from 'ava'
import {CriError} from '../../src/cri/error.ts'
import {openPodResources} from '../../src/cri/pod-resources.ts'
import {freeSocket, POD_RESOURCES, serveGrpc} from './serve.ts'

const {signal} = new AbortController()
const POD = {namespace: 'shop', name: 'a'}
const SRIOV = 'intel.com/sriov'

const device = (resource_name: string, ...device_ids: string[]) => ({
  resource_name,
  device_ids,
  topology: {nodes: [{ID: 1}]},
})

async function kubelet(t: ExecutionContext, answer: () => unknown) {
  const socket = await freeSocket(t)
  await serveGrpc(t, socket, {file: POD_RESOURCES, service: 'v1.PodResourcesLister', answers: {List: answer}})
  const resources = openPodResources({socket})
  t.teardown(() => resources.close())
  return {resources, socket}
}

test('the devices of all containers, in their order, each once', async t => {
  const {resources} = await kubelet(t, () => ({
    pod_resources: [
      {name: 'b', namespace: 'shop', containers: [{name: 'x', devices: [device(SRIOV, '0000:00:00.1')]}]},
      {
        ...POD,
        containers: [
          {name: 'x', devices: [device(SRIOV, '0000:03:02.1'), device('example.org/gpu', 'g1')], cpu_ids: ['1', '2']},
          {name: 'y', devices: []},
          {name: 'z', devices: [device(SRIOV, '0000:03:02.0', '0000:03:02.1'), device(SRIOV, '0000:82:00.7')]},
        ],
      },
      {name: 'a', namespace: 'other', containers: [{name: 'x', devices: [device(SRIOV, '0000:00:00.2')]}]},
    ],
  }))
  t.deepEqual(
    [...(await resources.devices(POD, signal))],
    [
      [SRIOV, ['0000:03:02.1', '0000:03:02.0', '0000:82:00.7']],
      ['example.org/gpu', ['g1']],
    ],
  )
})

test('a pod without devices, and one that nobody knows', async t => {
  const {resources} = await kubelet(t, () => ({pod_resources: [{...POD, containers: [{name: 'x'}]}]}))
  t.is((await resources.devices(POD, signal)).size, 0)
  t.is((await resources.devices({namespace: 'shop', name: 'nobody'}, signal)).size, 0)
})

test('names of properties are names of resources like any other', async t => {
  const containers = [{name: 'x', devices: [device('__proto__', 'a'), device('constructor', 'b')]}]
  const {resources} = await kubelet(t, () => ({pod_resources: [{...POD, containers}]}))
  t.deepEqual(
    [...(await resources.devices(POD, signal))],
    [
      ['__proto__', ['a']],
      ['constructor', ['b']],
    ],
  )
})

test('a kubelet that refuses, and one that is not there', async t => {
  const {resources, socket} = await kubelet(t, () => {
    throw Object.assign(new Error(), {code: 8, details: 'rejected by rate limit'})
  })
  const refused = await t.throwsAsync(resources.devices(POD, signal), {instanceOf: CriError})
  t.is(refused!.code, 'unavailable')
  t.is(refused!.message, `the kubelet at ${socket} refused List: "rejected by rate limit"`)

  const nowhere = openPodResources({socket: `${socket}.not`})
  const absent = await t.throwsAsync(nowhere.devices(POD, signal), {instanceOf: CriError})
  t.is(absent!.code, 'absent')
  t.is(absent!.message, `the kubelet has no socket at ${socket}.not: name its socket in attachments.podResources`)
})
