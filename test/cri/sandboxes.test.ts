/** What runtimes answer, and what is made of it. The shapes are CRI-O's: `info` has no more than the OCI spec in it. */
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {CriError} from '../../src/cri/error.ts'
import {openCri} from '../../src/cri/sandboxes.ts'
import {freeSocket, serveRuntime} from './serve.ts'

const {signal} = new AbortController()
const UID = 'd2b1f9a4-6f0c-4b38-9d5e-3a1c7b6e8f01'
const POD = {namespace: 'shop', name: 'a', uid: UID}
const NETNS = '/var/run/netns/4f7c7d5c-3f1b-4d2e-8a6c-2b9d1e0f5a3c'

interface Item {
  readonly id: string
  readonly metadata?: object
  readonly state?: string
  readonly created_at?: string
}

const item = (id: string, more: Partial<Item> = {}): Item => ({
  id,
  metadata: {...POD, attempt: 0},
  state: 'SANDBOX_READY',
  created_at: '1700000000000000000',
  ...more,
})

const POD_MODE = {namespaces: {options: {network: 'POD'}}}

const crio = (
  namespaces: unknown,
  {linux = POD_MODE, state = 'SANDBOX_READY'}: {linux?: object; state?: string} = {},
) => ({
  status: {id: 'x', state, linux},
  info: {info: JSON.stringify({runtimeSpec: {ociVersion: '1.0.2-dev', hostname: 'a', linux: {namespaces}}})},
})

const own = [{type: 'pid'}, {type: 'network', path: NETNS}, {type: 'ipc', path: '/var/run/ipcns/4f7c'}]

/** `statuses` by the sandbox's id; what is not there is not found. */
async function find(
  t: ExecutionContext,
  items: readonly Item[],
  statuses: Readonly<Record<string, unknown>>,
  pod: Parameters<ReturnType<typeof openCri>['findSandbox']>[0] = POD,
) {
  const socket = await freeSocket(t)
  const asked: unknown[] = []
  await serveRuntime(t, socket, {
    ListPodSandbox: request => {
      asked.push(request)
      return {items}
    },
    PodSandboxStatus: ({pod_sandbox_id: id, verbose}: {pod_sandbox_id: string; verbose: boolean}) => {
      asked.push({id, verbose})
      if (statuses[id]) return statuses[id]
      throw Object.assign(new Error('gone'), {code: 5, details: `could not find pod "${id}"`})
    },
  })
  const cri = openCri({sockets: [socket]})
  t.teardown(() => cri.close())
  const found = await cri.findSandbox(pod, signal).catch(error => {
    t.true(error instanceof CriError)
    return {code: error.code, message: error.message.replaceAll(socket, 'SOCKET')}
  })
  return {found, asked}
}

test('the runtime is asked for the label, then for what it knows', async t => {
  const {found, asked} = await find(t, [item('one')], {one: crio(own)})
  t.deepEqual(found, {id: 'one', netns: NETNS, createdAt: 1_700_000_000_000})
  t.deepEqual(asked, [{filter: {id: '', label_selector: {'io.kubernetes.pod.uid': UID}}}, {id: 'one', verbose: true}])
})

test('a static pod is looked for by its hash, too', async t => {
  const {asked} = await find(t, [], {}, {...POD, configHash: 'f00d'})
  t.deepEqual(
    asked.map(each => (each as {filter: {label_selector: object}}).filter.label_selector),
    [{'io.kubernetes.pod.uid': UID}, {'io.kubernetes.pod.uid': 'f00d'}],
  )
})

test('the newest that is ready is taken, also when one goes in between', async t => {
  const items = [
    item('old', {created_at: '1700000000000000001'}),
    item('newest', {created_at: '1700000000000000004'}),
    item('dead', {created_at: '1700000000000000009', state: 'SANDBOX_NOTREADY'}),
    item('new', {created_at: '1700000000000000003'}),
    item('nobody', {created_at: '1700000000000000008', metadata: {name: 'b', namespace: 'shop', uid: UID}}),
  ]
  const statuses = {old: crio(own), new: crio(own), dead: crio(own), nobody: crio(own)}
  t.like((await find(t, items, {...statuses, newest: crio(own)})).found, {id: 'newest'})
  t.like((await find(t, items, statuses)).found, {id: 'new'})
  const stopping = {...statuses, newest: crio(own, {state: 'SANDBOX_NOTREADY'})}
  t.like((await find(t, items, stopping)).found, {id: 'new'})
  t.is((await find(t, items, {})).found, undefined)
})

test('a pod in the network of its node has no namespace', async t => {
  const linux = {namespaces: {options: {network: 'NODE'}}}
  t.is((await find(t, [item('one')], {one: crio([{type: 'pid'}], {linux})})).found, undefined)
  t.is((await find(t, [item('one')], {one: crio(own, {linux})})).found, undefined)
  // Of modes, nothing is said.
  t.is((await find(t, [item('one')], {one: crio([{type: 'pid'}], {linux: {}})})).found, undefined)
})

test('an answer without a namespace is an error', async t => {
  const status = {id: 'x', state: 'SANDBOX_READY', linux: POD_MODE}
  const answers = {
    'no info': {status, info: {}},
    'not JSON': {status, info: {info: '{"runtimeSpec":'}},
    deep: {status, info: {info: '['.repeat(1_000_000)}},
    'nothing in it': {status, info: {info: 'null'}},
    'a null': {status, info: {info: '{"runtimeSpec":null}'}},
    'no list': crio({network: NETNS}),
    'nulls in it': crio([null, 7, 'network']),
    'no network': crio([{type: 'pid'}]),
    'no path': crio([{type: 'network'}]),
    'a number': crio([{type: 'network', path: 7}]),
    'no absolute path': crio([{type: 'network', path: 'netns'}]),
  }
  for (const [what, answer] of Object.entries(answers)) {
    const {found} = await find(t, [item('one')], {one: answer})
    t.deepEqual(
      found,
      {
        code: 'protocol',
        message:
          'the container runtime at SOCKET does not tell the network namespace of sandbox "one": is it containerd or CRI-O, and are its pods no virtual machines?',
      } as never,
      what,
    )
  }
})

test('any info is read or refused', async t => {
  const socket = await freeSocket(t)
  let info = ''
  await serveRuntime(t, socket, {
    ListPodSandbox: () => ({items: [item('one')]}),
    PodSandboxStatus: () => ({status: {state: 'SANDBOX_READY', linux: POD_MODE}, info: {info}}),
  })
  const cri = openCri({sockets: [socket]})
  t.teardown(() => cri.close())
  const spec = fc.letrec(tie => ({
    any: fc.oneof(
      fc.jsonValue(),
      fc.array(tie('any'), {maxLength: 3}),
      fc.dictionary(fc.constantFrom('runtimeSpec', 'linux', 'namespaces', 'type', 'path', '__proto__'), tie('any')),
      fc.constant('network'),
    ),
  })).any
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        spec.map(value => JSON.stringify({runtimeSpec: {linux: {namespaces: value}}})),
      ),
      async text => {
        info = text
        await cri.findSandbox(POD, signal).then(
          found => found === undefined || t.true(found.netns.startsWith('/')),
          error => t.true(error instanceof CriError, String(error?.stack)),
        )
      },
    ),
    {numRuns: 100},
  )
  t.pass()
})

test('sandboxes of all pods are listed, whatever is missing of them', async t => {
  const socket = await freeSocket(t)
  const items = [item('one'), {id: 'two', state: 'SANDBOX_NOTREADY'}, item('three', {state: 9 as never})]
  await serveRuntime(t, socket, {ListPodSandbox: () => ({items})})
  const cri = openCri({sockets: [socket]})
  t.teardown(() => cri.close())
  t.deepEqual(await cri.listSandboxes(signal), [
    {id: 'one', ...POD, state: 'ready'},
    {id: 'two', uid: '', namespace: '', name: '', state: 'notReady'},
    {id: 'three', ...POD, state: 'notReady'},
  ])
})
