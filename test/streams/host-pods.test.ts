/** Host pods through the real transport, from the lab's API server. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as wait} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import fc from 'fast-check'
import {KubeClient} from '../../src/kube/client.ts'
import {Credentials} from '../../src/kube/credentials.ts'
import {type ApiServer, startApiServer} from '../../src/lab/apiserver/server.ts'
import type {NodeName} from '../../src/model/facts.ts'
import type {Ip} from '../../src/model/ip.ts'
import {type HostPodOptions, hostPodStream, projectHostPod} from '../../src/streams/host-pods.ts'
import type {View} from '../../src/streams/view.ts'

interface Pod {
  readonly name: string
  readonly namespace?: string
  readonly node?: string
  readonly hostNetwork?: boolean
  readonly app?: string
}

function create(
  server: ApiServer,
  {name, namespace = 'default', node, hostNetwork = true, app = 'netgraft'}: Pod,
): void {
  server.create({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {name, namespace, labels: {app}},
    spec: {hostNetwork, ...(node && {nodeName: node})},
  })
}

/** "10.0.0.1 fd00::1": what the kubelet reports. */
function report(server: ApiServer, name: string, ips: string, phase = 'Running', namespace = 'default'): void {
  const podIPs = ips.split(' ').map(ip => ({ip}))
  server.patch({resource: 'pods', namespace, name, status: true}, {status: {phase, podIPs, podIP: podIPs[0]!.ip}})
}

async function follow(
  t: ExecutionContext,
  {namespace, ...options}: Partial<HostPodOptions> & {namespace?: string} = {},
) {
  const server = await startApiServer({bookmarkIntervalMs: 20})
  const folder = await mkdtemp(join(tmpdir(), 'netgraft-pods-'))
  const kubeconfig = join(folder, 'kubeconfig')
  await writeFile(kubeconfig, server.kubeconfig())
  const credentials = new Credentials({kubeconfig})
  const client = new KubeClient(credentials, {timeoutMs: 2000})
  t.teardown(async () => {
    credentials.close()
    await server.close()
    await rm(folder, {recursive: true, maxRetries: 5})
  })
  const views: View<NodeName, readonly Ip[]>[] = []
  const pods = client.listWatch({group: '', version: 'v1', resource: 'pods', namespace})
  const start = () => {
    const settings = {selector: 'app=netgraft', lingerMs: 0, backoff: {baseMs: 5, capMs: 30}, confirmMs: 30}
    const subscription = hostPodStream(pods, {...settings, ...options}).subscribe(view => views.push(view))
    t.teardown(() => subscription.unsubscribe())
  }
  /** "a fd00::1 | b fd00::2 fd00::3". */
  const text = () => {
    const newest = views.at(-1)
    if (!newest?.synced) return 'unsynced'
    return [...newest.items]
      .map(([node, ips]) => `${node} ${ips.join(' ')}`)
      .toSorted()
      .join(' | ')
  }
  const becomes = async (want: string) => {
    for (const late = performance.now() + 10_000; text() !== want && performance.now() < late; ) await wait(5)
    t.is(text(), want)
  }
  return {server, start, becomes, text, synced: () => views.filter(view => view.synced)}
}

test('the IPv6 addresses of the hostNetwork pods that the selector means, by node', async t => {
  const {server, start, becomes, synced} = await follow(t)
  const pods: [Pod, string, string?][] = [
    [{name: 'dual', node: 'a'}, '10.0.0.1 fd00::1'],
    [{name: 'six', node: 'b'}, 'FD00::2'],
    [{name: 'four', node: 'c'}, '10.0.0.3'],
    [{name: 'own-network', node: 'd', hostNetwork: false}, 'fd00::4'],
    [{name: 'nowhere-yet'}, 'fd00::5'],
    [{name: 'done', node: 'f'}, 'fd00::6', 'Succeeded'],
    [{name: 'failed', node: 'g'}, 'fd00::7', 'Failed'],
    [{name: 'other', node: 'h', app: 'other'}, 'fd00::8'],
    [{name: 'nonsense', node: 'i'}, 'fd00::x'],
    [{name: 'elsewhere', namespace: 'kube-system', node: 'j'}, 'fd00::9'],
  ]
  for (const [pod, ips, phase] of pods) {
    create(server, pod)
    report(server, pod.name, ips, phase, pod.namespace)
  }
  start()
  await becomes('a fd00::1 | b fd00::2 | j fd00::9')
  t.is(synced().length, 1)
})

test('of one namespace', async t => {
  const {server, start, becomes} = await follow(t, {namespace: 'kube-system'})
  for (const namespace of ['default', 'kube-system']) {
    create(server, {name: 'p', namespace, node: namespace})
    report(server, 'p', 'fd00::1', 'Running', namespace)
  }
  start()
  await becomes('kube-system fd00::1')
})

test('no pods at all is something that is known', async t => {
  const {start, becomes, synced} = await follow(t)
  start()
  await becomes('')
  t.is(synced().length, 1)
})

test('a life of pods: one View for each change of an address, in one live map', async t => {
  const {server, start, becomes, synced} = await follow(t)
  start()
  await becomes('')
  create(server, {name: 'p2', node: 'a'})
  report(server, 'p2', '10.0.0.1 fd00::2')
  await becomes('a fd00::2')
  create(server, {name: 'p1', node: 'a'})
  report(server, 'p1', '10.0.0.1 fd00::1 fd00::2')
  await becomes('a fd00::1 fd00::2')
  report(server, 'p1', '10.0.0.1 fd00::1 fd00::2', 'Running')
  report(server, 'p2', '10.0.0.1', 'Running')
  create(server, {name: 'p3', node: 'b'})
  report(server, 'p3', 'fd00::3')
  await becomes('a fd00::1 fd00::2 | b fd00::3')
  report(server, 'p3', 'fd00::3', 'Failed')
  await becomes('a fd00::1 fd00::2')
  server.delete({resource: 'pods', name: 'p1'})
  await becomes('')
  t.is(synced().length, 6)
  t.is(new Set(synced().map(view => view.items)).size, 1)
})

test('while a pod is replaced its node keeps its address; it is forgotten when nothing comes', async t => {
  const {server, start, becomes, text, synced} = await follow(t, {lingerMs: 300})
  for (const [name, node] of [
    ['p1', 'a'],
    ['p2', 'b'],
  ] as const) {
    create(server, {name, node})
    report(server, name, `fd00::${name.at(-1)}`)
  }
  start()
  await becomes('a fd00::1 | b fd00::2')
  server.delete({resource: 'pods', name: 'p1'})
  create(server, {name: 'p3', node: 'a'})
  await wait(100)
  t.is(text(), 'a fd00::1 | b fd00::2')
  report(server, 'p3', 'fd00::1')
  await wait(100)
  t.is(synced().length, 1)
  report(server, 'p3', 'fd00::3')
  await becomes('a fd00::3 | b fd00::2')
  server.delete({resource: 'pods', name: 'p2'})
  await becomes('a fd00::3')
  t.is(synced().length, 3)
})

test('property: whatever is read as a pod, it has IPv6 addresses and a node, or is unusable', t => {
  const anything = fc.jsonValue()
  const pod = fc.record({
    spec: fc.record({hostNetwork: fc.constant(true), nodeName: fc.oneof(fc.constant('a'), anything)}),
    status: fc.oneof(
      anything,
      fc.record({podIPs: fc.oneof(anything, fc.array(fc.record({ip: fc.oneof(fc.ipV4(), fc.ipV6())})))}),
    ),
  })
  fc.assert(
    fc.property(fc.oneof(anything, pod), object => {
      let read: ReturnType<typeof projectHostPod>
      try {
        read = projectHostPod(object)
      } catch {
        return
      }
      if (read) t.true(read.node.length > 0 && read.addresses.length > 0 && read.addresses.every(ip => ip.family === 6))
    }),
  )
  t.pass()
})
