/** The harness itself, with upstream's plugins as the network. */
import {spawn} from 'node:child_process'
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import test, {type ExecutionContext} from 'ava'
import {bridge, leasesIn, UPSTREAM} from './conflist.ts'
import {type Containerd, startContainerd} from './containerd.ts'
import type {Leftovers} from './remove.ts'

// Each runs a dozen processes.
const {serial} = test

serial('pods reach each other, and are gone when they have been removed', async t => {
  const containerd = await startContainerd(t, {conflist: bridge, binFolders: [UPSTREAM]})
  const a = await containerd.runPod({name: 'a'})
  const b = await containerd.runPod({name: 'b'})

  t.is(a.ip, '10.99.0.2')
  t.deepEqual(b.ips, ['10.99.0.3', 'fd00:99::3'])
  for (const ip of b.ips) t.regex(await a.exec('ping', '-c', '1', ip), / 1 packets received/)
  t.is((await a.exec('hostname')).trim(), 'a')
  t.regex(containerd.namespace.exec('ping', '-c', '1', a.ip), / 1 received/)
  t.deepEqual(ports(containerd).length, 2)
  const error = await t.throwsAsync(a.exec('sh', '-c', 'echo no >&2; exit 3'))
  t.is(error?.message, 'sh -c echo no >&2; exit 3 in pod a ends with 3: no\n')

  await a.stop()
  await a.stop()
  t.deepEqual(ports(containerd).length, 1)
  await a.remove()
  await b.remove()
  t.deepEqual(ports(containerd), [])
  t.deepEqual(
    [a, b].map(each => existsSync(each.netns)),
    [false, false],
  )
  t.deepEqual(leases(containerd), [])
  t.deepEqual(await containerd.cri.listPodSandbox({}), {items: []})
})

serial("ctr's containers reach pods", async t => {
  const containerd = await startContainerd(t, {conflist: bridge, binFolders: [UPSTREAM]})
  const pod = await containerd.runPod({name: 'a'})
  const container = await containerd.runContainer({name: 'b'})
  for (const ip of pod.ips) t.regex(await container.exec('ping', '-c', '1', ip), / 1 packets received/)
  t.is(ports(containerd).length, 2)
  await container.stop()
  t.is(ports(containerd).length, 1)
  t.deepEqual(leases(containerd).sort(), [...pod.ips].sort())
})

serial('a plugin is told of the pod and its annotations, and what it refuses is no pod', async t => {
  const {folder, calls} = recorder(t)
  const capabilities = {'io.kubernetes.cri.pod-annotations': true, portMappings: true}
  const conflist = (where: string) => bridge(where, {type: 'record', capabilities})
  const containerd = await startContainerd(t, {conflist, binFolders: [folder, UPSTREAM]})
  const annotations = {'example.org/networks': '[{"name": "blue"}]'}
  const port = {container_port: 80, host_port: 8080}
  const pod = await containerd.runPod({name: 'a', namespace: 'shop', annotations, portMappings: [port]})
  await pod.remove()
  await containerd.runPod({name: 'b'})

  const [add, del, again, bare] = calls()
  t.deepEqual(
    [add, del, again, bare].map(each => each!.CNI_COMMAND),
    ['ADD', 'DEL', 'DEL', 'ADD'],
  )
  t.is(add!.CNI_CONTAINERID, pod.id)
  t.is(add!.CNI_NETNS, pod.netns)
  t.is(add!.CNI_PATH, containerd.binFolder)
  // In any order.
  t.deepEqual(add!.CNI_ARGS.split(';').sort(), [
    'IgnoreUnknown=1',
    `K8S_POD_INFRA_CONTAINER_ID=${pod.id}`,
    'K8S_POD_NAME=a',
    'K8S_POD_NAMESPACE=shop',
    `K8S_POD_UID=${pod.uid}`,
  ])
  t.deepEqual(add!.config.runtimeConfig, {
    'io.kubernetes.cri.pod-annotations': annotations,
    portMappings: [{HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: ''}],
  })
  t.is(del!.CNI_NETNS, pod.netns)
  t.truthy(del!.config.prevResult)
  // RemovePodSandbox makes sure, when nothing is known any more.
  t.is(again!.CNI_NETNS, '')
  t.is(again!.config.prevResult, undefined)
  t.deepEqual(bare!.config.runtimeConfig, {'io.kubernetes.cri.pod-annotations': null})

  writeFileSync(join(folder, 'refuse'), JSON.stringify({cniVersion: '1.0.0', code: 11, msg: 'not yet', details: 'why'}))
  const refused = await t.throwsAsync(containerd.runPod({name: 'c'}))
  t.regex(refused!.message, /plugin type="record" failed \(add\): not yet; why/)
  t.deepEqual(
    calls()
      .slice(4)
      .map(each => [each.CNI_COMMAND, each.CNI_NETNS !== '', each.config.prevResult]),
    [
      ['ADD', true, undefined],
      ['DEL', true, undefined],
    ],
  )
  t.is((await containerd.cri.listPodSandbox({})).items.length, 1)
})

serial('the network is ready when somebody has written a conflist', async t => {
  const containerd = await startContainerd(t, {binFolders: [UPSTREAM]})
  t.false(await networkReady(containerd))
  await t.throwsAsync(containerd.runPod({name: 'a'}), {message: /cni plugin not initialized/})
  writeFileSync(join(containerd.confFolder, '10-test.conflist'), JSON.stringify(bridge(containerd.folder)))
  while (!(await networkReady(containerd))) await sleep(50)
  t.is((await containerd.runPod({name: 'a'})).ip, '10.99.0.2')
})

serial('nothing is left of what still runs when the test ends', async t => {
  const teardowns: (() => unknown)[] = []
  const own = {teardown: (work: () => unknown) => void teardowns.push(work)}
  const containerd = await startContainerd(own, {conflist: bridge, binFolders: [UPSTREAM]})
  const {folder, cgroup, namespace} = containerd
  const pod = await containerd.runPod({name: 'a'})
  await containerd.runContainer({name: 'b'})
  const what = {folder, cgroup, namespace: namespace.name}
  t.true(left(what, [pod.id]).length > 10)
  for (const each of teardowns.reverse()) await each()
  t.deepEqual(left(what, [pod.id]), [])
})

serial('nothing is left when the test is killed', async t => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'child', 'running.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const {value: line} = await child.stdout.setEncoding('utf8')[Symbol.asyncIterator]().next()
  const what = JSON.parse(line) as Leftovers
  const ids = readdirSync(join(what.folder, 'root', 'io.containerd.grpc.v1.cri', 'sandboxes'))
  t.is(ids.length, 1)
  t.true(left(what, ids).length > 10)
  child.kill('SIGKILL')
  while (left(what, ids).length > 0) await sleep(100)
  t.pass()
})

/** The bridge's, one for each pod. */
const ports = ({namespace}: Containerd): string[] =>
  namespace.json('link', 'show', 'type', 'veth').map(each => each.ifname)

const leases = ({folder}: Containerd): string[] =>
  readdirSync(join(leasesIn(folder), 'test')).filter(each => /^[\da-f]+[.:]/.test(each))

const networkReady = async ({cri}: Containerd): Promise<boolean> =>
  (await cri.status({})).status.conditions.some(each => each.type === 'NetworkReady' && each.status)

interface Call {
  readonly CNI_COMMAND: string
  readonly CNI_CONTAINERID: string
  readonly CNI_NETNS: string
  readonly CNI_PATH: string
  readonly CNI_ARGS: string
  readonly config: {readonly runtimeConfig?: unknown; readonly prevResult?: unknown}
}

/** A plugin `record` that keeps what it is told and does as `bridge` does; ADD is refused with what a file `refuse` says. */
function recorder(t: ExecutionContext): {folder: string; calls: () => Call[]} {
  const folder = mkdtempSync(join(tmpdir(), 'ng-record-'))
  t.teardown(() => rmSync(folder, {recursive: true, maxRetries: 5}))
  const names = ['COMMAND', 'CONTAINERID', 'NETNS', 'PATH', 'ARGS'].map(each => `CNI_${each}`)
  const values = names.map(each => `"${each}":"$${each}"`.replaceAll('"', '\\"')).join(',')
  const script = `#!/bin/sh
input=$(cat)
printf '%s\\n' "{${values},\\"config\\":$input}" >>${folder}/calls
if [ "$CNI_COMMAND" = ADD ] && [ -e ${folder}/refuse ]; then
  cat ${folder}/refuse
  exit 1
fi
printf '%s' "$input" | ${UPSTREAM}/bridge
`
  writeFileSync(join(folder, 'record'), script, {mode: 0o755})
  return {
    folder,
    calls: () =>
      readFileSync(join(folder, 'calls'), 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line)),
  }
}

/** Processes, mounts, cgroups, files, in words. */
function left({folder, cgroup, namespace}: Leftovers, containers: readonly string[]): string[] {
  const processes = readdirSync('/proc').filter(
    pid => /^\d+$/.test(pid) && textOf(`/proc/${pid}/cmdline`).includes(folder),
  )
  const hierarchies = ['.', ...readdirSync('/sys/fs/cgroup')].map(each => join('/sys/fs/cgroup', each, cgroup))
  const results = containers.length > 0 ? readdirSync('/var/lib/cni/results') : []
  return [
    ...processes.map(pid => `process ${pid}`),
    ...textOf('/proc/self/mountinfo')
      .split('\n')
      .filter(line => line.includes(folder)),
    ...[folder, join('/run/netns', namespace), ...hierarchies].filter(each => existsSync(each)),
    ...results.filter(each => containers.some(id => each.includes(id))),
  ]
}

/** Empty where there is no such process any more. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
