/** Netgraft as the only network of real containers: installed, asked by containerd, and taken away again. */
import test, {type ExecutionContext} from 'ava'
import {startNode, type TestNode} from '../agent/support/node.ts'
import {UPSTREAM} from './conflist.ts'
import {type Containerd, startContainerd} from './containerd.ts'
import {install, netgraft, until} from './install.ts'

const {serial} = test

interface Host {
  readonly containerd: Containerd
  readonly node: TestNode
}

async function startHost(t: ExecutionContext, mode: 'ptp' | 'bridge'): Promise<Host> {
  const containerd = await startContainerd(t, {binFolders: [UPSTREAM]})
  const node = await startNode(t, {
    namespace: containerd.namespace,
    config: {networks: [{backend: 'direct', pods: {mode}}]},
  })
  await install(containerd, node)
  return {containerd, node}
}

for (const mode of ['ptp', 'bridge'] as const)
  serial(`${mode}: containers reach each other and leave nothing`, async t => {
    const {containerd, node} = await startHost(t, mode)
    const a = await containerd.runPod({name: 'a'})
    const b = await containerd.runPod({name: 'b'})
    t.deepEqual(
      [a.ips, b.ips],
      [
        ['10.64.1.2', 'fd00:64:1::2'],
        ['10.64.1.3', 'fd00:64:1::3'],
      ],
    )
    for (const ip of b.ips) t.regex(await a.exec('ping', '-c', '1', ip), / 1 packets received/)
    t.regex(containerd.namespace.exec('ping', '-c', '1', a.ip), / 1 received/)
    t.regex(await a.exec('ping', '-c', '1', '192.168.0.1'), / 1 packets received/)
    const other = await containerd.runContainer({name: 'c'})
    t.regex(await other.exec('ping', '-c', '1', a.ip), / 1 packets received/)
    await other.stop()

    // Under pods that run, the agent comes and goes.
    await node.agent.kill()
    t.regex(await a.exec('ping', '-c', '1', b.ip), / 1 packets received/)
    await b.stop()
    node.agent.start()
    const d = await containerd.runPod({name: 'd'})
    t.regex(await a.exec('ping', '-c', '1', d.ip), / 1 packets received/)
    t.not(d.ip, a.ip)

    for (const pod of [a, b, d]) await pod.remove()
    await until(() => veths(containerd).length === 0)
    await netgraft('uninstall', containerd, node)
    t.pass()
  })

serial('a port of the host leads to the pod', async t => {
  const {containerd} = await startHost(t, 'ptp')
  const pod = await containerd.runPod({
    name: 'web',
    portMappings: [{protocol: 'TCP', container_port: 80, host_port: 8080}],
  })
  const plain = await containerd.runPod({name: 'plain'})
  const rules = () => containerd.namespace.exec('iptables-save', '-t', 'nat')
  t.regex(rules(), new RegExp(`--dport 8080 -j DNAT --to-destination ${pod.ip}:80`))
  t.notRegex(rules(), new RegExp(plain.ip))
  await pod.stop()
  await until(() => !rules().includes('--dport 8080'))
  t.pass()
})

const veths = ({namespace}: Containerd): string[] =>
  namespace
    .json('link', 'show', 'type', 'veth')
    .map(({ifname}) => ifname)
    .filter(name => name.startsWith('veth'))
